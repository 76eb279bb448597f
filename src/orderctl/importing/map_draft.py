"""A column map to begin with, drafted from a file's header and its rows; nothing of it is used unread."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from orderctl.core.text import safe
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import is_blank
from orderctl.files.csv import Table
from orderctl.files.kinds import input_file
from orderctl.files.safe import scratch_folder
from orderctl.importing.day_formats import UNDECIDED, DayFormats
from orderctl.importing.fields import FIELDS, NEEDED, NEEDED_OF_LINES, READ_LINE_FIELDS, field_of
from orderctl.importing.source import read_table
from orderctl.language import _
from orderctl.orders.orders import Status

_LOOKED_AT = 500
_SHOWN_WORDS = 20
_EXAMPLES = 3
_DECIMAL_COMMA = re.compile(r"-?\d{1,3}(\.\d{3})*,\d{2}\Z|-?\d+,\d{2}\Z")
_MOST_IDS = 200_000


@dataclass(slots=True)
class _Seen:
    """What was seen of a table: the first texts of each column, how days are written, whether ids repeat."""

    columns: dict[str, list[str]]
    fields: dict[str, str]
    days: list[tuple[str, str]]
    by_line: bool = False
    total_of_line: bool = False


def draft_map(path: Path, today: date) -> list[str]:
    """The lines of a map for a table: what a column's name says is filled in, what it does not say is left open.

    Raises UsageError.
    """
    try:
        with scratch_folder() as folder:
            return list(_lines(_look_at(read_table(*input_file(path, folder)), today)))
    except OSError as error:
        raise UsageError(
            _("{path} cannot be read: {why}", path=path, why=os_reason(error)), hint=_("check the path")
        ) from None


def _look_at(table: Table, today: date) -> _Seen:
    """Read the whole table once."""
    columns: dict[str, list[str]] = {name: [] for name in table.header if name}
    fields = {field: name for name in columns if (field := field_of(name))}
    place = {name: number for number, name in enumerate(table.header)}
    ids, totals = (place.get(fields.get(field, ""), -1) for field in ("id", "total"))
    days, repeated, differing = DayFormats(today), False, False
    seen: dict[str, str] = {}
    for number, (__, cells) in enumerate(table.rows):
        texts = ["" if is_blank(cell) else str(cell) for cell in cells[: len(table.header)]]
        days.see(texts)
        if number < _LOOKED_AT:
            for name, text in zip(table.header, texts, strict=False):
                if name and text:
                    columns[name].append(text)
        if 0 <= ids < len(texts) and texts[ids] and len(seen) < _MOST_IDS:
            total = texts[totals] if 0 <= totals < len(texts) else ""
            repeated = repeated or texts[ids] in seen
            differing = differing or (bool(total) and seen.get(texts[ids], total) not in {"", total})
            seen.setdefault(texts[ids], total)
    found = _Seen(columns, fields, list(days.formats(place.get(fields.get("ordered", "")))))
    found.by_line = repeated or any(field in fields for field in READ_LINE_FIELDS)
    found.total_of_line = differing
    return found


def _lines(seen: _Seen) -> Iterator[str]:
    columns, fields = seen.columns, _of_lines(seen) if seen.by_line else seen.fields
    decimal_comma = "true" if _has_decimal_comma(columns.values()) else "false"
    yield "# " + _("On the left a field of an order, on the right a column of the file. Complete it, then:")
    yield "# orderctl import FILE --map MAP"
    for form, example in seen.days:
        if UNDECIDED in form:
            yield "# " + _("{day} can be read in two ways, and nothing in the file says which:", day=safe(example))
            yield "# " + _("keep one of the two in the next line; as it stands, the map is refused")
    formats = list(dict.fromkeys(form for form, __ in seen.days))
    yield f"date_formats = {json.dumps(formats)}  # " + _("how days are written, if not as in 2026-02-14")
    yield f"decimal_comma = {decimal_comma}  # " + _("true: as in 1.234,50")
    if seen.by_line:
        yield 'rows = "lines"  # ' + _("an id stands in several rows: each is a line of its order")
    yield ""
    yield "[columns]"
    needed = (*NEEDED, *(NEEDED_OF_LINES if seen.by_line else ("total",)))
    if "line_total" in fields:
        needed = tuple(field for field in needed if field != "unit_price")
    for field in (*needed, *(each for each in FIELDS if each in fields and each not in needed)):
        remark = "" if field in fields else f"  # {_remark(field)}"
        yield f"{field} = {_quoted(fields.get(field, ''))}{remark}"
    others = ", ".join(each for each in FIELDS if each not in {*fields, *needed})
    yield "# " + _("other fields: {fields}", fields=others)
    yield from _rest(columns, fields)


def _of_lines(seen: _Seen) -> dict[str, str]:
    """The fields of a file of lines: what counts pieces there, and where it differs what sums up, is of a line."""
    fields = dict(seen.fields)
    if "line_quantity" not in fields and "quantity" in fields:
        fields["line_quantity"] = fields.pop("quantity")
    if seen.total_of_line and "line_total" not in fields:
        fields["line_total"] = fields.pop("total")
    return fields


def _remark(field: str) -> str:
    if field == "unit_price":
        return _("every line needs it, or line_total instead: the amount of the whole line")
    return _("every line needs it") if field in NEEDED_OF_LINES else _("every order needs it")


def _rest(columns: Mapping[str, Sequence[str]], fields: Mapping[str, str]) -> Iterator[str]:
    """The columns that have no field yet, and the tables of defaults and words."""
    for name in columns:
        if name not in fields.values():
            words = ", ".join(map(safe, islice(dict.fromkeys(columns[name]), _EXAMPLES)))
            yield "# " + _("column {name}, as in {words}", name=_quoted(name), words=words)
    yield ""
    yield "[defaults]  # " + _("what stands for a column that the file does not have")
    yield '# currency = "EUR"'
    yield ""
    yield "[status]  # " + _("the file's word = one of {known}", known=", ".join(Status))
    found = dict.fromkeys(columns.get(fields.get("status", ""), ()))
    for word in islice((word for word in found if word not in set(Status)), _SHOWN_WORDS):
        yield f'{_quoted(word)} = ""'


def _has_decimal_comma(columns: Iterable[Sequence[str]]) -> bool:
    return any(column and all(map(_DECIMAL_COMMA.match, column)) for column in columns)


def _quoted(text: str) -> str:
    """A text of TOML, with JSON's escapes, which are TOML's too; nothing in it controls a terminal."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)
