"""Saved plans: save, approve, hold, cancel, and run once (design.md, section 6, step 4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from orderctl.audit.queries import get_batch
from orderctl.core.identity import Identity
from orderctl.core.ids import short_id
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store, login
from orderctl.delivery.endings import PLANS_LISTED, find_plan
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.language import N_, _
from orderctl.mail.wording import Wording
from orderctl.orders.eligibility import RULE_BY_CODE
from orderctl.orders.orders import OrderChange
from orderctl.plans.plans import (
    EDITED,
    PlanComparison,
    PlannedOrder,
    PlanState,
    PlanTerms,
    SavedPlan,
    SecondOperatorRule,
)
from orderctl.plans.queries import (
    change_plan,
    changes_between,
    due_plan_ids,
    get_plan,
    insert_plan,
    plan_differences,
    plan_text,
    planned_orders,
    record_step,
)
from orderctl.rejection.assess import assess_choice
from orderctl.rejection.execute import execute_plan, plan_outcome, wait_for_turn
from orderctl.rejection.impact import RECENT
from orderctl.rejection.plan import ApprovedPlan, Executed, LeftOut, RejectionPlan, RejectionResult
from orderctl.rejection.policy import Policy, check_alone, current_policy
from orderctl.rejection.service import result_of
from orderctl.selection.notes import words_of
from orderctl.selection.selection import Choice, IdList, IdScope


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    """A saved plan whose digests were checked: the row, and the plan in it."""

    saved: SavedPlan
    plan: RejectionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """The caller, the clock and the terms that apply."""

    actor: str
    clock: Clock
    terms: PlanTerms

    def identity(self, connection: Connection) -> Identity:
        """The caller with their database login."""
        return Identity(actor=self.actor, login=login(connection))


def check_one_operator_suffices(plan: RejectionPlan, rule: SecondOperatorRule, policy: Policy) -> None:
    """Raise UnexpectedPlanError if the plan needs a second operator, by the settings or by the store's policy."""
    check_alone(_why(policy, rule, plan))


def save_plan(
    store: Store, plan: RejectionPlan, operator: Operator, *, how: str = "", hold: timedelta | None = None
) -> SavedPlan:
    """Save a plan; with `hold` it is approved now and runs that much later. `how` says what confirmed it."""

    def keep(connection: Connection) -> SavedPlan:
        author, now = operator.identity(connection), operator.clock.for_record(connection)
        needs = _needs(connection, operator, plan)
        saved = SavedPlan.of(plan, author=author, at=now, lifetime=operator.terms.lifetime, second_operator=bool(needs))
        if hold is not None:
            saved = saved.approve(author, now, how=how, due=now + hold)
        insert_plan(connection, saved, plan)
        record_step(connection, saved)
        return saved

    def kept(connection: Connection) -> SavedPlan | None:
        return get_plan(connection, plan.id)

    return store.write(keep, landed=kept)


def load_plan(store: Store, text: str) -> KeptPlan:
    """A saved plan by its id or ending. Raises UnexpectedPlanError if it was edited in the store."""
    with store.snapshot() as connection:
        return _loaded(connection, _get(connection, find_plan(connection, text)))


def needs_second_operator(store: Store, plan: RejectionPlan, rule: SecondOperatorRule) -> str:
    """Why the plan needs a second operator, by the settings or by the store's policy; empty if it does not."""
    with store.snapshot() as connection:
        return _why(current_policy(connection), rule, plan)


def _why(policy: Policy, rule: SecondOperatorRule, plan: RejectionPlan) -> str:
    return policy.why_second_operator(plan) or rule.why(plan)


def differences(store: Store, plan: RejectionPlan, clock: Clock) -> tuple[LeftOut, ...]:
    """The targets that are no longer as planned, each with what changed."""
    with store.snapshot() as connection:
        return plan_differences(connection, plan, clock.of(connection))


def compare_plans(store: Store, first: RejectionPlan, second: RejectionPlan) -> PlanComparison:
    """What differs between two saved plans."""
    with store.snapshot() as connection:
        return PlanComparison(
            only_first=_only(connection, first, second),
            only_second=_only(connection, second, first),
            changed=changes_between(connection, first, second),
            terms=_terms_between(first, second),
        )


