"""Figures: the same on both engines, per currency, and never of rejected orders (design.md, sections 3 and 5)."""

import csv
import io
import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders
from orderctl.core.ids import new_id
from orderctl.filters.parser import parse_filter
from orderctl.orders.orders import Status
from orderctl.rejection.service import execute_rejection
from orderctl.stats.queries import statistics_of
from orderctl.stats.statistics import DIMENSIONS, Dimension, Question, Subject, parse_question
from support.cli import Cli
from support.factories import ACME, KUMO, MUTE, NOW, FixedClock, make_order, put, put_all
from support.rejection import BY, ids, matching, plan_for, reject
from support.stores import open_store
from support.terminal import Terminal

EVIL = replace(KUMO, name="=雲[red]")
VALUES = {
    Dimension.STATUS: lambda order: order.status.value,
    Dimension.MONTH: lambda order: f"{order.ordered_at:%Y-%m}",
    Dimension.SEASON: lambda order: order.season,
    Dimension.BUYER: lambda order: order.buyer.id if order.buyer else "",
    Dimension.COUNTRY: lambda order: order.country or "",
    Dimension.DELIVERY: lambda order: f"{order.delivery_from:%Y-%m}" if order.delivery_from else "",
}


def wanted(text=""):
    return parse_filter(text, today=NOW.date())


def figures(store, *questions, text="", subject=Subject.ORDERS, top=None):
    return statistics_of(store, wanted(text), subject, questions, top=top)


def some_orders(count=150):
    chance = random.Random(26)
    for number in range(count):
        status = chance.choice(list(Status))
        yield make_order(
            f"R{number:04}",
            status=status,
            rejected_at=NOW if status is Status.REJECTED else None,
            buyer=chance.choice([ACME, KUMO, MUTE, None]),
            season=chance.choice(["26SS", "26AW", ""]),
            country=chance.choice(["FR", "JP", None]),
            currency=chance.choice(["EUR", "JPY", "KWD"]),
            ordered_at=datetime(2025, 12, 31, 23, 59, tzinfo=UTC) + timedelta(days=chance.randint(-60, 60)),
            delivery_from=chance.choice([None, date(2026, 9, 1), date(2026, 9, 30), date(2027, 1, 1)]),
            delivery_to=None,
            total=chance.randint(-5_000, 90_000),
            quantity=chance.randint(-5, 500),
            archived_at=chance.choice([None, None, None, NOW]),
        )


def added_up(orders, value):
    found = defaultdict(lambda: (0, 0, 0))
    for order in orders:
        count, quantity, amount = found[value(order), order.currency]
        found[value(order), order.currency] = (count + 1, quantity + order.quantity, amount + order.total)
    return dict(found)


def as_dict(figures_):
    return {(figure.keys, figure.currency): (figure.orders, figure.quantity, figure.amount) for figure in figures_}


def test_every_dimension_adds_up_what_the_orders_say(store):
    orders = list(some_orders())
    put_all(store, orders)
    counted = [order for order in orders if order.status is not Status.REJECTED and not order.archived_at]
    names = DIMENSIONS[Subject.ORDERS]
    assert set(names) == set(VALUES)
    found = figures(store, *(Question(by=(name,)) for name in names), Question(by=(Dimension.SEASON, Dimension.STATUS)))
    assert as_dict(found.totals) == {((), key[1]): value for key, value in added_up(counted, lambda _: "").items()}
    assert found.rejected == sum(order.status is Status.REJECTED and not order.archived_at for order in orders) > 0
    for name, breakdown in zip(names, found.breakdowns, strict=False):
        assert as_dict(breakdown.figures) == added_up(counted, lambda order, name=name: (VALUES[name](order),))
    crossed = found.breakdowns[-1]
    assert as_dict(crossed.figures) == added_up(counted, lambda order: (order.season, order.status.value))
    assert {figure.labels for figure in found.breakdowns[names.index(Dimension.BUYER)].figures} == {
        ("Acme Paris",), ("雲商店",), ("No Address Ltd",), ("",),
    }  # fmt: skip


def test_before_and_after_a_rejection_differ_by_exactly_the_rejected_orders(store):
    orders = list(some_orders())
    put_all(store, orders)
    by_status = Question(by=(Dimension.STATUS,))
    before = figures(store, by_status)
    result = reject(store, matching("status:needs-oc,oc-created country:FR"))
    gone = [
        order
        for order in orders
        if order.status in {Status.NEEDS_OC, Status.OC_CREATED} and order.country == "FR" and not order.archived_at
    ]
    assert result.rejected == len(gone) > 5
    after = figures(store, by_status)
    assert after.rejected - before.rejected == len(gone)
    lost = added_up(gone, lambda order: (order.status.value,))
    earlier, later = as_dict(before.breakdowns[0].figures), as_dict(after.breakdowns[0].figures)
    assert set(later) <= set(earlier)
    for key, value in earlier.items():
        difference = tuple(a - b for a, b in zip(value, later.get(key, (0, 0, 0)), strict=True))
        assert difference == lost.get(key, (0, 0, 0))
    rejected = figures(store, subject=Subject.REJECTIONS).totals
    assert as_dict(rejected) == {((), key[1]): value for key, value in added_up(gone, lambda _: "").items()}


