"""A column map to begin with, drafted from a file's header and its first rows; nothing of it is used unread."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from orderctl.domain.cells import Cell, is_blank
from orderctl.domain.errors import UsageError
from orderctl.domain.importing import FIELDS, NEEDED
from orderctl.domain.orders import Status
from orderctl.domain.os_errors import os_reason
from orderctl.domain.text import safe
from orderctl.files.column_map import own_field
from orderctl.files.source import read_table
from orderctl.language import say

_LOOKED_AT = 500
_SHOWN_WORDS = 20
_EXAMPLES = 3
_DECIMAL_COMMA = re.compile(r"-?\d{1,3}(\.\d{3})*,\d{2}\Z|-?\d+,\d{2}\Z")
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d")


def draft_map(path: Path) -> list[str]:
    """The lines of a map for a table: what a column's name says is filled in, what it does not say is left open.

    Raises UsageError.
    """
    try:
        table = read_table(path)
        seen = [cells for _, cells in islice(table.rows, _LOOKED_AT)]
    except OSError as error:
        raise UsageError(
            say("{path} cannot be read: {why}", path=path, why=os_reason(error)), hint=say("check the path")
        ) from None
    columns = {name: _texts(seen, place) for place, name in enumerate(table.header) if name}
    fields = {field: name for name in columns if (field := own_field(name))}
    return list(_lines(columns, fields))


def _lines(columns: Mapping[str, Sequence[str]], fields: Mapping[str, str]) -> Iterator[str]:
    formats = list(dict.fromkeys(_formats(columns.values())))
    decimal_comma = "true" if _has_decimal_comma(columns.values()) else "false"
    yield "# " + say("On the left a field of an order, on the right a column of the file. Complete it, then:")
    yield "# orderctl import FILE --map MAP"
    yield f"date_formats = {json.dumps(formats)}  # " + say("how days are written, if not as in 2026-02-14")
    yield f"decimal_comma = {decimal_comma}  # " + say("true: as in 1.234,50")
    yield ""
    yield "[columns]"
    needed = (*NEEDED, "total")
    for field in (*needed, *(each for each in FIELDS if each in fields and each not in needed)):
        remark = "" if field in fields else "  # " + say("every order needs it")
        yield f"{field} = {_quoted(fields.get(field, ''))}{remark}"
    others = ", ".join(each for each in FIELDS if each not in {*fields, *needed})
    yield "# " + say("other fields: {fields}", fields=others)
    for name in columns:
        if name not in fields.values():
            words = ", ".join(map(safe, islice(dict.fromkeys(columns[name]), _EXAMPLES)))
            yield "# " + say("column {name}, as in {words}", name=_quoted(name), words=words)
    yield ""
    yield "[defaults]  # " + say("what stands for a column that the file does not have")
    yield '# currency = "EUR"'
    yield ""
    yield "[status]  # " + say("the file's word = one of {known}", known=", ".join(Status))
    found = dict.fromkeys(columns.get(fields.get("status", ""), ()))
    for word in islice((word for word in found if word not in set(Status)), _SHOWN_WORDS):
        yield f'{_quoted(word)} = ""'


def _texts(rows: Iterable[Sequence[Cell]], place: int) -> list[str]:
    return [str(cells[place]) for cells in rows if place < len(cells) and not is_blank(cells[place])]


def _formats(columns: Iterable[Sequence[str]]) -> Iterator[str]:
    """The ways in which whole columns write days; where two fit one, the likelier comes first."""
    for column in columns:
        for form in _DAYS:
            if column and all(_fits(text, form) for text in column):
                yield form
                break


def _fits(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def _has_decimal_comma(columns: Iterable[Sequence[str]]) -> bool:
    return any(column and all(map(_DECIMAL_COMMA.match, column)) for column in columns)


def _quoted(text: str) -> str:
    """A text of TOML, with JSON's escapes, which are TOML's too; nothing in it controls a terminal."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)
