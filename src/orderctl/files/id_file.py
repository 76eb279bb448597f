"""Reads order ids from a file or a pipe: one a line, NUL-separated, or a CSV with an id column.

A CSV may say more of an order in columns named `reason` and `message`.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from orderctl.domain.errors import UsageError
from orderctl.domain.order_ids import parse_order_id
from orderctl.domain.order_notes import LONGEST_NOTE, OrderNote, OrderNotes
from orderctl.domain.reasons import ReasonCodes
from orderctl.domain.selection import IdList
from orderctl.domain.syntax_errors import syntax_reason
from orderctl.domain.text import safe
from orderctl.files.text_lines import text_lines
from orderctl.language import later, say

LONGEST_LINE = 4_096
_HEADERS = {"id", "ids", "order", "orders", "orderid", "orderids", "orderno", "ordernumber", "invoiceno"}
_DELIMITERS = ",;\t"
_SHOWN = 60
_OPEN_QUOTE = "unexpected end of data"
_FORMS = later("give one order id a line, or a CSV with a column named id")


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where in a line the id stands, and what is said of the order."""

    order_id: int = 0
    reason: int | None = None
    message: int | None = None


@dataclass(slots=True)
class _Place:
    """The line of a file that is being read, for what is said about it: one object for all of a million lines."""

    name: str
    line: int = 0

    def wrong(self, what: str, hint: str = "") -> UsageError:
        return UsageError(f"{self.name}:{self.line}: {what}", hint=hint or say(_FORMS))


def read_ids(stream: BinaryIO, name: str, codes: ReasonCodes | None = None) -> IdList:
    """Read ids: each once, in the order given. UsageError names `name` and the line of the first wrong one.

    With `codes`, reasons and messages beside the ids are read too, and checked.
    """
    seen: dict[str, OrderNote | None] = {}
    count = 0
    for place, cells, columns in _rows(stream, name):
        order_id = _order_id(cells, columns, place)
        note = None if codes is None else _note(order_id, cells, columns, codes, place)
        if order_id in seen and note not in (None, seen[order_id]):
            raise place.wrong(
                say("the order {order_id} stands above with another reason or message", order_id=order_id),
                say("keep one of them"),
            )
        seen.setdefault(order_id, note)
        count += 1
    notes = OrderNotes.pack(note for note in seen.values() if note)
    return IdList(ids=tuple(seen), duplicates=count - len(seen), notes=notes)


def _rows(stream: BinaryIO, name: str) -> Iterator[tuple[_Place, list[str], _Columns]]:
    """The cells of each line that holds any; the first such line may be a header."""
    columns: _Columns | None = None
    delimiter: str | None = None
    lines = text_lines(stream, name, LONGEST_LINE, nul_ends=True)
    place = _Place(name)
    for place.line, line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if delimiter is None:
            delimiter = next((mark for mark in _DELIMITERS if mark in line), "")
        cells = _cells(line, lines, delimiter, place)
        if columns is None:
            header = _header(cells)
            if len(cells) > 1 and header is None:
                raise place.wrong(say("the line has several columns, but none of them is named id"))
            columns = header or _Columns()
            if header is not None:
                continue
        yield place, cells, columns


def _header(cells: list[str]) -> _Columns | None:
    """The columns that a header names; None if this is no header."""
    plain = [re.sub(r"[\s_.-]", "", cell).casefold() for cell in cells]
    order_id = next((place for place, cell in enumerate(plain) if cell in _HEADERS), None)
    if order_id is None:
        return None
    reason, message = (plain.index(word) if word in plain else None for word in ("reason", "message"))
    return _Columns(order_id, reason, message)


def _order_id(cells: list[str], columns: _Columns, place: _Place) -> str:
    if columns.order_id >= len(cells):
        raise place.wrong(say("the line has no id: it is too short"))
    text = cells[columns.order_id]
    try:
        return parse_order_id(text)
    except ValueError as error:
        raise place.wrong(
            say("the order id {id!r} {problem}", id=safe(text[:_SHOWN]), problem=error)
            if text.strip()
            else say("the order id {problem}", problem=error)
        ) from None


def _note(order_id: str, cells: list[str], columns: _Columns, codes: ReasonCodes, place: _Place) -> OrderNote | None:
    """What the line says of its order; None if it says nothing."""
    reason, message = _cell(cells, columns.reason), _cell(cells, columns.message)
    if not (reason or message):
        return None
    for column, text in (("reason", reason), ("message", message)):
        if "\x00" in text:
            raise place.wrong(say("the {column} holds a NUL character", column=column), say("take it out"))
    if len(message) > LONGEST_NOTE:
        raise place.wrong(
            say("the message is longer than {longest:,} characters", longest=LONGEST_NOTE), say("shorten it")
        )
    try:
        return OrderNote(id=order_id, reason=codes.read(reason), message=message)
    except ValueError as error:
        hint = say("the codes: {codes}", codes=codes) if codes.words else say("shorten it")
        raise place.wrong(say("the reason {problem}", problem=error), hint) from None


def _cell(cells: list[str], column: int | None) -> str:
    return cells[column].strip() if column is not None and column < len(cells) else ""


def _cells(line: str, lines: Iterator[tuple[int, str]], delimiter: str, place: _Place) -> list[str]:
    """The cells of a line; a quoted cell may go on in the lines after it."""
    if not delimiter:
        return [_unquoted(line.strip())]
    text = line
    while True:
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            following = next(lines, None) if str(error) == _OPEN_QUOTE and len(text) <= LONGEST_LINE else None
            if following is None:
                raise place.wrong(say("the line is not CSV: {error}", error=syntax_reason(error))) from None
            text = f"{text}\n{following[1]}"


def _unquoted(text: str) -> str:
    quote = text[0]
    if quote in "\"'" and len(text) > 1 and text.endswith(quote):
        return text[1:-1].replace(quote * 2, quote)
    return text
