"""Column maps: what the columns of somebody else's file mean, as TOML; see docs/reference/import.md."""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import UTC, date, datetime, tzinfo
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from orderctl.core.text import closest, fold, nearest, plain_name, safe
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import LONGEST_NAME, Cell, read_text
from orderctl.files.decoding import check_encoding
from orderctl.importing.fields import FIELDS, NEEDED, REJECTED_MARK, UNDECIDED
from orderctl.language import N_, _
from orderctl.orders.eligibility import Mode, rules_for
from orderctl.orders.orders import Status, status_named, status_names

_ROWS = ("orders", "lines")
# The value of `timezone` in a map whose timestamps each name their own offset.
_OF_THE_CELL = "offset"
# The key for every word that [status], `skip_rows` or `only_lines` does not list.
OTHER_WORDS = "*"
_CODES = {str(status): status for status in Status if status is not Status.REJECTED}
# The statuses that unlisted words may have: such orders are not rejected in bulk, and none is rejected already.
_PROTECTING = {rule.status for rule in rules_for(Mode.BULK) if rule.status} - {Status.REJECTED}
_LARGEST_MAP = 1_000_000


@dataclass(frozen=True, slots=True)
class Combined:
    """Several columns for one field: the first that is filled, or all that are, joined. Missing ones do not matter.

    With `counted` the field is 1 where any of them says more than nothing, and 0 where those that are filled do not.
    `nothing` holds the words for nothing that only this source has, in folded case.
    """

    columns: tuple[str, ...]
    joined_with: str | None = None
    counted: bool = False
    nothing: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMap:
    """Which column holds which field, what stands in for missing ones, and how cells are written.

    Its attributes are the keys of a file, but for `file` itself and for `combined`, which are columns of a file too.
    Words are in folded case; in `status` is `*` any other. `skip_rows` and `only_lines` hold by column the words of
    rows that are no part of any order, and of the only rows that hold a line.
    """

    file: str = ""
    about: str = ""
    recognised_by: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    combined: Mapping[str, Combined] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, Cell]] = field(default_factory=dict)
    defaults: Mapping[str, Cell] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    skip_rows: Mapping[str, frozenset[str]] = field(default_factory=dict)
    only_lines: Mapping[str, frozenset[str]] = field(default_factory=dict)
    rows: str = ""
    rejected_id_prefix: str = ""
    fill_down: bool = False
    id_prefix: str = ""
    drop_apostrophes: bool = False
    date_formats: tuple[str, ...] = ()
    decimal_comma: bool | None = None
    round_prices: bool = False
    other_charges: bool = False
    timezone: str = "UTC"
    tag_separator: str = ","
    sheet: str = ""
    encoding: str = ""
    delimiter: str = ""
    header_row: int = 0

    def holds_lines(self, names: Iterable[str]) -> bool:
        """Whether a row is a line of an order: as the map says, or where one of these fields is `sku`."""
        return self.rows == "lines" or (not self.rows and "sku" in names)

    @property
    def zone(self) -> tzinfo | None:
        """The zone of timestamps that name no offset; None where each has to name its own."""
        return None if self.timezone == _OF_THE_CELL else ZoneInfo(self.timezone)

    @property
    def other_status(self) -> Status | None:
        """The status of orders whose word there the map does not name; None where such a word is an error."""
        code = self.status.get(OTHER_WORDS)
        return None if code is None else Status(code)

    def read_status(self, cell: Cell) -> Status:
        """A status: as the map translates it, by its code, or in the words of either side.

        A map that says what other words mean takes none of ours for theirs, but for a code that nobody else has.
        """
        text = read_text(cell, LONGEST_NAME)
        code = None if text == OTHER_WORDS else self.status.get(text.casefold())
        if code is None:
            code = status_named(text) if self.other_status is None else _CODES.get(text)
        if code is None:
            close = closest(plain_name(text), status_names())
            raise ValueError(
                _("is not a known status (did you mean {status}?)", status=status_names()[close])
                if close
                else _("is not a known status (one of {known})", known=", ".join(Status))
            )
        return Status(code)


# The keys of a file and the type of their values: tables, and settings, whose type is that of the default.
_TABLES: dict[str, type] = dict.fromkeys(("columns", "defaults", "status", "words", "skip_rows", "only_lines"), dict)
_EXTENDS = "extends"
_SETTINGS: dict[str, type] = {
    each.name: list if each.default == () else bool if each.default is None else type(each.default)
    for each in fields(ColumnMap)
    if each.default is not MISSING and each.name != "file"
} | {_EXTENDS: str}
_KINDS = {
    str: N_("a text"),
    list: N_("a list of texts"),
    bool: N_("true or false"),
    dict: N_("a table"),
    int: N_("a whole number"),
}


