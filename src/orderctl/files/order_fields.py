"""The fields of an order and of a line as an export writes them: those that an import reads, by the same names."""

from collections.abc import Callable
from datetime import date, datetime

from orderctl.domain.importing import BUYER_FIELDS, LINE_FIELDS, ORDER_FIELDS
from orderctl.domain.money import Money, plain_amount
from orderctl.domain.orders import Buyer, Order, OrderLine

Value = str | int | bool | Money | datetime | date | frozenset[str] | None
TAG_SEPARATOR = ","

_NOBODY = Buyer(id="", name="")
# The fields whose names are not those of the attributes.
_OF_ORDERS: dict[str, Callable[[Order], Value]] = {
    "status": lambda order: order.status.value,
    "ordered": lambda order: order.ordered_at,
    "total": lambda order: order.amount,
    "archived": lambda order: order.archived_at is not None,
}
_OF_LINES: dict[str, Callable[[OrderLine], Value]] = {
    "line_name": lambda line: line.name,
    "line_quantity": lambda line: line.quantity,
}
_BUYER_ATTRIBUTES = tuple(name.removeprefix("buyer_") for name in BUYER_FIELDS)
_ORDER_READERS = tuple((name, _OF_ORDERS.get(name)) for name in ORDER_FIELDS if name not in BUYER_FIELDS)
_LINE_READERS = tuple((name, _OF_LINES.get(name)) for name in LINE_FIELDS)


def order_values(order: Order) -> dict[str, Value]:
    """The fields of an order, in the order of `ORDER_FIELDS`."""
    buyer = order.buyer or _NOBODY
    found: dict[str, Value] = {"id": order.id}
    for name, attribute in zip(BUYER_FIELDS, _BUYER_ATTRIBUTES, strict=True):
        found[name] = getattr(buyer, attribute)
    for name, read in _ORDER_READERS:
        found[name] = read(order) if read else getattr(order, name)
    return found


def line_values(line: OrderLine, currency: str) -> dict[str, Value]:
    """The fields of a line, in the order of `LINE_FIELDS`."""
    found: dict[str, Value] = {name: read(line) if read else getattr(line, name) for name, read in _LINE_READERS}
    found["unit_price"] = Money(currency, line.unit_price)
    return found


def plain(value: Value) -> str | int:
    """A value as text files carry it: amounts without separators, moments and days in ISO 8601."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return value
    if isinstance(value, Money):
        return plain_amount(value.minor, value.currency)
    if isinstance(value, frozenset):
        return TAG_SEPARATOR.join(sorted(value))
    return "" if value is None else value.isoformat()
