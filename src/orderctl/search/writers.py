"""Writes orders as CSV, JSON and JSON lines for other programs, a block of orders at a time (design.md, section 8)."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any, TextIO

from orderctl.files.csv import _STARTS_A_FORMULA, csv_rows, escape_formula
from orderctl.files.jsonl import json_listing
from orderctl.orders.document import SCHEMA
from orderctl.search.columns import Column

# Searched in all texts of a column, joined by NUL: without a match, none needs to be escaped.
_MAY_START_A_FORMULA = re.compile(f"\0['{re.escape(''.join(_STARTS_A_FORMULA))}]")
# A block of some hundred orders: the values of each field, by its name.
Block = Mapping[str, Sequence[Any]]


def write_csv(blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """Write a header and one line for each order. Texts that a spreadsheet would run as a formula are escaped."""
    writer = csv_rows(out)
    writer.writerow(column.name for column in columns)
    for block in blocks:
        # A negative amount is a number, not a formula.
        cells = [
            _cells(column, block) if column.is_number else _escape_formulas(_cells(column, block)) for column in columns
        ]
        writer.writerows(zip(*cells, strict=True))


def write_documents(form: str, blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """Write one object for each order, with the version of the schema: as an array (`json`) or as lines (`jsonl`)."""
    names = ("schema", *(column.name for column in columns))
    with json_listing(out.write, form) as write:
        for block in blocks:
            for row in zip(repeat(SCHEMA), *(_cells(column, block) for column in columns)):
                write(dict(zip(names, row, strict=True)))


WRITERS: dict[str, Callable[[Iterable[Block], Sequence[Column], TextIO], None]] = {
    "csv": write_csv,
    "json": partial(write_documents, "json"),
    "jsonl": partial(write_documents, "jsonl"),
}


def write_rows(form: str, names: Sequence[str], rows: Iterable[Mapping[str, object]], out: TextIO) -> None:
    """Write rows of these names: as CSV with a header, or as documents with the version of the schema."""
    if form == "csv":
        writer = csv_rows(out)
        writer.writerow(names)
        writer.writerows(
            [escape_formula(cell) if isinstance(cell, str) else cell for cell in row.values()] for row in rows
        )
        return
    with json_listing(out.write, form) as write:
        for row in rows:
            write({"schema": SCHEMA, **row})


def _cells(column: Column, block: Block) -> Sequence[Any]:
    """The cells of a column for a block of orders."""
    values = [block[name] for name in column.fields]
    return list(map(column.plain, *values)) if column.plain else values[0]


def _escape_formulas(texts: Sequence[Any]) -> Sequence[str]:
    """The texts of a column, escaped where needed."""
    return list(map(escape_formula, texts)) if _MAY_START_A_FORMULA.search("\0".join(("", *texts))) else texts
