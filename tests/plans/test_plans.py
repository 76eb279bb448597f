"""Saved plans on both engines: kept, approved, held, cancelled, run once (design.md, section 6, step 4)."""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.audit.queries import list_batches
from orderctl.changes import Change, ChangeKind, ChangeRequest, change_orders
from orderctl.core.ids import new_id, short_id
from orderctl.core.money import Money
from orderctl.core.times import duration_words, parse_duration
from orderctl.database.acts import Act, record_act
from orderctl.database.address import parse_address
from orderctl.database.store import Store, login, make_engine
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.filters.parser import parse_filter
from orderctl.importing.service import FileImport, StoreAfterImport
from orderctl.orders.orders import Status
from orderctl.orders.queries import get_order
from orderctl.plans.plans import PlanClosedError, PlanState, PlanTerms, SecondOperatorRule, read_terms
from orderctl.plans.queries import find_plans, get_plan
from orderctl.plans.service import (
    Operator,
    approve_plan,
    cancel_plan,
    check_one_operator_suffices,
    differences,
    due_plans,
    execute_kept,
    load_plan,
    save_plan,
    still_as_planned,
)
from orderctl.rejection.execute import wait_for_turn
from orderctl.rejection.plan import RejectionPlan
from orderctl.rejection.policy import Policy
from orderctl.search.queries import Page, list_ids
from orderctl.selection.selection import Choice, IdList, IdScope
from support.cli import Cli
from support.factories import KUMO, NOW, FixedClock, ListedSource, make_order, put, put_all
from support.plans import FREE, plan_of
from support.stores import AsLogin, open_store, until_somebody_waits

STRICT = PlanTerms(lifetime=timedelta(hours=24), rule=SecondOperatorRule(always=True))
HOUR = timedelta(hours=1)


def listed(store):
    with store.snapshot() as connection:
        return list(find_plans(connection, PlanState, None))


def operator(actor="mia", *, at=NOW, terms=FREE):
    return Operator(actor=actor, clock=FixedClock(at), terms=terms)


MIA = operator()


def save(store, *ids, by=MIA, hold=None):
    return save_plan(store, plan_of(store, *ids, actor=by.actor), by, how="--yes", hold=hold)


def run(store, saved, by=MIA):
    return execute_kept(store, load_plan(store, saved.id), by, how="--yes", message_domain="brand.example")


def rejected(store):
    with store.snapshot() as connection:
        everything = parse_filter("archived:yes or archived:no", today=NOW.date())
        every = list_ids(connection, everything, Page(sort="id"))
        return [order_id for order_id in list(every) if get_order(connection, order_id).status == "rejected"]


def edit(store, sql):
    store.write(lambda connection: connection.execute(f"UPDATE plan SET {sql} WHERE account = :account"))


def test_a_saved_plan_changes_nothing_and_keeps_everything(store):
    put(store, make_order("K1", total=100), make_order("K2", buyer=KUMO, currency="JPY", total=900))
    plan = plan_of(store, "K1", "K2", "K9")
    saved = save_plan(store, plan, MIA)
    assert (saved.id, saved.state, saved.targets) == (plan.id, PlanState.SAVED, 2)
    assert saved.totals == (Money("EUR", 100), Money("JPY", 900))
    assert (saved.made_at, saved.expires_at, saved.time_left(NOW)) == (NOW, NOW + 24 * HOUR, "expires in 1 d")
    kept = load_plan(store, saved.id)
    assert (kept.plan, kept.saved) == (plan, saved)
    assert listed(store) == [saved]
    assert (rejected(store), differences(store, plan, FixedClock())) == ([], ())


