"""Sets of orders: sources joined, narrowed and taken out, and where each order came from."""

import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from orderctl.orders.orders import Status
from orderctl.selection.queries import chosen_orders, origins_of, selection_items, taken_out
from orderctl.selection.selection import Choice, IdList, IdScope, SelectionScope, ids_by_origin, source_in_words
from orderctl.selection.service import add_to_selection, clear_selection
from support.cli import Cli
from support.factories import NOW, make_order, put
from support.rejection import ids, matching, plan_for
from support.stores import open_store

ALL = [f"K{number}" for number in range(8)]
TAGGED = {"late": {"K0", "K1", "K2", "K3"}, "vip": {"K1", "K3", "K5", "K7"}}
SELECTED = {"friday": {"K2", "K3", "K4"}, "monday": {"K3", "K6"}}
LISTS = (("K0", "K4"), ("K4", "K5", "K6", "nowhere"))

SOURCES = {
    **{f"tag:{tag}": (matching(f"tag:{tag}").scope, held) for tag, held in TAGGED.items()},
    **{name: (SelectionScope(actor="mia", name=name, words=name), held) for name, held in SELECTED.items()},
    **{
        f"list {number}": (
            IdScope(
                given=IdList(ids=listed, lines=json.dumps(dict(zip(listed, (7, 8, 9, 10), strict=False)))),
                words=f"list {number}",
            ),
            {*listed},
        )
        for number, listed in enumerate(LISTS)
    },
}
NAMES = some.sampled_from(sorted(SOURCES))
NO_LISTS = some.sampled_from([name for name in sorted(SOURCES) if not name.startswith("list")])


def exactness(name):
    return next(
        place
        for place, start in enumerate(("list", "", "tag"))
        if (name.startswith(start) if start else name in SELECTED)
    )


@pytest.fixture
def filled(store):
    tags = {order_id: frozenset(tag for tag, held in TAGGED.items() if order_id in held) for order_id in ALL}
    put(store, *(make_order(order_id, tags=tags[order_id]) for order_id in ALL))
    for name, held in SELECTED.items():
        add_to_selection(store, ids(*sorted(held)), actor="mia", name=name, at=NOW)
    return store


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    first=NAMES,
    plus=some.lists(NAMES, max_size=3),
    only=some.lists(NAMES, max_size=1),
    minus=some.lists(NO_LISTS, max_size=1),
    excepted=some.sets(some.sampled_from([*ALL, "nowhere"]), max_size=2),
)
def test_a_choice_is_the_set_that_its_words_say(filled, first, plus, only, minus, excepted):
    choice = Choice(
        scope=SOURCES[first][0],
        plus=tuple(SOURCES[name][0] for name in plus),
        only=tuple(SOURCES[name][0] for name in only),
        minus=tuple(SOURCES[name][0] for name in minus),
        excluded=IdList(ids=tuple(sorted(excepted))),
    )
    joined = set().union(*(SOURCES[name][1] for name in (first, *plus)))
    wanted = joined.intersection(*(SOURCES[name][1] for name in only)) - excepted - {"nowhere"}
    wanted = wanted.difference(*(SOURCES[name][1] for name in minus))
    by_exactness = sorted((first, *plus), key=exactness)
    came_from = {each: next(name for name in by_exactness if each in SOURCES[name][1]) for each in joined}

    with filled.snapshot() as connection:
        assert {order.id for order in chosen_orders(connection, choice)} == wanted
        assert {*taken_out(connection, choice)} == (joined - wanted - {"nowhere"}) | (joined & excepted)
        origins = origins_of(connection, choice)
    lines = [(each, origin, line) for origin in origins for each, line in origin.line_of().items()]
    assert len(lines) == len({each for each, __, __ in lines}), "an id has one origin"
    named = {each: (origin.source, line) for each, origin, line in lines}
    rest = [origin.source for origin in origins if not origin.lines]
    for each in joined:
        source, line = named.get(each) or (*rest, 0)
        assert came_from[each] in source.removeprefix("selection ")
        assert bool(line) == came_from[each].startswith("list")
    assert sum(number for __, number in ids_by_origin(origins, len(joined))) == len(joined)

    plan = plan_for(filled, choice)
    unknown = {"nowhere"} & joined - excepted
    assert ({*plan.targets}, {*plan.given.unknown}) == (wanted, unknown)
    if plus or not first.startswith("tag"):
        assert plan.given.ids == len(joined)

    clear_selection(filled, actor="mia", name="made")
    report = add_to_selection(filled, choice, actor="mia", name="made", at=NOW)
    assert (report.size, report.added, report.removed) == (len(wanted), len(wanted), 0)
    with filled.snapshot() as connection:
        items = {item.order_id: item for item in selection_items(connection, "mia", "made")}
    assert items.keys() == wanted
    for each, item in items.items():
        assert came_from[each] in item.source
        assert bool(item.line) == came_from[each].startswith("list")


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put(
            store,
            *(make_order(each, tags=frozenset(tag for tag, held in TAGGED.items() if each in held)) for each in ALL),
        )
        put(store, make_order("old", status=Status.REJECTED, archived_at=NOW, tags=frozenset({"vip"})))
    return Cli(store_url, tmp_path / "home")


