"""Archiving and tags, on both engines: what even a rejected order allows (design.md, section 3)."""

import threading
from functools import partial

import pytest

from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders, preview_change
from orderctl.core.ids import new_id
from orderctl.errors import UsageError
from orderctl.orders.orders import parse_tag
from orderctl.orders.queries import get_order, order_events
from support.cli import Cli
from support.factories import NOW, FixedClock, make_order, put, put_all
from support.rejection import ids, matching, reject
from support.stores import open_store
from support.terminal import Terminal

ARCHIVE, UNARCHIVE = Change(kind=ChangeKind.ARCHIVED), Change(kind=ChangeKind.UNARCHIVED)
TAG, UNTAG = Change(kind=ChangeKind.TAGGED, tag="late"), Change(kind=ChangeKind.UNTAGGED, tag="late")


def change(store, wanted, choice, **options):
    request = ChangeRequest(choice=choice, change=wanted, **options)
    return change_orders(store, request, actor="mia", clock=FixedClock(), new_id=new_id)


def order(store, order_id):
    with store.snapshot() as connection:
        return get_order(connection, order_id)


def kinds(store, order_id):
    with store.snapshot() as connection:
        return [(event.kind, event.detail, event.actor) for event in order_events(connection, order_id)]


@pytest.fixture
def _orders(store):
    put(store, make_order("K1"), make_order("K2"), make_order("K3"))
    reject(store, ids("K1"))


@pytest.mark.usefixtures("_orders")
def test_archiving_and_back_count_and_log_only_what_changed(store):
    first = change(store, ARCHIVE, ids("K1", "K2", "K9"), ignore_unknown=True)
    assert (first.chosen, first.changing, first.unknown) == (2, 2, ("K9",))
    assert order(store, "K1").archived_at == NOW
    again = change(store, ARCHIVE, ids("K1", "K2", "K3"))
    assert (again.changing, again.unchanged) == (1, 2)
    assert change(store, UNARCHIVE, ids("K1", "K3")).changing == 2
    assert order(store, "K1").archived_at is None
    assert order(store, "K2").archived_at == NOW
    assert kinds(store, "K1")[-2:] == [("archived", "", "mia"), ("unarchived", "", "mia")]
    assert kinds(store, "K2") == [("archived", "", "mia")]


@pytest.mark.usefixtures("_orders")
def test_tags_come_and_go(store):
    assert change(store, TAG, ids("K1", "K2")).changing == 2
    assert change(store, TAG, ids("K1", "K2")).changing == 0
    assert change(store, UNTAG, matching("tag:late id:K2,K3")).changing == 1
    assert order(store, "K1").tags == {"late"}
    assert order(store, "K2").tags == frozenset()
    assert kinds(store, "K2") == [("tagged", "late", "mia"), ("untagged", "late", "mia")]


@pytest.mark.usefixtures("_orders")
def test_a_preview_says_what_the_change_does_and_changes_nothing(store):
    change(store, TAG, ids("K1"))
    found = preview_change(store, ChangeRequest(choice=ids("K1", "K2", duplicates=1), change=TAG))
    assert (found.chosen, found.changing, found.unchanged, found.duplicates) == (2, 1, 1, 1)
    assert order(store, "K2").tags == frozenset()


@pytest.mark.usefixtures("_orders")
def test_an_unknown_id_stops_before_anything_changes(store):
    with pytest.raises(UsageError, match="1 id unknown in this store: K9"):
        change(store, ARCHIVE, ids("K2", "K9"))
    assert order(store, "K2").archived_at is None
    assert kinds(store, "K2") == []


@pytest.mark.usefixtures("_orders")
def test_orders_of_another_account_are_unknown(store, store_url):
    with open_store(store_url, account="other") as other:
        put(other, make_order("K2"))
        assert change(other, TAG, ids("K2")).changing == 1
        with pytest.raises(UsageError, match="K3"):
            change(other, ARCHIVE, ids("K3"))
    assert order(store, "K2").tags == frozenset()


