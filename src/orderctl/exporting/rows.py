"""The fields of an order and of a line as an export writes them: those that an import reads, by the same names."""

import json
from collections.abc import Callable, Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import TextIO

from orderctl.core.money import Money, plain_amount
from orderctl.files.csv import csv_rows
from orderctl.importing.fields import BUYER_FIELDS, LINE_FIELDS, NESTED_LINES, ORDER_FIELDS
from orderctl.orders.document import SCHEMA, json_number
from orderctl.orders.orders import Buyer, Order, OrderLine

Value = str | int | Decimal | bool | Money | datetime | date | frozenset[str] | None
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
    "line_quantity": lambda line: line.pieces,
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
    """A value as text files carry it: amounts without separators, times and days in ISO 8601."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Money):
        return plain_amount(value.minor, value.currency)
    if isinstance(value, frozenset):
        return TAG_SEPARATOR.join(sorted(value))
    return "" if value is None else value.isoformat()


Cell = str | int
_NO_LINE: dict[str, Value] = dict.fromkeys(LINE_FIELDS)


def write_order_rows(orders: Iterable[Order], out: TextIO, shown: Callable[[str], str]) -> None:
    """One CSV row an order below the names of the fields; `shown` makes texts fit for who reads them."""
    writer = csv_rows(out)
    writer.writerow(ORDER_FIELDS)
    for order in orders:
        writer.writerow(_cells(order_values(order), shown))


def write_line_rows(orders: Iterable[Order], out: TextIO, shown: Callable[[str], str]) -> None:
    """One CSV row a line, with the fields of its order before it; an order without lines keeps one row."""
    writer = csv_rows(out)
    writer.writerow((*ORDER_FIELDS, *LINE_FIELDS))
    for order in orders:
        cells = _cells(order_values(order), shown)
        lines = [line_values(line, order.currency) for line in order.lines]
        writer.writerows([*cells, *_cells(line, shown)] for line in lines or [_NO_LINE])


def write_objects(orders: Iterable[Order], out: TextIO) -> None:
    """One JSON object an order, its lines within, with the version of the schema; non-ASCII is escaped."""
    encode = json.JSONEncoder().encode
    for order in orders:
        document: dict[str, object] = {"schema": SCHEMA, **_object(order_values(order))}
        document["tags"] = sorted(order.tags)
        document[NESTED_LINES] = [_object(line_values(line, order.currency)) for line in order.lines]
        out.write(f"{encode(document)}\n")


def _cells(values: dict[str, Value], shown: Callable[[str], str]) -> list[Cell]:
    """Only texts are made fit: a negative amount is a number, not a formula."""
    return [shown(value) if isinstance(value, str) else plain(value) for value in values.values()]


def _object(values: dict[str, Value]) -> dict[str, object]:
    return {name: _json_value(value) for name, value in values.items()}


def _json_value(value: Value) -> object:
    if value is None or isinstance(value, bool):
        return value
    return json_number(value) if isinstance(value, int | Decimal) else plain(value)
