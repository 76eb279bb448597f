"""Orders are pulled out of Shopify, WooCommerce and Odoo as their exports would bring them, page by page."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import OrderctlError, ServerUnavailableError
from orderctl.systems.pages import KeptPages
from orderctl.systems.systems import Found
from support.http_server import Answer, http_server
from support.remote_systems import CANCELLED, OPEN, PAID, REMOTES, SECRET, SHIPPED, Shopify, Woo, remote_cli, talk_to

REFUSED = Answer(status=401, body={"message": "expired"})
LATE = Answer(status=429, headers={"Retry-After": "0"})


@pytest.fixture(params=REMOTES)
def remote(request):
    return REMOTES[request.param]()


@pytest.fixture
def shop(remote, store_url, tmp_path):
    with remote_cli(remote, store_url, tmp_path) as cli:
        yield cli


def pull(cli, *options):
    ran = cli("pull", "shop", "--format", "json", *options)
    assert ran.code == 0, ran.err
    return ran.json


def order(cli, order_id):
    return cli("show", order_id, "--format", "json").json["order"]


def read(talk, kept=None):
    """The rows of all orders, each by the names of its columns."""
    with talk.system.orders(None, kept) as table:
        return [dict(zip(table.header, cells, strict=True)) for _, cells in table.rows]


def kept_files(folder):
    return list((folder / "home").rglob("pulls/*.jsonl"))


def test_orders_are_read_with_all_that_they_are(remote, shop):
    assert pull(shop)["created"] == 3
    found = order(shop, remote.keys[OPEN])
    status = "oc-created" if remote.kind == "odoo" else "needs-oc"
    assert (found["status"], found["total"], found["currency"]) == (status, "32.50", "EUR")
    assert found["ordered_at"].startswith("2026-01-02T03:04:05")
    lines = {
        "shopify": [("LN-10", 2, "10.00"), ("BELT", 1, "6.25"), ("HAT", 1, "6.25")],
        "woocommerce": [("LN-10", 2, "10.00"), ("BELT", 1, "12.50")],
        "odoo": [("LN-10", 2, "10.00"), ("Belt", 1, "12.50")],
    }
    assert [(line["sku"], line["quantity"], line["unit_price"]) for line in found["lines"]] == lines[remote.kind]
    assert found["buyer"]["email"] in {f"b{remote.keys[OPEN]}@b.example", "acme@b.example"}
    again = pull(shop)
    assert (again["created"], again["updated"], again["unchanged"]) == (0, 0, 3 - again["rejected_left_alone"])
    assert again["rejected_left_alone"] == 1


def test_what_is_shipped_or_cancelled_there_cannot_be_rejected_here(remote, shop):
    pull(shop)
    assert order(shop, remote.keys[CANCELLED])["status"] == "rejected"
    ran = shop("reject", remote.keys[SHIPPED], "--individual", "--yes", "--format", "json")
    assert (ran.json["rejected"], remote.asked["act"]) == (0, 0)


def test_a_paid_order_is_not_rejected_in_bulk(store_url, tmp_path):
    for remote in (Shopify(), Woo()):
        remote.orders[remote.keys[OPEN]] = PAID
        with remote_cli(remote, store_url, tmp_path) as cli:
            pull(cli)
            assert order(cli, remote.keys[OPEN])["status"] == "oc-confirmed"


def test_many_orders_are_read_page_by_page(remote, tmp_path):
    remote.add(110)
    with talk_to(remote, tmp_path / "shop") as talk:
        column = {"shopify": "Id", "woocommerce": "order_id", "odoo": "name"}[remote.kind]
        found = list(dict.fromkeys(str(row[column]) for row in read(talk)))
    assert found == list(remote.there().values())
    assert remote.asked["page"] == {"shopify": 12, "woocommerce": 3, "odoo": 4}[remote.kind]


def test_a_pull_that_was_interrupted_goes_on_after_the_last_page(remote, shop, tmp_path):
    remote.add(110)
    right, pages = remote.answer, []

    def breaks(step, request):
        pages.append(step)
        return REFUSED if pages.count("page") == 3 else right(step, request)

    remote.answer = breaks
    ran = shop("pull", "shop")
    assert (ran.code, shop("search", "--count").out.strip()) == (1, "0")
    assert SECRET not in ran.err
    [kept] = kept_files(tmp_path)
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert SECRET not in kept.read_text()
    began = json.loads(kept.read_text().splitlines()[0])["began"]
    # A pull that was killed may leave half of a line.
    with kept.open("a") as file:
        file.write('{"orders": [{"id')
    remote.answer = right
    before = remote.asked["page"]
    found = shop("pull", "shop", "--format", "json")
    assert (found.json["created"], found.json["as_of"]) == (len(remote.there()), began)
    assert "The pull that was interrupted goes on" in found.err
    whole = {"shopify": 12, "woocommerce": 3, "odoo": 4}[remote.kind]
    assert remote.asked["page"] - before == whole - 2
    assert kept_files(tmp_path) == []


def test_pages_of_another_system_or_of_long_ago_are_not_gone_on_with(tmp_path, sqlite_url):
    remote = Woo()
    remote.add(60)
    with remote_cli(remote, sqlite_url, tmp_path) as cli:
        remote.fail("page", None)
        remote.fail("page", REFUSED)
        assert cli("pull", "shop").code == 1
        [kept] = kept_files(tmp_path)
        lines = kept.read_text().splitlines(keepends=True)
        kept.write_text("".join(['{"began": "2026-01-01T00:00:00+00:00"}\n', *lines[1:]]))
        before = remote.asked["page"]
        assert pull(cli)["created"] == len(remote.there())
        assert remote.asked["page"] - before == 2


def test_two_pulls_at_once_do_not_mix_their_pages(tmp_path):
    now = datetime.now(UTC)
    second = KeptPages(tmp_path, {"url": "a"}, now)
    refused = pytest.raises(OrderctlError, match="another pull of this system is running")
    with KeptPages(tmp_path, {"url": "a"}, now), KeptPages(tmp_path, {"url": "b"}, now), refused:
        second.__enter__()
    assert list(tmp_path.iterdir()) == []


def test_where_no_file_can_be_written_a_pull_begins_anew(remote, tmp_path):
    (tmp_path / "file").touch()
    with talk_to(remote, tmp_path / "shop") as talk, KeptPages(tmp_path / "file", {}, datetime.now(UTC)) as kept:
        assert read(talk, kept) == read(talk)


def test_a_page_that_does_not_come_is_asked_for_again(remote, tmp_path):
    with talk_to(remote, tmp_path / "shop") as talk:
        whole = read(talk)
        for fault in ({"cut": 0}, {"cut": 40}, {"answer": LATE}):
            remote.fail("page", **fault)
            assert read(talk) == whole


def test_no_page_leads_to_another_address(remote, shop):
    with http_server() as other:
        moved = {"Location": other.url, "Link": f'<{other.url}/orders?page=2>; rel="next"'}
        remote.fail("page", headers={"Link": moved["Link"]})
        assert pull(shop)["created"] == 3
        remote.fail("page", Answer(status=302, headers=moved))
        ran = shop("pull", "shop")
        assert (ran.code, "sends us to another address (302)" in ran.err) == (1, True)
        assert other.connections == 0


def test_a_server_that_gives_the_same_page_without_end_is_found_out(remote, shop):
    remote.add(110)
    right, first = remote.answer, {}

    def stuck(step, request):
        return first.setdefault(step, right(step, request)) if step == "page" else right(step, request)

    remote.answer = stuck
    ran = shop("pull", "shop")
    assert (ran.code, "is not one of this kind of system" in ran.err) == (1, True), ran.err


def test_a_page_of_something_else_is_told_in_one_sentence(remote, shop):
    node = {"legacyResourceId": "1", "totalPriceSet": {"shopMoney": {"amount": "much"}}}
    body = {"data": {"orders": {"nodes": [node], "pageInfo": {}}}}
    wrong = {"shopify": body, "woocommerce": [{"id": 1}], "odoo": [{"id": 1, "date_order": "soon"}]}[remote.kind]
    if remote.settings.get("format") == "json-rpc":
        wrong = {"result": wrong}
    remote.fail("page", Answer(body=wrong), times=4)
    ran = shop("pull", "shop", "--check")
    assert (ran.code, "Traceback" in ran.err) == (1, False), ran.err


def test_orders_that_were_deleted_meanwhile_hide_none(tmp_path):
    woo = Woo()
    woo.add(160)
    right = woo.answer

    def loses(step, request):
        answer = right(step, request)
        if step == "page" and woo.asked["page"] == 2:
            for key in list(woo.there().values())[:70]:
                woo.orders.pop(key)
        return answer

    woo.answer = loses
    with talk_to(woo, tmp_path / "shop") as talk:
        found = {str(row["order_id"]) for row in read(talk)}
    assert set(woo.there().values()) <= found


def test_orders_are_asked_for_by_any_key_that_they_have(remote, tmp_path):
    with talk_to(remote, tmp_path / "shop") as talk:
        keys = [remote.keys[OPEN], remote.keys[SHIPPED], "4711", "no such"]
        keys += ["#1002"] if remote.kind == "shopify" else []
        with talk.system.orders(keys) as table:
            found = {cells[0] for _, cells in table.rows}
    assert len(found) == (3 if remote.kind == "shopify" else 2)


def places(answer):
    """Where an answer may be cut off, which comes in chunks or as one."""
    head, body = answer.encoded()
    first = len(head) + (body.index(b"\r\n") + 2 if answer.chunk else 0)
    between = {"in a size": len(head) + 1, "between chunks": first + answer.chunk + 2} if answer.chunk else {}
    return between | {
        "without a word": 0,
        "in the head": len(head) // 2,
        "after the head": len(head),
        "in the middle of the JSON": first + 2,
        "before the end": len(head + body) - 3,
        "before the last byte": len(head + body) - 1,
    }


@pytest.mark.parametrize("step", ["read", "page", "act"])
def test_an_answer_that_is_cut_off_anywhere_ends_in_the_right_state(remote, tmp_path, step):
    with talked_to(remote, tmp_path, step) as (talk, whole, body):
        for chunk in (0, max(1, len(json.dumps(body)) // 3)):
            for where, cut in places(Answer(body=body, chunk=chunk)).items():
                remote.fail(step, chunk=chunk, cut=cut)
                ends_right(talk, step, whole, f"{where} ({chunk})")


@pytest.mark.parametrize("step", ["read", "page", "act"])
def test_a_server_that_answers_a_byte_at_a_time_has_no_more_time_than_another(remote, tmp_path, step):
    with talked_to(remote, tmp_path, step) as (talk, whole, _):
        remote.fail(step, every_s=0.02)
        if step == "read":
            with pytest.raises(ServerUnavailableError, match="no whole answer within 1 s"):
                talk.send(remote.keys[OPEN])
            assert (talk.begun, remote.cancelled) == (0, [])
        ends_right(talk, step, whole, "slow")


@contextmanager
def talked_to(remote, folder, step):
    """A connection, the rows of all orders, and the right answer to that step."""
    remote.polls, answers, right = 0, {}, remote.answer

    def noted(name, request):
        answer = right(name, request)
        answers.setdefault(name, answer)
        return answer

    with talk_to(remote, folder / "shop") as talk:
        whole = read(talk)
        remote.answer = noted
        talk.send(remote.keys[OPEN])
        read(talk)
        remote.answer, remote.orders[remote.keys[OPEN]], talk.begun = right, OPEN, 0
        remote.cancelled.clear()
        yield talk, whole, answers[step].body


def ends_right(talk, step, whole, where):
    """A step whose answer was lost once: orders are read all the same, and one is cancelled once, and known to be."""
    remote, key = talk.remote, talk.remote.keys[OPEN]
    remote.orders[key], remote.cancelled, remote.asked["act"] = OPEN, [], 0
    if step == "page":
        assert read(talk) == whole, where
        return
    ended = DeliveryState.UNKNOWN if step == "act" else DeliveryState.SENT
    assert (where, talk.send(key).state) == (where, ended)
    assert talk.system.look([key]) == {key: Found.CANCELLED}
    assert talk.send(key).state is DeliveryState.SENT
    assert (where, remote.cancelled, remote.asked["act"]) == (where, [key], 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "webhook", "url": "https://shop.example"},
        {"kind": "command", "command": "true"},
        {"kind": "file", "folder": "."},
    ],
    ids=lambda settings: settings["kind"],
)
def test_a_kind_that_cannot_be_read_says_so_in_one_sentence(sqlite_url, tmp_path, settings):
    remote = Woo()
    with remote_cli(remote, sqlite_url, tmp_path, **settings) as cli:
        secret = tmp_path / "shop" / "secret"
        secret.write_text("whsec_" + "A" * 44)
        ran = cli("pull", "shop")
    assert (ran.code, f"of the kind {settings['kind']}" in ran.err) == (2, True), ran.err
    assert "hint: import a file of it: orderctl import FILE --source shop" in ran.err
