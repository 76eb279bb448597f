"""Column maps: what the columns of somebody else's file mean, as TOML; see docs/reference/import.md."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, tzinfo
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from orderctl.core.text import plain_name, safe
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import Cell
from orderctl.filters.filters import field_named
from orderctl.importing.day_formats import UNDECIDED
from orderctl.importing.orders import FIELDS, read_status
from orderctl.language import N_, _

_TABLES = ("columns", "defaults", "status", "words")
_LISTS = ("date_formats", "recognised_by", "rejected_if_filled")
_KEYS: dict[str, type] = {
    "about": str,
    "recognised_by": list,
    "rejected_if_filled": list,
    "fill_down": bool,
    "id_prefix": str,
    "drop_apostrophes": bool,
    "rows": str,
    "rejected_id_prefix": str,
    "date_formats": list,
    "decimal_comma": bool,
    "round_prices": bool,
    "other_charges": bool,
    "timezone": str,
    "tag_separator": str,
    "sheet": str,
}
_ROWS = ("orders", "lines")
# As `timezone`: each moment has to name its own offset.
_OF_THE_CELL = "offset"
_KIND_WORDS = {
    str: N_("a text"),
    list: N_("a list of texts"),
    bool: N_("true or false"),
    dict: N_("a table"),
}
_OTHER_NAMES = {
    "buyer": "buyer_name",
    "colour": "color",
    "delivery": "delivery_from",
    "ref": "reference",
    "tag": "tags",
}
_OWN_NAMES = {name: name for name in FIELDS} | _OTHER_NAMES
NESTED_NAMES = {"name": "line_name", "quantity": "line_quantity"}
_LARGEST_MAP = 1_000_000
_UNKNOWN = {
    "key": N_("{file}: unknown key {name!r}"),
    "column": N_("{file}: unknown column {name!r}"),
    "field": N_("{file}: unknown field {name!r}"),
}


@dataclass(frozen=True, slots=True)
class Combined:
    """Several columns for one field: the first that is filled, or all that are, joined. Missing ones do not matter.

    With `counted` the field is 1 where any of them says more than nothing, and 0 where those that are filled do not.
    """

    columns: tuple[str, ...]
    joined_with: str | None = None
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """Which column holds which field, what stands in for missing ones, and how cells are written."""

    file: str = ""
    about: str = ""
    recognised_by: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    combined: Mapping[str, Combined] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    defaults: Mapping[str, Cell] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    rows: str | None = None
    rejected_id_prefix: str = ""
    rejected_if_filled: tuple[str, ...] = ()
    fill_down: bool = False
    id_prefix: str = ""
    drop_apostrophes: bool = False
    date_formats: tuple[str, ...] = ()
    decimal_comma: bool = False
    round_prices: bool = False
    other_charges: bool = False
    timezone: tzinfo | None = UTC
    tag_separator: str = ","
    sheet: str | None = None


def read_map(path: Path) -> ColumnMap:
    """Read a map; UsageError names the file, the key, and the key that was probably meant."""
    try:
        with path.open("rb") as file:
            content = tomllib.loads(file.read(_LARGEST_MAP).decode())
    except OSError as error:
        raise UsageError(
            _("the column map {path} cannot be read: {why}", path=path, why=os_reason(error)),
            hint=_("check the path"),
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            _("the column map {path} is not TOML: {error}", path=path, error=error), hint=_("mend the file")
        ) from None
    return _checked(content, str(path))


def _checked(content: Mapping[str, object], file: str) -> ColumnMap:
    for key, value in content.items():
        kind = dict if key in _TABLES else _KEYS.get(key)
        if kind is None:
            raise _unknown(file, "key", key, (*_TABLES, *_KEYS))
        if not isinstance(value, kind):
            raise UsageError(_("{file}: {key} must be {kind}", file=file, key=key, kind=_(_KIND_WORDS[kind])))
    columns, combined = _columns(content.get("columns", {}), f"{file}: columns")
    return _with_settings(
        ColumnMap(
            file=file,
            columns=columns,
            combined=combined,
            words=_words(content.get("words", {}), f"{file}: words"),
            defaults=_defaults(content.get("defaults", {}), file),
            statuses=_texts(content.get("status", {}), f"{file}: status", None),
        ),
        {key: content[key] for key in _KEYS if key in content},
    )


def _with_settings(found: ColumnMap, given: dict[str, Any]) -> ColumnMap:
    _check_settings(given, found.file)
    _check_statuses(found)
    for key in _LISTS:
        if key in given:
            given[key] = _list(given[key], f"{found.file}: {key}")
    _check_formats(given.get("date_formats", ()), found.file)
    if "timezone" in given:
        name = given["timezone"]
        given["timezone"] = None if name == _OF_THE_CELL else time_zone(name, _("{file}: timezone", file=found.file))
    return replace(found, **given)


def own_fields(header: Iterable[str], file: str) -> dict[str, str]:
    """Field to column for a file that uses our own names; UsageError for any other column."""
    found: dict[str, str] = {}
    for column in header:
        name = own_field(column)
        if name is None:
            error = _unknown(file, "column", column, FIELDS)
            error.hint = _("{hint}; or give a column map with --map: --make-map drafts one", hint=error.hint)
            raise error
        if name in found:
            raise UsageError(
                _(
                    "{file}: the columns {other!r} and {column!r} both mean {name}",
                    file=file,
                    other=safe(found[name]),
                    column=safe(column),
                    name=name,
                ),
                hint=_("leave one of them out"),
            )
        found[name] = column
    return found


def own_field(column: str) -> str | None:
    """The field that a column's name means, whatever its case, spaces and hyphens."""
    name = plain_name(column)
    found = _OWN_NAMES.get(name)
    if found is None and (field := field_named(name)):
        found = _OWN_NAMES.get(field.name)
    return found


