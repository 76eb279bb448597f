"""What all systems over HTTP have in common: one order is cancelled once, and every way to fail ends as it should."""

import gzip

import pytest

from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import ServerSetupError, ServerUnavailableError
from orderctl.systems.systems import Found, Readable
from support.http_server import Answer, http_server
from support.remote_systems import CANCELLED, OPEN, REMOTES, SECRET, SHIPPED, remote_cli, settings_of, talk_to

LATER = [Answer(status=429), Answer(status=503, headers={"Retry-After": "3"})]
HTML = Answer(status=500, body=b"<html>a fatal error</html>")


@pytest.fixture(params=REMOTES)
def remote(request):
    return REMOTES[request.param]()


@pytest.fixture
def talk(remote, tmp_path):
    with talk_to(remote, tmp_path / "shop") as talk:
        yield talk


def test_an_open_order_is_cancelled_once(talk):
    key = talk.remote.keys[OPEN]
    outcome = talk.send(key)
    assert (outcome.state, outcome.detail) == (DeliveryState.SENT, "shop cancelled it")
    again = talk.send(key)
    assert (again.state, again.detail) == (DeliveryState.SENT, "shop had cancelled it before")
    assert (talk.remote.cancelled, talk.remote.asked["act"], talk.begun) == ([key], 1, 1)


@pytest.mark.parametrize(
    ("state", "said"),
    [("missing", "shop has no order "), (SHIPPED, "shop does not cancel it: ")],
)
def test_an_order_that_is_not_there_or_closed_is_refused_before_anything_begins(talk, state, said):
    talk.remote.orders.pop(talk.remote.keys["missing"])
    outcome = talk.send(talk.remote.keys[state])
    assert outcome.state is DeliveryState.REFUSED
    assert outcome.detail.startswith(said)
    assert (talk.begun, talk.remote.asked["act"]) == (0, 0)


def test_what_the_system_refuses_is_a_conflict_in_its_words(talk):
    talk.remote.refuse()
    outcome = talk.send(talk.remote.keys[OPEN])
    assert outcome.state is DeliveryState.REFUSED
    assert talk.remote.refusal in outcome.detail
    assert talk.remote.cancelled == []


def test_nothing_is_done_that_the_store_did_not_record(talk):
    assert talk.send(talk.remote.keys[OPEN], begins=False) is None
    assert talk.remote.asked["act"] == 0


@pytest.mark.parametrize("step", ["read", "act"])
@pytest.mark.parametrize("answer", LATER, ids=["429", "503"])
def test_what_is_put_off_is_tried_again(talk, step, answer):
    talk.remote.fail(step, answer)
    outcome = talk.send(talk.remote.keys[OPEN])
    assert outcome.state is DeliveryState.RETRY
    assert outcome.detail.startswith("shop puts it off: ")
    assert outcome.not_before_s == float(answer.headers.get("Retry-After", 0))
    assert talk.remote.cancelled == []
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.SENT


def test_a_fault_of_the_server_is_tried_again_before_and_unknown_after_it_may_have_acted(talk):
    talk.remote.fail("read", HTML)
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.RETRY
    talk.remote.polls = 0
    talk.remote.fail("act", HTML, done=True)
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.UNKNOWN
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.SENT
    assert talk.remote.asked["act"] == 1


def test_a_token_that_expired_stops_the_run_and_is_not_told(talk):
    talk.remote.knows = lambda _request: False
    with pytest.raises(ServerSetupError, match="refuses the login") as caught:
        talk.system.look([talk.remote.keys[OPEN]])
    assert "secret_file" in caught.value.hint
    assert SECRET not in caught.value.sentence + repr(vars(caught.value))


def test_a_token_that_expires_in_between_leaves_the_order_to_be_sent_later(talk):
    talk.remote.fail("act", Answer(status=401, body={"message": "expired"}))
    with pytest.raises(ServerSetupError, match="refuses the login"):
        talk.send(talk.remote.keys[OPEN])
    assert talk.remote.cancelled == []


@pytest.mark.parametrize("cut", [0, 1, 30])
def test_a_question_whose_answer_is_cut_off_is_asked_once_more(talk, cut):
    talk.remote.fail("read", cut=cut)
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.SENT
    talk.remote.fail("read", cut=cut, times=2)
    with pytest.raises(ServerUnavailableError, match="the connection ended"):
        talk.send(talk.remote.keys[OPEN])


