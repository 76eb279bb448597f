"""The policy of the store: what it refuses whoever calls, and that settings and flags only make it stricter."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from orderctl.errors import OrderctlError, UnexpectedPlanError
from orderctl.orders.eligibility import RULES, Mode
from orderctl.orders.orders import Status
from orderctl.plans.plans import SecondOperatorRule
from orderctl.plans.service import check_one_operator_suffices
from orderctl.rejection.policy import Policy, current_policy, policy_history, set_policy
from support.by_hand import write_batch
from support.cli import Cli
from support.factories import NOW, make_order, put
from support.rejection import CLOCK, execute, ids, plan_for, reject, statuses
from support.stores import REFUSALS, open_store, raw, tamper


def set_to(store, **rules):
    return set_policy(store, Policy(**rules), actor="owner", clock=CLOCK)


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


REFUSED = {
    "orders": ({"max_orders": 1}, "the plan has 2 orders, and the store's policy allows 1 a batch"),
    "money": (
        {"max_amounts": {"EUR": 299_99}},
        "the plan is of 300.00 EUR, and the store's policy allows 299.99 EUR a batch",
    ),
    "second operator by orders": ({"second_operator_above_orders": 1}, "needs a second operator"),
    "second operator by money": ({"second_operator_above_amounts": {"EUR": 299_99}}, "needs a second operator"),
    "code": ({"reason_codes": ("late",)}, "wants a reason with one of its codes for each order: late"),
    "age": ({"max_age": 60}, "wants orders that their source spoke of in the last 1 min"),
    "hours": ({"opens": "10:00", "closes": "09:00"}, "allows batches at 10:00-09:00 UTC only"),
}


@pytest.mark.parametrize(("rules", "said"), REFUSED.values(), ids=REFUSED)
def test_the_transaction_refuses_what_the_policy_does(store, rules, said):
    put(store, make_order("P1", total=100_00), make_order("P2", total=200_00))
    plan = plan_for(store, ids("P1", "P2"))
    set_to(store, **rules)
    with pytest.raises(UnexpectedPlanError, match=said) as caught:
        execute(store, plan)
    assert caught.value.exit_code == 3
    assert Status.REJECTED not in statuses(store).values()


def test_what_keeps_the_policy_runs(store):
    put(store, make_order("P1", total=100_00), make_order("P2", total=200_00), make_order("C1", total=-5_00))
    set_to(
        store,
        max_orders=3,
        max_amounts={"EUR": 300_00, "JPY": 0},
        second_operator_above_orders=3,
        second_operator_above_amounts={"EUR": 300_00},
        reason_required=True,
        max_age=3600,
        opens="09:00",
        closes="10:00",
    )
    # The server's own clock may be at another hour than that of the test.
    if "sqlite" not in type(store._engine).__name__.lower():
        set_to(store, max_orders=3, max_amounts={"EUR": 300_00, "JPY": 0}, reason_required=True, max_age=3600)
    assert reject(store, ids("P1", "P2", "C1")).rejected == 3


def test_orders_that_nobody_spoke_of_are_skipped_by_the_policy_too(store):
    put(store, make_order("P1"))
    set_to(store, max_age=60)
    store.write(lambda connection: connection.execute("DELETE FROM order_source WHERE account = :account"))
    plan = plan_for(store, ids("P1"), max_age=timedelta(days=3))
    assert (plan.targets.count, plan.max_age) == (0, timedelta(seconds=60))


@pytest.mark.parametrize(
    ("at", "zone", "is_open"),
    [("07:59", "UTC", False), ("08:00", "UTC", True), ("17:59", "UTC", True), ("18:00", "UTC", False),
     ("07:00", "Europe/Paris", True), ("17:00", "Europe/Paris", False)],
)  # fmt: skip
def test_hours_are_those_of_the_time_zone(store, at, zone, is_open):
    put(store, make_order("P1"))
    plan = plan_for(store, ids("P1"))
    now = datetime.fromisoformat(f"2026-01-14T{at}").replace(tzinfo=UTC)
    for opens, closes, expected in (("08:00", "18:00", is_open), ("18:00", "08:00", not is_open)):
        policy = Policy(opens=opens, closes=closes, time_zone=zone)
        if expected:
            policy.check(plan, now)
        else:
            with pytest.raises(UnexpectedPlanError, match="the store's policy allows batches at"):
                policy.check(plan, now)


def test_the_history_keeps_who_when_and_what(store):
    assert current_policy_of(store) == Policy()
    first = set_to(store, max_orders=5)
    second = set_to(store, max_orders=5, max_amounts={"EUR": 1})
    with store.snapshot() as connection:
        assert policy_history(connection) == (second, first)
    assert (first.position, first.by.actor, first.at, second.previous) == (1, "owner", NOW, first.digest)
    assert current_policy_of(store) == Policy(max_orders=5, max_amounts={"EUR": 1})


def current_policy_of(store):
    with store.snapshot() as connection:
        return current_policy(connection)


def test_the_history_is_append_only(store, store_url):
    set_to(store, max_orders=5)
    with closing(raw(store_url)) as connection:
        for statement in ("UPDATE policy SET rules = '{}'", "DELETE FROM policy"):
            with pytest.raises(REFUSALS, match="append-only"):
                connection.execute(statement)


def test_another_account_has_another_policy(store, store_url):
    set_to(store, max_orders=0)
    with open_store(store_url, "other") as other:
        put(other, make_order("P1"))
        assert reject(other, ids("P1")).rejected == 1


@pytest.mark.parametrize("change", ["rules = replace(rules, '1', '9')", "actor = 'mia'", "rules = 'nonsense'"])
def test_an_edited_policy_rejects_nothing(sqlite_url, change):
    with open_store(sqlite_url) as store:
        put(store, make_order("P1"))
        set_to(store, max_orders=1)
        tamper(sqlite_url, f"UPDATE policy SET {change}")
        with pytest.raises(OrderctlError, match="was edited in the store"):
            reject(store, ids("P1"))


# The batch of another program: the orders and their events, then the batch, as this program writes them.
EVENTS = (
    "INSERT INTO order_event (account, order_id, id, batch_id, kind, from_status, to_status, detail, reason_code, at)"
    " SELECT account, id, 'hand', 'hand', 'rejected', status, 'rejected', '{reason}', '{code}', ordered_at"
    " FROM orders WHERE id LIKE 'P%'"
)
ORDERS = (
    "UPDATE orders SET status = 'rejected', rejected_at = ordered_at, batch_id = 'hand', version = version + 1"
    " WHERE id LIKE 'P%'"
)
HAND_REFUSED = {
    "orders": ({"max_orders": 1}, "the policy of the store allows fewer orders a batch"),
    "money": ({"max_amounts": {"EUR": 299_99}}, "the policy of the store allows less money a batch"),
    "second operator by orders": ({"second_operator_above_orders": 1}, "wants the approval of another operator"),
    "second operator by money": (
        {"second_operator_above_amounts": {"EUR": 299_99}},
        "wants the approval of another operator",
    ),
    "reason": ({"reason_required": True}, "the policy of the store wants a reason"),
    "code": ({"reason_codes": ("late",)}, "the policy of the store wants a reason with one of its codes"),
}


def by_hand(url, mode="bulk", reason="", code=""):
    with closing(raw(url)) as connection:
        connection.execute("BEGIN")
        write_batch(connection, ["P1", "P2"], text="://" not in url, mode=mode, reason=reason, reason_code=code)
        connection.execute("COMMIT")


@pytest.mark.parametrize(("rules", "said"), HAND_REFUSED.values(), ids=HAND_REFUSED)
def test_the_database_refuses_the_batch_of_another_program(store, store_url, rules, said):
    put(store, make_order("P1", total=100_00), make_order("P2", total=200_00))
    set_to(store, **rules)
    with pytest.raises(REFUSALS, match=said):
        by_hand(store_url)
    assert Status.REJECTED not in statuses(store).values()


def test_the_database_takes_the_batch_of_another_program_that_keeps_the_policy(store, store_url):
    put(store, make_order("P1", total=100_00), make_order("P2", total=200_00))
    set_to(
        store,
        max_orders=2,
        max_amounts={"EUR": 300_00, "JPY": 0},
        second_operator_above_orders=2,
        second_operator_above_amounts={"EUR": 300_00},
        reason_required=True,
        reason_codes=("late",),
    )
    by_hand(store_url, reason="late", code="late")
    assert set(statuses(store).values()) == {Status.REJECTED}


def test_postgresql_goes_by_its_own_clock(postgres_url):
    with open_store(postgres_url) as store:
        put(store, make_order("P1"), make_order("P2"))
        now = datetime.now(UTC)
        closed = {"opens": f"{now + timedelta(hours=2):%H:%M}", "closes": f"{now - timedelta(hours=2):%H:%M}"}
        set_to(store, **closed)
        with pytest.raises(REFUSALS, match="the policy of the store allows no batch at this hour"):
            by_hand(postgres_url)
        set_to(store, opens=closed["closes"], closes=closed["opens"])
        by_hand(postgres_url)


FORBIDDEN = {
    "returned-to-cart": {"status": Status.RETURNED_TO_CART},
    "invoiced": {"invoices": 1},
    "delivered": {"delivery_notes": 1},
    "backlog": {"backlog_skus": 1},
    "oc-approved": {"status": Status.OC_APPROVED},
    "oc-declined": {"status": Status.OC_DECLINED},
    "oc-confirmed": {"status": Status.OC_CONFIRMED},
}


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("code", [rule.code for rule in RULES if rule.status is not Status.REJECTED])
def test_the_database_keeps_each_rule_of_the_table(store, store_url, code, mode):
    put(store, make_order("P1", **FORBIDDEN.get(code, {})), make_order("P2"))
    if code == "gone":
        with closing(raw(store_url)) as connection:
            connection.execute("UPDATE orders SET gone_at = ordered_at WHERE id = 'P1'")
    rule = next(rule for rule in RULES if rule.code == code)
    if mode in rule.modes:
        with pytest.raises(REFUSALS, match="an order becomes rejected by the rules of the mode of its batch"):
            by_hand(store_url, mode=mode)
    else:
        by_hand(store_url, mode=mode)


@pytest.mark.parametrize("was", ["needs-oc", ""])
def test_an_event_cannot_hide_what_the_order_was(store, store_url, was):
    put(store, make_order("P1", status=Status.OC_CONFIRMED), make_order("P2"))
    with closing(raw(store_url)) as connection:
        connection.execute("BEGIN")
        connection.execute(EVENTS.format(reason="", code="").replace("'rejected', status", f"'rejected', '{was}'"))
        with pytest.raises(REFUSALS, match="by a batch alone"):
            connection.execute(ORDERS)


def test_postgresql_commits_no_rejection_without_its_batch(postgres_url):
    with open_store(postgres_url) as store:
        put(store, make_order("P1"))
        with closing(raw(postgres_url)) as connection:
            connection.execute("BEGIN")
            for statement in (EVENTS, ORDERS):
                connection.execute(statement.format(reason="", code=""))
            with pytest.raises(psycopg.errors.ForeignKeyViolation, match="batch_begun"):
                connection.execute("COMMIT")
        assert statuses(store) == {"P1": Status.NEEDS_OC}


def test_postgresql_lets_no_order_join_a_batch_that_is_there(postgres_url):
    with open_store(postgres_url) as store:
        put(store, make_order("P1"), make_order("P2"))
        by_hand(postgres_url)
        put(store, make_order("P3"))
        with closing(raw(postgres_url)) as connection:
            with pytest.raises(REFUSALS, match="append-only"):
                connection.execute(EVENTS.format(reason="", code="").replace("LIKE 'P%'", "= 'P3'"))
            with pytest.raises(REFUSALS, match="by a batch alone"):
                connection.execute(ORDERS.replace("LIKE 'P%'", "= 'P3'"))


LOOSER = {
    "flag": (["--max-orders", "100"], {}, ""),
    "variable": ([], {"ORDERCTL_MAX_ORDERS": "100", "ORDERCTL_REQUIRE_SECOND_OPERATOR": "no"}, ""),
    "settings": (
        [],
        {},
        'default_profile = "eu"\n[profile.eu]\nmax_orders = 100\nsecond_operator_above_orders = 100\n',
    ),
    "profile": (["--profile", "big"], {}, "[profile.big]\nmax_orders = 100\nreasons = []\nmax_age = '300d'\n"),
}


@pytest.mark.parametrize(("flags", "environ", "file"), LOOSER.values(), ids=LOOSER)
def test_nothing_that_a_caller_says_makes_the_policy_looser(store, cli, tmp_path, flags, environ, file):
    put(store, make_order("P1"), make_order("P2"))
    assert cli("policy", "set", "--max-orders", "1").code == 0
    settings = tmp_path / "config.toml"
    settings.write_text(file)
    cli.environ |= {"ORDERCTL_CONFIG": str(settings), **environ}
    for more in (["--yes"], ["--dry-run"], ["--save-plan"]):
        ran = cli("reject", "P1", "P2", *more, *flags)
        assert (ran.code, "the store's policy allows 1 a batch" in ran.err) == (3, True), ran.err
    assert Status.REJECTED not in statuses(store).values()


def test_a_setting_may_be_stricter(store, cli):
    put(store, make_order("P1"), make_order("P2"))
    assert cli("policy", "set", "--max-orders", "5").code == 0
    ran = cli("reject", "P1", "P2", "--yes", "--max-orders", "1")
    assert (ran.code, "more than --max-orders 1" in ran.err) == (3, True)
    ran = cli("reject", "P1", "P2", "--yes")
    assert (ran.code, "The store's policy is kept: max_orders 5." in ran.err) == (0, True)


def test_a_plan_is_held_to_the_policy_at_each_step(store, cli):
    put(store, *(make_order(f"P{number}") for number in range(1, 5)))
    first = cli("reject", "P1", "P2", "--save-plan", "--format", "json").json["saved"]["id"]
    second = cli("reject", "P3", "P4", "--save-plan", "--format", "json").json["saved"]["id"]
    ran = cli("plan", "approve", second)
    assert (ran.code, "one operator cannot be both" in ran.err) == (3, True)
    assert cli("policy", "set", "--second-operator-above-orders", "1").code == 0
    ran = cli("plan", "approve", first)
    assert (ran.code, "one operator cannot be both" in ran.err) == (3, True)
    ran = cli("plan", "run", second, "--yes")
    assert (ran.code, "(the store's policy: 2 orders, more than 1)" in ran.err) == (3, True)
    assert cli("policy", "set", "--max-orders", "1").code == 0
    for step in (["approve", first], ["run", second, "--yes"]):
        ran = cli("plan", *step)
        assert (ran.code, "the store's policy allows 1 a batch" in ran.err) == (3, True)


def test_another_operator_s_approval_suffices(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put(store, make_order("P1"), make_order("P2"))
        cli = Cli(sqlite_url, tmp_path / "home")
        assert cli("policy", "set", "--second-operator-above-orders", "1").code == 0
        saved = cli("reject", "P1", "P2", "--save-plan", "--format", "json").json["saved"]["id"]
        cli.environ["ORDERCTL_ACTOR"] = "bob"
        assert cli("plan", "approve", saved).code == 0
        assert cli("plan", "run", saved, "--yes").code == 0
        assert set(statuses(store).values()) == {Status.REJECTED}


def test_the_codes_of_the_policy_are_those_that_a_reason_takes(store, cli):
    put(store, make_order("P1"))
    assert cli("policy", "set", "--reason-code", "dropped", "--reason-code", "late").code == 0
    ran = cli("reject", "P1", "--yes", "--reason", "because")
    assert (ran.code, "the codes: dropped, late" in ran.err) == (2, True)
    cli.environ["ORDERCTL_REASONS"] = "late: Too late, other"
    ran = cli("reject", "P1", "--yes", "--reason", "dropped")
    assert (ran.code, "the codes: late" in ran.err) == (2, True)
    assert cli("reject", "P1", "--yes", "--reason", "late", "--format", "json").json["rejected"] == 1


def test_an_import_that_rejects_keeps_the_policy(store, cli, tmp_path):
    put(store, make_order("P1"), make_order("P2"))
    orders = tmp_path / "orders.csv"
    row = "rejected,2026-01-02,EUR,1"
    orders.write_text(f"id,status,ordered,currency,total\nP1,{row}\nP2,{row}\n")
    assert cli("policy", "set", "--max-orders", "1").code == 0
    ran = cli("import", str(orders), "--reject-at-source", "--yes")
    assert (ran.code, "the store's policy allows 1 a batch" in ran.err) == (3, True)
    assert Status.REJECTED not in statuses(store).values()


def test_show_and_history_tell_the_rules(store, cli):
    assert (cli("policy", "show").out, cli("policy", "history").out) == ("", "")
    assert cli("policy", "set", "--max-orders", "5", "--max-amount", "JPY=100", "--max-amount", "EUR=10.5").code == 0
    assert cli("policy", "set", "--hours", "08:00-18:00", "--time-zone", "Europe/Paris", "--max-age", "3d").code == 0
    assert cli("policy", "set", "--max-orders", "none").code == 0
    assert cli("policy", "show").lines == [
        "max_amounts\t10.50 EUR, 100 JPY",
        "max_age\t3 d",
        "hours\t08:00-18:00 Europe/Paris",
    ]
    shown = cli("policy", "show", "--format", "json").json
    assert (shown["position"], shown["actor"], shown["policy"]["max_amounts"]) == (
        3, "mia", {"EUR": "10.50", "JPY": "100"}
    )  # fmt: skip
    listed = [json.loads(line) for line in cli("policy", "history", "--format", "jsonl").lines]
    assert [each["policy"]["max_orders"] for each in listed] == [None, 5, 5]
    assert [line.split("\t")[0] for line in cli("policy", "history").lines] == ["3", "2", "1"]


@pytest.mark.parametrize(
    "rule",
    [
        ["--max-orders", "-1"],
        ["--max-orders", "many"],
        ["--max-amount", "100"],
        ["--max-amount", "EUR=1.001"],
        ["--max-amount", "XXQ=1"],
        ["--max-age", "soon"],
        ["--hours", "8-18"],
        ["--hours", "08:00-08:00"],
        ["--time-zone", "Paris/Europe"],
        ["--time-zone", "../etc/passwd"],
        ["--reason-code", ""],
        [],
    ],
)
def test_a_rule_that_is_none_is_refused(store, cli, rule):
    assert cli("policy", "set", *rule).code == 2
    assert current_policy_of(store) == Policy()


def test_config_show_tells_which_of_both_decides(store, cli):
    assert cli("policy", "set", "--max-orders", "5", "--max-age", "3d").code == 0
    cli.environ |= {"ORDERCTL_MAX_ORDERS": "100", "ORDERCTL_MAX_AGE": "1d"}
    shown = {line.split("\t")[0]: line.split("\t")[1:] for line in cli("config", "show").lines}
    assert (shown["max_orders"], shown["max_age"]) == (["5", "the store's policy"], ["1d", "ORDERCTL_MAX_AGE"])


def test_the_settings_rule_and_the_policy_s_both_count(store):
    put(store, make_order("P1"), make_order("P2"))
    plan = plan_for(store, ids("P1", "P2"))
    for rule, policy in (
        (SecondOperatorRule(above_orders=1), Policy(second_operator_above_orders=100)),
        (SecondOperatorRule(above_orders=100), Policy(second_operator_above_orders=1)),
    ):
        with pytest.raises(UnexpectedPlanError, match="2 orders, more than 1"):
            check_one_operator_suffices(plan, rule, policy)