def held(cli, name):
    return {
        each["order_id"]: (each["source"], each["line"])
        for each in cli("select", "--name", name, "--format", "json").json
    }


def test_select_makes_a_set_in_words_and_keeps_where_each_order_came_from(cli, tmp_path):
    listed, out = tmp_path / "late.txt", tmp_path / "out.txt"
    listed.write_text("# by hand\nK6\nK7\n")
    out.write_text("K7\n")
    assert cli("select", "--name", "friday", "--ids", str(listed)).code == 0
    made = cli("select", "--name", "late", "--plus", "friday", "--plus", "tag:late", "--minus", "tag:vip")
    assert (made.code, made.err) == (0, "3 added; selection late: 3 orders\n")
    filter_ = ("filter [tag:late]", None)
    assert held(cli, "late") == {"K0": filter_, "K2": filter_, "K6": (f"selection friday: ids from {listed}", 2)}

    # The limits hold for what the selection had before, too; what is there keeps its origin.
    assert (
        cli("select", "K", "--name", "late", "--only", "tag:late").err
        == "2 added, 1 removed; selection late: 4 orders\n"
    )
    assert {each: source for each, (source, __) in held(cli, "late").items()} == {
        **dict.fromkeys(("K0", "K2"), "filter [tag:late]"),
        **dict.fromkeys(("K1", "K3"), "filter [K]"),
    }
    assert cli("select", "--name", "late", "--minus", "tag:vip").err == "2 removed; selection late: 2 orders\n"
    assert cli("select", "--name", "friday", "--minus", f"@{out}").err == "1 removed; selection friday: 1 order\n"

    assert cli("select", "list").lines == ["friday\t1", "late\t2"]
    told = cli("select", "list", "--format", "json").json
    assert [(each["name"], each["orders"], each["sources"]) for each in told] == [("friday", 1, 1), ("late", 2, 1)]
    rows = list(csv.DictReader(io.StringIO(cli("select", "--name", "friday", "--format", "csv").out)))
    assert [(row["order_id"], row["source"], row["line"]) for row in rows] == [("K6", f"ids from {listed}", "2")]


def test_a_set_that_takes_out_takes_archived_orders_out_too(cli):
    assert cli("select", "--name", "all", "archived:yes or archived:no").code == 0
    assert cli("select", "--name", "all", "--minus", "tag:vip").code == 0
    assert cli("select", "--name", "all").lines == ["K6", "K4", "K2", "K0"]


