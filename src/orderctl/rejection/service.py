"""The main job: plan a rejection, compare it with what the caller expects, execute it (design.md, section 6)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from typing import TypeVar

from orderctl.audit.log import Batch
from orderctl.audit.queries import batch_of_request, get_batch
from orderctl.core.identity import Identity
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store, login
from orderctl.delivery.outbox import DeliveryReport, DeliveryState
from orderctl.delivery.queries import count_states
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.language import _, ngettext
from orderctl.mail.outbox import MAILS, MailQuery
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import OrderSummary
from orderctl.rejection.assess import assess_choice
from orderctl.rejection.execute import execute_plan, plan_outcome, target_orders, wait_for_turn
from orderctl.rejection.impact import RECENT
from orderctl.rejection.plan import (
    ApprovedPlan,
    Executed,
    MailPlan,
    Provenance,
    RejectionPlan,
    RejectionResult,
    RequestKey,
)
from orderctl.rejection.policy import check_alone, current_policy
from orderctl.selection.notes import OrderNotes
from orderctl.selection.queries import selected_orders
from orderctl.selection.selection import Choice, SelectionScope
from orderctl.selection.service import say_unknown

T = TypeVar("T")
_SHOWN_UNKNOWN = 20
_SETTLED = frozenset({DeliveryState.SENT, DeliveryState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionRequest:
    """What to reject, how, and what to tell the buyers. `by` says who asks.

    With `max_age`, orders of which their source has not spoken for longer are skipped. `systems` are the names of the
    systems that are told of their orders, each with the column that names an order there. `message` is a `Wording`
    as kept.
    """

    choice: Choice
    by: Provenance
    mode: Mode = Mode.BULK
    max_age: timedelta | None = None
    reason: str = ""
    reason_code: str = ""
    notes: OrderNotes = field(default_factory=OrderNotes)
    notify: bool = False
    message: str = ""
    per_order: bool = False
    mail_at_once: bool = False
    systems: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """Limits of the caller: a plan outside of them does not run. `expect` is a range; None is an open end."""

    strict: bool = False
    expect: tuple[int | None, int | None] = (None, None)
    max_orders: int | None = None
    ignore_unknown: bool = False


def mails_left(store: Store, batch_id: str) -> int:
    """How many mails of a batch are neither sent nor given up."""
    with store.snapshot() as connection:
        return _left(connection, batch_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBatch:
    """A batch that was committed; `mails_left` counts mails that are neither sent nor given up."""

    id: str
    rejected: int
    mails_left: int


def prepare_rejection(
    store: Store, request: RejectionRequest, *, clock: Clock, new_id: Callable[[], str]
) -> RejectionPlan:
    """Compute the plan on one snapshot. Changes nothing.

    Raises StoreUnavailableError, and OrderctlError if the clock is behind the newest record: the plan could not be
    executed, so the caller should know before anybody is asked.
    """
    with store.snapshot() as connection:
        at = clock.for_record(connection)
        max_age = current_policy(connection).stricter_age(request.max_age)
        found = assess_choice(
            connection,
            request.choice,
            request.mode,
            mail=_wanted_mail(request),
            systems=request.systems,
            changed_since=at - RECENT,
            seen_since=None if max_age is None else at - max_age,
        )
    assessed = {each.name: getattr(found, each.name) for each in fields(found)}
    return RejectionPlan(
        id=new_id(),
        made_at=at,
        by=request.by,
        mode=request.mode,
        max_age=max_age,
        reason=request.reason,
        reason_code=request.reason_code,
        notes=request.notes.among(found.targets.versions()) if request.notes else request.notes,
        **assessed,
    )


def _wanted_mail(request: RejectionRequest) -> MailPlan:
    if not request.notify:
        return MailPlan(notify=False, at_once=request.mail_at_once)
    return MailPlan(notify=True, per_order=request.per_order, message=request.message, at_once=request.mail_at_once)


def targets_of(store: Store, plan: RejectionPlan) -> tuple[OrderSummary, ...]:
    """Every order that the plan rejects, as it is now, newest first."""
    with store.snapshot() as connection:
        return target_orders(connection, plan)


def check_expectations(plan: RejectionPlan, expected: Expectations) -> None:
    """Refuse a plan that is not what the caller expects."""
    if plan.given.unknown_count and not expected.ignore_unknown:
        shown = plan.given.unknown[:_SHOWN_UNKNOWN]
        listed, more = ", ".join(shown), plan.given.unknown_count - len(shown)
        raise UsageError(
            say_unknown(plan.given.unknown_count, listed, more),
            hint=_("mend the list, or leave them out with --ignore-unknown"),
        )
    targets = plan.targets.count
    if expected.strict and plan.skipped_count:
        raise UnexpectedPlanError(
            ngettext(
                "{number:,} order of the selection cannot be rejected, and --strict allows none",
                "{number:,} orders of the selection cannot be rejected, and --strict allows none",
                plan.skipped_count,
            ),
            hint=_("look at them with --dry-run, or leave out --strict"),
        )
    low, high = expected.expect
    if (low is not None and targets < low) or (high is not None and targets > high):
        raise UnexpectedPlanError(
            ngettext(
                "the plan has {number:,} order, and --expect says {range}",
                "the plan has {number:,} orders, and --expect says {range}",
                targets,
                range=_range(low, high),
            ),
            hint=_("look at it with --dry-run"),
        )
    if expected.max_orders is not None and targets > expected.max_orders:
        raise UnexpectedPlanError(
            ngettext(
                "the plan has {number:,} order, more than --max-orders {most:,}",
                "the plan has {number:,} orders, more than --max-orders {most:,}",
                targets,
                most=expected.max_orders,
            ),
            hint=_("narrow the selection, or raise the limit"),
        )


def check_any_target(plan: RejectionPlan, choice: Choice) -> None:
    """Raise UnexpectedPlanError if orders were named one by one and none of them can be rejected.

    A filter names no order: for a nightly job it is normal to find only orders that were rejected before.
    """
    if plan.targets.count or not plan.skipped_count or not choice.names_orders:
        return
    raise UnexpectedPlanError(
        ngettext(
            "the {number:,} order given cannot be rejected; nothing was changed",
            "none of the {number:,} orders given can be rejected; nothing was changed",
            plan.skipped_count,
        ),
        hint=_("orderctl show ID tells why, and what to do instead"),
    )


def execute_rejection(store: Store, approved: ApprovedPlan, *, clock: Clock, message_domain: str) -> RejectionResult:
    """Run an approved plan once, in one transaction; without targets, do nothing.

    Raises UnexpectedPlanError if it ran before or the policy of the store forbids it, KeyUsedError if another run with
    its request key was first, StoreUnavailableError, CommitUnknownError.
    """
    plan = approved.plan
    if not plan.targets.count:
        return RejectionResult(plan=plan, batch_id=None, rejected=0, left_out=(), totals=(), mails=0)

    def execute(connection: Connection) -> Executed:
        wait_for_turn(connection)
        at, policy = clock.for_record(connection), current_policy(connection)
        policy.check(plan, at)
        check_alone(policy.why_second_operator(plan))
        return execute_plan(connection, signed(approved, login(connection)), at, message_domain)

    executed = store.write(execute, landed=lambda connection: _landed(connection, plan))
    return result_of(plan, executed)


class Rehearsal(Store):
    """A store that takes back what is written, after `look` has seen it in the same transaction."""

    def __init__(self, store: Store, look: Callable[[Connection], None]) -> None:
        self.account, self.label = store.account, store.label
        self._store = store
        self._look = look

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One consistent view of the store as it is."""
        with self._store.snapshot() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T], *, landed: object = None) -> T:  # noqa: ARG002 - no commit is lost
        """Run `work` in one transaction, then `look`, and roll back. There is no commit, and nothing to land."""
        made: list[T] = []
        with self._store.foreseen(lambda connection: made.append(work(connection))) as connection:
            if connection.dialect.name != "sqlite":
                # What a commit would check at its end is checked now.
                connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self._look(connection)
        return made[0]