def test_what_changed_since_is_left_out_and_said_and_the_rest_is_rejected(store):
    orders = [make_order(f"C{number}", total=12_050) for number in range(8)]
    put(store, *orders)
    saved = save(store, *(order.id for order in orders))
    put(store, replace(orders[0], status=Status.OC_CONFIRMED))
    put(store, replace(orders[1], total=13_000, quantity=6))
    put(store, replace(orders[2], note="please hurry"))
    put(store, replace(orders[3], invoices=1))
    one = Choice(scope=IdScope(given=IdList(ids=("C4",)), words="ids"))
    for change in (Change(kind=ChangeKind.TAGGED, tag="late"), Change(kind=ChangeKind.ARCHIVED)):
        request = ChangeRequest(choice=one, change=change)
        change_orders(store, request, actor="ana", clock=FixedClock(), new_id=new_id)
    other = save(store, "C5", by=operator("ana"))
    assert run(store, other, operator("ana")).rejected == 1

    expected = {
        "C0": ["status was needs-oc, is oc-confirmed"],
        "C1": ["total was 120.50 EUR, is 130.00 EUR", "quantity was 5, is 6"],
        "C2": ["edited: version was 1, is 2"],
        "C3": ["invoices was 0, is 1"],
        "C4": ["tagged late by ana", "archived by ana"],
        "C5": [f"rejected meanwhile by batch {other.id}"],
    }

    def told(left_out):
        return {left.id: sorted(map(str, left.changes)) for left in left_out}

    wanted = {order_id: sorted(words) for order_id, words in expected.items()}
    assert told(differences(store, load_plan(store, saved.id).plan, FixedClock())) == wanted
    result = run(store, saved)
    assert (result.rejected, result.batch_id, result.totals) == (2, saved.id, (Money("EUR", 24_100),))
    assert told(result.left_out) == wanted
    assert rejected(store) == ["C5", "C6", "C7"]
    with pytest.raises(PlanClosedError, match="has run already"):
        run(store, saved)
    assert rejected(store) == ["C5", "C6", "C7"]


def test_what_is_asked_about_is_what_a_run_does_and_the_plan_stays_the_saved_one(store):
    orders = [make_order("R0", buyer=KUMO, total=700, currency="JPY"), *(make_order(f"R{n}") for n in range(1, 5))]
    put(store, *orders)
    plan = plan_of(store, *(order.id for order in orders), notify=True).with_message("Sorry")
    saved = save_plan(store, plan, MIA)
    assert still_as_planned(store, plan, differences(store, plan, FixedClock()), FixedClock()) is plan
    put(store, replace(orders[0], quantity=9), replace(orders[1], note="please hurry"))
    left = still_as_planned(store, plan, differences(store, plan, FixedClock()), FixedClock())
    assert (list(left.targets), left.totals, left.buyers) == (["R2", "R3", "R4"], (Money("EUR", 36_150),), 1)
    assert (left.mail.mails, left.mail.message) == (1, "Sorry")
    done = run(store, saved)
    assert (done.rejected, done.totals, done.mails) == (left.targets.count, left.totals, left.mail.mails)
    assert done.plan == plan


def test_the_batch_says_who_made_approved_and_ran_the_plan(store, store_url):
    put(store, make_order("B1"), make_order("B2"))
    with store.snapshot() as connection:
        known = f" (db: {login(connection)})" if login(connection) else ""
    other = " (db: ana_db)" if known else ""
    first = save(store, "B1")
    with AsLogin(store_url, "ana_db") as others:
        approve_plan(others, first.id, operator("ana"))
    run(store, first, operator("cron"))
    second = save(store, "B2")
    run(store, second)
    with store.snapshot() as connection:
        approvers = [(str(batch.by), batch.approver) for batch in list_batches(connection, None)]
    assert approvers == [
        (f"mia{known}", f"mia{known} (plan run, --yes)"),
        (f"mia{known}", f"ana{other} (plan approve; run by cron{known}, --yes)"),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "plan = replace(plan, 'E2', 'E3')",
        "plan = '{}'",
        "plan = 'nonsense'",
        "plan_digest = digest",
        "author = 'ana'",
        "how = 'plan approve', state = 'approved'",
        "expires_at = '2999-01-01T00:00:00.000000Z'",
        "second_operator = 1",
        "totals = 'nothing'",
        "digest = ''",
    ],
)
def test_a_plan_edited_in_the_store_is_refused(store, sql):
    put(store, make_order("E1"), make_order("E2"), make_order("E3"))
    saved = save(store, "E1", "E2")
    edit(store, sql)
    for use in (lambda: run(store, saved), lambda: approve_plan(store, saved.id, operator("ana"))):
        with pytest.raises(UnexpectedPlanError, match="was edited in the store after it was saved") as caught:
            use()
        assert caught.value.exit_code == 3
    assert rejected(store) == []
    assert cancel_plan(store, saved.id, MIA).state is PlanState.CANCELLED


