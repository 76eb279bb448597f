"""How old the word of the sources is: in the preview and the JSON of a plan, and `max_age` from plan to batch."""

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from orderctl.core.ids import short_id
from orderctl.importing.queries import OrderImport, Sighting
from orderctl.orders.eligibility import STALE
from orderctl.orders.orders import SaidOrder
from orderctl.plans.plans import PlanTerms, SecondOperatorRule
from orderctl.plans.service import Operator, differences, execute_kept, load_plan, save_plan, still_as_planned
from orderctl.rejection.impact import Freshness
from orderctl.rejection.plan import RejectionPlan
from orderctl.rejection.service import execute_rejection
from support.cli import Cli
from support.factories import NOW, FixedClock, make_order
from support.rejection import execute, ids, plan_for
from support.stores import open_store, raw

DAY = timedelta(days=1)


def see(store, at, *orders, source="shopify"):
    """An import of these orders, of what the source said at that time."""
    said, seen = [SaidOrder.of(order) for order in orders], Sighting(source=source, at=at)
    store.write(lambda connection: OrderImport(connection).store(said, actor="a", at=at, detail="d", seen=seen))


def forget(url, *order_ids):
    """Orders as a store has them that was upgraded, and imported nothing since."""
    with raw(url) as connection:
        for order_id in order_ids:
            connection.execute(f"DELETE FROM order_source WHERE order_id = '{order_id}'")


@pytest.fixture
def three(store, store_url):
    """F1 was seen an hour ago, F2 nine days ago, and of F3 nobody knows."""
    see(store, NOW - 9 * DAY, make_order("F2"), make_order("F3"))
    see(store, NOW - timedelta(hours=1), make_order("F1"))
    forget(store_url, "F3")
    return store


ALL = ids("F1", "F2", "F3")


def test_a_plan_says_how_old_the_word_of_the_sources_is(three):
    hour_ago, long_ago = NOW - timedelta(hours=1), NOW - 9 * DAY
    plan = plan_for(three, ALL)
    assert plan.impact.freshness == Freshness(newest=hour_ago, oldest=long_ago, behind=1, behind_at=long_ago, unknown=1)
    assert RejectionPlan.from_json(plan.to_json()) == plan
    assert plan_for(three, ids("F3")).impact.freshness == Freshness(unknown=1)


@pytest.mark.parametrize(
    ("age", "targets", "stale"),
    [
        (timedelta(hours=1), ["F1"], ["F2", "F3"]),
        (timedelta(minutes=59), [], ["F1", "F2", "F3"]),
        (9 * DAY, ["F1", "F2"], ["F3"]),
        (9 * DAY - timedelta(minutes=1), ["F1"], ["F2", "F3"]),
        (None, ["F1", "F2", "F3"], []),
    ],
)
def test_what_is_older_than_allowed_is_stale(three, age, targets, stale):
    plan = plan_for(three, ALL, max_age=age)
    assert sorted(plan.targets) == targets
    assert {group.code: list(group) for group in plan.skipped} == ({"stale": stale} if stale else {})
    assert RejectionPlan.from_json(plan.to_json()) == plan
    result = execute(three, plan)
    assert (result.rejected, result.left_out) == (len(targets), ())


def test_the_ground_that_stays_is_named_before_the_age(three):
    see(three, NOW - 9 * DAY, make_order("F2", invoices=1))
    plan = plan_for(three, ALL, max_age=DAY)
    assert {group.code: list(group) for group in plan.skipped} == {"invoiced": ["F2"], "stale": ["F3"]}


def later(plan, at):
    """The plan's execution at another time than it was made."""
    return {"clock": FixedClock(at), "message_domain": "brand.example"}, plan.approve(by="mia", how="--yes")


