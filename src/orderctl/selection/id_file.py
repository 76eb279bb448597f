"""Reads lists of order ids: one a line, ended by NUL, a CSV with an id column, JSON lines, or a JSON array.

A CSV or a JSON object may also have a `reason` and a `message` for each order. Whatever `search` prints, in any format,
is read back as the same ids.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import BinaryIO

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell
from orderctl.files.csv import unescape_formula
from orderctl.files.decoding import syntax_reason, texts_or_lines
from orderctl.files.jsonl import Broken, leading_object, read_object
from orderctl.language import N_, _, ngettext
from orderctl.orders.orders import parse_order_id
from orderctl.selection.notes import LONGEST_NOTE, OrderNote, OrderNotes, ReasonCodes
from orderctl.selection.selection import IdList

LONGEST_LINE = 4_096
_HEADERS = {"id", "ids", "order", "orders", "orderid", "orderids", "orderno", "ordernumber", "invoiceno"}
_DELIMITERS = ",;\t"
_SHOWN = 60
_OPEN_QUOTE = "unexpected end of data"
_FORMS = N_("give one order id a line, or a CSV with a column named id")
_OBJECTS = N_('give one JSON object a line, each with an "id"')
# An id that begins like this could be read as quoted text or as JSON.
_OPENINGS = ('"', "'", "{", "[")
_QUOTED = {quote: re.compile(f"{quote}(?:[^{quote}]|{quote}{quote})*{quote}") for quote in "\"'"}
# No header contains a digit. This expression decides for nearly all of a million ids.
_CLEARLY_AN_ID = re.compile(r"""[^"'{[#,;\d]*\d[^"'{#,;]*""")


@dataclass(frozen=True, slots=True)
class _Columns:
    """The positions of the id, the reason and the message in a line."""

    order_id: int = 0
    reason: int | None = None
    message: int | None = None


_ONE = _Columns()


@dataclass(slots=True)
class _Place:
    """The file and line that errors name. One object is reused for all of a million lines."""

    name: str
    line: int = 0

    def wrong(self, what: str, hint: str = "") -> UsageError:
        return UsageError(f"{self.name}:{self.line}: {what}", hint=hint or _(_FORMS))

    def without_ids(self) -> UsageError:
        if not self.line:
            return UsageError(
                _("{name} is empty, where order ids are expected", name=self.name),
                hint=_("see whether what should have written them failed; --allow-empty takes an empty list"),
            )
        return UsageError(
            ngettext(
                "{name} has {number:,} line, but no order id",
                "{name} has {number:,} lines, but no order id",
                self.line,
                name=self.name,
            ),
            hint=_("a line that begins with # and a space is a comment; --allow-empty takes a list without ids"),
        )


def read_ids(stream: BinaryIO, name: str, codes: ReasonCodes | None = None, *, allow_empty: bool = False) -> IdList:
    """Read ids: each once, in the order given. UsageError names `name` and the line of the first wrong one.

    With `codes`, reasons and messages are read and checked too. A list without ids is an error unless `allow_empty`: in
    a pipe it may mean that the command before failed.
    """
    seen: dict[str, OrderNote | None] = {}
    lines: dict[str, int] = {}
    count = 0
    place = _Place(name)
    for cells, columns in _rows(stream, place):
        order_id = _order_id(cells, columns, place)
        note = None if codes is None else _note(order_id, cells, columns, codes, place)
        if order_id in seen and note not in (None, seen[order_id]):
            raise place.wrong(
                _("the order {order_id} stands above with another reason or message", order_id=order_id),
                _("keep one of them"),
            )
        seen.setdefault(order_id, note)
        lines.setdefault(order_id, place.line)
        count += 1
    if not (count or allow_empty):
        raise place.without_ids()
    notes = OrderNotes.pack(note for note in seen.values() if note)
    return IdList(ids=tuple(seen), duplicates=count - len(seen), lines=json.dumps(lines) if lines else "", notes=notes)


def id_line(order_id: str) -> str:
    """An id as a line of a list. It is put in single quotes if it would not be read as this id."""
    if _CLEARLY_AN_ID.fullmatch(order_id):
        return order_id
    is_plain = not (
        order_id.startswith(_OPENINGS)
        or any(mark in order_id for mark in _DELIMITERS)
        or _is_comment(order_id)
        or _header([order_id])
    )
    return order_id if is_plain else "'{}'".format(order_id.replace("'", "''"))


def _rows(stream: BinaryIO, place: _Place) -> Iterator[tuple[Sequence[str], _Columns]]:
    """The cells of each line that is not blank; the first such line decides the form of the list."""
    are_texts, lines = texts_or_lines(stream, place.name, LONGEST_LINE)
    cells_of: _Reader | None = _exactly if are_texts else None
    headed = False
    for place.line, line in lines:
        if not line.strip() or not (are_texts or headed or not _is_comment(line)):
            continue
        if cells_of is None and _ARRAY.match(line):
            yield from _items(line, lines, place)
            return
        if cells_of is None:
            cells_of, headed = _reader(line, lines, place)
            if headed:
                continue
        yield cells_of(line)


# An array of objects. An id may begin with a bracket too.
_ARRAY = re.compile(r"\s*\[\s*(?:[{\]]|\Z)")


def _items(first: str, lines: Iterator[tuple[int, str]], place: _Place) -> Iterator[tuple[Sequence[str], _Columns]]:
    """The cells of the objects of an array; an object may take several lines."""
    text = first.strip()[1:]
    while not (text := text.lstrip(", \t\r\n")).startswith("]"):
        if found := leading_object(text):
            yield _texts(found[0], place)
            text = text[found[1] :]
        elif len(text) > LONGEST_LINE or (following := next(lines, None)) is None:
            raise place.wrong(_("the array is not JSON, or ends too early"), _(_OBJECTS))
        else:
            place.line = following[0]
            text = f"{text}\n{following[1]}"
    for number, line in chain([(place.line, text[1:])], lines):
        if line.strip():
            place.line = number
            raise place.wrong(_("something stands behind the array"), _(_OBJECTS))


_Reader = Callable[[str], tuple[Sequence[str], _Columns]]


def _reader(first: str, lines: Iterator[tuple[int, str]], place: _Place) -> tuple[_Reader, bool]:
    """The function that reads each line, and whether the first line is a header."""
    text = first.strip()
    if text.startswith("{") and isinstance(read_object(text), dict):
        return partial(_members, place=place), False
    if _QUOTED["'"].fullmatch(text):
        return _text, False
    delimiter = next((mark for mark in _DELIMITERS if mark in first), "")
    cells = _cells(first, lines, delimiter, place)
    columns = _header(cells)
    if columns is not None:
        return lambda line: (list(map(unescape_formula, _cells(line, lines, delimiter, place))), columns), True
    if len(cells) > 1:
        raise place.wrong(_("the line has several columns, but none of them is named id"))
    return _text, False


def _is_comment(line: str) -> bool:
    """A comment begins with `#` and a space: `#1001` is an id in many shops."""
    text = line.lstrip()
    return text.startswith("#") and not text[1:2].strip()


def _exactly(text: str) -> tuple[Sequence[str], _Columns]:
    """The cells of a text that ends with NUL: it is an id as it is."""
    return [text], _ONE


def _text(line: str) -> tuple[Sequence[str], _Columns]:
    """The cells of a line that is an id, quoted or not."""
    return [_unquoted(line.strip(), "\"'")], _ONE


def _members(line: str, place: _Place) -> tuple[Sequence[str], _Columns]:
    """The cells of a line with a JSON object."""
    found = read_object(line.strip())
    if isinstance(found, Broken):
        raise place.wrong(_("the line {reason}", reason=found.reason), _(_OBJECTS))
    return _texts(found, place)


def _texts(found: dict[str, Cell], place: _Place) -> tuple[Sequence[str], _Columns]:
    columns = _header(list(found))
    if columns is None:
        raise place.wrong(_("the line has no id"), _(_OBJECTS))
    return [value if isinstance(value, str) else "" for value in found.values()], columns


def _header(cells: Sequence[str]) -> _Columns | None:
    """The columns that a header names; None if the line is no header."""
    plain = [re.sub(r"[\s_.-]", "", cell).casefold() for cell in cells]
    order_id = next((place for place, cell in enumerate(plain) if cell in _HEADERS), None)
    if order_id is None:
        return None
    reason, message = (plain.index(word) if word in plain else None for word in ("reason", "message"))
    return _Columns(order_id, reason, message)


def _order_id(cells: Sequence[str], columns: _Columns, place: _Place) -> str:
    if columns.order_id >= len(cells):
        raise place.wrong(_("the line has no id: it is too short"))
    text = cells[columns.order_id]
    try:
        return parse_order_id(text)
    except ValueError as error:
        raise place.wrong(
            _("the order id {id!r} {problem}", id=safe(text[:_SHOWN]), problem=error)
            if text.strip()
            else _("the order id {problem}", problem=error)
        ) from None


def _note(
    order_id: str, cells: Sequence[str], columns: _Columns, codes: ReasonCodes, place: _Place
) -> OrderNote | None:
    """The reason and message of one line; None if it has neither."""
    reason, message = _cell(cells, columns.reason), _cell(cells, columns.message)
    if not (reason or message):
        return None
    for column, text in (("reason", reason), ("message", message)):
        if "\x00" in text:
            raise place.wrong(_("the {column} holds a NUL character", column=column), _("take it out"))
    if len(message) > LONGEST_NOTE:
        raise place.wrong(_("the message is longer than {longest:,} characters", longest=LONGEST_NOTE), _("shorten it"))
    try:
        return OrderNote(id=order_id, reason=codes.read(reason), message=message)
    except ValueError as error:
        hint = _("the codes: {codes}", codes=codes) if codes.words else _("shorten it")
        raise place.wrong(_("the reason {problem}", problem=error), hint) from None


def _cell(cells: Sequence[str], column: int | None) -> str:
    return cells[column].strip() if column is not None and column < len(cells) else ""


def _cells(line: str, lines: Iterator[tuple[int, str]], delimiter: str, place: _Place) -> list[str]:
    """The cells of a line; a quoted cell may continue on the next lines."""
    if not delimiter:
        return [_unquoted(line.strip(), '"')]
    text = line
    while True:
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            following = next(lines, None) if str(error) == _OPEN_QUOTE and len(text) <= LONGEST_LINE else None
            if following is None:
                raise place.wrong(_("the line is not CSV: {error}", error=syntax_reason(error))) from None
            text = f"{text}\n{following[1]}"


def _unquoted(text: str, quotes: str) -> str:
    quote = text[0]
    if quote in quotes and _QUOTED[quote].fullmatch(text):
        return text[1:-1].replace(quote * 2, quote)
    return text
