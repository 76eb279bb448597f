"""Reads order ids from a file or a pipe: one a line, NUL-separated, or a CSV with an id column."""

import csv
import re
from collections.abc import Iterator
from typing import BinaryIO

from orderctl.domain.errors import UsageError
from orderctl.domain.order_ids import parse_order_id
from orderctl.domain.selection import IdList
from orderctl.domain.text import safe
from orderctl.files.text_lines import text_lines

LONGEST_LINE = 4_096
_HEADERS = {"id", "ids", "order", "orders", "orderid", "orderids", "orderno", "ordernumber", "invoiceno"}
_DELIMITERS = ",;\t"
_SHOWN = 60


def read_ids(stream: BinaryIO, name: str) -> IdList:
    """Read ids: each once, in the order given. UsageError names `name` and the line of the first wrong one."""
    seen: dict[str, None] = {}
    count = 0
    for number, text in _id_texts(stream, name):
        try:
            order_id = parse_order_id(text)
        except ValueError as error:
            shown = f" {safe(text[:_SHOWN])!r}" if text.strip() else ""
            raise _wrong(name, number, f"the order id{shown} {error}") from None
        count += 1
        seen[order_id] = None
    return IdList(ids=tuple(seen), duplicates=count - len(seen))


def _id_texts(stream: BinaryIO, name: str) -> Iterator[tuple[int, str]]:
    """The id of each line that holds one; the first such line may be a header."""
    column: int | None = None
    delimiter = ""
    for number, line in text_lines(stream, name, LONGEST_LINE, nul_ends=True):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if column is None:
            delimiter = next((mark for mark in _DELIMITERS if mark in line), "")
            cells = _cells(line, delimiter, name, number)
            header = _id_column(cells)
            if len(cells) > 1 and header is None:
                raise _wrong(name, number, "the line has several columns, but none of them is named id")
            column = header or 0
            if header is not None:
                continue
        cells = _cells(line, delimiter, name, number)
        if column >= len(cells):
            raise _wrong(name, number, "the line has no id: it is too short")
        yield number, cells[column]


def _id_column(cells: list[str]) -> int | None:
    plain = [re.sub(r"[\s_.-]", "", cell).casefold() for cell in cells]
    return next((place for place, cell in enumerate(plain) if cell in _HEADERS), None)


def _cells(line: str, delimiter: str, name: str, number: int) -> list[str]:
    if not delimiter:
        return [_unquoted(line.strip())]
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise _wrong(name, number, f"the line is not CSV: {error}") from None


def _unquoted(text: str) -> str:
    quote = text[0]
    if quote in "\"'" and len(text) > 1 and text.endswith(quote):
        return text[1:-1].replace(quote * 2, quote)
    return text


def _wrong(name: str, number: int, what: str) -> UsageError:
    return UsageError(f"{name}:{number}: {what}", hint="give one order id a line, or a CSV with a column named id")
