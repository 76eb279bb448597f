"""What the deciding modules say and give to the letter: mutation testing found these promised nowhere else."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from orderctl.audit.queries import batch_events, get_batch
from orderctl.changes import Change, ChangeKind, apply_change
from orderctl.core.money import Money
from orderctl.delivery.outbox import DeliveryReport, DeliveryState, Outcome, Settlement, settlement
from orderctl.delivery.queries import claim, count_states, in_sending, start
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.mail.outbox import MAILS, Letter, Mail, MailQuery
from orderctl.mail.queries import list_mails, queued_letters
from orderctl.orders.orders import Status
from orderctl.rejection.plan import LeftOut, RejectionPlan, RejectionResult
from orderctl.rejection.service import Expectations, _landed, check_expectations
from orderctl.selection.notes import OrderNote, OrderNotes, Reason
from stress.proxy import Cut, proxied
from support.factories import KUMO, MUTE, make_order, put
from support.rejection import CLOCK, execute, ids, plan_for, reject
from support.stores import open_store

NARROW = "narrow the selection, or raise the limit"
LOOK = "look at it with --dry-run"


@pytest.mark.parametrize(
    ("expected", "error", "said", "hint"),
    [
        (
            Expectations(),
            UsageError,
            "2 ids unknown in this store: nobody, nothing",
            "mend the list, or leave them out with --ignore-unknown",
        ),
        (
            Expectations(ignore_unknown=True, strict=True),
            UnexpectedPlanError,
            "1 order of the selection cannot be rejected, and --strict allows none",
            "look at them with --dry-run, or leave out --strict",
        ),
        (Expectations(ignore_unknown=True, expect=(3, 3)), UnexpectedPlanError, "2 orders, and --expect says 3", LOOK),
        (Expectations(ignore_unknown=True, expect=(3, None)), UnexpectedPlanError, "and --expect says 3..", LOOK),
        (Expectations(ignore_unknown=True, expect=(None, 1)), UnexpectedPlanError, "and --expect says ..1", LOOK),
        (Expectations(ignore_unknown=True, expect=(1000, 2000)), UnexpectedPlanError, "says 1,000..2,000", LOOK),
        (Expectations(ignore_unknown=True, expect=(0, 1)), UnexpectedPlanError, "--expect says 0..1", LOOK),
        (Expectations(ignore_unknown=True, max_orders=1), UnexpectedPlanError, "more than --max-orders 1", NARROW),
        (Expectations(ignore_unknown=True, max_orders=0), UnexpectedPlanError, "more than --max-orders 0", NARROW),
    ],
)
def test_what_is_said_of_a_plan_that_is_not_as_expected(store, expected, error, said, hint):
    put(store, make_order("D1"), make_order("D2"), make_order("D3", status=Status.OC_APPROVED))
    plan = plan_for(store, ids("D1", "D2", "D3", "nobody", "nothing"))
    with pytest.raises(error) as caught:
        check_expectations(plan, expected)
    assert str(caught.value).endswith(said)
    assert caught.value.hint == hint
    if error is UnexpectedPlanError and not expected.strict:
        assert str(caught.value).startswith("the plan has 2 orders, ")


@pytest.mark.parametrize(
    "expected",
    [
        Expectations(expect=(2, 2)),
        Expectations(expect=(None, 2)),
        Expectations(expect=(2, None)),
        Expectations(max_orders=2),
        Expectations(strict=True),
    ],
)
def test_a_plan_at_the_bound_is_as_expected(store, expected):
    put(store, make_order("D1"), make_order("D2"))
    check_expectations(plan_for(store, ids("D1", "D2")), expected)


def test_more_unknown_ids_than_are_shown_are_counted(store):
    plan = plan_for(store, ids(*(f"N{number:04}" for number in range(1_025))))
    with pytest.raises(UsageError, match=r"^1,025 ids unknown in this store: N0000, .*N0019 and 1,005 more$"):
        check_expectations(plan, Expectations())


def test_what_came_of_a_batch_can_be_asked_for_later(store):
    put(store, make_order("D1"), make_order("D2"), make_order("D3", buyer=MUTE))
    plan = plan_for(store, ids("D1", "D2", "D3"), notify=True)
    with store.snapshot() as connection:
        assert _landed(connection, plan) is None
    reject(store, ids("D2"))
    result = execute(store, plan)
    with store.snapshot() as connection:
        found = _landed(connection, plan)
    assert (found.rejected, found.mails, found.totals) == (2, 1, result.totals)
    assert found.left_out == result.left_out
    assert [each.id for each in found.left_out] == ["D2"]


@pytest.mark.parametrize("how", ["before", "answer"])
def test_a_commit_that_was_cut_off_is_reported_as_if_it_had_not_been(postgres_url, how):
    """Not landed, it is run again; landed, it is found by its id."""
    with open_store(postgres_url) as store:
        put(store, make_order("D1"), make_order("D2"))
        plan = plan_for(store, ids("D1", "D2"), notify=True)
    cut = Cut(at=b"COMMIT", after=b"INSERT INTO batch", how=how)
    with proxied(postgres_url, cut) as url, open_store(url) as through:
        result = execute(through, plan)
    assert cut.made
    assert result.head
    assert replace(result, head=None) == RejectionResult(
        plan=plan, batch_id=plan.id, rejected=2, left_out=(), totals=(Money("EUR", 24_100),), mails=1
    )


def test_a_plan_without_targets_does_nothing_to_the_letter(store):
    plan = plan_for(store, ids("nobody"))
    assert execute(store, plan) == RejectionResult(
        plan=plan, batch_id=None, rejected=0, left_out=(), totals=(), mails=0
    )


def test_a_plan_is_written_in_one_way_only(store):
    put(store, make_order("D1"))
    notes = OrderNotes.pack([OrderNote(id="D1", reason=Reason("sold out", "dropped"), message="Sorry.")])
    plan = plan_for(store, ids("D1", "nobody"), notify=True, message="Zürich", reason_code="dropped", notes=notes)
    assert plan.notes == notes
    text = plan.to_json()
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    assert RejectionPlan.from_json(text) == plan
    assert json.loads(text)["digest"] == plan.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 99}, "plan schema 99 is not 1"),
        ({"digest": "x"}, "the plan was edited after it was made: its digest does not match"),
        ({"plan": None}, "the plan was edited after it was made: its digest does not match"),
    ],
)
def test_a_plan_that_is_not_ours_is_refused(store, change, said):
    put(store, make_order("D1"))
    document = json.loads(plan_for(store, ids("D1")).to_json())
    with pytest.raises(ValueError, match=f"^{said}$"):
        RejectionPlan.from_json(json.dumps(document | change))
    with pytest.raises(ValueError, match="^the plan is not whole: a field is missing or of another kind$"):
        RejectionPlan.from_json("[]")


def test_every_state_is_counted_also_where_there_is_none(store):
    put(store, make_order("D1"))
    result = reject(store, ids("D1"), notify=True)
    with store.snapshot() as connection:
        assert count_states(connection, MAILS, MailQuery(batch_id=result.batch_id)) == {
            state: int(state is DeliveryState.WAITING) for state in DeliveryState
        }
        assert count_states(connection, MAILS, MailQuery(batch_id="nobody's")) == dict.fromkeys(DeliveryState, 0)


def test_an_order_with_a_note_keeps_its_own_reason_and_message_and_the_others_those_of_the_batch(store):
    put(store, make_order("D1"), make_order("D2"), make_order("D3", buyer=KUMO))
    notes = OrderNotes.pack([
        OrderNote(id="D1", reason=Reason("sold: sold out", "sold"), message="Sorry."),
        OrderNote(id="D3", message="Next year."),
    ])  # fmt: skip
    plan = plan_for(store, ids("D1", "D2", "D3"), notify=True, notes=notes, reason_code="dropped")
    assert execute(store, plan).rejected == 3
    with pytest.raises(UnexpectedPlanError, match=f"^plan {plan.id} has run already$") as again:
        execute(store, plan)
    assert again.value.hint == f"see: orderctl log {plan.id}"
    with store.snapshot() as connection:
        written = {each.order_id: (each.detail, each.reason_code) for each in batch_events(connection, plan.id)}
        facts = queued_letters(connection, [f"{plan.id}.1", f"{plan.id}.2"])
        assert get_batch(connection, plan.id).reason_code == "dropped"
    assert written == {
        "D1": ("sold: sold out", "sold"),
        "D2": ("style dropped", "dropped"),
        "D3": ("style dropped", "dropped"),
    }
    assert {each.buyer.id: each.notes for each in facts.values()} == {
        "acme": (("D1", "Sorry."),),
        "kumo": (("D3", "Next year."),),
    }


def test_a_batch_that_left_some_out_adds_up_what_it_took_and_names_the_rest(store):
    put(
        store,
        make_order("D1", currency="JPY", total=900),
        make_order("D2", currency="EUR", total=100),
        make_order("D3", currency="EUR", total=7),
        make_order("D4", currency="USD", total=1),
        make_order("D5", currency="USD", total=2),
    )
    plan = plan_for(store, ids("D5", "D4", "D3", "D2", "D1"))
    put(store, make_order("D5", status=Status.OC_CONFIRMED))
    other = reject(store, ids("D4"))
    result = execute(store, plan)
    assert (result.rejected, result.totals) == (3, (Money("EUR", 107), Money("JPY", 900)))
    assert result.left_out == (
        LeftOut(id="D4", planned_version=1, version=2, status="rejected", batch_id=other.batch_id),
        LeftOut(id="D5", planned_version=1, version=2, status="oc-confirmed", batch_id=None),
    )


def test_the_mails_that_are_being_sent_are_known_by_the_token_of_their_sender(store):
    put(store, make_order("D1"), make_order("D2", buyer=KUMO))
    batch_id = reject(store, ids("D1", "D2"), notify=True).batch_id
    letter = {"subject": "s", "text": "t", "html": "h", "sent_digest": ""}
    until = CLOCK.at + timedelta(minutes=10)

    def begin(connection):
        for token in ("mine", "theirs"):
            (mail_id,) = claim(connection, MAILS, token=token, until=until, now=CLOCK.at, limit=1, batch_id=batch_id)
            assert in_sending(connection, MAILS, token) == frozenset()
            assert start(connection, MAILS, token, {mail_id: letter}, until=until, now=CLOCK.at) == {mail_id}

    store.write(begin)
    with store.snapshot() as connection:
        assert in_sending(connection, MAILS, "mine") == {f"{batch_id}.1"}
        assert in_sending(connection, MAILS, "theirs") == {f"{batch_id}.2"}
        assert in_sending(connection, MAILS, "nobody's") == frozenset()


def test_two_delivery_reports_add_up_and_the_later_one_says_why_it_stopped():
    first = DeliveryReport(sent=1, retry=2, refused=3, unknown=4, stopped="then")
    second = DeliveryReport(sent=10, retry=20, refused=30, unknown=40, stopped="now")
    assert first.plus(second) == DeliveryReport(sent=11, retry=22, refused=33, unknown=44, stopped="now")


@pytest.mark.parametrize("what", ["retry", "refused", "unknown"])
def test_a_delivery_is_complete_when_every_mail_was_sent(what):
    assert DeliveryReport(sent=1).complete
    assert not DeliveryReport(sent=1, **{what: 1}).complete
    assert not DeliveryReport(sent=1, stopped="why").complete


@pytest.mark.parametrize(
    ("before", "outcome", "state", "attempts", "due"),
    [
        (0, DeliveryState.WAITING, DeliveryState.WAITING, 0, None),
        (2, DeliveryState.WAITING, DeliveryState.RETRY, 2, None),
        (0, DeliveryState.RETRY, DeliveryState.RETRY, 1, CLOCK.at + timedelta(minutes=1)),
        (10, DeliveryState.RETRY, DeliveryState.RETRY, 11, CLOCK.at + timedelta(hours=6)),
        (0, DeliveryState.SENT, DeliveryState.SENT, 1, None),
        (11, DeliveryState.REFUSED, DeliveryState.REFUSED, 12, None),
        (11, DeliveryState.UNKNOWN, DeliveryState.UNKNOWN, 12, None),
    ],
)
def test_how_a_mail_is_left_after_an_attempt(sqlite_url, before, outcome, state, attempts, due):
    mail = replace(waiting_mail(sqlite_url), attempts=before)
    assert settlement(mail, Outcome(state=outcome, detail="why"), CLOCK.at) == Settlement(
        item_id=mail.id, state=state, detail="why", attempts=attempts, due=due
    )


def test_the_twelfth_temporary_refusal_is_the_last(sqlite_url):
    mail = replace(waiting_mail(sqlite_url), attempts=11)
    assert settlement(mail, Outcome(state=DeliveryState.RETRY, detail="busy"), CLOCK.at) == Settlement(
        item_id=mail.id, state=DeliveryState.REFUSED, detail="given up after 12 attempts: busy", attempts=12
    )


def waiting_mail(url):
    with open_store(url) as store:
        put(store, make_order("D1"))
        reject(store, ids("D1"), notify=True)
        with store.snapshot() as connection:
            (mail,) = list_mails(connection, MailQuery())
    return mail


def test_a_mail_is_read_as_it_was_written(store):
    put(store, make_order("D1"), make_order("D2"))
    batch_id = reject(store, ids("D1", "D2"), notify=True).batch_id
    later = CLOCK.at + timedelta(minutes=3)
    asked = {"token": "mine", "until": later + timedelta(minutes=10), "limit": 1, "batch_id": None}
    (mail_id,) = store.write(lambda connection: claim(connection, MAILS, now=later, **asked))
    with store.snapshot() as connection:
        (mail,) = list_mails(connection, MailQuery(ids=(mail_id,)))
    assert mail == Mail(
        id=f"{batch_id}.1", batch_id=batch_id, buyer_id="acme", recipient="achats@acme.example", language="fr",
        message_id=f"<orderctl.{batch_id}.1@brand.example>", state=DeliveryState.CLAIMED, attempts=0,
        next_attempt_at=CLOCK.at, created_at=CLOCK.at, updated_at=later, last_error="", orders=2,
    )  # fmt: skip
    letter = Letter(subject="s", text="t", html="h")
    begun = {"until": later, "now": later + timedelta(minutes=1)}
    store.write(
        lambda connection: start(connection, MAILS, "mine", {mail_id: {**asdict(letter), "sent_digest": ""}}, **begun)
    )
    with store.snapshot() as connection:
        assert list(list_mails(connection, MailQuery(ids=(mail.id,)))) == [
            replace(mail, state=DeliveryState.SENDING, attempts=1, updated_at=begun["now"], letter=letter)
        ]


def test_a_plan_that_tells_nobody_carries_no_message_and_a_note_on_a_skipped_order_is_dropped(store):
    put(store, make_order("D1"), make_order("D2", status=Status.OC_APPROVED))
    notes = OrderNotes.pack([OrderNote(id="D1", message="sorry"), OrderNote(id="D2", message="never said")])
    plan = plan_for(store, ids("D1", "D2"), notify=False, message="nobody reads this", notes=notes)
    assert plan.mail.message == ""
    assert [(note.id, note.message) for note in plan.notes] == [("D1", "sorry")]


def test_what_was_changed_within_the_hour_before_the_plan_is_counted(store):
    put(store, make_order("D1"), make_order("D2"))
    for order_id, minutes in (("D1", 59), ("D2", 61)):
        at = CLOCK.at - timedelta(minutes=minutes)
        change = Change(kind=ChangeKind.TAGGED, tag="late")
        store.write(
            lambda connection, order_id=order_id, change=change, at=at: apply_change(
                connection, ids(order_id), change, event_id=order_id, actor="mia", at=at
            )
        )
    assert plan_for(store, ids("D1", "D2")).impact.recently_changed == 1
