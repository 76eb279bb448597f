"""Whether an order may be rejected: one table of rules with two readings (design.md, section 3).

The table is `core/grounds.py`, from which the triggers are made too; its words are here. `refusal` reads it in
Python. `refusal_sql` and `eligible_sql` turn it into SQL, for plans over a million orders and for the guarded `UPDATE`.
Nothing else decides.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from orderctl.core.grounds import GROUNDS, Ground
from orderctl.language import N_, _
from orderctl.orders.orders import Order, OrderEvent, Status


class Mode(StrEnum):
    """How an order is rejected: in bulk, or individually by its id."""

    BULK = "bulk"
    INDIVIDUAL = "individual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Ground):
    """A ground not to reject an order, with its words: the reason, and what the operator can do instead."""

    reason: str
    advice: str

    @property
    def modes(self) -> frozenset[Mode]:
        """The ways of rejecting that it forbids."""
        return _BULK_ONLY if self.singly else _EITHER

    def applies_to(self, order: Order) -> bool:
        """Whether the rule applies to the order, whatever the mode."""
        if self.status is not None:
            return order.status == self.status
        if self.marked is not None:
            return getattr(order, self.marked) is not None
        return self.counted is not None and getattr(order, self.counted) > 0


_BULK_ONLY, _EITHER = frozenset({Mode.BULK}), frozenset(Mode)
_SINGLE = N_("reject it on its own: orderctl reject {id} --individual")
# The reason and the advice of each ground.
_WORDS = {
    "already-rejected": (N_("already rejected"), N_("nothing is left to do: a rejection is final")),
    "returned-to-cart": (N_("returned to cart"), N_("the buyer has it back; it comes again as a new order")),
    "gone": (
        N_("is gone from its source"),
        N_("nothing is left to do there; an import that has it again makes it rejectable"),
    ),
    "invoiced": (
        N_("has an invoice"),
        N_("cancel the invoice where it was made, import with --lower-counts, then reject"),
    ),
    "delivered": (
        N_("has a delivery note"),
        N_("cancel the delivery note where it was made, import with --lower-counts, then reject"),
    ),
    "backlog": (
        N_("has backlog SKUs"),
        N_("clear the backlog where it is kept, import with --lower-counts, then reject"),
    ),
    "oc-approved": (N_("OC approved by buyer"), _SINGLE),
    "oc-declined": (N_("OC rejected by buyer"), _SINGLE),
    "oc-confirmed": (N_("OC confirmed"), _SINGLE),
}
RULES = tuple(
    Rule(**asdict(ground) | {"status": ground.status and Status(ground.status)}, reason=reason, advice=advice)
    for ground in GROUNDS
    for reason, advice in (_WORDS[ground.code],)
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


def refusal(order: Order, mode: Mode) -> Rule | None:
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
    cases = [f"WHEN {rule.sql()} THEN '{rule.code}'" for rule in rules_for(mode)]
    if or_stale:
        cases.append(f"WHEN {stale_sql('orders.id')} THEN '{STALE.code}'")
    return f"CASE {' '.join(cases)} END"


def eligible_sql(mode: Mode) -> str:
    """A condition over a row of `orders` that no rule applies. It guards the `UPDATE`."""
    return " AND ".join(f"NOT ({rule.sql()})" for rule in rules_for(mode))


def stale_sql(order_id: str) -> str:
    """A condition over the order whose id is this expression: its source has not spoken of it since `:seen_since`."""
    return (
        "NOT EXISTS (SELECT 1 FROM order_source AS seen WHERE seen.account = :account"
        f" AND seen.order_id = {order_id} AND seen.seen_at >= :seen_since)"
    )
