"""A filter answered for an order in memory: the reading that SQL is held to (see `filters`)."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from orderctl.core.money import decimals
from orderctl.core.text import fold, lower_ascii
from orderctl.filters.filters import (
    All,
    AnyOf,
    Condition,
    DayRange,
    Empty,
    Flag,
    Not,
    NumberRange,
    Pattern,
    Present,
    Term,
    Test,
    Word,
)
from orderctl.orders.orders import Order, searched_text

# The attributes of an order that have other names than their fields.
_ATTRIBUTES = {
    "ordered": "ordered_at",
    "rejected": "rejected_at",
    "seen": "seen_at",
    "gone": "gone_at",
    "ref": "reference",
    "batch": "batch_id",
    "delivery": "delivery_from",
}


def holds(condition: Condition, order: Order) -> bool:
    """Whether the condition is true of the order, archived or not."""
    match condition:
        case Term(field, tests):
            return any(_passes(field, test, order) for test in tests)
        case Word(pattern):
            buyer = fold(order.buyer.name) if order.buyer else ""
            return any(_found(pattern, text) for text in (searched_text(order), buyer))
        case Not(of):
            return not holds(of, order)
        case All(of):
            return all(holds(each, order) for each in of)
        case AnyOf(of):
            return any(holds(each, order) for each in of)


def _passes(field: str, test: Test, order: Order) -> bool:
    match test:
        case Empty():
            return not _values(field, order)
        case Present():
            return bool(_values(field, order))
        case Flag(value):
            return (order.archived_at is not None) == value
        case DayRange():
            return _in_days(field, test, order)
        case NumberRange():
            return _in_numbers(field, test, order)
        case Pattern():
            return any(_found(test, text) for text in _values(field, order))


def _values(field: str, order: Order) -> list[str]:
    """The field's texts as they are compared, and nothing for an empty field."""
    match field:
        case "buyer":
            return [fold(order.buyer.name)] if order.buyer else []
        case "id" | "status" | "batch" | "delivery" | "ordered" | "rejected" | "seen" | "gone":
            value = getattr(order, _ATTRIBUTES.get(field, field))
            return [str(value)] if value else []
        case "tag":
            found: Iterable[str | None] = order.tags
        case "sku":
            found = [line.sku for line in order.lines]
        case _:
            found = [getattr(order, _ATTRIBUTES.get(field, field))]
    return [lower_ascii(text) for text in found if text]


def _found(pattern: Pattern, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: Pattern) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, pattern.pieces)), re.DOTALL)


def _in_days(field: str, days: DayRange, order: Order) -> bool:
    if field == "delivery":
        first, last = order.delivery_from, order.delivery_to or order.delivery_from
        if first is None or last is None:
            return False
        return (days.last is None or first <= days.last) and (days.first is None or last >= days.first)
    at = getattr(order, _ATTRIBUTES[field])
    return at is not None and _contains(days, at)


def _contains(days: DayRange, at: datetime) -> bool:
    day: date = at.astimezone(UTC).date()
    return (days.first is None or day >= days.first) and (days.last is None or day <= days.last)


def _in_numbers(field: str, numbers: NumberRange, order: Order) -> bool:
    total = Decimal(order.total).scaleb(-decimals(order.currency))
    value = Decimal(order.quantity) if field == "quantity" else total
    return (numbers.low is None or value >= numbers.low) and (numbers.high is None or value <= numbers.high)
