"""An address that takes events is told of a rejection by a signed CloudEvent, and its status says what became of it."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from orderctl.core.money import Money
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError
from support.cli import Cli
from support.http_server import Answer, http_server
from support.smtp_server import HOST, ca_file, free_port
from support.systems import cancellation, system_of, told

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.fixture
def webhook(tmp_path):
    """A system that posts to a server."""

    def made(url, **settings):
        secret = tmp_path / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        return system_of(tmp_path, kind="webhook", url=url, secret_file=str(secret), **{"timeout": 1, **settings})

    return made


def test_an_event_is_a_cloud_event_that_its_receiver_can_verify(webhook):
    given = cancellation("A", number=12, reason="stílus", amount=Money("JPY", 1030), reference="PO-7")
    with http_server() as server:
        assert told(webhook(f"{server.url}/hook?x=1"), given) == [("sent", "erp took it: 200")]
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/hook?x=1")
    assert request.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    # As a receiver does: https://github.com/standard-webhooks/standard-webhooks
    event, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    expected = hmac.new(KEY, f"{event}.{at}.".encode() + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert abs(int(at) - time.time()) < 60
    assert request.json == {
        "specversion": "1.0", "id": "b-12", "source": "urn:orderctl:erp", "type": "orderctl.order.rejected",
        "subject": "A", "time": "2026-01-02T03:04:05+00:00", "datacontenttype": "application/json",
        "data": {
            "id": "b.12", "order": "A", "key": "A", "reference": "PO-7", "batch": "b", "reason": "stílus",
            "reason_code": "", "currency": "JPY", "total": "1030", "rejected_at": "2026-01-02T03:04:05+00:00",
        },
    }  # fmt: skip
    assert event == "b-12"


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (Answer(status=204), "sent", "erp took it: 204"),
        (Answer(status=202, body=b"x" * 9999, cut=120), "sent", "erp took it: 202"),
        (Answer(status=409, body=b"it was shipped\nmore"), "refused", "erp does not cancel it: 409 it was shipped"),
        (Answer(status=410), "refused", "erp does not cancel it: HTTP 410"),
        (Answer(status=422, body=b"\x1b[2J"), "refused", r"erp does not cancel it: 422 \x1b[2J"),
        (Answer(status=404), "refused", "erp does not cancel it: HTTP 404"),
        (Answer(status=429), "retry", "erp puts it off: HTTP 429"),
        (Answer(status=503, body=b"busy"), "retry", "erp puts it off: 503 busy"),
        (Answer(status=500), "retry", "erp puts it off: HTTP 500"),
        (Answer(status=502), "retry", "erp puts it off: HTTP 502"),
        (Answer(cut=0), "unknown", "erp did not answer ("),
        (Answer(cut=7), "unknown", "erp did not answer ("),
        (Answer(after_s=30), "unknown", "erp did not answer (no whole answer within 1 s)"),
        (Answer(every_s=0.2), "unknown", "erp did not answer (no whole answer within 1 s)"),
        (Answer(status=409, body=b"x", endless=True), "refused", "erp does not cancel it: 409 xxx"),
        (Answer(headers={"Endless": "x" * 200_000}), "unknown", "erp did not answer ("),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_the_status_says_what_became_of_it(webhook, answer, state, said):
    before = time.monotonic()
    with http_server([answer]) as server:
        [(became, words)] = told(webhook(server.url), cancellation())
    assert (became, words.startswith(said)) == (state, True), words
    assert len(words) < 400
    assert len(server.requests) == 1
    assert time.monotonic() - before < 8


@pytest.mark.parametrize("as_date", [False, True])
def test_a_receiver_that_says_when_is_not_asked_before(sqlite_url, tmp_path, as_date):
    cli = reachable(tmp_path, sqlite_url)
    said = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True) if as_date else "3600"
    with http_server([Answer(status=429, headers={"Retry-After": said})]) as server:
        configure(tmp_path, server.url)
        assert cli("reject", "A", "--yes").code == 5
    [told_of] = cli("writeback", "list", "--format", "json").json
    wait = datetime.fromisoformat(told_of["next_attempt_at"]) - datetime.now(UTC)
    assert (told_of["state"], timedelta(minutes=58) < wait < timedelta(minutes=61)) == ("retry", True)


def test_a_worker_asks_nothing_else_either_before_the_receiver_wants_it(sqlite_url, tmp_path):
    cli, asked = reachable(tmp_path, sqlite_url, "B"), []

    def busy(_request):
        asked.append(time.monotonic())
        return Answer(status=503 if len(asked) == 1 else 200, headers={"Retry-After": "1"})

    with http_server(busy) as server:
        configure(tmp_path, server.url)
        assert cli("reject", "A", "B", "--yes").code == 5
    assert (len(asked), asked[1] - asked[0] >= 1) == (2, True)


def test_a_repetition_has_the_same_id_and_body_and_is_signed_anew(webhook):
    with http_server([Answer(status=500), Answer(status=200)]) as server:
        first, second = told(webhook(server.url), cancellation(), cancellation())
    assert (first[0], second[0]) == ("retry", "sent")
    one, two = server.requests
    assert (one.body, one.headers["webhook-id"]) == (two.body, two.headers["webhook-id"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=401, body=b"bad signature"), "erp refuses the login: 401 bad signature"),
        (Answer(status=403), "erp refuses the login: HTTP 403"),
        (Answer(status=307, headers={"Location": "http://127.0.0.1:1/"}), "sends us to another address .307."),
    ],
)
def test_what_every_order_would_get_stops_the_round(webhook, answer, said):
    with http_server([answer]) as server, pytest.raises(ServerSetupError, match=said):
        told(webhook(server.url), cancellation())
    assert len(server.requests) == 1


def test_nobody_but_the_address_of_the_settings_is_asked(webhook, monkeypatch):
    with http_server() as proxy, http_server() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        told(webhook(server.url), cancellation())
    assert (proxy.connections, server.connections) == (0, 1)


def test_certificates_are_checked(webhook, tmp_path):
    with http_server(tls=True) as server:
        assert told(webhook(server.url, ca_file=ca_file(tmp_path)), cancellation())[0][0] == "sent"
        with pytest.raises(ServerSetupError, match="cannot be reached: .*certificate"):
            told(webhook(server.url), cancellation())
    assert len(server.requests) == 1


def test_a_certificate_of_somebody_else_is_refused(webhook, tmp_path):
    with http_server(tls=True, certificate_for="other.example") as server, pytest.raises(ServerSetupError):
        told(webhook(server.url, ca_file=ca_file(tmp_path)), cancellation())
    assert server.requests == []


def test_what_did_not_begin_is_not_sent(webhook):
    with http_server() as server, webhook(server.url) as system:
        assert system.send(None, cancellation(), lambda: False) is None
    assert server.requests == []


def test_without_a_connection_nothing_begins(webhook):
    begun = []
    with (
        webhook(f"http://{HOST}:{free_port()}") as system,
        pytest.raises(ServerUnavailableError, match="Connection refused"),
    ):
        system.send(None, cancellation(), lambda: begun.append(1) or True)
    assert begun == []


@pytest.mark.parametrize("with_tls", [False, True])
def test_a_slow_answer_is_cut_off_with_and_without_tls(webhook, tmp_path, with_tls):
    with http_server([Answer(every_s=0.1, body=b"x" * 500)], tls=with_tls) as server:
        before = time.monotonic()
        [(state, _)] = told(webhook(server.url, ca_file=ca_file(tmp_path)), cancellation())
    assert (state, time.monotonic() - before < 5) == ("unknown", True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://erp.example/hook", "would send orders and the login to erp.example for everyone in between to read"),
        ("erp.example", "is not an address of the web"),
        ("file:///etc/passwd", "is not an address of the web"),
        ("https://", "is not an address of the web"),
        ("", "systems.erp.url is not set"),
    ],
)
def test_an_address_that_cannot_be_used_is_named(webhook, url, said):
    with pytest.raises(UsageError, match=said):
        webhook(url)


@pytest.mark.parametrize("secret", ["", "pa55word", "whsec_", "whsec_AAAA", SECRET.removeprefix("whsec_"), "whsec_é"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(tmp_path, secret):
    file = tmp_path / "secret"
    file.write_text(secret)
    file.chmod(0o600)
    with pytest.raises(UsageError, match="none of Standard Webhooks") as raised:
        system_of(tmp_path, kind="webhook", url="https://erp.example", secret_file=str(file))
    assert len(secret) < 7 or secret not in raised.value.message
    with pytest.raises(UsageError, match="has no secret to sign with"):
        system_of(tmp_path, kind="webhook", url="https://erp.example")


def reachable(folder, store, *others):
    """The command line with an order A of the system `erp`, and others."""
    cli = Cli(store, folder / "home", ORDERCTL_CONFIG=str(folder / "config.toml"))
    file = folder / "orders.csv"
    header = "id,status,ordered,currency,total,buyer_id,buyer_name,buyer_email"
    rows = [f"{each},needs-oc,2026-01-01,EUR,10,x,N,x@b.example" for each in ("A", *others)]
    file.write_text("\n".join([header, *rows]) + "\n")
    assert cli("import", str(file), "--source", "erp").code == 0
    return cli


def configure(folder, url):
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    lines = {"kind": "webhook", "url": url, "secret_file": str(secret), "timeout": 2}
    settings = "\n".join(f"{name} = {json.dumps(value)}" for name, value in lines.items())
    (folder / "config.toml").write_text(f"[profile.default.systems.erp]\n{settings}\n")


def test_a_rejection_reaches_the_address(sqlite_url, tmp_path):
    cli = reachable(tmp_path, sqlite_url)
    with http_server() as server:
        configure(tmp_path, server.url)
        ran = cli("reject", "A", "--reason", "dropped", "--yes")
    assert (ran.code, "1 order cancelled there" in ran.out) == (0, True)
    assert server.requests[0].json["data"]["order"] == "A"