def test_two_who_tag_at_once_log_it_once(store, store_url):
    put_all(store, [make_order(f"T{number}") for number in range(30)])
    reports = []

    def work():
        with open_store(store_url) as mine:
            reports.append(change(mine, TAG, matching("currency:EUR")))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(report.changing for report in reports) == 30
    assert [kinds(store, f"T{number}") for number in range(30)] == [[("tagged", "late", "mia")]] * 30


@pytest.mark.parametrize("text", ["", "  ", "a,b", "none", "ANY", "x" * 61, "a\x1bb"])
def test_what_is_not_a_tag(text):
    with pytest.raises(ValueError, match="is|holds|means"):
        parse_tag(text)


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


@pytest.mark.usefixtures("_orders")
def test_archived_orders_leave_the_default_view_and_come_back(cli):
    search = partial(cli, "search", "--sort", "id")
    ran = cli("archive", "K1", "K2")
    assert (ran.code, ran.out, ran.err) == (0, "", "2 orders archived\n")
    assert search().lines == ["K3"]
    assert search("archived:yes").lines == ["K1", "K2"]
    assert cli("archive", "K1", "K3").err == "1 order archived; 1 unchanged\n"
    ran = cli("unarchive", "--filter", "status:rejected")
    assert (ran.code, "add archived:yes" in ran.err) == (0, True)
    assert cli("unarchive", "--filter", "archived:yes", "--except", "K3").err == "2 orders unarchived\n"
    assert search().lines == ["K1", "K2"]


@pytest.mark.usefixtures("_orders")
def test_tags_take_every_source_of_orders_and_report_as_json(cli):
    assert cli("tag", "late", "--ids", "-", stdin="K1\nK2\nK2\n").err == "2 orders tagged late; 1 given twice\n"
    ran = cli("tag", "late", "K1", "K3", "K9", "--ignore-unknown", "--format", "json")
    assert ran.json == {
        "schema": 1,
        "outcome": "done",
        "change": "tagged",
        "tag": "late",
        "changed": 1,
        "unchanged": 1,
        "unknown": ["K9"],
        "duplicates": 0,
    }
    assert cli("select", "tag:late").code == 0
    ran = cli("untag", "late", "--dry-run")
    assert (ran.code, ran.err) == (0, "A dry run: 3 orders would be untagged late\n")
    assert cli("untag", "late").err == "3 orders untagged late\n"
    assert cli("filter", "save", "all-of-them", "currency:EUR").code == 0
    assert cli("tag", " checked ", "--saved", "all-of-them").err == "3 orders tagged checked\n"
    assert cli("search", "tag:checked", "--count").out == "3\n"


@pytest.mark.usefixtures("_orders")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["archive"], "the selection 'default' is empty"),
        (["archive", "K2", "K9"], "1 id unknown in this store: K9"),
        (["unarchive", "--filter", ""], "an empty filter would take every order"),
        (["tag", "a,b", "K1"], "the tag 'a,b' holds a comma"),
        (["untag", "late", "K1", "--saved", "x"], "ids and --saved are two sources"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_changes_nothing(cli, args, message):
    ran = cli(*args)
    assert (ran.code, ran.out, message in ran.err) == (2, "", True)
    assert cli("search", "archived:yes or tag:any", "--count").out == "0\n"


def test_very_many_orders_are_asked_for(cli, store):
    put_all(store, [make_order(f"M{number:04}") for number in range(1_001)])
    ran = cli("archive", "--all")
    assert (ran.code, "1,001 orders would be archived, and there is no terminal" in ran.err) == (2, True)
    with Terminal(cli, "tag", "late", "--all") as terminal:
        terminal.type("y\ry")
        terminal.wait_for("1,001 orders would be tagged late. Go on?")
        terminal.type("\r")
        assert terminal.end() == 4
    assert cli("search", "tag:late", "--count").out == "0\n"
    with Terminal(cli, "tag", "late", "--all") as terminal:
        terminal.wait_for("Go on?")
        terminal.type("y\r")
        terminal.wait_for("1,001 orders tagged late")
        assert terminal.end() == 0
    assert cli("archive", "--all", "--except", "M0000").err == "1,000 orders archived\n"
    assert cli("unarchive", "--filter", "archived:yes", "--yes").err == "1,000 orders unarchived\n"