def first_run(store: Store, asked: RequestKey, choice: Choice) -> RejectionResult | None:
    """What the first run with this request key did; None if there was none.

    Raises UnexpectedPlanError if that run was asked for something else.
    """
    with store.snapshot() as connection:
        found = batch_of_request(connection, asked.key)
        if found is None:
            return None
        batch, text = found
        plan = _plan_of(batch, text)
        if batch.request_digest != asked.digest or _has_others(connection, choice, plan):
            raise UnexpectedPlanError(
                _(
                    "the key {key} is that of batch {batch}, for other orders or options; nothing was changed",
                    key=asked.key,
                    batch=batch.id,
                ),
                hint=_("take another key, or see: orderctl log {batch}", batch=batch.id),
            )
        executed = plan_outcome(connection, plan)
    assert executed is not None  # noqa: S101 - the batch was found by its key in the same snapshot
    return result_of(plan, executed)


def _plan_of(batch: Batch, text: str) -> RejectionPlan:
    try:
        return RejectionPlan.from_json(text)
    except ValueError as error:
        raise UnexpectedPlanError(
            _("the plan of batch {batch} cannot be read: {why}", batch=batch.id, why=error),
            hint=_("see: orderctl log {batch}", batch=batch.id),
        ) from error


def _has_others(connection: Connection, choice: Choice, plan: RejectionPlan) -> bool:
    """Whether a selection, from which the first run removed its orders, has got other orders since."""
    selections = [scope for scope in choice.sources if isinstance(scope, SelectionScope)]
    if not selections:
        return False
    skipped = (order_id for group in plan.skipped for order_id in group)
    known = {*plan.targets, *skipped, *plan.given.excluded, *choice.excluded.ids}
    return any(
        order.id not in known
        for scope in selections
        for order in selected_orders(connection, scope.actor, scope.name, None)
    )