@pytest.mark.parametrize(
    "sql", ["made_at = 'garbage'", "expires_at = '9999-99-99'", "due_at = 'soon'", "targets = 'many'", "totals = '[1]'"]
)
def test_one_plan_that_somebody_broke_does_not_hide_the_others(sqlite_url, sql):
    with open_store(sqlite_url) as store:
        put(store, make_order("G1"), make_order("G2"))
        broken, whole = save(store, "G1"), save(store, "G2")
        store.write(lambda connection: connection.execute(f"UPDATE plan SET {sql} WHERE id = :id", {"id": broken.id}))
        assert [saved.id for saved in listed(store)] == [whole.id, broken.id]
        with pytest.raises(UnexpectedPlanError, match="was edited"):
            run(store, broken)
    cli = Cli(sqlite_url, Path(sqlite_url).parent / "home")
    assert cli("plan", "list").code == cli("plan", "list", "--format", "json").code == 0


def test_an_executed_plan_set_back_by_hand_is_refused(store):
    put(store, make_order("S1"))
    saved = save(store, "S1")
    run(store, saved)
    edit(store, "state = 'saved', closed_at = NULL, closed_by = NULL, closed_by_login = NULL")
    with pytest.raises(UnexpectedPlanError, match="was edited"):
        run(store, saved)


def test_a_plan_edited_between_loading_and_running_is_refused(store):
    put(store, make_order("L1"))
    kept = load_plan(store, save(store, "L1").id)
    edit(store, "author = 'eve'")
    with pytest.raises(UnexpectedPlanError, match="was edited"):
        execute_kept(store, kept, MIA, how="--yes", message_domain="brand.example")
    assert rejected(store) == []


def test_a_plan_expires(store):
    put(store, make_order("X1"))
    saved = save(store, "X1")
    late = operator(at=NOW + 24 * HOUR)
    assert saved.state_at(late.clock.now()) == "expired"
    for use in (lambda: run(store, saved, late), lambda: approve_plan(store, saved.id, late)):
        with pytest.raises(UnexpectedPlanError, match="expired"):
            use()
    assert rejected(store) == []
    assert run(store, saved, operator(at=NOW + 24 * HOUR - timedelta(seconds=1))).rejected == 1


def test_under_the_rule_another_operator_approves(store, store_url):
    put(store, make_order("R1"))
    saved = save(store, "R1", by=operator(terms=STRICT))
    assert saved.second_operator
    for name in ("mia", "MIA", " mia "):
        with pytest.raises(UnexpectedPlanError, match="one operator cannot be both"):
            approve_plan(store, saved.id, operator(name, terms=STRICT))
    with pytest.raises(UnexpectedPlanError, match="needs the approval of an operator other than its author"):
        run(store, saved)
    assert rejected(store) == []
    with AsLogin(store_url, "ana_db") as others:
        assert approve_plan(others, saved.id, operator("ana", terms=STRICT)).approver.actor == "ana"
        with pytest.raises(UnexpectedPlanError, match="approved already, by ana"):
            approve_plan(others, saved.id, operator("eva", terms=STRICT))
    assert run(store, saved, operator(terms=STRICT)).rejected == 1


def test_an_approval_is_never_the_authors_also_without_the_rule(store, store_url):
    put(store, make_order("W1"), make_order("W2"))
    saved, held = save(store, "W1"), save(store, "W2", hold=HOUR)
    for plan in (saved, held):
        for name in ("mia", " MIA "):
            with pytest.raises(UnexpectedPlanError, match="one operator cannot be both") as caught:
                approve_plan(store, plan.id, operator(name))
            assert caught.value.hint.startswith("it may run without an approval: orderctl plan run ")
    assert not held.is_approved
    assert "by mia" in held.story
    assert held.story.endswith(", who confirmed it")
    with AsLogin(store_url, "ana_db") as others:
        assert approve_plan(others, held.id, operator("ana")).is_approved