def mapped_fields(columns: ColumnMap, header: Iterable[str], file: str) -> dict[str, str]:
    """Field to column as a map says; UsageError if it names a column that the file does not have."""
    there = set(header)
    for name, column in columns.columns.items():
        if column not in there:
            close = get_close_matches(column, there, n=1)
            raise UsageError(
                _(
                    "{file} has no column {column!r}, which {map} maps to {name}",
                    file=file,
                    column=safe(column),
                    map=columns.file,
                    name=name,
                ),
                hint=_("did you mean {word!r}?", word=safe(close[0]))
                if close
                else _("it has: {names}", names=", ".join(map(safe, header))),
            )
    return dict(columns.columns)


def _unknown(file: str, what: str, name: str, known: Iterable[str]) -> UsageError:
    known = tuple(known)
    close = get_close_matches(name.casefold(), known, n=1)
    hint = _("did you mean {word}?", word=close[0]) if close else _("known are: {known}", known=", ".join(known))
    return UsageError(_(_UNKNOWN[what], file=file, name=safe(name)), hint=hint)


def _check_settings(settings: Mapping[str, object], file: str) -> None:
    rows = settings.get("rows", "orders")
    if rows not in _ROWS:
        raise UsageError(
            _(
                "{file}: rows must be one of {known}, not {rows!r}",
                file=file,
                known=", ".join(_ROWS),
                rows=safe(str(rows)),
            )
        )
    if settings.get("tag_separator") == "":
        raise UsageError(_("{file}: tag_separator must not be empty", file=file))