def delivered_so_far(store: Store, result: RejectionResult) -> RejectionResult:
    """The result with its mails after all delivery runs; its own `delivery` is that of the last run."""
    with store.snapshot() as connection:
        counts = count_states(connection, MAILS, MailQuery(batch_id=result.batch_id))
    delivery = replace(
        result.delivery or DeliveryReport(),
        sent=counts[DeliveryState.SENT],
        retry=counts[DeliveryState.RETRY],
        refused=counts[DeliveryState.REFUSED],
        unknown=counts[DeliveryState.UNKNOWN],
        bounced=counts[DeliveryState.BOUNCED],
    )
    return replace(result, delivery=delivery)


def held_batches(store: Store, batch_ids: Sequence[str]) -> tuple[HeldBatch, ...]:
    """Those of the batches that are in the store. Raises StoreUnavailableError."""
    with store.snapshot() as connection:
        found = [batch for batch in (get_batch(connection, each) for each in batch_ids) if batch is not None]
        return tuple(
            HeldBatch(
                id=batch.id, rejected=batch.rejected, mails_left=_left(connection, batch.id) if batch.mails else 0
            )
            for batch in found
        )


def _left(connection: Connection, batch_id: str) -> int:
    counts = count_states(connection, MAILS, MailQuery(batch_id=batch_id))
    return sum(number for state, number in counts.items() if state not in _SETTLED)


def result_of(plan: RejectionPlan, executed: Executed) -> RejectionResult:
    """The result of a plan from what the store did."""
    return RejectionResult(
        plan=plan,
        batch_id=plan.id,
        rejected=executed.rejected,
        left_out=executed.left_out,
        totals=executed.totals,
        mails=executed.mails,
        writebacks=executed.writebacks,
        unselected=executed.unselected,
        head=executed.head,
    )


def signed(approved: ApprovedPlan, login: str) -> ApprovedPlan:
    """The same approval with the database login of whoever approved and made the plan, who are one."""
    who = str(Identity(actor=approved.approver, login=login))
    return approved.plan.approve(by=who, how=approved.how, request=approved.request, login=login)


def _landed(connection: Connection, plan: RejectionPlan) -> Executed | None:
    """What a batch did whose commit was lost; None if it was not committed."""
    return plan_outcome(connection, plan)


def _range(low: int | None, high: int | None) -> str:
    if low is not None and low == high:
        return f"{low:,}"
    return f"{'' if low is None else f'{low:,}'}..{'' if high is None else f'{high:,}'}"