def test_a_plan_says_who_may_run_it(store, store_url):
    put(store, make_order("M1"), make_order("M2"))
    free, strict = save(store, "M1"), save(store, "M2", by=operator(terms=STRICT))
    assert [plan.may_run(NOW, needs="") for plan in (free, strict)] == ["any-operator", "after-approval"]
    assert free.may_run(NOW, needs="the store's policy") == "after-approval"
    assert free.may_run(NOW + 25 * HOUR, needs="") == "nobody"
    with AsLogin(store_url, "ana_db") as others:
        assert approve_plan(others, strict.id, operator("ana")).may_run(NOW, needs="any") == "any-operator"
    run(store, strict)
    with store.snapshot() as connection:
        assert get_plan(connection, strict.id).may_run(NOW, needs="") == "nobody"


def test_the_rule_stays_with_the_plan_and_catches_plans_made_without_it(store):
    put(store, make_order("Y1"), make_order("Y2"))
    under_rule = save(store, "Y1", by=operator(terms=STRICT))
    without = save(store, "Y2", hold=timedelta(minutes=1))
    later = NOW + HOUR
    with pytest.raises(UnexpectedPlanError, match="needs the approval"):
        run(store, under_rule, operator(at=later))
    with pytest.raises(UnexpectedPlanError, match="needs the approval"):
        run(store, without, operator(at=later, terms=STRICT))
    assert rejected(store) == []


def test_one_login_to_the_database_is_one_operator_whatever_it_calls_itself(store, store_url):
    if store_url.startswith("postgresql"):
        put(store, make_order("D1"))
        saved = save(store, "D1", by=operator(terms=STRICT))
        assert str(saved.author) == "mia (db: postgres)"
        with pytest.raises(UnexpectedPlanError, match=r"made by mia \(db: postgres\), and you are ana \("):
            approve_plan(store, saved.id, operator("ana", terms=STRICT))
        with AsLogin(store_url, "ana_db") as others:
            with pytest.raises(UnexpectedPlanError, match="one operator cannot be both"):
                approve_plan(others, saved.id, operator("mia", terms=STRICT))
            approved = approve_plan(others, saved.id, operator("ana", terms=STRICT))
        assert str(approved.approver) == "ana (db: ana_db)"
    else:
        put(store, make_order("D1"))
        saved = save(store, "D1", by=operator(terms=STRICT))
        assert str(saved.author) == "mia"
        assert str(approve_plan(store, saved.id, operator("ana", terms=STRICT)).approver) == "ana"


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        (SecondOperatorRule(), False),
        (SecondOperatorRule(always=True), True),
        (SecondOperatorRule(above_orders=3), False),
        (SecondOperatorRule(above_orders=2), True),
        (SecondOperatorRule(above_amount=Decimal(100)), False),
        (SecondOperatorRule(above_amount=Decimal("99.99")), True),
    ],
)
def test_the_rule_looks_at_orders_and_at_the_total_of_each_currency(store, rule, needed):
    put(store, *(make_order(f"L{n}", total=5_000) for n in range(2)), make_order("L2", currency="JPY", total=100))
    assert bool(rule.why(plan_of(store, "L0", "L1", "L2"))) == needed
    assert rule.why(plan_of(store)) == ""


def test_a_credit_brings_no_plan_below_a_limit_by_amount(store):
    put(store, make_order("G1", total=5_000_000), make_order("G2", total=-4_500_000), make_order("G3", total=-1))
    put(store, make_order("G4", total=900_000), make_order("G5", total=900_000, currency="JPY"))
    limit = operator(terms=replace(FREE, rule=SecondOperatorRule(above_amount=Decimal(10_000))))
    both = plan_of(store, "G1", "G2", "G3")
    assert (both.totals, both.before_credits) == ((Money("EUR", 499_999),), (Money("EUR", 5_000_000),))
    assert limit.terms.rule.why(both) == "50,000.00 EUR before credits, more than 10,000"
    with pytest.raises(UnexpectedPlanError, match="before credits"):
        check_one_operator_suffices(both, limit.terms.rule, Policy())
    saved = save_plan(store, both, MIA)
    assert load_plan(store, saved.id).plan == both
    with pytest.raises(UnexpectedPlanError, match="needs the approval of an operator other than its author"):
        run(store, saved, limit)
    assert save_plan(store, replace(both, id=new_id()), limit).second_operator
    check_one_operator_suffices(plan_of(store, "G2", "G3", "G4"), limit.terms.rule, Policy())
    with pytest.raises(UnexpectedPlanError, match="900,000 JPY, more"):
        check_one_operator_suffices(plan_of(store, "G2", "G5"), limit.terms.rule, Policy())
    assert rejected(store) == []


