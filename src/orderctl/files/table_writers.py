"""Writes orders as CSV and JSON lines, one at a time, for other programs (design.md, section 8)."""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any, TextIO

from orderctl.domain.order_columns import Column
from orderctl.domain.text import safe

if TYPE_CHECKING:
    from _csv import Writer

SCHEMA = 1
_ROW_END = "\r\n"
# The wide forms too: a spreadsheet of East Asia takes them for the others.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
# In texts behind a NUL each: none of a column that this does not find has to be made inert.
_MAY_START_A_FORMULA = re.compile(f"\0['{re.escape(''.join(_STARTS_A_FORMULA))}]")
# Some fields of some hundred orders: by the name of each the values of all.
Block = Mapping[str, Sequence[Any]]


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


def write_csv(blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """One line an order after a header; text that would run as a formula is made inert."""
    writer = csv_rows(out)
    writer.writerow(column.name for column in columns)
    for block in blocks:
        # A negative amount is a number, not a formula.
        cells = [_cells(column, block) if column.is_number else _inert(_cells(column, block)) for column in columns]
        writer.writerows(zip(*cells, strict=True))


def write_jsonl(blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """One object a line, with the version of its schema; non-ASCII is escaped."""
    out.writelines(f"{text}\n" for text in _objects(blocks, columns))


def write_json(blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """One array of the same objects, each on a line; it is closed at the end alone, and so is never half a list."""
    before = "["
    for text in _objects(blocks, columns):
        out.write(f"{before}\n{text}")
        before = ","
    out.write("[]\n" if before == "[" else "\n]\n")


def _objects(blocks: Iterable[Block], columns: Sequence[Column]) -> Iterator[str]:
    encode = json.JSONEncoder().encode
    names = ("schema", *(column.name for column in columns))
    for block in blocks:
        for row in zip(repeat(SCHEMA), *(_cells(column, block) for column in columns)):
            yield encode(dict(zip(names, row, strict=True)))


WRITERS = {"csv": write_csv, "json": write_json, "jsonl": write_jsonl}


def _cells(column: Column, block: Block) -> Sequence[Any]:
    """The cells of a column, for all orders of a block."""
    values = [block[name] for name in column.fields]
    return list(map(column.plain, *values)) if column.plain else values[0]


def _inert(texts: Sequence[Any]) -> Sequence[str]:
    """The texts of a column, made inert where any of them has to be."""
    return list(map(inert, texts)) if _MAY_START_A_FORMULA.search("\0".join(("", *texts))) else texts
