"""Orders and events as documents for other programs (design.md, section 8)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

from orderctl.core.money import Money, plain_amount
from orderctl.orders.eligibility import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from decimal import Decimal

    from orderctl.orders.eligibility import Explanation
    from orderctl.orders.orders import Order, OrderEvent

SCHEMA = 1
Document = dict[str, object]


def amounts(totals: Iterable[Money]) -> list[Document]:
    """Sums in minor units, and as decimal text."""
    return [
        {"currency": money.currency, "minor": money.minor, "amount": plain_amount(money.minor, money.currency)}
        for money in totals
    ]


def json_number(number: int | Decimal) -> int | float:
    """A number of pieces in JSON: its three decimals are within what a float keeps."""
    return number if isinstance(number, int) else float(number)


def order_document(order: Order, events: Sequence[OrderEvent], seen_since: datetime | None = None) -> Document:
    """One order with its log, and whether it can be rejected. Amounts are decimal text, as in lists and exports.

    With `seen_since`, an order of which its source has not spoken since cannot.
    """
    document = {name: each.isoformat() if isinstance(each, date) else each for name, each in asdict(order).items()}
    del document["unsaid"]  # only for orders that come from a file
    document["tags"] = sorted(order.tags)
    document["total"] = plain_amount(order.total, order.currency)
    for line, written in zip(order.lines, document["lines"], strict=True):
        del written["quantity_decimals"]
        written["quantity"] = json_number(line.pieces)
        written["unit_price"] = plain_amount(line.unit_price, order.currency)
    explanation = explain(order, events, seen_since)
    refusals = {mode.value: next(iter(rules), None) for mode, rules in explanation.grounds.items()}
    return {
        "schema": SCHEMA,
        "order": document,
        "refused": {mode: rule and {"code": rule.code, "reason": rule.reason} for mode, rule in refusals.items()},
        "eligibility": _eligibility(order, explanation),
        "events": [event_document(event) for event in events],
    }


def _eligibility(order: Order, explanation: Explanation) -> Document:
    """Every rule against rejecting the order, since when it is in its status, and what to do instead."""
    ways = {
        mode.value: {"allowed": not rules, "grounds": [{"code": rule.code, "reason": rule.reason} for rule in rules]}
        for mode, rules in explanation.grounds.items()
    }
    return {
        **ways,
        "since": explanation.since and explanation.since.isoformat(),
        "event": explanation.event and event_document(explanation.event),
        "instead": list(explanation.advice(order.id)),
    }


def event_document(event: OrderEvent) -> Document:
    """One line of a log, without the lines digest: only the batch's digest needs it, and `log export` has it."""
    document = asdict(event) | {"at": event.at.isoformat()}
    del document["lines_digest"]
    return document