def _only(connection: Connection, plan: RejectionPlan, other: RejectionPlan) -> tuple[PlannedOrder, ...]:
    """The orders of the plan that are not in the other one."""
    ids = sorted(plan.targets.versions().keys() - other.targets.versions().keys())
    skipped = {order_id: RULE_BY_CODE[group.code].reason for group in other.skipped for order_id in group}
    found = planned_orders(connection, plan.id, ids)
    return tuple(replace(order, skipped=skipped.get(order.id, "")) for order in found)


def _terms_between(first: RejectionPlan, second: RejectionPlan) -> tuple[OrderChange, ...]:
    """What the plans do differently with their orders."""
    pairs = [
        (N_("mode"), first.mode.value, second.mode.value),
        (N_("reason"), *(words_of(plan.reason, plan.reason_code) for plan in (first, second))),
        (N_("mails"), str(first.mail.mails), str(second.mail.mails)),
        (N_("message"), *(Wording.read(plan.mail.message).words() for plan in (first, second))),
    ]
    return tuple(OrderChange(what, was, now) for what, was, now in pairs if was != now)


def still_as_planned(store: Store, plan: RejectionPlan, changed: Sequence[LeftOut], clock: Clock) -> RejectionPlan:
    """What running a saved plan would do now, for the preview: the plan without the targets that changed.

    The saved plan is the one that runs. Its transaction leaves out the same orders by the same rule.
    """
    if not changed:
        return plan
    gone = {left.id for left in changed}
    ids = IdList(ids=tuple(order_id for order_id in plan.targets if order_id not in gone))
    with store.snapshot() as connection:
        found = assess_choice(
            connection,
            Choice(scope=IdScope(given=ids, words=plan.by.source)),
            plan.mode,
            mail=plan.mail,
            systems={system.name: system.key for system in plan.systems},
            changed_since=plan.made_at - RECENT,
            seen_since=plan.seen_since(clock.of(connection)),
        )
    return replace(
        plan,
        notes=plan.notes.among(found.targets.versions()) if plan.notes else plan.notes,
        targets=found.targets,
        totals=found.totals,
        before_credits=found.before_credits,
        buyers=found.buyers,
        head=found.head,
        mail=found.mail,
        systems=found.systems,
        impact=found.impact,
    )


def approve_plan(store: Store, text: str, operator: Operator, *, hold: timedelta | None = None) -> SavedPlan:
    """Approve a plan; with `hold` it runs that much later. Raises UnexpectedPlanError."""

    def approve(connection: Connection, saved: SavedPlan) -> SavedPlan:
        by, now = operator.identity(connection), operator.clock.for_record(connection)
        kept = _loaded(connection, saved)
        needs = _needs(connection, operator, kept.plan)
        saved.check_approvable(by, now, needs=needs)
        return saved.approve(by, now, how="plan approve", due=now + hold if hold else None)

    return _step(store, text, approve)


def cancel_plan(store: Store, text: str, operator: Operator) -> SavedPlan:
    """Cancel a plan, so that it never runs. Raises PlanClosedError if it ran or was cancelled."""

    def cancel(connection: Connection, saved: SavedPlan) -> SavedPlan:
        saved.check_open()
        return saved.close(PlanState.CANCELLED, operator.identity(connection), operator.clock.of(connection))

    return _step(store, text, cancel)


def load_runnable(store: Store, text: str, operator: Operator) -> KeptPlan:
    """A saved plan by its id or ending. Raises UnexpectedPlanError unless it may run now."""
    with store.snapshot() as connection:
        kept = _loaded(connection, _get(connection, find_plan(connection, text)))
        _check_runnable(connection, kept, operator, operator.clock.for_record(connection))
    return kept


def due_plans(store: Store, clock: Clock) -> tuple[str, ...]:
    """The ids of the held plans that are due."""
    with store.snapshot() as connection:
        return due_plan_ids(connection, clock.for_record(connection))