def test_a_plan_without_credits_is_written_as_before_there_were_any(store):
    put(store, make_order("O1"))
    plan = plan_of(store, "O1")
    assert "before_credits" not in plan.to_json()
    assert RejectionPlan.from_json(plan.to_json()) == plan


def test_a_held_plan_waits_and_is_cancelled_in_time(store):
    put(store, make_order("H1"))
    saved = save(store, "H1", hold=timedelta(minutes=15))
    assert (saved.state, saved.time_left(NOW), saved.due_at) == (PlanState.HELD, "runs in 15 min", NOW + HOUR / 4)
    assert saved.expires_at == NOW + HOUR / 4 + 24 * HOUR
    with pytest.raises(UnexpectedPlanError, match="is held for another 15 min, until 09:41 UTC"):
        run(store, saved)
    assert due_plans(store, FixedClock(NOW + timedelta(minutes=14))) == ()
    cancelled = cancel_plan(store, saved.id, operator("ana", at=NOW + timedelta(minutes=14)))
    assert (cancelled.state, cancelled.closed_by.actor) == (PlanState.CANCELLED, "ana")
    assert due_plans(store, FixedClock(NOW + HOUR)) == ()
    with pytest.raises(PlanClosedError, match="was cancelled, at 2026-03-14 09:40 UTC by ana"):
        run(store, saved, operator(at=NOW + HOUR))
    with pytest.raises(PlanClosedError, match="was cancelled"):
        cancel_plan(store, saved.id, MIA)
    assert rejected(store) == []


def test_a_plan_that_ran_cannot_be_cancelled(store):
    put(store, make_order("Z1"))
    saved = save(store, "Z1")
    run(store, saved)
    with pytest.raises(PlanClosedError, match="has run already"):
        cancel_plan(store, saved.id, MIA)


def test_two_runs_at_once_run_a_plan_once(store_url):
    with open_store(store_url) as store:
        put(store, *(make_order(f"T{number:03}") for number in range(100)))
        saved = save(store, *(f"T{number:03}" for number in range(100)), hold=timedelta(minutes=1))
    ended = []
    barrier = threading.Barrier(2)

    def run_due():
        with open_store(store_url) as own:
            kept = load_plan(own, saved.id)
            barrier.wait()
            try:
                late = operator(at=NOW + HOUR)
                ended.append(execute_kept(own, kept, late, how="--yes", message_domain="brand.example").rejected)
            except PlanClosedError as closed:
                ended.append(str(closed).split(",")[0])

    threads = [threading.Thread(target=run_due) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended, key=str) == [100, f"plan {short_id(saved.id)} has run already"]
    with open_store(store_url) as store, store.snapshot() as connection:
        assert [batch.rejected for batch in list_batches(connection, None)] == [100]


def test_a_plan_is_named_by_any_ending_that_only_it_has(store, store_url):
    put(store, make_order("N1"))
    plan = plan_of(store, "N1")
    twins = [replace(plan, id="06gqa1s0000000000000abcdef"), replace(plan, id="06gqa1s0000000000001abcdef")]
    for twin in twins:
        save_plan(store, twin, MIA)
    assert load_plan(store, "1ABCDEF").saved.id == twins[1].id
    assert load_plan(store, twins[0].id).saved.id == twins[0].id
    with pytest.raises(UsageError, match=r"'abcdef' is the ending of several plans: 06gqa1s0000000000001abcdef, 06g"):
        load_plan(store, "abcdef")
    with pytest.raises(UsageError, match="there is no plan 'aaaaaa'"):
        load_plan(store, "aaaaaa")
    for wrong in ("bcdef", "%%%%%%", "zzzzzz", "", "0" * 27):
        with pytest.raises(UsageError, match="is no id and no ending of one"):
            load_plan(store, wrong)
    with open_store(store_url, account="other") as other, pytest.raises(UsageError, match="there is no plan"):
        load_plan(other, twins[0].id)


