"""Whether an order may be rejected: one table of rules with two readings (design.md, section 3).

`refusal` reads the table in Python. `refusal_sql` and `eligible_sql` turn the same table into SQL, for plans over a
million orders and for the guarded `UPDATE`. Nothing else decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

from orderctl.language import N_, _
from orderctl.orders.orders import Order, OrderEvent, Status


class Mode(StrEnum):
    """How an order is rejected: in bulk, or individually by its id."""

    BULK = "bulk"
    INDIVIDUAL = "individual"


class Facts(Protocol):
    """The fields of an order that the rules use."""

    @property
    def status(self) -> Status: ...  # noqa: D102 - the fields of Order
    @property
    def delivery_notes(self) -> int: ...  # noqa: D102
    @property
    def invoices(self) -> int: ...  # noqa: D102
    @property
    def backlog_skus(self) -> int: ...  # noqa: D102
    @property
    def gone_at(self) -> datetime | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason not to reject an order: a status, a count above zero, or a mark that is set.

    `advice` says what the operator can do instead; `modes` are the ways of rejecting that it forbids.
    """

    code: str
    reason: str
    advice: str
    status: Status | None = None
    counted: Literal["delivery_notes", "invoices", "backlog_skus"] | None = None
    marked: Literal["gone_at"] | None = None
    modes: frozenset[Mode] = frozenset(Mode)

    def applies_to(self, order: Facts) -> bool:
        """Whether the rule applies to the order, whatever the mode."""
        if self.status is not None:
            return order.status == self.status
        if self.marked is not None:
            return getattr(order, self.marked) is not None
        return self.counted is not None and getattr(order, self.counted) > 0


_BULK_ONLY = frozenset({Mode.BULK})
_SINGLE = N_("reject it on its own: orderctl reject {id} --individual")
# The first rule that applies is the reason that is shown, so the final ones come first.
RULES: tuple[Rule, ...] = (
    Rule(
        code="already-rejected",
        reason=N_("already rejected"),
        advice=N_("nothing is left to do: a rejection is final"),
        status=Status.REJECTED,
    ),
    Rule(
        code="returned-to-cart",
        reason=N_("returned to cart"),
        advice=N_("the buyer has it back; it comes again as a new order"),
        status=Status.RETURNED_TO_CART,
    ),
    Rule(
        code="gone",
        reason=N_("is gone from its source"),
        advice=N_("nothing is left to do there; an import that has it again makes it rejectable"),
        marked="gone_at",
    ),
    Rule(
        code="invoiced",
        reason=N_("has an invoice"),
        advice=N_("cancel the invoice where it was made, import with --lower-counts, then reject"),
        counted="invoices",
    ),
    Rule(
        code="delivered",
        reason=N_("has a delivery note"),
        advice=N_("cancel the delivery note where it was made, import with --lower-counts, then reject"),
        counted="delivery_notes",
    ),
    Rule(
        code="backlog",
        reason=N_("has backlog SKUs"),
        advice=N_("clear the backlog where it is kept, import with --lower-counts, then reject"),
        counted="backlog_skus",
    ),
    Rule(
        code="oc-approved",
        reason=N_("OC approved by buyer"),
        advice=_SINGLE,
        status=Status.OC_APPROVED,
        modes=_BULK_ONLY,
    ),
    Rule(
        code="oc-declined",
        reason=N_("OC rejected by buyer"),
        advice=_SINGLE,
        status=Status.OC_DECLINED,
        modes=_BULK_ONLY,
    ),
    Rule(
        code="oc-confirmed",
        reason=N_("OC confirmed"),
        advice=_SINGLE,
        status=Status.OC_CONFIRMED,
        modes=_BULK_ONLY,
    ),
)
# Not among the others: it depends on how old the caller allows an order to be.
STALE = Rule(
    code="stale",
    reason=N_("was not seen at its source for too long"),
    advice=N_("import it again from its source, or allow a longer --max-age"),
)
RULE_BY_CODE = {rule.code: rule for rule in (*RULES, STALE)}


def rules_for(mode: Mode) -> tuple[Rule, ...]:
    """The rules of this mode, in the order in which they are checked."""
    return tuple(rule for rule in RULES if mode in rule.modes)


def refusal(order: Facts, mode: Mode) -> Rule | None:
    """The first rule that forbids rejecting this order in this mode; None if it is allowed."""
    return next((rule for rule in rules_for(mode) if rule.applies_to(order)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The rules that forbid rejecting an order, for each mode; in a mode without rules it is allowed.

    `since` is when the order got its status, and `event` the line of the log that says so; None if unknown.
    """

    grounds: dict[Mode, tuple[Rule, ...]]
    since: datetime | None
    event: OrderEvent | None

    def advice(self, order_id: str) -> tuple[str, ...]:
        """What the operator can do instead, without repetitions."""
        rules = [rule for mode in Mode for rule in self.grounds[mode]]
        return tuple(dict.fromkeys(_(rule.advice, id=order_id) for rule in rules if rule in self._decisive))

    @property
    def _decisive(self) -> tuple[Rule, ...]:
        """If rules forbid both modes, only those count: advice about the others would not help."""
        return self.grounds[Mode.INDIVIDUAL] or self.grounds[Mode.BULK]


def explain(order: Order, events: Sequence[OrderEvent], seen_since: datetime | None = None) -> Explanation:
    """The rules that apply to an order, and since when, by its log.

    With `seen_since` it is stale too, unless its source has spoken of it since.
    """
    event = next((each for each in reversed(events) if each.to_status == order.status), None)
    is_stale = seen_since is not None and (order.seen_at is None or order.seen_at < seen_since)
    old = (STALE,) if is_stale else ()
    return Explanation(
        grounds={mode: (*(rule for rule in rules_for(mode) if rule.applies_to(order)), *old) for mode in Mode},
        since=event.at if event else order.rejected_at,
        event=event,
    )


def refusal_sql(mode: Mode, *, or_stale: bool = False) -> str:
    """An expression over a row of `orders`: the code of the first rule that applies, or NULL.

    `or_stale`: an order is stale unless its source has spoken of it since `:seen_since`.
    """
    cases = [f"WHEN {_condition(rule)} THEN '{rule.code}'" for rule in rules_for(mode)]
    if or_stale:
        cases.append(f"WHEN {stale_sql('orders.id')} THEN '{STALE.code}'")
    return f"CASE {' '.join(cases)} END"


def eligible_sql(mode: Mode) -> str:
    """A condition over a row of `orders` that no rule applies. It guards the `UPDATE`."""
    return " AND ".join(f"NOT ({_condition(rule)})" for rule in rules_for(mode))


def stale_sql(order_id: str) -> str:
    """A condition over the order whose id is this expression: its source has not spoken of it since `:seen_since`."""
    return (
        "NOT EXISTS (SELECT 1 FROM order_source AS seen WHERE seen.account = :account"
        f" AND seen.order_id = {order_id} AND seen.seen_at >= :seen_since)"
    )


def _condition(rule: Rule) -> str:
    if rule.status is not None:
        return f"status = '{rule.status}'"
    if rule.marked is not None:
        return f"{rule.marked} IS NOT NULL"
    return f"{rule.counted} > 0"