def test_what_becomes_stale_between_plan_and_execution_is_left_out(three):
    see(three, NOW - timedelta(minutes=5), make_order("F2"))
    plan = plan_for(three, ALL, max_age=timedelta(hours=1))
    assert sorted(plan.targets) == ["F1", "F2"]
    options, approved = later(plan, NOW + timedelta(minutes=1))
    result = execute_rejection(three, approved, **options)
    assert (result.rejected, [left.id for left in result.left_out]) == (1, ["F1"])
    assert [str(change) for change in result.left_out[0].changes] == [STALE.reason]


@pytest.fixture
def operator():
    return Operator(actor="mia", clock=FixedClock(), terms=PlanTerms(lifetime=30 * DAY, rule=SecondOperatorRule()))


def test_a_saved_plan_leaves_out_what_is_gone_or_stale_when_it_runs(store, operator):
    orders = [make_order(f"P{number}") for number in range(4)]
    see(store, NOW, *orders)
    plan = plan_for(store, ids(*(order.id for order in orders)), max_age=DAY)
    save_plan(store, plan, operator)
    at = NOW + 2 * DAY
    see(store, at, orders[0], orders[1])
    seen = Sighting(source="shopify", at=at)

    def vanish(connection):
        each = OrderImport(connection)
        each.store([SaidOrder.of(orders[0]), SaidOrder.of(orders[3])], actor="ann", at=at, detail="d", seen=seen)
        return each.mark_gone(seen, actor="ann", at=at, detail="import of x.csv").gone

    assert store.write(vanish) == ("P1", "P2")
    then = replace(operator, clock=FixedClock(at + timedelta(hours=2)))
    see(store, at - 3 * DAY, orders[3])
    changed = differences(store, load_plan(store, short_id(plan.id)).plan, then.clock)
    words = {left.id: [str(change) for change in left.changes] for left in changed}
    gone = ["gone from its source by ann"]
    assert words == {"P1": gone, "P2": gone, "P3": [STALE.reason]}
    assert list(still_as_planned(store, plan, changed, then.clock).targets) == ["P0"]
    result = execute_kept(store, load_plan(store, short_id(plan.id)), then, how="--yes", message_domain="brand.example")
    assert (result.rejected, {left.id: [str(each) for each in left.changes] for left in result.left_out}) == (1, words)


@pytest.fixture
def cli(store_url, tmp_path):
    """A store with an order of now, one of nine days ago, and one of which nobody knows."""
    now = datetime.now(UTC)
    with open_store(store_url) as store:
        see(store, now - 9 * DAY, make_order("F2"), make_order("F3"))
        see(store, now - timedelta(hours=2), make_order("F1"))
    forget(store_url, "F3")
    return Cli(store_url, tmp_path / "home")


def said(text):
    return " ".join(text.split())


def test_the_preview_says_how_old_the_orders_are(cli):
    ran = cli("reject", "F1", "F2", "F3", "--dry-run")
    assert "as of 2 h 1 min ago; 1 of 3 not seen for 9 d" in said(ran.err)
    assert "; of 1 of 3 unknown" in said(ran.err)
    assert "unknown" in said(cli("reject", "F3", "--dry-run").err)
    plan = cli("reject", "F1", "F2", "F3", "--dry-run", "--format", "json").json["plan"]
    fresh = plan["impact"]["freshness"]
    assert (fresh["behind"]["count"], fresh["unknown"], plan["max_age_seconds"]) == (1, 1, None)
    assert fresh["oldest"] == fresh["behind"]["as_of"] < fresh["as_of"]


