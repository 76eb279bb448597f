"""Ticking orders in a list: what acts on the shown leaves the hidden alone (docs/reference/picker.md)."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orderctl.core.money import Money
from orderctl.errors import UsageError
from orderctl.filters.parser import parse_filter
from orderctl.importing.queries import OrderImport
from orderctl.orders.orders import SaidOrder, Status
from orderctl.selection import service as picking
from orderctl.selection.picking import Figures, PickList
from orderctl.selection.selection import Choice, FilterScope
from orderctl.selection.service import read_candidates, save_picks
from support.factories import KUMO, NOW, make_order

ORDERS = (
    make_order("1001"),
    make_order("1002", buyer=KUMO, currency="JPY", total=90_000),
    make_order("1003", status=Status.OC_CONFIRMED),
    make_order("1004", archived_at=NOW, tags=frozenset({"late"})),
    make_order("1005", invoices=1),
)
SAID = [SaidOrder.of(order) for order in ORDERS]


def narrow(picks, text):
    picks.narrow(parse_filter(text, today=date(2026, 3, 14)))


def shown(picks):
    return [picks.order(row).id for row in range(len(picks.shown))]


def test_the_narrowing_is_the_filter_language_and_hides_no_archived_order():
    picks = PickList(ORDERS)
    narrow(picks, "acme")
    assert shown(picks) == ["1001", "1003", "1004", "1005"]
    narrow(picks, "status:needs-oc not tag:late")
    assert shown(picks) == ["1001", "1002", "1005"]
    narrow(picks, "")
    assert shown(picks) == [order.id for order in ORDERS]


def test_the_figures_count_what_is_ticked_what_is_refused_and_what_is_hidden():
    picks = PickList(ORDERS, {"1003"})
    picks.tick_shown()
    narrow(picks, "buyer:acme")
    assert picks.figures == Figures(count=5, totals=(Money("EUR", 48_200), Money("JPY", 90_000)), refused=2, hidden=1)
    picks.clear_shown()
    assert picks.figures == Figures(count=1, totals=(Money("JPY", 90_000),), refused=0, hidden=1)
    assert (picks.picks().ticked, picks.picks().added, picks.picks().removed) == (("1002",), ("1002",), ("1003",))


def test_the_eligible_are_those_that_can_be_rejected():
    picks = PickList(ORDERS)
    picks.tick_shown(but_refused=True)
    assert picks.picks().ticked == ("1001", "1002", "1004")
    assert [rule and rule.code for rule in map(picks.refused, range(5))] == [
        None,
        None,
        "oc-confirmed",
        None,
        "invoiced",
    ]


def test_a_range_runs_from_the_mark_to_the_cursor_either_way():
    picks = PickList(ORDERS)
    picks.move_to(3)
    picks.mark = 3
    picks.move_to(1)
    assert [picks.is_marked(row) for row in range(5)] == [False, True, True, True, False]
    picks.toggle()
    assert (picks.picks().ticked, picks.mark) == (("1002", "1003", "1004"), None)


def test_the_cursor_stays_on_its_order_while_the_list_is_narrowed():
    picks = PickList(ORDERS)
    picks.move_to(4)
    narrow(picks, "buyer:acme")
    assert picks.current.id == "1005"
    narrow(picks, "kumo or 雲")
    assert picks.current.id == "1002"
    narrow(picks, "nothing-like-this")
    assert picks.current is None
    picks.toggle()
    assert picks.figures.count == 0


def test_only_the_ticked_can_be_shown():
    picks = PickList(ORDERS, {"1002", "1005"})
    picks.show_only_ticked(only=True)
    assert shown(picks) == ["1002", "1005"]
    narrow(picks, "acme")
    assert shown(picks) == ["1005"]
    picks.show_only_ticked(only=False)
    assert shown(picks) == ["1001", "1003", "1004", "1005"]


MOVES = {
    "tick": PickList.toggle,
    "down": lambda picks: picks.move_to(picks.row + 1),
    "up": lambda picks: picks.move_to(picks.row - 1),
    "mark": lambda picks: setattr(picks, "mark", picks.row),
    "all": PickList.tick_shown,
    "none": PickList.clear_shown,
    "invert": PickList.invert_shown,
    "acme": lambda picks: narrow(picks, "buyer:acme"),
    "nobody": lambda picks: narrow(picks, "nobody"),
    "everything": lambda picks: narrow(picks, ""),
    "ticked": lambda picks: picks.show_only_ticked(only=not picks.only_ticked),
}


@given(some.sets(some.sampled_from([order.id for order in ORDERS])), some.lists(some.sampled_from(sorted(MOVES))))
def test_whatever_is_pressed_the_change_leads_from_the_old_ticks_to_the_new(before, moves):
    picks = PickList(ORDERS, before)
    for move in moves:
        MOVES[move](picks)
        assert 0 <= picks.row <= max(0, len(picks.shown) - 1)
    result = picks.picks()
    assert (before | set(result.added)) - set(result.removed) == set(result.ticked)
    assert not before & set(result.added)
    assert set(result.removed) <= before
    assert picks.figures.count == len(result.ticked)


def everything():
    return Choice(scope=FilterScope(filter=parse_filter("", today=date(2026, 3, 14)), words="all"))


def read(store, choice):
    return read_candidates(store, choice, actor="mia", name="friday", progress=lambda _done, _total: None)


def test_the_ticks_become_the_selection_in_one_step(store):
    store.write(lambda connection: OrderImport(connection).store(SAID, actor="test", at=NOW, detail="test"))
    first = PickList(read(store, everything()).orders)
    assert shown(first) == ["1005", "1003", "1002", "1001"]
    first.tick_shown()
    assert save_picks(store, first.picks(), actor="mia", name="friday", at=NOW).size == 4
    found = read(store, everything())
    again = PickList(found.orders, found.ticked)
    again.toggle()
    report = save_picks(store, again.picks(), actor="mia", name="friday", at=NOW)
    assert (report.added, report.removed, report.size) == (0, 1, 3)


def test_too_many_or_no_orders_are_refused(store, monkeypatch):
    with pytest.raises(UsageError, match="no order to pick from"):
        read(store, everything())
    store.write(lambda connection: OrderImport(connection).store(SAID, actor="test", at=NOW, detail="test"))
    monkeypatch.setattr(picking, "MOST", 3)
    with pytest.raises(UsageError, match="more than 3 orders"):
        read(store, everything())