def _texts(table: object, where: str, known: tuple[str, ...] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        if known is not None and key not in known:
            raise _unknown(where, "field", key, known)
        if not isinstance(value, str):
            raise UsageError(_("{where}.{key} must be a text", where=where, key=safe(key)))
        found[key] = value
    return found


def _defaults(table: object, file: str) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for key, value in table.items() if isinstance(table, dict) else ():
        if key not in FIELDS:
            raise _unknown(f"{file}: defaults", "field", key, FIELDS)
        if not isinstance(value, str | int | float | bool | datetime | date):
            raise UsageError(_("{file}: defaults.{key} must be a single value", file=file, key=key))
        found[key] = value
    return found


def _columns(table: object, where: str) -> tuple[dict[str, str], dict[str, Combined]]:
    """The fields with one column, and those with several: `{ first = [...] }`, or `any`, or `join`."""
    if not isinstance(table, dict):
        return {}, {}
    combined = {
        key: _combined(value, f"{where}.{safe(key)}") for key, value in table.items() if isinstance(value, dict)
    }
    for key in combined:
        if key not in FIELDS:
            raise _unknown(where, "field", key, FIELDS)
    return _texts({key: value for key, value in table.items() if key not in combined}, where, FIELDS), combined


def _combined(table: Mapping[str, object], where: str) -> Combined:
    how = next((each for each in ("first", "any", "join") if each in table), "join")
    columns, joined_with = table.get(how), table.get("with", "\n")
    extra = set(table) - ({how, "with"} if how == "join" else {how})
    if extra or not isinstance(columns, list) or not isinstance(joined_with, str):
        raise UsageError(
            _(
                "{where} must be a column, {{ first = [...] }}, {{ any = [...] }} or {{ join = [...], with = ... }}",
                where=where,
            ),
            hint=_("columns are texts in quotation marks"),
        )
    return Combined(_list(columns, where), joined_with if how == "join" else None, counted=how == "any")


def _words(table: object, where: str) -> dict[str, Mapping[str, Cell]]:
    """For each field the words of the file and what they mean."""
    found: dict[str, Mapping[str, Cell]] = {}
    for key, words in table.items() if isinstance(table, dict) else ():
        if key not in FIELDS:
            raise _unknown(where, "field", key, FIELDS)
        found[key] = _texts(words, f"{where}.{key}", None)
    return found


def _list(values: list[object], where: str) -> tuple[str, ...]:
    found = tuple(value for value in values if isinstance(value, str))
    if len(found) != len(values):
        raise UsageError(_("{where} must be a list of texts", where=where))
    return found


def _check_formats(formats: Iterable[str], file: str) -> None:
    for form in formats:
        if UNDECIDED in form:
            raise UsageError(
                _(
                    "{file}, line {line}: date_formats: {form!r} is not decided: which of them does the file write?",
                    file=file,
                    line=_line_of(form, file),
                    form=safe(form),
                ),
                hint=_("keep one of them: {forms}", forms=", ".join(map(repr, form.split(UNDECIDED)))),
            )
        sample = datetime(2011, 12, 31, 23, 59, tzinfo=UTC)
        try:
            back = datetime.strptime(sample.strftime(form), form)  # noqa: DTZ007 - only whether it can be read
        except (ValueError, re.error):
            back = None
        if back is None or (back.year, back.month, back.day) != (sample.year, sample.month, sample.day):
            raise UsageError(
                _("{file}: date_formats: {form!r} does not give a day", file=file, form=safe(form)),
                hint=_("such as %d/%m/%Y %H:%M"),
            )


def _line_of(text: str, file: str) -> int:
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, line in enumerate(lines, start=1) if text in line), 1)


def time_zone(name: str, where: str) -> tzinfo:
    """The time zone of that name. Raises UsageError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            _("{where}: {name!r} is not a known time zone", where=where, name=safe(name)),
            hint=_("such as Europe/London"),
        ) from None


def _check_statuses(found: ColumnMap) -> None:
    default = found.defaults.get("status")
    named = [*found.statuses.values(), *([default] if default is not None else [])]
    for code in named:
        try:
            read_status(code, {})
        except ValueError as error:
            raise UsageError(
                _("{file}: status: {code!r} {problem}", file=found.file, code=safe(str(code)), problem=error)
            ) from None


_FOLDER = Path(__file__).parent / "maps"


def map_names() -> tuple[str, ...]:
    """The names of the maps."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("*.toml")))


@cache
def shipped_map(name: str) -> ColumnMap:
    """The map of that name. Raises UsageError naming what there is."""
    known = map_names()
    if name not in known:
        close = get_close_matches(name.casefold(), known, n=1)
        raise UsageError(
            _("there is no column map {name!r}", name=name),
            hint=_("did you mean {word}?", word=close[0])
            if close
            else _("the maps: {known}; your own: --map FILE", known=", ".join(known)),
        )
    return read_map(_FOLDER / f"{name.replace('-', '_')}.toml")


def recognised(header: Iterable[str]) -> str | None:
    """The name of the map whose columns the header has; of several the one that knows most of it."""
    there = set(header)
    found = [
        (len(signs), name)
        for name in map_names()
        if (signs := shipped_map(name).recognised_by) and there.issuperset(signs)
    ]
    return max(found)[1] if found else None
