"""The policy of the store: what a batch may be, whatever the settings of its caller say (design.md, section 6b).

The triggers in `database/guards` read the same rules, and refuse a batch that another program writes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from orderctl.core.identity import Identity
from orderctl.core.money import Money
from orderctl.core.times import duration_words
from orderctl.database.acts import POLICY_SET, Act, policy_digest, record_act
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection, Row, readable_instant
from orderctl.database.store import Store, login
from orderctl.errors import OrderctlError, UnexpectedPlanError
from orderctl.language import _, ngettext
from orderctl.rejection.execute import wait_for_turn
from orderctl.rejection.plan import RejectionPlan
from orderctl.selection.notes import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the batches of an account may be; what is None or empty is not limited.

    Amounts are in minor units by currency, and are compared with the sum of the orders above zero: credits do not lower
    it. `max_age` is in seconds. `opens` and `closes` are times of the day in the time zone, as `08:00`.
    """

    max_orders: int | None = None
    max_amounts: Mapping[str, int] = field(default_factory=dict)
    second_operator_above_orders: int | None = None
    second_operator_above_amounts: Mapping[str, int] = field(default_factory=dict)
    reason_required: bool = False
    reason_codes: tuple[str, ...] = ()
    max_age: int | None = None
    opens: str | None = None
    closes: str | None = None
    time_zone: str = "UTC"

    def to_json(self) -> str:
        """The rules as JSON text, which the triggers read."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Policy":
        """Read `to_json`. Raises ValueError or TypeError for other text."""
        rules = json.loads(text)
        return cls(**{**rules, "reason_codes": tuple(rules.get("reason_codes", ()))})

    @property
    def longest_age(self) -> timedelta | None:
        """How old the word of a source may be at most; None if it does not matter."""
        return None if self.max_age is None else timedelta(seconds=self.max_age)

    def stricter_age(self, asked: timedelta | None) -> timedelta | None:
        """The shorter of the age that the caller allows and the one that the policy allows."""
        ages = [age for age in (asked, self.longest_age) if age is not None]
        return min(ages, default=None)

    def rules(self) -> dict[str, str]:
        """The rules in words, by their names in the JSON document."""
        words = {
            "max_orders": self.max_orders is not None and f"{self.max_orders:,}",
            "max_amounts": _amounts(self.max_amounts),
            "second_operator_above_orders": self.second_operator_above_orders is not None
            and f"{self.second_operator_above_orders:,}",
            "second_operator_above_amounts": _amounts(self.second_operator_above_amounts),
            "reason_required": self.reason_required and _("yes"),
            "reason_codes": ", ".join(self.reason_codes),
            "max_age": self.longest_age is not None and duration_words(self.longest_age),
            "hours": self._hours(),
        }
        return {name: said for name, said in words.items() if said}

    def why_second_operator(self, plan: RejectionPlan) -> str:
        """Why the plan needs a second operator by the policy, in words; empty if it does not."""
        targets, most = plan.targets.count, self.second_operator_above_orders
        if targets and most is not None and targets > most:
            return ngettext(
                "the store's policy: {number:,} order, more than {most:,}",
                "the store's policy: {number:,} orders, more than {most:,}",
                targets,
                most=most,
            )
        over = _over(plan, self.second_operator_above_amounts) if targets else None
        if over is None:
            return ""
        return _("the store's policy: {total}, more than {most}", total=over[0], most=over[1])

    def check(self, plan: RejectionPlan, now: datetime | None = None) -> None:
        """Raise UnexpectedPlanError for a plan that the policy does not allow, at the time `now` if it runs now."""
        if not plan.targets.count:
            return
        problem = self._too_large(plan) or self._without_reason(plan) or self._too_old(plan)
        if not problem and now is not None and not self._is_open(now):
            problem = _("the store's policy allows batches at {hours} only", hours=self._hours())
        if problem:
            raise UnexpectedPlanError(
                problem, hint=_("orderctl policy show tells all of it; its owner alone changes it")
            )

    def _too_large(self, plan: RejectionPlan) -> str:
        targets = plan.targets.count
        if self.max_orders is not None and targets > self.max_orders:
            return ngettext(
                "the plan has {number:,} order, and the store's policy allows {most:,} a batch",
                "the plan has {number:,} orders, and the store's policy allows {most:,} a batch",
                targets,
                most=self.max_orders,
            )
        over = _over(plan, self.max_amounts)
        if over is None:
            return ""
        return _("the plan is of {total}, and the store's policy allows {most} a batch", total=over[0], most=over[1])

    def _without_reason(self, plan: RejectionPlan) -> str:
        if not (self.reason_required or self.reason_codes):
            return ""
        said = [note.reason for note in plan.notes if note.reason.text]
        if len(said) < plan.targets.count:
            said.append(Reason(plan.reason, plan.reason_code))
        if self.reason_required and not all(reason.text for reason in said):
            return _("the store's policy wants a reason for each order")
        if self.reason_codes and not all(reason.code in self.reason_codes for reason in said):
            listed = ", ".join(self.reason_codes)
            return _("the store's policy wants a reason with one of its codes for each order: {codes}", codes=listed)
        return ""

    def _too_old(self, plan: RejectionPlan) -> str:
        longest = self.longest_age
        if longest is None or (plan.max_age is not None and plan.max_age <= longest):
            return ""
        length = duration_words(longest)
        return _("the store's policy wants orders that their source spoke of in the last {length}", length=length)

    def _is_open(self, now: datetime) -> bool:
        if self.opens is None or self.closes is None:
            return True
        hour = f"{now.astimezone(ZoneInfo(self.time_zone)):%H:%M}"
        if self.opens < self.closes:
            return self.opens <= hour < self.closes
        return hour >= self.opens or hour < self.closes

    def _hours(self) -> str:
        return f"{self.opens}-{self.closes} {self.time_zone}" if self.opens is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRecord:
    """A policy as it was set: by whom and when. `position` counts from 1 in each account."""

    position: int
    at: datetime
    by: Identity
    policy: Policy
    previous: str
    digest: str = ""

    def with_digest(self) -> "PolicyRecord":
        """The record with SHA-256 over all of its fields, the digest of the record before among them."""
        by, rules = self.by, self.policy.to_json()
        return replace(self, digest=policy_digest(self.position, self.at, by.actor, by.login, rules, self.previous))


_COLUMNS = "position, at, actor, actor_login, rules, previous, digest"


def policy_history(connection: Connection) -> tuple[PolicyRecord, ...]:
    """Every policy of the account, newest first. Raises OrderctlError for one that was edited or removed."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM policy WHERE account = :account ORDER BY position").fetchall()
    records: list[PolicyRecord] = []
    for row in found:
        record = _read(row)
        before = records[-1] if records else None
        if (record.position, record.previous) != (len(records) + 1, before.digest if before else ""):
            raise _edited(record.position)
        records.append(record)
    return tuple(reversed(records))