def test_the_largest_are_listed_in_each_currency_and_the_rest_is_added_up(store):
    put_all(store, [
        *(make_order(buyer=replace(ACME, id=f"b{n}", name=f"B{n}"), total=n * 100) for n in range(1, 6)),
        make_order(buyer=KUMO, currency="JPY", total=7),
    ])  # fmt: skip
    [breakdown] = figures(store, Question(by=(Dimension.BUYER,), limit=2)).breakdowns
    assert [(f.labels[0], f.currency, f.amount) for f in breakdown.figures] == [
        ("B5", "EUR", 500), ("B4", "EUR", 400), ("雲商店", "JPY", 7),
    ]  # fmt: skip
    [rest] = breakdown.rest
    assert (rest.currency, rest.groups, rest.orders, rest.amount) == ("EUR", 3, 3, 600)


def test_months_are_in_order_and_an_overview_keeps_the_last_six(store):
    first = datetime(2025, 1, 31, tzinfo=UTC)
    put_all(store, [make_order(ordered_at=first + timedelta(days=30 * number)) for number in range(15)])
    [asked] = figures(store, Question(by=(Dimension.MONTH,))).breakdowns
    months = [figure.keys[0] for figure in asked.figures]
    assert months == sorted(months)
    overview = figures(store).breakdowns
    assert [breakdown.question.name for breakdown in overview] == ["status", "month", "buyer"]
    assert [figure.keys[0] for figure in overview[1].figures] == months[-6:]
    kept = sum(figure.orders for figure in overview[1].figures)
    assert [(rest.groups, rest.orders) for rest in overview[1].rest] == [(len(months) - 6, 15 - kept)]


def test_statuses_are_in_the_order_of_an_orders_life(store):
    put_all(store, [make_order(status=status) for status in reversed(Status) if status is not Status.REJECTED])
    [breakdown] = figures(store, Question(by=(Dimension.STATUS,))).breakdowns
    assert [figure.keys[0] for figure in breakdown.figures] == [s.value for s in Status if s is not Status.REJECTED]


def rejected_by(store, actor, at, choice, **request):
    plan = replace(plan_for(store, choice, **request), by=replace(BY, actor=actor), made_at=at)
    return execute_rejection(
        store, plan.approve(by=actor, how="--yes"), clock=FixedClock(at), message_domain="brand.example"
    )


def test_rejections_are_told_apart_by_month_reason_and_actor_for_ever(store):
    put_all(store, [make_order(f"X{number}", total=100) for number in range(6)])
    put(store, make_order("arrived", status=Status.REJECTED, rejected_at=NOW))
    may = datetime(2026, 5, 1, tzinfo=UTC)
    rejected_by(store, "mia", NOW, ids("X0", "X1"))
    rejected_by(store, "mia", may, ids("X2"), reason_code="SEASON")
    rejected_by(store, "tom", may, ids("X3", "X4"), reason_code="SEASON")
    by = [Question(by=(name,)) for name in (Dimension.MONTH, Dimension.REASON, Dimension.ACTOR)]

    def counts():
        found = figures(store, *by, Question(by=(Dimension.MONTH, Dimension.REASON)), subject=Subject.REJECTIONS)
        return [{figure.keys: figure.orders for figure in breakdown.figures} for breakdown in found.breakdowns]

    expected = [
        {("2026-03",): 2, ("2026-05",): 3},
        {("style dropped",): 2, ("SEASON",): 3},
        {("mia",): 3, ("tom",): 2},
        {("2026-03", "style dropped"): 2, ("2026-05", "SEASON"): 3},
    ]
    assert counts() == expected
    archive = Change(kind=ChangeKind.ARCHIVED)
    request = ChangeRequest(choice=matching("status:rejected"), change=archive)
    assert change_orders(store, request, actor="mia", clock=FixedClock(), new_id=new_id).changing == 6
    assert counts() == expected
    assert figures(store, subject=Subject.REJECTIONS, text="archived:no").totals == ()


def test_accounts_are_counted_apart(store, store_url):
    put(store, make_order("A1"))
    with open_store(store_url, account="other") as other:
        assert figures(other).totals == ()
        put(other, make_order("A1"), make_order("A2"))
        assert [figure.orders for figure in figures(other).totals] == [2]
    assert [figure.orders for figure in figures(store).totals] == [1]


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [
            make_order("1", total=10_000, quantity=2),
            make_order("2", total=2_550, quantity=1, buyer=None, season="26AW", status=Status.OC_CREATED),
            make_order("3", total=90_000, quantity=9, currency="JPY", buyer=EVIL, country="JP"),
            make_order("4", status=Status.REJECTED, rejected_at=NOW),
        ])  # fmt: skip
    return Cli(store_url, tmp_path / "home")


def rows(text):
    return list(csv.reader(io.StringIO(text)))


