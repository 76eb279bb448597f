"""Acts: what operators do besides rejecting is a chain too, and what was cut off, changed or renumbered is named."""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO

import pytest

from orderctl.changes import Change, ChangeKind, ChangeRequest, apply_change, change_orders
from orderctl.core.ids import new_id
from orderctl.database.acts import Act, read_acts, record_act
from orderctl.delivery.outbox import CANCEL, RETRY
from orderctl.orders.orders import Status
from orderctl.plans.service import Operator, approve_plan
from orderctl.rejection.policy import Policy, set_policy
from support import mail
from support.audit import found_in
from support.cli import Cli
from support.factories import NOW, FixedClock, make_order, put, put_all
from support.plans import FREE
from support.project import ROOT
from support.rejection import ids, reject
from support.stores import REFUSALS, AsLogin, open_store, raw, tamper

CLOCK = FixedClock()


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


def archive(url, *order_ids, kind=ChangeKind.ARCHIVED, tag=""):
    with open_store(url) as store:
        request = ChangeRequest(choice=ids(*order_ids), change=Change(kind=kind, tag=tag))
        return change_orders(store, request, actor="mia", clock=CLOCK, new_id=new_id)


def acts_of(url):
    with open_store(url) as store, store.snapshot() as connection:
        return list(read_acts(connection))


@pytest.fixture
def acts(store_url, cli):
    """One act of each sort: an order that came rejected, changes of orders, of mails, of a plan, and a policy."""
    with open_store(store_url) as store:
        put_all(store, [make_order(f"C{number}") for number in range(1, 8)])
        put(store, make_order("old", status=Status.REJECTED, rejected_at=NOW))
        archive(store_url, "C1", "C2", "C3")
        archive(store_url, "C1", kind=ChangeKind.TAGGED, tag="late")
        batch = reject(store, ids("C4"), notify=True).batch_id
        mail.act(store, CANCEL, f"{batch}.1", reason="not yet")
        mail.act(store, RETRY, f"{batch}.1")
    kept = cli("reject", "C5", "--save-plan", "--format", "json").json["saved"]["id"]
    with AsLogin(store_url, "ana_acts") as others:
        approve_plan(others, kept, Operator(actor="ana", clock=FixedClock(datetime.now(UTC)), terms=FREE))
    assert cli("plan", "cancel", kept).code == 0
    with open_store(store_url) as store:
        set_policy(store, Policy(max_orders=100), actor="mia", clock=CLOCK)
        set_policy(store, Policy(max_orders=200), actor="mia", clock=CLOCK)
    return acts_of(store_url)


def test_each_act_is_one_row_of_a_chain(acts, store_url):
    told = [(act.position, act.kind, act.number, act.detail) for act in acts]
    assert told == [
        (1, "imported-as-rejected", 1, "test"),
        (2, "archived", 3, ""),
        (3, "tagged", 1, "late"),
        (4, "mail-cancel", 1, "not yet"),
        (5, "mail-retry", 1, ""),
        (6, "plan-saved", 1, ""),
        (7, "plan-approved", 1, ""),
        (8, "plan-cancelled", 1, ""),
        (9, "policy-set", 1, ""),
        (10, "policy-set", 1, ""),
    ]
    assert [act.previous for act in acts] == ["", *(act.digest for act in acts[:-1])]
    assert all(act.digest == act.expected_digest for act in acts)
    assert found_in(store_url) == []


def test_what_changes_nothing_is_no_act(store_url):
    with open_store(store_url) as store:
        put(store, make_order("C1"))
    archive(store_url, "C1")
    assert archive(store_url, "C1").changing == 0
    assert [act.kind for act in acts_of(store_url)] == ["archived"]