def test_rejected_orders_leave_every_selection_that_they_came_from(cli):
    assert cli("select", "--name", "a", "id:K0,K1").code == cli("select", "--name", "b", "id:K1,K2").code == 0
    assert cli("select", "--name", "c", "id:K1,K2").code == 0
    ran = cli("reject", "--name", "a", "--plus", "b", "--only", "c", "--yes")
    assert (ran.code, "2 orders taken out of the selection a, b" in ran.err) == (0, True), ran.err
    assert [cli("select", "--name", name).lines for name in "abc"] == [["K0"], [], ["K2", "K1"]]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (("reject", "K0", "--filter", "tag:late", "--dry-run"), "ids and --filter are two sources of orders"),
        (("reject", "--plus", "tag:late", "--dry-run"), "--plus joins orders to others, and there are none"),
        (("reject", "K0", "--minus", "vpi", "--dry-run"), "the selection 'vpi' is empty"),
        (("reject", "K0", "--ids", "-", "--dry-run"), "ids and --ids are two sources of orders"),
        (("reject", "--ids", "-", "--minus", "@-", "--dry-run"), "--ids - and --minus @- cannot both read"),
        (("reject", "K0", "--individual", "--plus", "tag:late", "--dry-run"), "--individual rejects one order"),
        (("select", "--name", "x", "--minus", "x"), "cannot be taken out of itself"),
        (("select", "--remove", "--minus", "tag:late"), "--remove takes orders out, and --minus makes a set to keep"),
        (("select", "tag:late", "--format", "json"), "--format is about what a selection holds"),
        (("select", "--plus", "saved:none"), "there is no saved filter 'none'"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused_with_a_way_out(cli, call, said):
    ran = cli(*call)
    assert (ran.code, said in ran.err, "hint: " in ran.err) == (2, True, True), ran.err


def test_reasons_of_joined_lists_go_with_their_orders(cli, tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("id,reason\nK0,dropped\n")
    other.write_text("id,reason\nK1,blocked\nK0,dropped\n")
    choice = ("reject", "--ids", str(one), "--plus", f"@{other}", "--dry-run", "--format", "json")
    plan = cli(*choice).json["plan"]
    assert {each["id"]: each["reason"] for each in plan["notes"]["orders"]} == {"K0": "dropped", "K1": "blocked"}
    assert plan["given"]["duplicates"] == 1
    other.write_text("id,reason\nK0,blocked\n")
    ran = cli(*choice)
    assert (ran.code, "the order K0 is given twice, with different reasons" in ran.err) == (2, True)


def test_a_saved_filter_and_a_key_go_with_sets(cli):
    assert cli("filter", "save", "dropped", "tag:late").code == 0
    call = ("reject", "K7", "--plus", "saved:dropped", "--minus", "tag:vip", "--yes", "--format", "json", "--key", "N1")
    first = cli(*call)
    assert (first.code, first.json["plan"]["targets"]) == (0, ["K0", "K2"]), first.err
    assert cli(*call).json["batch"] == first.json["batch"]
    other = cli(*(each if each != "tag:vip" else "tag:late" for each in call))
    assert (other.code, "for other orders or options" in other.err) == (3, True)


def test_other_commands_take_sets_and_a_word_is_still_a_filter(cli):
    ran = cli("export", "K0", "--plus", "tag:vip", "--only", "tag:late", "--format", "csv")
    assert [row["id"] for row in csv.DictReader(io.StringIO(ran.out))] == ["K0", "K1", "K3"]
    assert cli("archive", "K0", "--plus", "tag:vip", "--minus", "tag:late").err.startswith("2 orders archived")
    assert "selection default" in cli("select", '"list"').err


def test_a_set_is_told_in_the_language_of_the_operator(monkeypatch):
    words = (
        "ids from a.txt, plus selection friday, only filter [tag:late], minus saved filter vip [tag:vip], except 2 ids"
    )
    assert source_in_words(words) == words
    monkeypatch.setenv("LANGUAGE", "ja")
    told = source_in_words(words)
    for english in ("plus", "only", "minus", "except", "selection", "ids from"):
        assert english not in told
