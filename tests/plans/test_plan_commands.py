"""Saved plans as their users meet them: `reject --save-plan`, `reject --plan`, `--hold`, and the `plan` commands."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from orderctl.orders.orders import Status
from orderctl.plans.service import Operator, save_plan
from support.cli import maildir_cli
from support.factories import KUMO, FixedClock, make_order, put, put_all
from support.plans import FREE, plan_of
from support.stores import open_store
from support.terminal import Terminal

ORDERS = ("P1", "P2", "P3", "P4")


@pytest.fixture
def cli(store_url, tmp_path):
    return filled(store_url, tmp_path)


@pytest.fixture
def sqlite_cli(sqlite_url, tmp_path):
    """For what is decided before the store is asked anything that an engine could answer otherwise."""
    return filled(sqlite_url, tmp_path)


def filled(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [make_order(order_id, total=12_050) for order_id in ORDERS[:3]])
        put(store, make_order("P4", buyer=KUMO, total=3_000), make_order("P5", status=Status.OC_CONFIRMED))
    return maildir_cli(store_url, tmp_path)


def rejected(cli):
    return cli("search", "status:rejected", "--sort", "id").lines


def saved_as(ran):
    """The id of the plan that a run kept."""
    assert ran.code == 0, ran.err
    return ran.json["saved"]["id"]


def hold_before_now(store_url, *ids, minutes=20):
    """A plan that was held for 15 minutes, so many minutes ago."""
    at = FixedClock(datetime.now(UTC) - timedelta(minutes=minutes))
    with open_store(store_url) as store:
        by = Operator(actor="mia", clock=at, terms=FREE)
        return save_plan(store, plan_of(store, *ids), by, how="--yes", hold=timedelta(minutes=15)).id


def test_a_plan_is_saved_reviewed_and_run_as_planned(cli, store_url, tmp_path):
    ran = cli("reject", *ORDERS, "P5", "P9", "--ignore-unknown", "--save-plan", "--reason", "dropped",
              "--message", "Sorry", "--format", "json")  # fmt: skip
    plan_id = saved_as(ran)
    assert (ran.json["outcome"], ran.json["saved"]["state"], ran.json["saved"]["orders"]) == ("saved", "saved", 4)
    assert "This cannot be undone." in ran.err
    assert rejected(cli) == []
    short = plan_id[-8:]

    (listed,) = cli("plan", "list", "--format", "json").json
    assert (listed["id"], listed["short_id"], listed["time_left"]) == (plan_id, short, "expires in 1 d")
    shown = cli("plan", "show", short, "--format", "json").json
    assert (shown["plan"]["targets"], shown["plan"]["reason"]) == (list(ORDERS), "dropped")
    assert shown["plan"]["versions"] == dict.fromkeys(ORDERS, 1)
    text = cli("plan", "show", short).out
    assert all(words in text for words in (plan_id, "Reject 4 orders", "391.50 EUR", "Sorry", shown["digest"]))
    assert "nothing changed: 4 orders as planned" in cli("plan", "diff", short).out
    assert cli("plan", "run", short, "--strict", "--dry-run").code == 0

    with open_store(store_url) as store:
        put(store, make_order("P1", total=12_050, status=Status.OC_CONFIRMED), make_order("P2", total=9_900))
    changed = {
        "P1": [{"what": "status", "was": "needs-oc", "now": "oc-confirmed"}],
        "P2": [{"what": "total", "was": "120.50 EUR", "now": "99.00 EUR"}],
    }
    diff = cli("plan", "diff", plan_id, "--format", "json").json
    assert {each["id"]: each["changes"] for each in diff["changed"]} == changed
    assert "P1: status was needs-oc, is oc-confirmed" in cli("plan", "diff", short).out
    assert cli("plan", "run", short, "--yes", "--strict").code == 3
    assert cli("plan", "run", short, "--yes", "--max-orders", "3").code == 3
    assert cli("plan", "run", short).code == 2
    ran = cli("reject", "--plan", short, "--dry-run", "--format", "json")
    assert (ran.code, ran.json["outcome"], len(ran.json["left_out"])) == (0, "dry-run", 2)
    assert rejected(cli) == []

    ran = cli("reject", "--plan", short, "--yes", "--format", "json")
    assert (ran.code, ran.json["batch"], ran.json["rejected"]) == (6, plan_id, 2)
    assert {each["id"]: each["changes"] for each in ran.json["left_out"]} == changed
    assert ran.json["mails"]["sent"] == len(list((tmp_path / "mails" / "new").iterdir())) == 2
    assert rejected(cli) == ["P3", "P4"]
    ran = cli("plan", "run", short, "--yes")
    assert (ran.code, ran.out, "has run already" in ran.err) == (3, "", True)
    assert cli("plan", "cancel", short).code == 3
    assert "executed" in cli("plan", "list").out


def test_two_plans_are_shown_side_by_side(cli, store_url):
    first = saved_as(cli("reject", "P1", "P2", "P3", "--save-plan", "--reason", "dropped", "--format", "json"))
    same = saved_as(cli("reject", "P3", "P2", "P1", "--save-plan", "--reason", "dropped", "--format", "json"))
    ran = cli("plan", "diff", first[-8:], same, "--format", "json")
    assert (ran.code, ran.json["same"], ran.json["changed"], ran.json["terms"]) == (0, True, [], [])
    assert "nothing differs: both reject the same orders, as they are" in cli("plan", "diff", first, same).out
    assert cli("plan", "diff", first).code == 0

    with open_store(store_url) as store:
        put(store, make_order("P1", total=12_050, status=Status.OC_CONFIRMED), make_order("P2", total=9_900))
        put(store, make_order("P3", total=12_050, note="ring first"))
    assert cli("plan", "diff", first).code == 3
    second = saved_as(cli("reject", "P1", "P2", "P3", "P4", "--save-plan", "--notify", "--format", "json"))
    ran = cli("plan", "diff", first, second, "--format", "json")
    assert (ran.code, ran.json["same"]) == (3, False)
    assert (ran.json["first"]["id"], ran.json["first"]["orders"], ran.json["second"]["orders"]) == (first, 3, 3)
    why = "OC confirmed"
    order = {"status": "needs-oc", "currency": "EUR"}
    assert [each["id"] for each in ran.json["only_first"]] == ["P1"]
    assert ran.json["only_first"][0] == {"id": "P1", **order, "total": "120.50", "skipped": why}
    assert ran.json["only_second"] == [{"id": "P4", **order, "total": "30.00", "skipped": None}]
    assert {each["id"]: each["changes"] for each in ran.json["changed"]} == {
        "P2": [{"what": "total", "was": "120.50 EUR", "now": "99.00 EUR"}],
        "P3": [{"what": "edited: version was 1, is 2", "was": "", "now": ""}],
    }
    assert ran.json["terms"] == [
        {"what": "reason", "was": "dropped", "now": ""},
        {"what": "mails", "was": "0", "now": "2"},
    ]
    ran = cli("plan", "diff", first[-8:], second[-8:])
    assert ran.code == 3
    for words in ("1 order only in " + first[-8:], f"P1: needs-oc, 120.50 EUR; skipped in {second[-8:]}: {why}",
                  "1 order only in " + second[-8:], "P4: needs-oc, 30.00 EUR", "2 orders of both changed in between",
                  "P2: total was 120.50 EUR, is 99.00 EUR", "reason was dropped, is -",
                  "mails was 0, is 2"):  # fmt: skip
        assert words in " ".join(ran.out.split())
    back = cli("plan", "diff", second, first, "--format", "json").json
    assert (back["only_first"], back["only_second"][0]["id"]) == (
        [{"id": "P4", **order, "total": "30.00", "skipped": None}], "P1")  # fmt: skip
    assert cli("plan", "diff", first, "nosuch99").code == 2


def test_a_plan_edited_in_the_store_is_refused_with_3_and_says_so(cli, store_url):
    plan_id = saved_as(cli("reject", "P1", "P2", "--save-plan", "--format", "json"))
    with open_store(store_url) as store:
        edit = "UPDATE plan SET plan = replace(plan, 'P2', 'P4') WHERE account = :account"
        store.write(lambda connection: connection.execute(edit))
    for command in ("plan run --yes", "reject --yes --plan", "plan show"):
        ran = cli(*command.split(), plan_id)
        assert (ran.code, ran.out) == (3, "")
        assert "was edited in the store after it was saved" in ran.err
    assert rejected(cli) == []


def test_under_the_second_operator_rule_nobody_approves_their_own_plan(cli):
    cli.environ["ORDERCTL_REQUIRE_SECOND_OPERATOR"] = "true"
    for options in (["--yes"], ["--yes", "--hold", "15m"]):
        ran = cli("reject", "P1", *options)
        assert (ran.code, ran.out, "--save-plan" in ran.err) == (3, "", True)
    assert cli("reject", "P1", "--dry-run").code == 0
    plan_id = saved_as(cli("reject", "P1", "--save-plan", "--format", "json"))
    ran = cli("plan", "approve", plan_id)
    assert (ran.code, "one operator cannot be both" in ran.err) == (3, True)
    ran = cli("plan", "run", plan_id, "--yes")
    assert (ran.code, "needs the approval of an operator other than its author" in ran.err) == (3, True)
    assert rejected(cli) == []


@pytest.mark.parametrize(
    ("setting", "value", "refused"),
    [
        ("SECOND_OPERATOR_ABOVE_ORDERS", "1", True),
        ("SECOND_OPERATOR_ABOVE_ORDERS", "2", False),
        ("SECOND_OPERATOR_ABOVE_AMOUNT", "240.99", True),
        ("SECOND_OPERATOR_ABOVE_AMOUNT", "241", False),
    ],
)
def test_above_a_size_a_second_operator_is_needed(sqlite_cli, setting, value, refused):
    sqlite_cli.environ[f"ORDERCTL_{setting}"] = value
    assert sqlite_cli("reject", "P1", "P2", "--yes").code == (3 if refused else 0)
    assert rejected(sqlite_cli) == ([] if refused else ["P1", "P2"])


def test_the_preview_shows_what_the_limit_looks_at_where_credits_hide_it(sqlite_cli, sqlite_url):
    with open_store(sqlite_url) as store:
        put(store, make_order("N1", total=5_000_000), make_order("N2", total=-4_500_000))
    sqlite_cli.environ["ORDERCTL_SECOND_OPERATOR_ABOVE_AMOUNT"] = "10000"
    ran = sqlite_cli("reject", "N1", "N2", "--yes", "--format", "json")
    shown = [" ".join(line.split()) for line in ran.err.splitlines()]
    assert {"Total 5,000.00 EUR", "Before credits 50,000.00 EUR"} <= set(shown)
    assert (ran.code, "(50,000.00 EUR before credits, more than 10,000)" in ran.err) == (3, True)
    (figure,) = sqlite_cli("reject", "N1", "N2", "--dry-run", "--format", "json").json["plan"]["totals_before_credits"]
    assert figure["amount"] == "50000.00"
    assert rejected(sqlite_cli) == []


def test_a_held_plan_cancelled_in_time_changes_nothing(cli):
    ran = cli("reject", "P1", "P2", "--hold", "15m", "--yes")
    assert (ran.code, "runs in 15 min" in ran.out, "plan cancel" in ran.out) == (0, True, True)
    (held,) = cli("plan", "list", "--state", "held", "--format", "json").json
    assert held["time_left"] in {"runs in 15 min", "runs in 14 min"}
    assert "no plan is due" in cli("plan", "run", "--due").err
    assert "is cancelled" in cli("plan", "cancel", held["short_id"]).err
    ran = cli("plan", "cancel", held["short_id"])
    assert (ran.code, "was cancelled" in ran.err) == (3, True)
    assert cli("plan", "run", held["short_id"], "--yes").code == 3
    assert rejected(cli) == []


def test_two_runs_of_what_is_due_at_once_run_each_plan_once(cli, store_url):
    first, second = (hold_before_now(store_url, *ids) for ids in (("P1", "P2"), ("P3", "P4")))
    running = [cli.start("plan", "run", "--due", "--format", "json") for _ in range(2)]
    ended = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    ran = [report for out, _ in ended for report in json.loads(out)]
    assert sorted((each["batch"], each["rejected"]) for each in ran) == sorted([(first, 2), (second, 2)])
    assert len(cli("log", "--format", "json").json) == 2
    assert rejected(cli) == list(ORDERS)


def test_what_is_due_but_may_not_run_is_told_and_the_others_run(cli, store_url):
    hold_before_now(store_url, "P1", minutes=60 * 48)
    hold_before_now(store_url, "P2")
    ran = cli("plan", "run", "--due")
    assert (ran.code, "expired" in ran.err, "Rejected 1 order" in ran.out) == (3, True, True)
    assert rejected(cli) == ["P2"]


def test_at_the_terminal_a_plan_says_whose_it_is_and_asks(sqlite_cli):
    with Terminal(sqlite_cli, "reject", "P1", "P2", "--no-notify", "--hold", "1h") as terminal:
        terminal.wait_for("Once confirmed it waits for 1 h, in which it can be cancelled.")
        terminal.wait_for("Type yes:")
        terminal.type("yes\r")
        terminal.wait_for("runs in 1 h")
        assert terminal.end() == 0
    plan_id = saved_as(sqlite_cli("reject", "P3", "--save-plan", "--format", "json"))
    for keys, code in (("\r", 4), ("yes\r", 0)):
        with Terminal(sqlite_cli, "plan", "run", plan_id[-6:]) as terminal:
            terminal.wait_for(f"This is plan {plan_id[-8:]}, made at ")
            terminal.wait_for("Type yes:")
            terminal.type(keys)
            assert terminal.end() == code
    assert rejected(sqlite_cli) == ["P3"]


def test_a_plan_asks_for_what_is_left_of_it(sqlite_cli, sqlite_url):
    sqlite_cli.environ["ORDERCTL_LABEL"] = "Nordlys"
    args = ["reject", *ORDERS, "--notify", "--save-plan", "--format", "json"]
    short = saved_as(sqlite_cli(*args))[-8:]
    with open_store(sqlite_url) as store:
        put(store, make_order("P4", buyer=KUMO, total=9_900))
    with Terminal(sqlite_cli, "plan", "run", short, rows=90) as terminal:
        shown = terminal.wait_for("? Reject 3 orders, 361.50 EUR,")
        assert shown.startswith("Reject 3 orders in")
        assert "1 of 4 planned orders no longer as planned:" in shown
        assert "and send 1 mail? Type yes:" in terminal.wait_for("Type yes:")
        terminal.type("yes\r")
        assert terminal.end() == 6
    assert rejected(sqlite_cli) == ["P1", "P2", "P3"]


def test_a_plan_of_which_nothing_is_left_does_not_run(sqlite_cli, sqlite_url):
    short = saved_as(sqlite_cli("reject", "P4", "--save-plan", "--format", "json"))[-8:]
    with open_store(sqlite_url) as store:
        put(store, make_order("P4", buyer=KUMO, total=9_900))
    ran = sqlite_cli("plan", "run", short, "--yes")
    assert (ran.code, ran.out, "is as planned any more; nothing was changed" in ran.err) == (3, "", True)
    assert "plan diff" in ran.err
    assert "saved" in sqlite_cli("plan", "list").out


def test_names_from_other_programs_control_no_terminal(sqlite_cli):
    evil = "eve\x1b[2J\u202e[red]"
    sqlite_cli.environ["ORDERCTL_ACTOR"] = evil
    plan_id = saved_as(sqlite_cli("reject", "P1", "--save-plan", "--format", "json"))
    sqlite_cli("plan", "cancel", plan_id)
    for args in (["plan", "list"], ["plan", "show", plan_id], ["plan", "run", plan_id, "--yes"]):
        ran = sqlite_cli(*args)
        assert "eve" in ran.out + ran.err
        assert not {"\x1b", "\u202e"} & set(ran.out + ran.err)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["plan", "show", "nope"], "is no id and no ending of one"),
        (["plan", "run", "abcdef", "--yes"], "there is no plan 'abcdef' in this store"),
        (["plan", "run", "--yes"], "name one plan, or say --due"),
        (["plan", "run", "abcdef", "--due"], "name one plan, or say --due"),
        (["reject", "P1", "--plan", "abcdef", "--yes"], "--plan runs a saved plan as it is"),
        (["reject", "--plan", "abcdef", "--no-notify", "--yes"], "--plan runs a saved plan as it is"),
        (["reject", "P1", "--save-plan", "--hold", "1h"], "--save-plan keeps a plan, --hold confirms it"),
        (["reject", "P1", "--hold", "soon", "--yes"], "--hold 'soon' is no length of time"),
        (["reject", "P1", "--hold", "15m"], "there is no terminal to confirm on"),
    ],
)
def test_a_wrong_call_ends_with_2(sqlite_cli, args, message):
    ran = sqlite_cli(*args)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_with_nothing_to_reject_no_plan_is_kept(sqlite_cli):
    assert sqlite_cli("reject", "P1", "--yes").code == 0
    for options in (["--save-plan"], ["--hold", "15m", "--yes"]):
        ran = sqlite_cli("reject", "P1", *options)
        assert (ran.code, "Nothing to reject." in ran.out) == (3, True)
    assert "no plans" in sqlite_cli("plan", "list").err


def test_how_long_plans_last_is_a_setting_in_words_or_hours(sqlite_cli, tmp_path):
    file = tmp_path / "config.toml"
    sqlite_cli.environ["ORDERCTL_CONFIG"] = str(file)
    for written, left in (("36", "1 d 12 h"), ('"90m"', "1 h 30 min"), ('"3d"', "3 d")):
        file.write_text(f"default_profile = 'eu'\n[profile.eu]\nplan_expires = {written}\n")
        ran = sqlite_cli("reject", "P1", "--save-plan", "--format", "json")
        assert ran.json["saved"]["time_left"] == f"expires in {left}"
    file.write_text("default_profile = 'eu'\n[profile.eu]\nplan_expires = 'soon'\n")
    assert sqlite_cli("reject", "P1", "--save-plan").code == 2
