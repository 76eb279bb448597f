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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason not to reject an order: a status, or a count above zero.

    `advice` says what the operator can do instead; `modes` are the ways of rejecting that it forbids.
    """

    code: str
    reason: str
    advice: str
    status: Status | None = None
    counted: Literal["delivery_notes", "invoices", "backlog_skus"] | None = None
    modes: frozenset[Mode] = frozenset(Mode)

    def applies_to(self, order: Facts) -> bool:
        """Whether the rule applies to the order, whatever the mode."""
        if self.status is not None:
            return order.status == self.status
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
RULE_BY_CODE = {rule.code: rule for rule in RULES}


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


def explain(order: Order, events: Sequence[OrderEvent]) -> Explanation:
    """The rules that apply to an order, and since when, by its log."""
    event = next((each for each in reversed(events) if each.to_status == order.status), None)
    return Explanation(
        grounds={mode: tuple(rule for rule in rules_for(mode) if rule.applies_to(order)) for mode in Mode},
        since=event.at if event else order.rejected_at,
        event=event,
    )


def refusal_sql(mode: Mode) -> str:
    """An expression over a row of `orders`: the code of the first rule that applies, or NULL."""
    cases = " ".join(f"WHEN {_condition(rule)} THEN '{rule.code}'" for rule in rules_for(mode))
    return f"CASE {cases} END"


def eligible_sql(mode: Mode) -> str:
    """A condition over a row of `orders` that no rule applies. It guards the `UPDATE`."""
    return " AND ".join(f"NOT ({_condition(rule)})" for rule in rules_for(mode))


def _condition(rule: Rule) -> str:
    if rule.status is not None:
        return f"status = '{rule.status}'"
    return f"{rule.counted} > 0"