def execute_kept(store: Store, kept: KeptPlan, operator: Operator, *, how: str, message_domain: str) -> RejectionResult:
    """Run a saved plan once. Its state changes in the transaction of its batch.

    Raises UnexpectedPlanError if it was executed or cancelled, expired, was edited, or needs an approval.
    """
    plan = kept.plan

    def execute(connection: Connection) -> Executed:
        # The turn before the row: an import that is written in this transaction, and an erasure, have it already.
        wait_for_turn(connection)
        saved = _get(connection, plan.id, lock=True)
        # Read after the locks: the plan may have expired while this run waited.
        now, runner = operator.clock.for_record(connection), operator.identity(connection)
        current = _loaded(connection, saved)
        _check_runnable(connection, current, operator, now)
        execute_plan(connection, _approved(current, runner, how), now, message_domain)
        _take(connection, saved, saved.close(PlanState.EXECUTED, runner, now))
        return _outcome(connection, plan, now)

    def landed(connection: Connection) -> Executed | None:
        now = operator.clock.of(connection)
        return _outcome(connection, plan, now) if get_batch(connection, plan.id) else None

    executed = store.write(execute, landed=landed)
    return result_of(plan, executed)


def _check_runnable(connection: Connection, kept: KeptPlan, operator: Operator, now: datetime) -> None:
    kept.saved.check_runnable(now, needs=_needs(connection, operator, kept.plan, now))


def _needs(connection: Connection, operator: Operator, plan: RejectionPlan, now: datetime | None = None) -> str:
    """Why the plan needs a second operator; empty if it does not. `now`: it runs at that time.

    Raises UnexpectedPlanError if the policy of the store forbids it.
    """
    policy = current_policy(connection)
    policy.check(plan, now)
    return _why(policy, operator.terms.rule, plan)


def _outcome(connection: Connection, plan: RejectionPlan, now: datetime) -> Executed:
    """What the plan's batch did, and what changed in each target that it left out."""
    executed = plan_outcome(connection, plan)
    assert executed is not None  # noqa: S101 - the batch is there: it was just written or looked up
    return replace(executed, left_out=plan_differences(connection, plan, now)) if executed.left_out else executed


def _approved(kept: KeptPlan, runner: Identity, how: str) -> ApprovedPlan:
    """The approved plan, with its approver or else with whoever runs it."""
    saved = kept.saved
    if saved.approver is None:
        by, how = runner, f"plan run, {how}"
    else:
        by, how = saved.approver, f"{saved.how}; run by {runner}, {how}"
    return kept.plan.approve(by=str(by), how=how, login=saved.author.login)


def _step(store: Store, text: str, step: Callable[[Connection, SavedPlan], SavedPlan]) -> SavedPlan:
    """Change the state of a saved plan in one transaction."""

    def take(connection: Connection) -> SavedPlan:
        saved = _get(connection, find_plan(connection, text), lock=True)
        after = step(connection, saved)
        _take(connection, saved, after)
        return after

    return store.write(take)


def _take(connection: Connection, before: SavedPlan, after: SavedPlan) -> None:
    if not change_plan(connection, before, after):
        raise UnexpectedPlanError(
            _("{plan} was changed at this moment", plan=before.name), hint=_("look: orderctl plan list")
        )
    record_step(connection, after)


def _get(connection: Connection, plan_id: str, *, lock: bool = False) -> SavedPlan:
    saved = get_plan(connection, plan_id, lock=lock)
    if saved is None:
        raise UsageError(
            _("there is no plan {plan_id} in this store any more", plan_id=short_id(plan_id)), hint=_(PLANS_LISTED)
        )
    return saved


def _loaded(connection: Connection, saved: SavedPlan) -> KeptPlan:
    """The plan in a row. Raises UnexpectedPlanError if a digest does not match."""
    saved.check_intact()
    try:
        plan = RejectionPlan.from_json(plan_text(connection, saved.id))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnexpectedPlanError(
            _("{problem} ({why})", problem=_(EDITED, plan=saved.name), why=error), hint=_("make a new plan")
        ) from error
    if (plan.id, plan.digest) != (saved.id, saved.plan_digest):
        raise UnexpectedPlanError(_(EDITED, plan=saved.name), hint=_("make a new plan"))
    return KeptPlan(saved=saved, plan=plan)