def current_policy(connection: Connection) -> Policy:
    """The policy in force; one without rules if none was set. Raises OrderctlError if it was edited."""
    record = _newest(connection)
    return record.policy if record else Policy()


def set_policy(store: Store, policy: Policy, *, actor: str, clock: Clock) -> PolicyRecord:
    """Put a policy into force. Raises StoreUnavailableError for a login that may not: it is the owner's."""

    def keep(connection: Connection) -> PolicyRecord:
        wait_for_turn(connection)
        last = _newest(connection)
        record = PolicyRecord(
            position=last.position + 1 if last else 1,
            at=clock.for_record(connection),
            by=Identity(actor=actor, login=login(connection)),
            policy=policy,
            previous=last.digest if last else "",
        ).with_digest()
        connection.execute(
            f"INSERT INTO policy (account, {_COLUMNS}) VALUES (:account, :position, :at, :actor, :login, :rules,"
            " :previous, :digest)",
            {
                "position": record.position,
                "at": connection.dialect.instant(record.at),
                "actor": record.by.actor,
                "login": record.by.login,
                "rules": policy.to_json(),
                "previous": record.previous,
                "digest": record.digest,
            },
        )
        act = Act(kind=POLICY_SET, subject=str(record.position), actor=actor, at=record.at, content=record.digest)
        record_act(connection, act)
        return record

    return store.write(keep)


def check_policy(store: Store, plan: RejectionPlan) -> Policy:
    """The policy, which the plan keeps. Raises UnexpectedPlanError if it does not."""
    with store.snapshot() as connection:
        policy = current_policy(connection)
    policy.check(plan)
    return policy


def check_alone(needs: str) -> None:
    """Raise UnexpectedPlanError if the plan needs a second operator; `needs` says why."""
    if needs:
        raise UnexpectedPlanError(
            _("this plan needs a second operator ({needs}); nothing was changed", needs=needs),
            hint=_("keep it with --save-plan; another operator approves it with: orderctl plan approve"),
        )


def _newest(connection: Connection) -> PolicyRecord | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM policy WHERE account = :account ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return _read(row) if row else None


def _read(row: Row) -> PolicyRecord:
    position, at, actor, login_, rules, previous, digest = row
    try:
        record = PolicyRecord(
            position=position,
            at=readable_instant(at) or datetime.fromtimestamp(0, UTC),
            by=Identity(actor=actor, login=login_),
            policy=Policy.from_json(rules),
            previous=previous,
            digest=digest,
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise _edited(position) from error
    if record.with_digest().digest != digest:
        raise _edited(position)
    return record


def _edited(position: int) -> OrderctlError:
    return OrderctlError(
        _("the store's policy {position} was edited in the store, or one before it was", position=position),
        hint=_("ask who did it, and put the store back from a backup"),
    )


def _over(plan: RejectionPlan, limits: Mapping[str, int]) -> tuple[Money, Money] | None:
    """The first sum of the plan that is above the limit of its currency, and that limit."""
    for total in plan.before_credits:
        most = limits.get(total.currency)
        if most is not None and total.minor > most:
            return total, Money(total.currency, most)
    return None


def _amounts(limits: Mapping[str, int]) -> str:
    return ", ".join(str(Money(currency, minor)) for currency, minor in sorted(limits.items()))