def test_the_look_afterwards_that_fails_leaves_it_unknown(talk):
    right = talk.remote.answer

    def breaks(step, request):
        answer = right(step, request)
        if talk.remote.cancelled and step == "read":
            talk.remote.answer = right
            return HTML
        return answer

    talk.remote.answer = breaks
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.UNKNOWN
    assert talk.send(talk.remote.keys[OPEN]).detail == "shop had cancelled it before"
    assert talk.remote.asked["act"] == 1


def test_an_answer_without_an_end_is_given_up(talk):
    talk.remote.fail("act", Answer(body=b"x" * 65536, endless=True), done=True)
    outcome = talk.send(talk.remote.keys[OPEN])
    assert (outcome.state, "no end" in outcome.detail) == (DeliveryState.UNKNOWN, True)


@pytest.mark.parametrize("state", [OPEN, CANCELLED])
def test_an_order_in_another_currency_is_another_order(talk, state):
    """The address of another shop of the brand, where the same numbers are given too."""
    talk.remote.currency = "USD"
    outcome = talk.send(talk.remote.keys[state])
    assert outcome.state is DeliveryState.REFUSED
    assert outcome.detail == "shop does not cancel it: it is in USD there and in EUR here, as another order"
    assert (talk.begun, talk.remote.cancelled) == (0, [])


def test_what_is_packed_is_not_unpacked(talk):
    """Nobody asked for it, and a few bytes may become any number."""
    packed = Answer(body=gzip.compress(b"0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    talk.remote.fail("read", packed)
    with pytest.raises(ServerUnavailableError, match="not one of this kind of system"):
        talk.send(talk.remote.keys[OPEN])
    talk.remote.polls = 0
    talk.remote.fail("act", packed, done=True)
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.UNKNOWN
    assert talk.send(talk.remote.keys[OPEN]).state is DeliveryState.SENT
    assert talk.remote.asked["act"] == 1


@pytest.mark.parametrize("words", ["\ud800 x", "a\0b", "\x1b[31mred", "x" * 100_000, f"{SECRET}, {SECRET}", "\u202e"])
def test_words_of_a_system_are_shown_and_kept_whatever_they_hold(remote, store_url, tmp_path, words):
    with remote_cli(remote, store_url, tmp_path) as cli:
        assert cli("pull", "shop").code == 0
        remote.refusal = words
        remote.refuse()
        ran = cli("reject", remote.keys[OPEN], "--yes")
        assert ran.code == 5, ran.err
        [listed] = cli("writeback", "list", "--format", "json").json
    assert (listed["state"], listed["last_error"][:25]) == ("refused", "shop does not cancel it: ")
    assert len(listed["last_error"]) < 400
    told = listed["last_error"] + ran.out + ran.err
    assert [part for part in (SECRET, "\x1b", "\0") if part in told] == []


def test_a_redirect_is_not_followed(talk):
    with http_server() as other:
        talk.remote.fail("read", Answer(status=307, headers={"Location": other.url}))
        with pytest.raises(ServerSetupError, match="another address"):
            talk.send(talk.remote.keys[OPEN])
        assert other.requests == []


def test_a_server_that_is_not_there_is_found_out_before_anything_begins(remote, tmp_path):
    with http_server() as server:
        settings = settings_of(remote, server.url, tmp_path / "shop")
    with settings.connect() as system, pytest.raises(ServerUnavailableError, match="cannot be reached"):
        system.look([remote.keys[OPEN]])


def test_many_orders_are_looked_up_in_one_request(talk):
    assert isinstance(talk.system, Readable)
    keys = talk.remote.keys
    talk.remote.orders.pop(keys["missing"])
    assert talk.system.look(list(keys.values())) == {
        keys[OPEN]: Found.OPEN,
        keys[CANCELLED]: Found.CANCELLED,
        keys[SHIPPED]: Found.CLOSED,
        keys["missing"]: Found.MISSING,
    }
    assert talk.remote.asked["read"] == 1


def test_an_answer_of_another_kind_of_server_is_no_word_on_an_order(talk):
    for body in ({}, [], b"<html>welcome</html>", {"data": None}, {"result": None}, b"null"):
        if talk.remote.kind == "woocommerce" and body == []:
            continue  # that is an honest answer: there is no such order
        if talk.remote.kind == "odoo" and talk.remote.asked["fields"] and body == []:
            continue
        talk.remote.fail("read", Answer(body=body))
        with pytest.raises(ServerUnavailableError):
            talk.send(talk.remote.keys[OPEN])
    assert talk.begun == 0