def read_map(path: Path) -> ColumnMap:
    """Read a map; UsageError names the file, the key, and the key that was probably meant."""
    found = _checked(_content(path), str(path))
    _check_settings(found)
    return found


def _content(path: Path) -> dict[str, Any]:
    """The keys of a map with those of the shipped one that it extends."""
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
    _refuse_undecided(content, str(path))
    _check_kinds(content, str(path))
    content["status"] = _folded(content.get("status", {}), f"{path}: status")
    content["words"] = {
        name: _folded(table, f"{path}: words.{name}") for name, table in content.get("words", {}).items()
    }
    base = content.pop(_EXTENDS, None)
    return _extended(_content(_path_of(base)), content) if base is not None else content


def _extended(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """A map's own keys before those of another one; tables are put together key by key."""
    tables = {key: {**base.get(key, {}), **own.get(key, {})} for key in _TABLES}
    tables["words"] = {name: {**base["words"].get(name, {}), **own["words"].get(name, {})} for name in tables["words"]}
    return {**base, "about": "", **own, **tables}


def _refuse_undecided(content: Mapping[str, Any], file: str) -> None:
    """Raise UsageError for what --make-map has left open: its line, and between what to decide."""
    columns, defaults, words = (
        table if isinstance(table := content.get(name), dict) else {} for name in ("columns", "defaults", "status")
    )
    several = {key: value for key, value in columns.items() if isinstance(value, list)}
    if isinstance(comma := content.get("decimal_comma"), str) and UNDECIDED in comma:
        several["decimal_comma"] = comma.split(UNDECIDED)
    named = {**columns, **{key: defaults.get(key) for key in NEEDED}, **{quoted(word): words[word] for word in words}}
    for key in (*several, *(name for name, value in named.items() if value == "")):
        choices = ", ".join(map(repr, several.get(key, ())))
        raise UsageError(
            _("{file}, line {line}: {key} is not decided", file=file, line=_line_of(f"{key} =", file), key=safe(key)),
            hint=_("keep one of them: {forms}", forms=choices)
            if choices
            else _("write on the right what is meant, or take the line out"),
        )


def _check_kinds(content: Mapping[str, Any], file: str) -> None:
    """Refuse an unknown key, and a value that has not the type that it should have."""
    kinds = _TABLES | _SETTINGS
    for key, value in content.items():
        if key not in kinds:
            raise UsageError(_("{file}: unknown key {name!r}", file=file, name=safe(key)), hint=_nearest(key, kinds))
        if not isinstance(value, kinds[key]):
            raise UsageError(_("{file}: {key} must be {kind}", file=file, key=key, kind=_(_KINDS[kinds[key]])))


def _checked(content: Mapping[str, Any], file: str) -> ColumnMap:
    """The map, of which every part has the form that it should have."""
    columns, words, defaults = (
        _of_fields(content.get(key, {}), f"{file}: {key}", (*FIELDS, REJECTED_MARK) if key == "columns" else FIELDS)
        for key in ("columns", "words", "defaults")
    )
    for key, value in defaults.items():
        if not isinstance(value, str | int | float | bool | date):
            raise UsageError(_("{file}: defaults.{key} must be a single value", file=file, key=key))
    settings: dict[str, Any] = {
        key: _list(value, f"{file}: {key}") if isinstance(value, list) else value
        for key, value in content.items()
        if key in _SETTINGS
    }
    if (rows := settings.get("rows")) is not None and rows not in _ROWS:
        known = ", ".join(_ROWS)
        raise UsageError(
            _("{file}: rows must be one of {known}, not {rows!r}", file=file, known=known, rows=safe(rows))
        )
    where = f"{file}: columns"
    found = ColumnMap(
        file=file,
        columns=_texts({key: value for key, value in columns.items() if not isinstance(value, dict)}, where),
        combined={key: _combined(value, f"{where}.{key}") for key, value in columns.items() if isinstance(value, dict)},
        words=words,
        defaults=defaults,
        status=content["status"],
        skip_rows=_conditions(content.get("skip_rows", {}), f"{file}: skip_rows"),
        only_lines=_conditions(content.get("only_lines", {}), f"{file}: only_lines"),
        **settings,
    )
    _check_counted(found)
    return found


def _check_counted(found: ColumnMap) -> None:
    """What is counted has its own words for nothing, and a mark is counted."""
    for name, combined in found.combined.items():
        if combined.counted and name in found.words:
            raise UsageError(
                _("{file}: words.{name} has no use: {name} is {{ any = [...] }}", file=found.file, name=name),
                hint=_("put the words for nothing beside its columns: { any = [...], nothing = [...] }"),
            )
    mark = found.combined.get(REJECTED_MARK)
    if REJECTED_MARK in found.columns or (mark and not mark.counted):
        raise UsageError(
            _("{file}: columns.{name} must be {{ any = [...] }}", file=found.file, name=REJECTED_MARK),
            hint=_("an order with something in one of these columns arrives rejected"),
        )


def _nearest(name: str, known: Iterable[str]) -> str:
    return nearest(name, known, _("known are: {known}", known=", ".join(known)))


def _of_fields(table: dict[str, Any], where: str, known: Iterable[str]) -> dict[str, Any]:
    for name in table:
        if name not in known:
            error = _("{file}: unknown field {name!r}", file=where, name=safe(name))
            raise UsageError(error, hint=_nearest(name, known))
    return table


def _texts(table: object, where: str) -> dict[str, str]:
    if not isinstance(table, dict):
        raise UsageError(
            _("{where} must be a table", where=where),
            hint=_("see orderctl help import for what each part of a map looks like"),
        )
    for key, value in table.items():
        if not isinstance(value, str):
            raise UsageError(_("{where}.{key} must be a text", where=where, key=safe(key)))
    return table


def _folded(table: object, where: str) -> dict[str, Any]:
    return {word.casefold(): meaning for word, meaning in _texts(table, where).items()}


def _conditions(table: dict[str, object], where: str) -> dict[str, frozenset[str]]:
    """Words by column; an empty one is an empty cell."""
    for column, words in table.items():
        if not isinstance(words, list):
            raise UsageError(
                _("{where}.{key} must be a list of texts", where=where, key=safe(column)),
                hint=_("see orderctl help import for what each part of a map looks like"),
            )
    return {
        column: frozenset(word.strip().casefold() for word in _list(words, f"{where}.{safe(column)}"))
        for column, words in table.items()
        if isinstance(words, list)
    }


def _list(values: list[object], where: str) -> tuple[str, ...]:
    found = tuple(value for value in values if isinstance(value, str))
    if len(found) != len(values):
        raise UsageError(_("{where} must be a list of texts", where=where))
    return found


_HOWS = {"first": None, "any": "nothing", "join": "with"}


def _combined(table: dict[str, object], where: str) -> Combined:
    """Columns as `{ first = [...] }`, or `any`, or `join`."""
    how = next((each for each in _HOWS if each in table), "join")
    columns, joined_with, nothing = table.get(how), table.get("with", "\n"), table.get("nothing", [])
    extra = set(table) - {how, _HOWS[how]}
    if extra or not isinstance(columns, list) or not isinstance(joined_with, str) or not isinstance(nothing, list):
        raise UsageError(
            _(
                "{where} must be a column, {{ first = [...] }}, {{ any = [...], nothing = [...] }} or "
                "{{ join = [...], with = ... }}",
                where=where,
            ),
            hint=_("columns are texts in quotation marks"),
        )
    return Combined(
        _list(columns, where),
        joined_with if how == "join" else None,
        counted=how == "any",
        nothing=frozenset(word.strip().casefold() for word in _list(nothing, f"{where}.nothing")),
    )


def _check_settings(found: ColumnMap) -> None:
    if found.encoding:
        check_encoding(found.encoding, _("{file}: encoding", file=found.file))
    if len(found.delimiter) > 1 or found.delimiter in {'"', "\n", "\r"}:
        raise UsageError(
            _("{file}: delimiter must be one character", file=found.file), hint=_("such as ; or \\t for a tab")
        )
    if not found.tag_separator:
        raise UsageError(_("{file}: tag_separator must not be empty", file=found.file))
    for code in (*found.status.values(), *(found.defaults[key] for key in found.defaults if key == "status")):
        try:
            ColumnMap().read_status(code)
        except ValueError as error:
            raise UsageError(
                _("{file}: status: {code!r} {problem}", file=found.file, code=safe(str(code)), problem=error)
            ) from None
    if (other := found.other_status) and other not in _PROTECTING:
        raise UsageError(
            _('{file}: status."*": {code} can be rejected in bulk, or is final', file=found.file, code=other),
            hint=_("a word that nobody knows must protect its order: {known}", known=", ".join(sorted(_PROTECTING))),
        )
    for form in found.date_formats:
        _check_format(form, found.file)
    if found.timezone != _OF_THE_CELL:
        check_zone(found.timezone, _("{file}: timezone", file=found.file))


def _check_format(form: str, file: str) -> None:
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
    if back is None or back.date() != sample.date():
        raise UsageError(
            _("{file}: date_formats: {form!r} does not give a day", file=file, form=safe(form)),
            hint=_("such as %d/%m/%Y %H:%M"),
        )


def _line_of(text: str, file: str) -> int:
    lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
    beginning = next((number for number, line in enumerate(lines, start=1) if line.lstrip().startswith(text)), 0)
    return beginning or next((number for number, line in enumerate(lines, start=1) if text in line), 1)


def quoted(text: str) -> str:
    """A text of TOML, with JSON's escapes, which are TOML's too; nothing in it controls a terminal."""
    found = json.dumps(text, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in found)


def check_zone(name: str, where: str) -> None:
    """Raise UsageError if there is no time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(
            _("{where}: {name!r} is not a known time zone", where=where, name=safe(name)),
            hint=_("such as Europe/London"),
        ) from None


def fitted(columns: ColumnMap, header: Sequence[str]) -> ColumnMap:
    """The map with its columns as the header writes them: case and spaces do not matter, exact names come first."""
    written = {_plain(name): name for name in reversed(header)} | {name: name for name in header}

    def there(name: str) -> str:
        return written.get(name, written.get(_plain(name), name))

    return replace(
        columns,
        columns={name: there(column) for name, column in columns.columns.items()},
        combined={
            name: replace(each, columns=tuple(map(there, each.columns))) for name, each in columns.combined.items()
        },
        skip_rows={there(column): words for column, words in columns.skip_rows.items()},
        only_lines={there(column): words for column, words in columns.only_lines.items()},
    )


def _plain(column: str) -> str:
    return "".join(fold(column).split())


def mapped_fields(columns: ColumnMap, header: Iterable[str], file: str) -> dict[str, str]:
    """Field to column as a map says; UsageError if it names a column that the file does not have."""
    there = list(header)
    for name, column in columns.columns.items():
        if column not in there:
            close = closest(column, there)
            raise UsageError(
                _(
                    "{file} has no column {column!r}, which {map} maps to {name}",
                    file=file,
                    column=safe(column),
                    map=columns.file,
                    name=name,
                ),
                hint=_("did you mean {word!r}?", word=safe(close))
                if close
                else _("it has: {names}", names=", ".join(map(safe, there))),
            )
    return dict(columns.columns)


_FOLDER = Path(__file__).parent / "maps"
_SIGNS = re.compile(r"^recognised_by = .*$", re.MULTILINE)


def map_names() -> tuple[str, ...]:
    """The names of the maps that ship with the program."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("*.toml")))


def kept_maps(folder: Path | None) -> dict[str, Path]:
    """The maps of the user's own, by name."""
    return {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder else {}


def named_map(name: str, folder: Path | None = None) -> ColumnMap:
    """The map of that name, kept in the folder or shipped. Raises UsageError naming what there is."""
    kept = kept_maps(folder)
    return read_map(kept[name]) if name in kept else read_map(_path_of(name, kept))


def _path_of(name: str, kept: Iterable[str] = ()) -> Path:
    known = (*map_names(), *kept)
    if name not in map_names():
        raise UsageError(
            _("there is no column map {name!r}", name=safe(name)),
            hint=nearest(name, known, _("the maps: {known}; your own: --map FILE", known=", ".join(known))),
        )
    return _FOLDER / f"{name.replace('-', '_')}.toml"


@cache
def _signs() -> dict[str, frozenset[str]]:
    """By map the columns by which it knows its file. They stand on one line: reading all maps whole takes 90 ms."""
    lines = {name: _SIGNS.search(_path_of(name).read_text(encoding="utf-8")) for name in map_names()}
    return {
        name: frozenset(map(_plain, tomllib.loads(line[0])["recognised_by"])) for name, line in lines.items() if line
    }


def kept_signs(folder: Path | None) -> dict[str, frozenset[str]]:
    """By map of the user's own the columns by which it knows its file. Raises UsageError."""
    return {name: frozenset(map(_plain, read_map(path).recognised_by)) for name, path in kept_maps(folder).items()}


def recognised(header: Iterable[str], kept: Mapping[str, frozenset[str]] = MappingProxyType({})) -> str | None:
    """The name of the map whose columns the header has, whatever their case and spaces; `kept` are the user's own.

    Of several it is the one that knows most of the header, a kept one before a shipped one; none if two know as much.
    """
    there = set(map(_plain, header))
    found = [
        ((len(signs), name in kept), name) for name, signs in {**_signs(), **kept}.items() if signs and there >= signs
    ]
    best = [name for rank, name in found if rank == max(found)[0]]
    return best[0] if len(best) == 1 else None
