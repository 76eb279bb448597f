"""Saved plans as values: author, approver, state, and the time until which they may run.

The `digest` of a saved plan covers every field, the plan's own digest among them. Each step of its life makes a new
value with a new digest, and the store accepts the step only if the row still has the digest before.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from orderctl.core.identity import Identity
from orderctl.core.ids import short_id
from orderctl.core.money import Money, decimals
from orderctl.core.text import safe
from orderctl.core.times import duration_words, parse_duration
from orderctl.errors import UnexpectedPlanError, UsageError
from orderctl.language import N_, _, ngettext
from orderctl.orders.orders import OrderChange
from orderctl.rejection.plan import LeftOut, RejectionPlan


class PlanState(StrEnum):
    """The states of a saved plan. `held` is approved and waits for its time."""

    SAVED = "saved"
    APPROVED = "approved"
    HELD = "held"
    EXECUTED = "executed"
    CANCELLED = "cancelled"


class MayRun(StrEnum):
    """Who may run a saved plan."""

    ANY_OPERATOR = "any-operator"
    AFTER_APPROVAL = "after-approval"
    NOBODY = "nobody"


OPEN = frozenset({PlanState.SAVED, PlanState.APPROVED, PlanState.HELD})
EDITED = N_("{plan} was edited in the store after it was saved, and is not run")


class PlanClosedError(UnexpectedPlanError):
    """The plan was executed or cancelled; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A plan in the store, without its orders. `plan_digest` is the plan's digest, `digest` covers this row."""

    id: str
    made_at: datetime
    author: Identity
    targets: int
    totals: tuple[Money, ...]
    reason: str
    plan_digest: str
    second_operator: bool
    expires_at: datetime
    state: PlanState = PlanState.SAVED
    approver: Identity | None = None
    approved_at: datetime | None = None
    how: str = ""
    due_at: datetime | None = None
    closed_at: datetime | None = None
    closed_by: Identity | None = None
    digest: str = ""

    @classmethod
    def of(
        cls, plan: RejectionPlan, *, author: Identity, at: datetime, lifetime: timedelta, second_operator: bool
    ) -> "SavedPlan":
        """Save a plan at the time `at`; it expires after `lifetime`."""
        return cls(
            id=plan.id,
            made_at=at,
            author=author,
            targets=plan.targets.count,
            totals=plan.totals,
            reason=plan.reason,
            plan_digest=plan.digest,
            second_operator=second_operator,
            expires_at=at + lifetime,
        ).with_digest()

    @property
    def expected_digest(self) -> str:
        """SHA-256 over every field but `digest`."""
        fields = asdict(self)
        del fields["digest"]
        return hashlib.sha256(json.dumps(fields, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def is_intact(self) -> bool:
        """Whether the row is as this program wrote it."""
        return self.digest == self.expected_digest

    @property
    def name(self) -> str:
        """The plan as messages call it."""
        return _("plan {id}", id=short_id(self.id))

    @property
    def story(self) -> str:
        """Who made the plan and when, and who approved it."""
        made = {"plan": self.name, "at": self.made_at, "author": _said(self.author)}
        if self.approver is None:
            return _("{plan}, made at {at:%Y-%m-%d %H:%M} UTC by {author}", **made)
        if not self.is_approved:
            return _("{plan}, made at {at:%Y-%m-%d %H:%M} UTC by {author}, who confirmed it", **made)
        approver = _said(self.approver)
        return _(
            "{plan}, made at {at:%Y-%m-%d %H:%M} UTC by {author}, approved by {approver}", **made, approver=approver
        )

    @property
    def is_approved(self) -> bool:
        """Whether another operator than the author approved it. `reject --hold` names the author, who confirmed it."""
        return self.approver is not None and not self.approver.may_be(self.author)

    def may_run(self, now: datetime, *, needs: str) -> "MayRun":
        """Who may run the plan; `needs` says why it needs a second operator."""
        if self.state_at(now) != self.state or self.state not in OPEN:
            return MayRun.NOBODY
        return (
            MayRun.AFTER_APPROVAL if (needs or self.second_operator) and not self.is_approved else MayRun.ANY_OPERATOR
        )

    @property
    def last_step(self) -> datetime:
        """When the state last changed."""
        return self.closed_at or self.approved_at or self.made_at

    def with_digest(self) -> "SavedPlan":
        """The plan with its digest computed again."""
        return replace(self, digest=self.expected_digest)

    def state_at(self, now: datetime) -> str:
        """The state for people: an open plan may be `expired`, and a changed row is `edited`."""
        if not self.is_intact:
            return "edited"
        return "expired" if self.state in OPEN and now >= self.expires_at else self.state.value

    def time_left(self, now: datetime) -> str:
        """The time until it runs or expires, in words; empty if it will do neither."""
        if self.state not in OPEN or now >= self.expires_at:
            return ""
        if self.due_at is None:
            return _("expires in {length}", length=duration_words(self.expires_at - now))
        if now >= self.due_at:
            return _("due now")
        return _("runs in {length}", length=duration_words(self.due_at - now))

    def approve(self, by: Identity, at: datetime, *, how: str, due: datetime | None) -> "SavedPlan":
        """Approve the plan, or hold it until `due`. It expires a whole lifetime after that time."""
        lifetime = self.expires_at - (self.due_at or self.made_at)
        due = due or self.due_at
        return replace(
            self,
            state=PlanState.HELD if due else PlanState.APPROVED,
            approver=by,
            approved_at=at,
            how=how,
            due_at=due,
            expires_at=due + lifetime if due else self.expires_at,
        ).with_digest()

    def close(self, state: PlanState, by: Identity, at: datetime) -> "SavedPlan":
        """The plan as executed or cancelled."""
        return replace(self, state=state, closed_by=by, closed_at=at).with_digest()

    def check_intact(self) -> None:
        """Raise UnexpectedPlanError if the row was edited."""
        if not self.is_intact:
            raise UnexpectedPlanError(_(EDITED, plan=self.name), hint=_("make a new plan, and ask who edited this one"))

    def check_open(self) -> None:
        """Raise PlanClosedError if the plan was executed or cancelled."""
        if self.state in OPEN:
            return
        at = f"{self.closed_at:%Y-%m-%d %H:%M} UTC" if self.closed_at else _("an unknown time")
        who = _said(self.closed_by)
        if self.state is PlanState.EXECUTED:
            raise PlanClosedError(
                _("{plan} has run already, at {at} by {who}", plan=self.name, at=at, who=who),
                hint=_("see: orderctl log {id}", id=self.id),
            )
        raise PlanClosedError(
            _("{plan} was cancelled, at {at} by {who}", plan=self.name, at=at, who=who), hint=_("make a new plan")
        )

    def check_current(self, now: datetime) -> None:
        """Raise UnexpectedPlanError if the plan expired."""
        if now >= self.expires_at:
            ago = duration_words(now - self.expires_at)
            raise UnexpectedPlanError(_("{plan} expired {ago} ago", plan=self.name, ago=ago), hint=_("make a new plan"))

    def check_runnable(self, now: datetime, *, needs: str) -> None:
        """Raise UnexpectedPlanError unless it may run now; `needs` says why it needs a second operator."""
        self.check_intact()
        self.check_open()
        self.check_current(now)
        if self.due_at is not None and now < self.due_at:
            raise UnexpectedPlanError(
                _(
                    "{plan} is held for another {length}, until {due_at:%H:%M} UTC",
                    plan=self.name,
                    length=duration_words(self.due_at - now),
                    due_at=self.due_at,
                ),
                hint=_(
                    "orderctl plan cancel {id} stops it; orderctl plan run --due runs it then", id=short_id(self.id)
                ),
            )
        if (needs or self.second_operator) and not self.is_approved:
            raise UnexpectedPlanError(
                self._needs_another(needs),
                hint=_("another operator reads and approves it: orderctl plan approve {id}", id=short_id(self.id)),
            )

    def _needs_another(self, needs: str) -> str:
        author = _said(self.author)
        if not needs:
            return _(
                "{plan} needs the approval of an operator other than its author {author}", plan=self.name, author=author
            )
        return _(
            "{plan} needs the approval of an operator other than its author {author} ({needs})",
            plan=self.name,
            author=author,
            needs=needs,
        )

    def check_approvable(self, by: Identity, now: datetime, *, needs: str) -> None:
        """Raise UnexpectedPlanError unless this operator may approve it now."""
        self.check_intact()
        self.check_open()
        self.check_current(now)
        if self.is_approved:
            raise UnexpectedPlanError(
                _("{plan} is approved already, by {approver}", plan=self.name, approver=_said(self.approver)),
                hint=_("nothing is to do"),
            )
        if by.may_be(self.author):
            wants = _("another operator, with another login to the database where it has logins, approves it")
            none = _("it may run without an approval: orderctl plan run {id}", id=short_id(self.id))
            raise UnexpectedPlanError(
                _(
                    "{plan} was made by {author}, and you are {by}: one operator cannot be both",
                    plan=self.name,
                    author=_said(self.author),
                    by=_said(by),
                ),
                hint=wants if needs or self.second_operator else none,
            )


def _said(who: Identity | None) -> str:
    """An actor in a message, made safe: names come from other programs."""
    return safe(str(who))


_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOperatorRule:
    """Which plans need the approval of a second operator.

    `above_amount` is in major units of any currency. It is compared with the sum of the orders above zero: credits do
    not lower it.
    """

    always: bool = False
    above_orders: int | None = None
    above_amount: Decimal | None = None

    def why(self, plan: RejectionPlan) -> str:
        """Why the plan needs a second operator, in words; empty if it does not."""
        targets = plan.targets.count
        if not targets:
            return ""
        if self.always:
            return _("require_second_operator is set")
        if self.above_orders is not None and targets > self.above_orders:
            return ngettext(
                "{number:,} order, more than {most:,}",
                "{number:,} orders, more than {most:,}",
                targets,
                most=self.above_orders,
            )
        for total in plan.before_credits:
            amount = Decimal(total.minor).scaleb(-decimals(total.currency))
            if self.above_amount is None or amount <= self.above_amount:
                continue
            if total in plan.totals:
                return _("{total}, more than {most:,f}", total=total, most=self.above_amount)
            return _("{total} before credits, more than {most:,f}", total=total, most=self.above_amount)
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """How long a saved plan may run, and which plans need a second operator."""

    lifetime: timedelta
    rule: SecondOperatorRule


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOrder:
    """An order of one plan that another one does not reject, as it was when its plan was saved.

    `status` is empty and `amount` None if it had changed by then. `skipped` is why the other plan skips it; empty if
    that was not asked about it.
    """

    id: str
    status: str = ""
    amount: Money | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanComparison:
    """What differs between two plans. `changed` are the orders of both that changed between them.

    `terms` are differences in what is done with them; their `what` is English, for programs.
    """

    only_first: tuple[PlannedOrder, ...]
    only_second: tuple[PlannedOrder, ...]
    changed: tuple[LeftOut, ...]
    terms: tuple[OrderChange, ...]

    @property
    def is_same(self) -> bool:
        """Whether both plans do the same."""
        return not (self.only_first or self.only_second or self.changed or self.terms)


def read_terms(*, lifetime: str, always: bool, above_orders: int | None, above_amount: str) -> PlanTerms:
    """Read the settings. Raises UsageError that names the wrong one."""
    try:
        length = parse_duration(lifetime, bare_hours=True)
    except ValueError as error:
        raise UsageError(
            _("the setting plan_expires, {lifetime!r}, {problem}", lifetime=lifetime, problem=error),
            hint=_("36h, 90m, 3d, or hours"),
        ) from None
    rule = SecondOperatorRule(always=always, above_orders=above_orders, above_amount=_amount(above_amount))
    return PlanTerms(lifetime=length, rule=rule)


def _amount(text: str) -> Decimal | None:
    """An amount in major units; None if it is not set. Raises UsageError."""
    if not text.strip():
        return None
    if not _AMOUNT.fullmatch(text.strip()):
        raise UsageError(
            _("the setting second_operator_above_amount, {text!r}, is no amount", text=text), hint=_("write 10000")
        )
    return Decimal(text.strip())
