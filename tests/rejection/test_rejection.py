"""The main job on both engines: plan, expectations, execution (design.md, sections 3 and 6)."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import uuid6

from orderctl.audit.log import digest_batch
from orderctl.audit.queries import batch_events, list_batches
from orderctl.core.money import Money
from orderctl.database.store import login
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.mail.outbox import MailQuery
from orderctl.mail.queries import list_mails, mail_order_ids, queued_letters
from orderctl.mail.transports import Mailing
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.orders.queries import get_order, order_events
from orderctl.rejection.plan import RejectionPlan, Targets
from orderctl.rejection.sample_letters import compose_samples
from orderctl.rejection.service import Expectations, RejectionRequest, check_expectations, prepare_rejection
from orderctl.selection.queries import selected_orders
from orderctl.selection.selection import Choice, IdList, SelectionScope
from orderctl.selection.service import add_to_selection, clear_selection, remove_from_selection
from orderctl.settings import read_settings
from support.factories import ACME, KUMO, MUTE, make_order, put, put_all
from support.rejection import BY, CLOCK, execute, ids, matching, plan_for, reject, statuses
from support.stores import open_store

EVERY_STATUS = {
    "S1": Status.NEEDS_OC,
    "S2": Status.OC_CREATED,
    "S3": Status.OC_APPROVED,
    "S4": Status.OC_DECLINED,
    "S5": Status.OC_CONFIRMED,
    "S6": Status.RETURNED_TO_CART,
    "S7": Status.REJECTED,
}


def put_every_status(store):
    put_all(
        store,
        [
            make_order(order_id, status=status, rejected_at=CLOCK.at if status is Status.REJECTED else None)
            for order_id, status in EVERY_STATUS.items()
        ],
    )
    put(
        store,
        make_order("S8", invoices=1),
        make_order("S9", delivery_notes=2),
        make_order("SA", backlog_skus=1, status=Status.OC_CREATED),
    )


def reasons(plan):
    return {order_id: group.code for group in plan.skipped for order_id in group}


def test_a_mixed_selection_is_split_as_the_table_says(store):
    put_every_status(store)
    plan = plan_for(store, ids(*EVERY_STATUS, "S8", "S9", "SA", "nobody", duplicates=2))

    assert plan.targets.versions() == {"S1": 1, "S2": 1}
    assert reasons(plan) == {
        "S3": "oc-approved",
        "S4": "oc-declined",
        "S5": "oc-confirmed",
        "S6": "returned-to-cart",
        "S7": "already-rejected",
        "S8": "invoiced",
        "S9": "delivered",
        "SA": "backlog",
    }
    assert (plan.given.ids, plan.given.duplicates) == (11, 2)
    assert (plan.given.unknown, plan.given.unknown_count) == (("nobody",), 1)
    assert plan.totals == (Money("EUR", 24_100),)
    assert [shown.id for shown in plan.head] == ["S2", "S1"]


def test_an_individual_rejection_takes_what_the_bulk_one_leaves(store):
    put_every_status(store)
    plan = plan_for(store, ids(*EVERY_STATUS, "S8", "S9", "SA"), mode=Mode.INDIVIDUAL)
    assert set(plan.targets) == {"S1", "S2", "S3", "S4", "S5"}
    assert set(reasons(plan)) == {"S6", "S7", "S8", "S9", "SA"}


def test_rejecting_changes_the_targets_and_nothing_else(store):
    put_every_status(store)
    before = statuses(store)
    result = reject(store, ids(*EVERY_STATUS, "S8", "S9", "SA"))

    assert (result.rejected, result.left_out, result.mails) == (2, (), 0)
    assert result.totals == (Money("EUR", 24_100),)
    assert statuses(store) == before | {"S1": Status.REJECTED, "S2": Status.REJECTED}
    with store.snapshot() as connection:
        order = get_order(connection, "S1")
        assert (order.version, order.batch_id, order.rejected_at) == (2, result.batch_id, CLOCK.at)
        (event,) = order_events(connection, "S1")
        assert (event.kind, event.from_status, event.to_status) == ("rejected", "needs-oc", "rejected")
        assert (event.batch_id, event.actor, event.at, event.detail) == (
            result.batch_id,
            "mia",
            CLOCK.at,
            "style dropped",
        )
        assert order_events(connection, "S3") == ()


def test_the_batch_keeps_who_why_and_how_many_and_is_chained(store):
    put(store, make_order("B1"), make_order("B2"), make_order("B3", status=Status.OC_CONFIRMED))
    first = reject(store, ids("B1", "B3"))
    second = reject(store, ids("B2"))
    with store.snapshot() as connection:
        newest, oldest = list_batches(connection, None)
        assert (oldest.id, newest.id) == (first.batch_id, second.batch_id)
        assert (oldest.position, newest.position) == (1, 2)
        assert (oldest.previous, newest.previous) == ("", oldest.digest)
        known = f" (db: {login(connection)})" if login(connection) else ""
        assert (oldest.actor, oldest.approver, oldest.host) == ("mia", f"mia{known} (--yes)", "desk")
        assert (oldest.source, oldest.reason, oldest.mode) == ("a test", "style dropped", "bulk")
        assert (oldest.planned, oldest.rejected, oldest.skipped, oldest.mails) == (1, 1, 1, 0)
        for batch in (oldest, newest):
            digested = digest_batch(batch, batch_events(connection, batch.id))
            assert (batch.digest, batch.leaves) == (digested.digest, digested.leaves)


def test_a_plan_of_several_blocks_is_executed_whole_and_proven(store):
    long_ids = [f"L{number:04}{'x' * 180}" for number in range(4_000)]
    put(store, *(make_order(order_id) for order_id in long_ids))
    plan = plan_for(store, ids(*long_ids))
    assert len(list(plan.targets.blocks())) > 2
    put(store, make_order(long_ids[3], note="please hurry"), make_order(long_ids[-3], note="please hurry"))
    result = execute(store, plan)
    assert result.rejected == 3_998
    assert [left.id for left in result.left_out] == [long_ids[3], long_ids[-3]]
    with store.snapshot() as connection:
        (batch,) = list_batches(connection, None)
        events = list(batch_events(connection, batch.id))
        digested = digest_batch(batch, events)
        assert (batch.digest, batch.leaves) == (digested.digest, digested.leaves)
    assert [event.order_id for event in events] == [
        each for each in long_ids if each not in (long_ids[3], long_ids[-3])
    ]
    assert {event.from_status for event in events} == {Status.NEEDS_OC}


NASTY = ['":1,', '"', "\\", '\\":1,"', "a,", "{", "} ", '":1,"x":2', "é", ": 1,", '", "', "\\\\"]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", " : ")], ids=["sqlite", "postgresql"])
def test_the_blocks_of_a_plan_are_its_targets_whatever_their_ids_look_like(separators):
    versions = {f"{number}{NASTY[number % len(NASTY)] * (number % 7)}": number for number in range(100_000)}
    blocks = list(Targets(json.dumps(versions, separators=separators), len(versions)).blocks())
    assert len(blocks) > 3
    assert [each for block in blocks for each in json.loads(block).items()] == list(versions.items())
    assert list(Targets("{}", 0).blocks()) == ["{}"]


def test_a_second_run_finds_nothing_to_do_and_makes_no_batch(store):
    put(store, make_order("R1"), make_order("R2"))
    assert reject(store, matching("season:26SS"), notify=True).rejected == 2
    again = reject(store, matching("season:26SS"), notify=True)
    assert (again.batch_id, again.rejected, again.mails) == (None, 0, 0)
    assert reasons(again.plan) == {"R1": "already-rejected", "R2": "already-rejected"}
    with store.snapshot() as connection:
        assert len(list(list_batches(connection, None))) == 1
        assert len(list(list_mails(connection, MailQuery()))) == 1


def test_an_approved_plan_runs_once(store):
    put(store, make_order("O1"))
    plan = plan_for(store, ids("O1"))
    execute(store, plan)
    with pytest.raises(UnexpectedPlanError, match="has run already"):
        execute(store, plan)


def test_what_changed_since_the_preview_is_left_out_and_named(store):
    put(store, make_order("C1"), make_order("C2"), make_order("C3"))
    plan = plan_for(store, ids("C1", "C2", "C3"))
    put(store, make_order("C1", status=Status.OC_CONFIRMED))
    put(store, make_order("C2", note="please hurry"))
    result = execute(store, plan)
    assert result.rejected == 1
    assert [(left.id, left.planned_version, left.version, left.status) for left in result.left_out] == [
        ("C1", 1, 2, "oc-confirmed"),
        ("C2", 1, 2, "needs-oc"),
    ]
    assert statuses(store) == {"C1": Status.OC_CONFIRMED, "C2": Status.NEEDS_OC, "C3": Status.REJECTED}


def test_one_mail_a_buyer_with_an_address(store):
    put(
        store,
        make_order("M1", buyer=ACME),
        make_order("M2", buyer=ACME),
        make_order("M3", buyer=KUMO, currency="JPY", total=90_000),
        make_order("M4", buyer=MUTE),
        make_order("M5", buyer=None),
        make_order("M6", buyer=KUMO, status=Status.OC_CONFIRMED),
    )
    plan = plan_for(store, matching("season:26SS"), notify=True, message="Sorry.")
    assert plan.buyers == 3
    assert (plan.mail.mails, plan.mail.buyers_without_address, plan.mail.orders_without_buyer) == (2, 1, 1)
    assert plan.mail.languages == (("fr", 1), ("ja", 1))
    assert plan.totals == (Money("EUR", 4 * 12_050), Money("JPY", 90_000))
    french, japanese = compose_samples(store, Mailing(read_settings(Path("none.toml"), {}, {})), plan)
    assert (french.buyer, french.language, french.written_in, french.orders) == (ACME.name, "fr", "fr", 2)
    assert (japanese.buyer, japanese.written_in, japanese.orders) == (KUMO.name, "ja", 1)
    assert (french.mark, japanese.mark) == ("longest", "shortest")
    assert "\nSorry.\n" in french.letter.text

    result = execute(store, plan)
    assert (result.rejected, result.mails) == (5, 2)
    with store.snapshot() as connection:
        mails = {mail.recipient: mail for mail in list_mails(connection, MailQuery())}
        assert {to: mail_order_ids(connection, mail.id) for to, mail in mails.items()} == {
            "achats@acme.example": ("M1", "M2"),
            "order@kumo.example": ("M3",),
        }
        assert {mail.state for mail in mails.values()} == {DeliveryState.WAITING}
        assert {mail.message_id for mail in mails.values()} == {
            f"<orderctl.{result.batch_id}.{number}@brand.example>" for number in (1, 2)
        }
        facts = queued_letters(connection, [mails["achats@acme.example"].id])[mails["achats@acme.example"].id]
        assert (facts.message, facts.reason, facts.brand) == ("Sorry.", "style dropped", "nord")


def test_one_mail_an_order_when_asked(store):
    put(store, make_order("M1"), make_order("M2"), make_order("M3", buyer=KUMO))
    result = reject(store, ids("M1", "M2", "M3"), notify=True, per_order=True)
    assert result.mails == result.plan.mail.mails == 3
    with store.snapshot() as connection:
        told = [mail_order_ids(connection, mail.id) for mail in list_mails(connection, MailQuery())]
        assert sorted(told) == [("M1",), ("M2",), ("M3",)]


def test_without_notifying_no_mail_row_is_written(store):
    put(store, make_order("N1"))
    reject(store, ids("N1"), notify=False, message="never read")
    with store.snapshot() as connection:
        assert list(list_mails(connection, MailQuery())) == []


def test_a_selection_and_what_is_excepted(store):
    put(store, *(make_order(f"E{number}") for number in range(5)))
    at = CLOCK.now()
    assert add_to_selection(store, matching("id:E0,E1,E2,E3"), actor="mia", name="drop", at=at).size == 4
    report = add_to_selection(store, ids("E3", "E4", "gone"), actor="mia", name="drop", at=at)
    assert (report.added, report.size, report.unknown) == (1, 5, ("gone",))
    assert remove_from_selection(store, ids("E0"), actor="mia", name="drop").size == 4
    choice = Choice(
        scope=SelectionScope(actor="mia", name="drop", words="selection drop"), excluded=IdList(ids=("E1",))
    )
    plan = plan_for(store, choice)
    assert (set(plan.targets), plan.given.ids) == ({"E2", "E3", "E4"}, 4)
    assert clear_selection(store, actor="mia", name="drop").removed == 4
    assert plan_for(store, choice).targets.count == 0


def test_what_was_rejected_is_taken_out_of_the_selection_it_came_from_and_out_of_no_other(store):
    orders = [make_order(f"S{number}") for number in range(5)]
    put(store, *orders, make_order("S5", status=Status.OC_CONFIRMED))
    held = [("mia", "drop"), ("mia", "default"), ("ana", "drop")]
    for actor, name in held:
        add_to_selection(store, ids(*(f"S{number}" for number in range(6))), actor=actor, name=name, at=CLOCK.now())
    choice = Choice(
        scope=SelectionScope(actor="mia", name="drop", words="selection drop"), excluded=IdList(ids=("S0",))
    )
    request = RejectionRequest(choice=choice, by=replace(BY, selection="drop"), reason="")
    plan = prepare_rejection(store, request, clock=CLOCK, new_id=lambda: str(uuid6.uuid7()))
    put(store, replace(orders[1], quantity=9))
    done = execute(store, RejectionPlan.from_json(plan.to_json()))
    assert (done.rejected, done.unselected) == (3, 3)
    with store.snapshot() as connection:
        left = [sorted(order.id for order in selected_orders(connection, *each, None)) for each in held]
    everything = [f"S{number}" for number in range(6)]
    assert left == [["S0", "S1", "S5"], everything, everything]
    assert '"selection"' not in plan_for(store, ids("S0")).to_json()


def test_expectations_refuse_before_anything_changes(store):
    put(store, make_order("X1"), make_order("X2", status=Status.OC_CONFIRMED))
    plan = plan_for(store, ids("X1", "X2", "X9"))
    with pytest.raises(UsageError, match="1 id unknown in this store: X9"):
        check_expectations(plan, Expectations())
    known = Expectations(ignore_unknown=True)
    check_expectations(plan, known)
    check_expectations(plan, replace(known, expect=(1, 1), max_orders=1))
    for wrong in (
        replace(known, strict=True),
        replace(known, expect=(2, None)),
        replace(known, expect=(None, 0)),
        replace(known, max_orders=0),
    ):
        with pytest.raises(UnexpectedPlanError):
            check_expectations(plan, wrong)


def test_another_account_is_another_world(store, store_url):
    put(store, make_order("shared"), make_order("mine"))
    with open_store(store_url, account="other") as other:
        put(other, make_order("shared", status=Status.OC_CREATED))
        plan = plan_for(other, ids("shared", "mine"))
        assert (plan.targets.count, plan.given.unknown) == (1, ("mine",))
        execute(other, plan)
    assert statuses(store) == {"shared": Status.NEEDS_OC, "mine": Status.NEEDS_OC}


def test_two_at_once_reject_each_order_once_and_mail_each_buyer_once(store_url):
    with open_store(store_url) as first, open_store(store_url) as second:
        put_all(first, [make_order(f"T{number:03}", buyer=(ACME, KUMO)[number % 2]) for number in range(200)])
        plans = [
            (first, plan_for(first, matching("season:26SS"), notify=True)),
            (second, plan_for(second, matching("season:26SS"), notify=True)),
        ]
    results = []

    def run(plan):
        with open_store(store_url) as own:
            results.append(execute(own, plan))

    threads = [threading.Thread(target=run, args=(plan,)) for _, plan in plans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winner, loser = sorted(results, key=lambda result: -result.rejected)
    assert (winner.rejected, loser.rejected) == (200, 0)
    assert len(loser.left_out) == 200
    assert {left.batch_id for left in loser.left_out} == {winner.batch_id}
    assert (winner.mails, loser.mails) == (2, 0)


def test_a_plan_survives_being_saved_and_is_refused_when_edited(store):
    put(store, make_order("P1"), make_order("P2", buyer=KUMO, status=Status.OC_CONFIRMED), make_order("P3", buyer=None))
    plan = plan_for(store, ids("P1", "P2", "P3", "P9"), notify=True, message="你好")
    text = plan.to_json()
    assert RejectionPlan.from_json(text) == plan
    assert text.isascii()
    edited = json.loads(text)
    edited["plan"]["targets"]["count"] = 1
    with pytest.raises(ValueError, match="edited"):
        RejectionPlan.from_json(json.dumps(edited))
    edited = json.loads(text) | {"schema": 99}
    with pytest.raises(ValueError, match="schema"):
        RejectionPlan.from_json(json.dumps(edited))