BY = "'mia', '2026-03-14T09:26:53.000000Z'"
FORGED = (
    f"INSERT INTO order_event (account, id, kind, actor, at, order_id) VALUES ('main', 'x', 'archived', {BY}, '{{}}')"
)
TAMPERINGS = {
    "an act cut out": (
        ["DELETE FROM act WHERE position = 5"],
        [
            "act 6 (plan-saved): 1 act before it, from number 5 on, is missing",
            "act 6 (plan-saved): does not follow the act before it",
            "log of mail {batch}.1: no act tells of it",
        ],
    ),
    "the last act cut off": (["DELETE FROM act WHERE position = 10"], ["policy 2: no act tells of it"]),
    "the first act cut off": (
        ["DELETE FROM act WHERE position = 1"],
        [
            "act 2 (archived): 1 act before it, from number 1 on, is missing",
            "act 2 (archived): does not follow the act before it",
            "event of order old: no act tells of it",
        ],
    ),
    "an act of somebody else": (
        ["UPDATE act SET actor = 'bob' WHERE position = 3"],
        [
            "act 3 (tagged): was edited: its digest does not match",
            "event of order C1: is not as act 3 says",
        ],
    ),
    "an act renumbered": (
        ["UPDATE act SET position = 12 WHERE position = 10"],
        [
            "act 12 (policy-set): 2 acts before it, from number 10 on, are missing",
            "act 12 (policy-set): was edited: its digest does not match",
        ],
    ),
    "an event of an act edited": (
        ["UPDATE order_event SET actor = 'bob' WHERE order_id = 'C2'"],
        ["event of order C2: is not as act 2 says"],
    ),
    "an event of an act removed": (
        ["DELETE FROM order_event WHERE order_id = 'C2'"],
        ["act 2 (archived): is of 3 records, and the log has 2"],
    ),
    "an event of an act that is of another order": (
        ["UPDATE order_event SET order_id = 'C7' WHERE order_id = 'C2'"],
        ["act 2 (archived): is of other records than the log has"],
    ),
    "events that nobody did": (
        [FORGED.format("C5"), FORGED.format("C6")],
        ["event of order C5: no act tells of it, nor of the others written together with it, 2 in all"],
    ),
    "the reason of what was done to a mail": (
        ["UPDATE mail_event SET reason = 'x' WHERE action = 'cancel'"],
        ["log of mail {batch}.1: is not as act 4 says"],
    ),
    "what was done to a mail": (
        ["DELETE FROM mail_event WHERE action = 'cancel'"],
        ["act 4 (mail-cancel): is of 1 record, and the log has 0"],
    ),
    "a policy edited": (
        ["UPDATE policy SET rules = '{{}}' WHERE position = 1"],
        ["policy 1: was edited: its digest does not match"],
    ),
    "a policy removed": (
        ["DELETE FROM policy WHERE position = 1"],
        ["policy 2: does not follow the policy before it", "policy 1: is gone: act 9 put it into force"],
    ),
    "an approval of somebody else": (
        ["UPDATE plan SET approver = 'bob'"],
        ["plan {plan}: is not as act 8 left it"],
    ),
    "a plan removed": (
        ["DELETE FROM plan_order", "DELETE FROM plan"],
        ["plan {plan}: is gone: act 8 was its last step"],
    ),
    "a plan without its acts": (
        ["UPDATE act SET subject = 'x' WHERE kind = 'plan-cancelled'", "UPDATE plan SET digest = 'x'"],
        [
            "act 8 (plan-cancelled): was edited: its digest does not match",
            "plan {plan}: is not as act 7 left it",
            "plan x: is gone: act 8 was its last step",
        ],
    ),
}


@pytest.mark.parametrize(("statements", "records"), TAMPERINGS.values(), ids=TAMPERINGS)
def test_the_tampered_record_is_named(acts, store_url, statements, records):
    names = {"batch": acts[3].subject and batch_of(store_url), "plan": acts[5].subject}
    tamper(store_url, *(statement.format(**names) for statement in statements))
    assert found_in(store_url) == [record.format(**names) for record in records]


def batch_of(url):
    with raw(url) as connection:
        ((batch_id,),) = connection.execute("SELECT id FROM batch").fetchall()
    connection.close()
    return batch_id


def keep(cli, tmp_path):
    """A checkpoint of now, and the options that hold the log against it."""
    assert cli("log", "checkpoint", "-o", str(tmp_path / "kept"), "--force").code == 0
    return ["log", "verify", "--since", str(tmp_path / "kept")]


def cut_last_act(url):
    """Remove the newest act of archiving, with every trace."""
    last = acts_of(url)[-1]
    tamper(
        url,
        f"DELETE FROM act WHERE position = {last.position}",
        f"DELETE FROM order_event WHERE id = '{last.subject}'",
    )


def compute_anew(url):
    """Say that somebody else archived the first orders, and write all digests anew with the program's own code."""
    statements, previous = ["UPDATE order_event SET actor = 'bob' WHERE kind = 'archived'"], ""
    for act in acts_of(url):
        changed = replace(act, previous=previous, actor="bob" if act.kind == "archived" else act.actor)
        previous = changed.expected_digest
        statements.append(
            f"UPDATE act SET actor = '{changed.actor}', previous = '{changed.previous}', digest = '{previous}'"
            f" WHERE position = {act.position}"
        )
    tamper(url, *statements)


CUT = (
    "checkpoint: its newest act is number 11, and that of the store 10: the last ones were cut off,"
    " or an old backup was put back"
)
ANEW = "checkpoint: covers other acts than the store has up to number 11: the chain was computed anew"
NOT_KNOWN = (
    "not known: whether the newest batches or acts were cut off, or all was written anew (--since CHECKPOINT tells)"
)


