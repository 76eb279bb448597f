"""Writes whole orders as CSV and JSON lines, one at a time, so that an import can read them back."""

import json
from collections.abc import Callable, Iterable
from typing import TextIO

from orderctl.domain.importing import LINE_FIELDS, NESTED_LINES, ORDER_FIELDS
from orderctl.domain.orders import Order
from orderctl.files.order_fields import Value, line_values, order_values, plain
from orderctl.files.table_writers import SCHEMA, csv_rows

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
    return {name: value if value is None or isinstance(value, bool) else plain(value) for name, value in values.items()}
