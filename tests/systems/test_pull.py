"""Orders that are read straight out of their system, and asked about again before they are rejected there."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from orderctl.plans.service import Operator, save_plan
from support.factories import FixedClock
from support.plans import FREE, plan_of
from support.stores import open_store
from support.tryton import tryton_cli, tryton_server


@pytest.fixture
def tryton():
    """Seven quotations."""
    with tryton_server(7) as (tryton, address):
        tryton.address = address
        yield tryton


@pytest.fixture
def cli(tryton, store_url, tmp_path):
    return tryton_cli(tmp_path / "shop", store_url, tryton.address)


def states(cli):
    return {each["order_id"]: each["state"] for each in cli("writeback", "list", "--format", "json").json}


def status(cli, order_id):
    return cli("show", order_id, "--format", "json").json["order"]["status"]


def test_orders_are_read_with_all_that_they_are(cli):
    ran = cli("pull", "shop", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["created"] == 7
    order = cli("show", "3", "--format", "json").json["order"]
    assert (order["status"], order["reference"], order["total"], order["currency"]) == (
        "needs-oc",
        "S3",
        "32.50",
        "EUR",
    )
    assert [(line["sku"], line["quantity"], line["unit_price"]) for line in order["lines"]] == [
        ("LN-10", 2, "10.00"),
        ("Belt", 1, "12.50"),
    ]
    assert order["buyer"]["email"] == "b3@b.example"
    again = cli("pull", "shop", "--format", "json")
    assert (again.json["created"], again.json["updated"], again.json["unchanged"]) == (0, 0, 7)


def test_a_pull_that_only_checks_changes_nothing(cli):
    ran = cli("pull", "shop", "--check")
    assert (ran.code, "all good" in ran.out) == (0, True)
    assert cli("search", "--count").out.strip() == "0"


def test_a_page_that_does_not_come_is_asked_for_again(cli, tryton):
    # The login, its preferences, then a page: the connection ends, the server is busy, the session ended.
    tryton.faults = [None, None, "hang up", 503, 401]
    ran = cli("pull", "shop", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["created"] == 7


def test_a_tryton_before_8_is_found_where_it_is(cli, tryton):
    tryton.path = "/sales/"
    assert cli("pull", "shop", "--format", "json").json["created"] == 7


def test_a_database_that_there_is_not_is_told(cli, tryton):
    tryton.path = "/other/rpc/"
    ran = cli("pull", "shop")
    assert (ran.code, "shop cannot be reached: HTTP 404" in ran.err) == (1, True), ran.err


def test_many_sales_are_read_page_by_page(store_url, tmp_path):
    with tryton_server(123) as (tryton, address):
        cli = tryton_cli(tmp_path, store_url, address)
        assert cli("pull", "shop", "--format", "json").json["created"] == 123
        assert tryton.asked.count("search_read") == 4


def test_what_is_no_longer_there_is_gone_after_a_whole_pull(cli, tryton):
    cli("pull", "shop")
    del tryton.sales[4]
    assert "gone" not in cli("pull", "shop").err
    ran = cli("pull", "shop", "--complete")
    assert "1 order of shop is gone from it (4)" in ran.err


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"password": "another"}, "shop refuses the login"),
        ({"address": "http://127.0.0.1:9"}, "shop cannot be reached"),
        ({"address": "http://shop.example"}, "for everyone in between to read"),
        ({"kind": "command", "command": "true"}, "orders cannot be read out of shop"),
    ],
    ids=["password", "address", "http", "kind"],
)
def test_a_system_that_cannot_be_read_is_told_in_one_sentence(tryton, sqlite_url, tmp_path, wrong, words):
    cli = tryton_cli(tmp_path, sqlite_url, **({"address": tryton.address} | wrong))
    ran = cli("pull", "shop")
    assert (ran.code in {1, 2}, words in ran.err) == (True, True), ran.err
    assert "Traceback" not in ran.err
    assert "another" not in ran.err


def test_a_system_that_there_is_not_is_named(cli):
    ran = cli("pull", "shob")
    assert (ran.code, "there is no system 'shob'" in ran.err, "shop" in ran.err) == (2, True, True)


def test_orders_are_cancelled_where_they_were_pulled_from(cli, tryton):
    cli("pull", "shop")
    ran = cli("reject", "1", "2", "--notify", "--yes")
    assert ran.code == 0, ran.err
    assert "what these orders are like there: shop." in ran.err
    assert [tryton.sales[number]["state"] for number in (1, 2, 3)] == ["cancelled", "cancelled", "quotation"]
    assert states(cli) == {"1": "sent", "2": "sent"}
    # What was cancelled here agrees with what comes from there.
    assert cli("pull", "shop").code == 0
    assert cli("reconcile").code == 0


def test_what_has_changed_there_is_left_out_by_name(cli, tryton):
    cli("pull", "shop")
    tryton.ship(2)
    del tryton.sales[3]
    ran = cli("reject", "1", "2", "3", "4", "--notify", "--yes")
    assert ran.code == 6, ran.err
    assert "Left out 2 orders that changed meanwhile" in ran.out
    assert ("2: was changed meanwhile" in ran.out, "3: was changed meanwhile" in ran.out) == (True, True)
    assert states(cli) == {"1": "sent", "4": "sent"}
    assert [status(cli, each) for each in "1234"] == ["rejected", "oc-confirmed", "needs-oc", "rejected"]
    # Only the targets were asked about.
    assert tryton.sales[5]["state"] == "quotation"


def test_without_asking_again_a_shipped_order_is_a_conflict_and_nobody_is_told(cli, tryton):
    cli("pull", "shop")
    tryton.ship(2)
    ran = cli("reject", "1", "2", "--notify", "--no-recheck", "--yes")
    assert ran.code == 5
    assert "Not asked again before the orders are rejected: shop." in ran.err
    assert "1 in conflict" in ran.out
    assert states(cli) == {"1": "sent", "2": "refused"}
    mails = {each["recipient"]: each["state"] for each in cli("mail", "list", "--format", "json").json}
    assert mails == {"b1@b.example": "sent", "b2@b.example": "held"}
    assert "it is in the state processing" in cli("writeback", "list").out
    shown = cli("show", "2").out
    assert "it is in the state processing" in " ".join(shown.split())
    assert cli("show", "2", "--format", "json").json["writeback"]["state"] == "refused"
    assert cli("show", "3", "--format", "json").json["writeback"] is None
    listed = cli("reconcile", "--format", "json")
    assert (listed.code, [(each["id"], each["contradiction"]) for each in listed.json]) == (
        3,
        [("2", "not-cancelled-there")],
    )


def test_a_sale_that_is_shipped_while_it_is_cancelled_is_a_conflict(cli, tryton):
    cli("pull", "shop")
    tryton.on_cancel = lambda number: tryton.ship(number) if number == 1 else None
    assert cli("reject", "1", "2", "--yes").code == 5
    assert states(cli) == {"1": "refused", "2": "sent"}
    assert 'You can not call "cancel"' in cli("writeback", "list").out


def test_a_system_that_cannot_be_asked_again_stops_the_rejection(cli, tryton, tmp_path):
    cli("pull", "shop")
    config = tmp_path / "shop" / "config.toml"
    there = config.read_text()
    config.write_text(there.replace(tryton.address, "http://127.0.0.1:9"))
    ran = cli("reject", "1", "--yes")
    assert (ran.code, "nothing was changed" in ran.err, "--no-recheck" in ran.err) == (1, True, True)
    assert (status(cli, "1"), states(cli)) == ("needs-oc", {})
    assert cli("reject", "1", "--yes", "--no-recheck").code == 5
    config.write_text(there)
    assert status(cli, "1") == "rejected"


def test_a_rehearsal_asks_again_and_takes_that_back_too(cli, tryton):
    cli("pull", "shop")
    tryton.ship(2)
    ran = cli("reject", "1", "2", "--rehearse")
    assert (ran.code, "Left out 1 order" in ran.out) == (6, True)
    assert [status(cli, each) for each in "12"] == ["needs-oc", "needs-oc"]
    assert tryton.sales[1]["state"] == "quotation"


def test_a_saved_plan_asks_again_when_it_runs(cli, tryton):
    cli("pull", "shop")
    made = cli("reject", "1", "2", "--save-plan", "--format", "json").json
    tryton.ship(2)
    ran = cli("plan", "run", made["plan"]["id"], "--yes", "--format", "json")
    assert (ran.code, ran.json["rejected"], [each["id"] for each in ran.json["left_out"]]) == (6, 1, ["2"])


def test_a_held_plan_whose_system_cannot_be_asked_stays_held(cli, tryton, tmp_path, store_url):
    cli("pull", "shop")
    file = tmp_path / "paper.csv"
    file.write_text("id,status,ordered,currency,total\nP1,needs-oc,2026-01-01,EUR,10\n")
    cli("import", str(file), "--source", "paper")
    clock = FixedClock(datetime.now(UTC) - timedelta(minutes=20))
    with open_store(store_url) as store:
        for order in ("1", "P1"):
            plan = plan_of(store, order, systems={"shop": "id"})
            save_plan(
                store, plan, Operator(actor="mia", clock=clock, terms=FREE), how="--yes", hold=timedelta(minutes=15)
            )
    config = tmp_path / "shop" / "config.toml"
    there = config.read_text()
    config.write_text(there.replace(tryton.address, "http://127.0.0.1:9"))
    ran = cli("plan", "run", "--due")
    assert (ran.code, "--no-recheck" in ran.err) == (1, True), ran.err
    assert [status(cli, each) for each in ("1", "P1")] == ["needs-oc", "rejected"]
    config.write_text(there)
    assert cli("plan", "run", "--due").code == 0
    assert (status(cli, "1"), tryton.sales[1]["state"]) == ("rejected", "cancelled")


def test_ids_that_are_others_here_are_never_imported_as_new_orders(store_url, tmp_path, tryton):
    cli = tryton_cli(tmp_path, store_url, tryton.address, key="reference")
    file = tmp_path / "orders.csv"
    file.write_text("id,reference,status,ordered,currency,total\nS1,1,needs-oc,2026-01-01,EUR,10\n")
    assert cli("import", str(file), "--source", "shop").code == 0
    ran = cli("reject", "S1", "--yes")
    said = " ".join(ran.err.split())
    assert (ran.code, "what is 'S1' in this store is '1' by the column map tryton" in said) == (2, True), said
    assert "systems.shop.map; or do not ask: --no-recheck" in said
    assert cli("search", "--format", "ids").lines == ["S1"]
    assert cli("reject", "S1", "--yes", "--no-recheck").code == 0
    assert tryton.sales[1]["state"] == "cancelled"


def test_an_answer_that_never_came_is_asked_for(cli, tryton):
    cli("pull", "shop")
    # Login, preferences, the state, then the button is pressed, and the connection ends before the answer.
    tryton.faults = [None, None, None, "hang up after"]
    assert cli("reject", "1", "--notify", "--no-recheck", "--yes").code == 5
    assert (tryton.sales[1]["state"], states(cli)) == ("cancelled", {"1": "unknown"})
    cli("writeback", "send")
    assert states(cli) == {"1": "sent"}
    assert tryton.asked.count("cancel") == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_tryton_that_says_when_is_not_asked_before(cli, tryton, status):
    cli("pull", "shop")
    tryton.faults = [None, None, None, (status, "3600")]
    assert cli("reject", "1", "--no-recheck", "--yes").code == 5
    [put_off] = cli("writeback", "list", "--format", "json").json
    wait = datetime.fromisoformat(put_off["next_attempt_at"]) - datetime.now(UTC)
    assert (put_off["state"], timedelta(minutes=58) < wait < timedelta(minutes=61)) == ("retry", True)
    # A page that is put off for that long ends a pull at once.
    tryton.faults = [None, None, (status, "3600")]
    assert "puts it off" in cli("pull", "shop").err


def test_a_pull_that_was_interrupted_goes_on_after_the_last_page(store_url, tmp_path):
    with tryton_server(123) as (tryton, address):
        cli = tryton_cli(tmp_path, store_url, address)
        tryton.faults = [None, None, None, None, 403]
        ran = cli("pull", "shop")
        assert (ran.code, "shop refuses the login" in ran.err, cli("search", "--count").out.strip()) == (1, True, "0")
        tryton.asked.clear()
        assert cli("pull", "shop", "--format", "json").json["created"] == 123
        assert tryton.asked.count("search_read") == 2


def test_the_password_is_nowhere_in_what_is_told(cli, tryton):
    tryton.faults = [500]
    assert json.dumps("a long pass phrase 7") not in cli("-v", "pull", "shop").err