@pytest.mark.parametrize(("tampering", "named"), [(cut_last_act, CUT), (compute_anew, ANEW)])
def test_what_leaves_nothing_to_find_in_the_store_is_found_by_a_checkpoint(
    acts, cli, store_url, tmp_path, tampering, named
):
    archive(store_url, "C6")
    since = keep(cli, tmp_path)
    assert cli(*since).code == 0
    tampering(store_url)
    ran = cli(*since)
    assert (ran.code, ran.lines[0], "the log is not as it was written: 1 record" in ran.err) == (1, named, True)
    assert cli(*since, "--format", "json").json[-1]["continues"] is False
    blind = cli("log", "verify")
    assert (blind.code, NOT_KNOWN in blind.lines) == (0, True)


def test_a_log_whose_acts_go_on_continues_its_checkpoint(acts, cli, store_url, tmp_path):
    since = keep(cli, tmp_path)
    archive(store_url, "C6")
    ran = cli(*since)
    assert (ran.code, cli(*since, "--format", "json").json[-1]["continues"]) == (0, True)


def test_a_checkpoint_of_an_earlier_version_says_nothing_of_acts(acts, cli, store_url, tmp_path):
    archive(store_url, "C6")
    since = keep(cli, tmp_path)
    lines = (tmp_path / "kept").read_text().splitlines(keepends=True)
    (tmp_path / "kept").write_text("".join(line for line in lines if not line.startswith("acts ")))
    cut_last_act(store_url)
    ran = cli(*since)
    said = "not known: whether acts were cut off: the checkpoint is of an earlier version"
    assert (ran.code, said in ran.lines) == (0, True)


def test_an_auditor_computes_the_digest_of_each_act_from_the_export(acts, cli, tmp_path):
    page = (ROOT / "docs/reference/log.md").read_text()
    (script,) = [each for each in re.findall("```python\n(.*?)```", page, re.DOTALL) if "ACT = " in each]

    def said():
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
            patch.chdir(tmp_path)
            exec(script, {})  # noqa: S102 - as the page says it
        return out.getvalue().splitlines()

    file = tmp_path / "log.jsonl"
    assert cli("log", "export", "-o", str(file)).code == 0
    assert said() == [f"{act.position} {act.kind} ok" for act in acts]
    file.write_text(file.read_text().replace('"late"', '"early"'))
    assert said()[2] == "3 tagged WRONG"
    archived = sorted(["C1", "C2", "C3"])
    assert acts[1].content == hashlib.sha256("".join(f"{json.dumps(each)}\n" for each in archived).encode()).hexdigest()


@pytest.mark.parametrize("written", ["acts", "acts 1", "acts x {root}", "acts 1 x", "acts 1 {root}\nacts 1 {root}"])
def test_acts_that_cannot_be_read_are_no_checkpoint(cli, tmp_path, written):
    root = "A" * 43 + "="
    (tmp_path / "kept").write_text(f"a\n1\n{root}\n{written.format(root=root)}\n")
    ran = cli("log", "verify", "--since", str(tmp_path / "kept"))
    expected = 2 if written != "acts" else 1  # a line of another name is left alone, as the form wants it
    assert ran.code == expected


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE act SET actor = 'bob'", "append-only"),
        ("DELETE FROM act", "append-only"),
        (f"INSERT INTO act (account, position, kind, actor, at) VALUES ('main', 7, 'x', {BY})", "follows the last"),
        (f"INSERT INTO act (account, position, kind, actor, at) VALUES ('main', 2, 'x', {BY})", "follows the last"),
    ],
)
def test_the_guards_let_nobody_change_the_chain(store_url, statement, says):
    with open_store(store_url) as store:
        put(store, make_order("C1"))
    archive(store_url, "C1")
    connection = raw(store_url)
    with pytest.raises(REFUSALS, match=says):
        connection.execute(statement)
    connection.close()


def test_acts_at_once_stand_one_behind_the_other(store_url):
    names = [f"M{number:02}" for number in range(24)]
    with open_store(store_url) as store:
        put_all(store, [make_order(name) for name in names])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: archive(store_url, name), names))
    acts = acts_of(store_url)
    assert [act.position for act in acts] == list(range(1, 25))
    assert found_in(store_url) == []


def test_an_act_and_what_it_tells_are_written_together_or_not_at_all(store_url):
    with open_store(store_url) as store:
        put(store, make_order("C1"))

        def fail(connection):
            late = Change(kind=ChangeKind.TAGGED, tag="late")
            apply_change(connection, ids("C1"), late, event_id="t1", actor="mia", at=NOW)
            record_act(connection, Act(kind="member-added", subject="bob", actor="mia", at=NOW))
            raise RuntimeError

        with pytest.raises(RuntimeError):
            store.write(fail)
    assert acts_of(store_url) == []
    assert found_in(store_url) == []


def test_an_act_of_another_sort_is_in_the_chain_too(store_url):
    with open_store(store_url) as store:
        store.write(lambda connection: record_act(connection, Act(kind="x", subject="y", actor="mia", at=NOW)))
    assert found_in(store_url) == []
    tamper(store_url, "UPDATE act SET subject = 'z'")
    assert found_in(store_url) == ["act 1 (x): was edited: its digest does not match"]
