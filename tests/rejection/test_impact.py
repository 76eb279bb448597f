"""What a plan says of seasons, large orders and buyers: exact values of a small store, on both engines."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from orderctl.importing.queries import OrderImport
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import SaidOrder, Status
from orderctl.rejection.impact import (
    Freshness,
    Impact,
    LargestOrder,
    NamedBuyers,
    SeasonShare,
    percent_of,
    percent_words,
)
from orderctl.rejection.plan import RejectionPlan
from support.factories import KUMO, MUTE, NOW, make_order, put
from support.rejection import ids, matching, plan_for

LONG_AGO = NOW - timedelta(days=40)
CHOSEN = ids("T1", "T2", "T3", "T4", "T5", "T6", "C1", "R1")


def import_at(store, at, *orders):
    said = [SaidOrder.of(order) for order in orders]
    store.write(lambda connection: OrderImport(connection).store(said, actor="test", at=at, detail="test"))


@pytest.fixture
def _season(store):
    """Six targets in two seasons and two currencies, beside orders that are open, confirmed, gone or rejected."""
    orders = [
        make_order("T1", total=60_000, ordered_at=datetime(2026, 1, 2, tzinfo=UTC)),
        make_order("T2", total=10_000),
        make_order("T3", total=10_000),
        make_order("T4", total=10_000, buyer=MUTE, season="26FW", delivery_from=date(2026, 8, 1), delivery_to=None),
        make_order("T5", total=5_000, buyer=KUMO, currency="JPY", delivery_to=date(2026, 12, 24)),
        make_order("T6", total=5_000, buyer=KUMO, currency="JPY", ordered_at=datetime(2026, 2, 3, 4, 5, tzinfo=UTC)),
        make_order("C1", total=20_000, status=Status.OC_CONFIRMED),
        make_order("O1", total=100_000, buyer=KUMO),
        make_order("O2", total=30_000, buyer=MUTE, season="26FW", status=Status.OC_CONFIRMED),
        make_order("O3", total=99, season="25FW", buyer=KUMO, status=Status.OC_CONFIRMED),
        make_order("G1", total=7, status=Status.RETURNED_TO_CART),
        make_order("R1", total=8, status=Status.REJECTED),
    ]
    import_at(store, LONG_AGO, *orders)
    # Two of them are edited within the hour, one just before it.
    import_at(store, NOW - timedelta(minutes=60), replace(orders[1], note="edited"))
    import_at(store, NOW - timedelta(minutes=5), replace(orders[4], note="edited"))
    import_at(store, NOW - timedelta(minutes=61), replace(orders[2], note="edited"))


EXPECTED = Impact(
    seasons=(
        SeasonShare(season="26SS", currency="EUR", orders=3, total=80_000, open_orders=5, open_total=200_000),
        SeasonShare(season="26SS", currency="JPY", orders=2, total=10_000, open_orders=2, open_total=10_000),
        SeasonShare(season="26FW", currency="EUR", orders=1, total=10_000, open_orders=2, open_total=40_000),
    ),
    season_count=3,
    largest=(
        LargestOrder(id="T1", currency="EUR", total=60_000, among_orders=4, among_total=90_000),
        LargestOrder(id="T6", currency="JPY", total=5_000, among_orders=2, among_total=10_000),
    ),
    recently_changed=2,
    ordered_from=datetime(2026, 1, 2, tzinfo=UTC),
    ordered_to=datetime(2026, 2, 3, 4, 5, tzinfo=UTC),
    delivery_from=date(2026, 8, 1),
    delivery_to=date(2026, 12, 24),
    without_address=NamedBuyers(count=1, names=("No Address Ltd",)),
    with_confirmed=NamedBuyers(count=2, names=("Acme Paris", "No Address Ltd")),
    freshness=Freshness(newest=NOW - timedelta(minutes=5), oldest=LONG_AGO, behind=3, behind_at=LONG_AGO),
)


@pytest.mark.usefixtures("_season")
@pytest.mark.parametrize("choice", [CHOSEN, matching("id:T1,T2,T3,T4,T5,T6,C1,R1")], ids=["ids", "filter"])
def test_the_impact_of_a_plan(store, choice):
    assert plan_for(store, choice).impact == EXPECTED


@pytest.mark.usefixtures("_season")
def test_a_kept_plan_keeps_its_impact(store):
    plan = plan_for(store, CHOSEN)
    assert RejectionPlan.from_json(plan.to_json()) == plan


@pytest.mark.usefixtures("_season")
def test_a_plan_of_nothing_has_no_impact(store):
    assert plan_for(store, ids("C1", "R1")).impact == Impact(freshness=Freshness())


@pytest.mark.usefixtures("_season")
def test_a_confirmed_order_that_is_itself_planned_is_not_another_one(store):
    assert plan_for(store, ids("C1"), mode=Mode.INDIVIDUAL).impact.with_confirmed == NamedBuyers()
    put(store, make_order("C2", status=Status.OC_CONFIRMED))
    alone = plan_for(store, ids("C1"), mode=Mode.INDIVIDUAL).impact
    assert alone.with_confirmed == NamedBuyers(count=1, names=("Acme Paris",))


def test_only_the_first_buyers_are_named_those_with_the_most_orders_first(store):
    buyers = [replace(MUTE, id=f"m{number}", name=f"Shop {number}") for number in range(7)]
    put(
        store, *(make_order(f"{buyer.id}-{n}", buyer=buyer) for place, buyer in enumerate(buyers) for n in range(place))
    )
    plan = plan_for(store, matching("season:26SS"))
    assert plan.impact.without_address == NamedBuyers(count=6, names=("Shop 6", "Shop 5", "Shop 4", "Shop 3", "Shop 2"))


@pytest.mark.parametrize(
    ("orders", "total", "all_of_them", "stands_out"),
    [(48, 60, 100, True), (48, 24, 100, False), (3, 99, 100, False), (4, 75, 100, True), (2, 60, 100, False)],
)
def test_when_one_order_stands_out(orders, total, all_of_them, stands_out):
    largest = LargestOrder(id="1", currency="EUR", total=total, among_orders=orders, among_total=all_of_them)
    assert largest.stands_out is stands_out


@pytest.mark.parametrize(
    ("part", "whole", "percent", "words"),
    [
        (1, 3, 33, "33 %"),
        (2, 3, 67, "67 %"),
        (1, 200, 1, "1 %"),
        (1, 201, 0, "under 1 %"),
        (0, 5, 0, "0 %"),
        (5, 5, 100, "100 %"),
        (5, 0, None, ""),
        (-1, 5, None, ""),
        (6, 5, None, ""),
    ],
)
def test_shares_in_whole_percent(part, whole, percent, words):
    assert percent_of(part, whole) == percent
    assert percent_words(percent, part=part) == words