@pytest.mark.parametrize("by", ["option", "setting"])
def test_max_age_skips_what_is_older(cli, by):
    options = ["--max-age", "24h"] if by == "option" else []
    if by == "setting":
        cli.environ["ORDERCTL_MAX_AGE"] = "24"
    ran = cli("reject", "F1", "F2", "F3", "--yes", "--format", "json", *options)
    assert (ran.code, ran.json["rejected"], ran.json["plan"]["max_age_seconds"]) == (0, 1, 86_400)
    (skipped,) = ran.json["plan"]["skipped"]
    assert skipped == {"code": "stale", "reason": STALE.reason, "count": 2, "ids": ["F2", "F3"]}
    assert f"2 orders: {STALE.reason} (F2, F3)" in said(ran.err)
    assert "what is older than 1 d is skipped" in said(ran.err)
    ran = cli("reject", "F2", "--yes", *options)
    assert (ran.code, "cannot be rejected" in said(ran.err)) == (3, True)
    assert cli("reject", "F3", "F2", "--strict", "--yes", *options).code == 3
    # The option replaces the setting, in both directions.
    assert cli("reject", "F2", "--yes", "--max-age", "10d", "--format", "json").json["rejected"] == 1
    assert cli("log", "verify").code == 0


def test_show_explains_by_the_setting(cli):
    assert cli("show", "F2", "--format", "json").json["refused"] == {"bulk": None, "individual": None}
    cli.environ["ORDERCTL_MAX_AGE"] = "3d"
    shown = cli("show", "F2", "--format", "json").json
    assert shown["refused"]["bulk"] == shown["refused"]["individual"] == {"code": "stale", "reason": STALE.reason}
    assert f"cannot be rejected: {STALE.reason}" in cli("show", "F3").out
    assert "Source   unknown" in said(cli("show", "F3").out).replace("Source unknown", "Source   unknown")
    assert cli("show", "F1", "--format", "json").json["refused"]["bulk"] is None


@pytest.mark.parametrize("text", ["", "soon", "0h", "-1d", "2y"])
def test_an_age_that_is_none_is_refused(cli, text):
    ran = cli("reject", "F1", "--dry-run", "--max-age", text)
    assert (ran.code, "--max-age" in ran.err, len(ran.err.splitlines())) == (2, True, 2)
    cli.environ["ORDERCTL_MAX_AGE"] = text
    ran = cli("reject", "F1", "--dry-run")
    assert (ran.code, "max_age" in ran.err) == ((2, True) if text else (0, False))


def test_max_age_goes_with_a_saved_plan_and_with_the_import_that_rejects(cli, tmp_path):
    kept = cli("reject", "F1", "F2", "--save-plan", "--max-age", "1d", "--format", "json").json["saved"]["id"]
    assert cli("plan", "show", kept, "--format", "json").json["plan"]["max_age_seconds"] == 86_400
    assert "--max-age" in cli("reject", "--plan", kept, "--max-age", "9d", "--yes").err
    assert "as of 2 h" in said(cli("plan", "show", kept).out)
    assert cli("plan", "run", kept, "--yes", "--format", "json").json["rejected"] == 1

    path = tmp_path / "old.csv"
    path.write_text("id,status,ordered,currency,total\nF2,rejected,2026-01-01,EUR,1\n")
    os.utime(path, (1, (datetime.now(UTC) - 2 * DAY).timestamp()))
    ran = cli("import", str(path), "--reject-at-source", "--max-age", "1d", "--yes", "--format", "json")
    assert [skipped["code"] for skipped in ran.json["rejection"]["plan"]["skipped"]] == ["stale"]
    assert cli("import", str(path), "--max-age", "1d").code == 2
    ran = cli("import", str(path), "--reject-at-source", "--max-age", "3d", "--yes", "--format", "json")
    assert ran.json["rejection"]["rejected"] == 1


def test_the_clock_of_the_database_decides_what_is_stale(postgres_url, tmp_path):
    """A computer whose clock is wrong by years does not make an order fresh, or stale."""
    with open_store(postgres_url) as store:
        see(store, datetime.now(UTC) - timedelta(hours=2), make_order("F1"))
    cli = Cli(postgres_url, tmp_path / "home")
    for off_s in (-1e8, 1e8):
        assert cli("reject", "F1", "--dry-run", "--max-age", "1h", clock_off_s=off_s).code == 3
        assert cli("reject", "F1", "--dry-run", "--max-age", "3h", clock_off_s=off_s).code == 0
