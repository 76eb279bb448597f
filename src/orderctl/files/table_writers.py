"""Writes orders as CSV and JSON lines, one at a time, for other programs (design.md, section 8)."""

import csv
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from orderctl.domain.order_columns import Column
from orderctl.domain.orders import OrderSummary
from orderctl.domain.text import safe

if TYPE_CHECKING:
    from _csv import Writer

SCHEMA = 1
_ROW_END = "\r\n"
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def inert(text: str) -> str:
    """Text that a spreadsheet does not run as a formula: a quote before what would begin one.

    Quotes that stand before one already get another, so that `bare` gives back what was meant.
    """
    return f"'{text}" if text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


def bare(text: str) -> str:
    """The text that was made inert."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


class _Lines:
    """Takes the rows of a CSV writer and ends each with a bare line feed; none of them controls a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._on_screen = out.isatty()

    def write(self, row: str) -> int:
        """Write one row."""
        line = row.removesuffix(_ROW_END)
        return self._out.write(f"{safe(line) if self._on_screen else line}\n")


def csv_rows(out: TextIO) -> "Writer":
    """A CSV writer whose rows end in a line feed, and that quotes a text with any line break in it.

    Python before 3.13 quotes what its own row end holds, and spreadsheets begin a row at a bare carriage return:
    what a buyer wrote behind one would be a cell, and a formula. On a terminal, what could control it is shown instead.
    """
    return csv.writer(_Lines(out), lineterminator=_ROW_END)


def write_csv(orders: Iterable[OrderSummary], columns: Sequence[Column], out: TextIO) -> None:
    """One line an order after a header; text that would run as a formula is made inert."""
    writer = csv_rows(out)
    writer.writerow(column.name for column in columns)
    for order in orders:
        writer.writerow([_cell(column, order) for column in columns])


def write_jsonl(orders: Iterable[OrderSummary], columns: Sequence[Column], out: TextIO) -> None:
    """One object a line, with the version of its schema; non-ASCII is escaped."""
    for order in orders:
        document: dict[str, object] = {"schema": SCHEMA}
        document |= {column.name: column.plain(order) for column in columns}
        out.write(f"{json.dumps(document)}\n")


WRITERS = {"csv": write_csv, "jsonl": write_jsonl}


def _cell(column: Column, order: OrderSummary) -> str | int:
    value = column.plain(order)
    # A negative amount is a number, not a formula.
    return value if column.is_number or not isinstance(value, str) else inert(value)