def test_in_a_pipe_figures_are_csv_and_what_is_left_out_is_said(cli):
    ran = cli("stats", "--by", "season", "--by", "buyer", "--top", "1")
    assert (ran.code, ran.err) == (0, "1 rejected order is not counted\n")
    assert rows(ran.out) == [
        ["by", "key", "label", "currency", "orders", "quantity", "amount"],
        ["", "", "", "EUR", "2", "3", "125.50"],
        ["", "", "", "JPY", "1", "9", "90000"],
        ["season", "26SS", "26SS", "EUR", "1", "2", "100.00"],
        ["season", "26SS", "26SS", "JPY", "1", "9", "90000"],
        ["season (rest)", "", "", "EUR", "1", "1", "25.50"],
        ["buyer", "acme", "Acme Paris", "EUR", "1", "2", "100.00"],
        ["buyer", "kumo", "'=雲[red]", "JPY", "1", "9", "90000"],
        ["buyer (rest)", "", "", "EUR", "1", "1", "25.50"],
    ]


def test_json_says_all_of_it(cli):
    found = cli("stats", "currency:EUR", "--by", "month,status", "--format", "json").json
    assert (found["schema"], found["subject"], found["filter"]) == (1, "orders", "currency:EUR")
    assert found["rejected_left_out"] == 1
    eur = {"currency": "EUR", "orders": 2, "quantity": 3, "minor": 12_550, "amount": "125.50"}
    assert found["totals"] == [eur]
    [breakdown] = found["by"]
    assert breakdown["by"] == ["month", "status"]
    assert breakdown["figures"][0] == {
        "month": "2026-01", "status": "needs-oc", "label": "2026-01 / needs-oc",
        "currency": "EUR", "orders": 1, "quantity": 2, "minor": 10_000, "amount": "100.00",
    }  # fmt: skip
    assert breakdown["rest"] == []


def test_a_saved_filter_and_words_narrow_the_figures(cli):
    assert cli("filter", "save", "japan", "country:JP").code == 0
    assert rows(cli("stats", "--saved", "japan").out)[1] == ["", "", "", "JPY", "1", "9", "90000"]
    assert len(rows(cli("stats", "--saved", "japan", "season:26AW").out)) == 1
    ran = cli("stats", "status:rejected", "--format", "table")
    assert "no order to count" in ran.out
    assert "1 rejected order is not counted" in ran.out


def test_rejections_are_counted_apart(cli):
    assert "no rejection yet" in cli("stats", "--rejections", "--format", "table").out
    assert cli("reject", "1", "3", "--yes", "--reason", "style dropped").code == 0
    ran = cli("stats", "--rejections", "--by", "reason", "--by", "actor", "--by", "buyer")
    assert ran.err == ""
    assert rows(ran.out)[3:7] == [
        ["reason", "style dropped", "style dropped", "EUR", "1", "2", "100.00"],
        ["reason", "style dropped", "style dropped", "JPY", "1", "9", "90000"],
        ["actor", "mia", "mia", "EUR", "1", "2", "100.00"],
        ["actor", "mia", "mia", "JPY", "1", "9", "90000"],
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--by", "colour"], "figures cannot be told apart by 'colour'"),
        (["--by", "reason"], "it is known of rejections: --rejections"),
        (["--rejections", "--by", "status"], "cannot be told apart by 'status'"),
        (["--by", "month,month"], "names one thing twice"),
        (["--top", "0"], "--top"),
        (["staus:x"], "there is no field 'staus'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_call_says_what_there_is(cli, args, message):
    ran = cli("stats", *args)
    assert (ran.code, ran.out, message in ran.err) == (2, "", True), ran.err


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_terminal_bars_begin_in_one_column_and_end_by_their_currencys_scale(cli, columns):
    with Terminal(cli, "stats", "--by", "status", "--by", "season", columns=columns) as terminal:
        assert terminal.end() == 0
        lines = terminal.lines
    bars = [line for line in lines if "█" in line]
    assert len(bars) == 6
    assert len({line.index("█") for line in bars}) == 1
    longest = max(line.count("█") for line in bars)
    assert [line.count("█") == longest for line in bars] == [True, False, True, False, True, True]
    by_name = {line.split()[0]: line.count("█") for line in bars[:2]}
    assert abs(by_name["oc-created"] / by_name["needs-oc"] - 0.255) < 0.1
    assert "125.50 EUR  2 orders, 3 pieces" in lines
    assert "90,000 JPY  1 order, 9 pieces" in lines
    assert "1 rejected order is not counted" in lines


def test_where_only_ascii_can_be_shown_bars_are_made_of_it(cli):
    cli.environ["PYTHONIOENCODING"] = "ascii:backslashreplace"
    ran = cli("stats", "--format", "table", "currency:EUR")
    assert (ran.code, "####" in ran.out, ran.out.isascii()) == (0, True, True)


def test_what_a_question_is_made_of():
    assert parse_question(" Month, status", Subject.ORDERS, 3) == Question(
        by=(Dimension.MONTH, Dimension.STATUS), limit=3
    )