@pytest.mark.parametrize(
    ("text", "minutes"), [("15m", 15), ("36h", 36 * 60), ("3d", 3 * 1440), ("1h30m", 90), ("1H 30M", 90), ("24", 1440)]
)
def test_lengths_of_time_are_read(text, minutes):
    assert parse_duration(text, bare_hours=True) == timedelta(minutes=minutes)


@pytest.mark.parametrize("text", ["", "0m", "-5m", "15", "5s", "h", "400d", "1.5h", "٣h", "9" * 30 + "m"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(ValueError):
        parse_duration(text)


@given(st.integers(min_value=1, max_value=365 * 1440))
def test_a_length_is_never_said_longer_than_a_minute_off(minutes):
    said = duration_words(timedelta(minutes=minutes)).replace(" ", "").replace("min", "m")
    off = timedelta(minutes=minutes) - parse_duration(said)
    assert timedelta() <= off < (timedelta(hours=1) if minutes >= 1440 else timedelta(minutes=1))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lifetime": "soon"}, "the setting plan_expires, 'soon', is no length of time"),
        ({"above_amount": "much"}, "the setting second_operator_above_amount, 'much', is no amount"),
        ({"above_amount": "-1"}, "is no amount"),
        ({"above_amount": "nan"}, "is no amount"),
    ],
)
def test_a_wrong_setting_is_named(wrong, says):
    right = {"lifetime": "24h", "always": False, "above_orders": None, "above_amount": ""}
    with pytest.raises(UsageError, match=says):
        read_terms(**(right | wrong))


def run_kept(store, kept):
    execute_kept(store, kept, MIA, how="--yes", message_domain="brand.example")


def run_after_asking(store, kept):
    """As `reject --plan` does where the orders live in a system that can be asked: B is gone there."""
    source = ListedSource(make_order("A", note="seen again"))
    said = FileImport(source=source, actor="mia", clock=FixedClock(), detail="", said_by="shop", among=("A", "B"))
    run_kept(StoreAfterImport(store, said), kept)


@pytest.mark.parametrize(
    ("held", "rival"),
    [
        (wait_for_turn, run_kept),
        (
            lambda connection: record_act(connection, Act(kind="held", subject="", actor="ann", at=NOW)),
            lambda store, kept: cancel_plan(store, kept.saved.id, MIA),
        ),
    ],
    ids=["run", "cancel"],
)
def test_two_who_end_one_plan_wait_for_each_other_and_never_in_a_circle(postgres_url, held, rival):
    """A deadlock is run again, which nobody would notice: so what counts is how often each was run."""
    with open_store(postgres_url) as store:
        put_all(store, [make_order("A"), make_order("B"), make_order("C")], source="shop")
        saved = save(store, "C")
    tries, ended = Counter(), {}

    def end(name, way):
        def watch(connection):
            tries[name] += 1
            return connection

        with Store(make_engine(parse_address(postgres_url)), "main", watch=watch) as mine:
            kept = load_plan(mine, saved.id)
            tries[name] = 0
            try:
                way(mine, kept)
            except UnexpectedPlanError as error:
                ended[name] = error

    threads = [
        threading.Thread(target=end, args=("asking", run_after_asking)),
        threading.Thread(target=end, args=("rival", rival)),
    ]
    with open_store(postgres_url) as other, other.foreseen(held):
        for number, thread in enumerate(threads, 1):
            thread.start()
            until_somebody_waits(postgres_url, number)
    for thread in threads:
        thread.join()
    with open_store(postgres_url) as store:
        assert rejected(store) == ["C"]
    assert (tries["asking"], tries["rival"], list(ended)) == (1, 1, ["rival"])
