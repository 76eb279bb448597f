"""Writes orders as CSV and JSON lines, one at a time, for other programs (design.md, section 8)."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from typing import Any, TextIO

from orderctl.files.csv import _STARTS_A_FORMULA, ROW_SCHEMA, csv_rows, escape_formula
from orderctl.search.columns import Column

# In texts behind a NUL each: none of a column that this does not find has to be escaped.
_MAY_START_A_FORMULA = re.compile(f"\0['{re.escape(''.join(_STARTS_A_FORMULA))}]")
# Some fields of some hundred orders: by the name of each the values of all.
Block = Mapping[str, Sequence[Any]]


def write_csv(blocks: Iterable[Block], columns: Sequence[Column], out: TextIO) -> None:
    """One line an order after a header; text that would run as a formula is escaped."""
    writer = csv_rows(out)
    writer.writerow(column.name for column in columns)
    for block in blocks:
        # A negative amount is a number, not a formula.
        cells = [
            _cells(column, block) if column.is_number else _escape_formulas(_cells(column, block)) for column in columns
        ]
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
        for row in zip(repeat(ROW_SCHEMA), *(_cells(column, block) for column in columns)):
            yield encode(dict(zip(names, row, strict=True)))


WRITERS = {"csv": write_csv, "json": write_json, "jsonl": write_jsonl}


def _cells(column: Column, block: Block) -> Sequence[Any]:
    """The cells of a column, for all orders of a block."""
    values = [block[name] for name in column.fields]
    return list(map(column.plain, *values)) if column.plain else values[0]


def _escape_formulas(texts: Sequence[Any]) -> Sequence[str]:
    """The texts of a column, escaped where any of them has to be."""
    return list(map(escape_formula, texts)) if _MAY_START_A_FORMULA.search("\0".join(("", *texts))) else texts
