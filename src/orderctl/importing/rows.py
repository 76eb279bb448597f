"""The rows of a file as cells by the fields that they mean, as a column map says."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from orderctl.core.text import closest
from orderctl.files.cells import LONGEST_TEXT, Cell, is_blank, read_text
from orderctl.files.csv import Table
from orderctl.files.jsonl import Broken
from orderctl.importing.column_map import OTHER_WORDS, ColumnMap
from orderctl.importing.fields import FIELDS, NESTED_LINES, READ_LINE_FIELDS, field_of, line_field_of
from orderctl.importing.figures import RowProblem
from orderctl.importing.orders import ReadingRules, Row
from orderctl.language import _

# Words that mean nothing in any source; the pattern is for 0, 0.00, 0 %, -, 0000-00-00 00:00:00.
_NOTHING_WORDS = {"no", "false", "none", "null", "n/a"}
_NOTHING = re.compile(r"[-+\u2013\u2014 0.,:/%]*")


class RowReader(Protocol):
    """Reads the rows of a file. `columns` says for each field how its column is called there, for messages."""

    columns: Mapping[str, str]

    def rows(self, rules: ReadingRules) -> Iterator[Row | RowProblem]:
        """Each row, or what is wrong with one of which nobody can say whose it is."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a field's cell comes from: see `Combined`."""

    places: tuple[int, ...]
    joined_with: str | None
    counted: bool
    nothing: frozenset[str]

    def cell(self, cells: Sequence[Cell]) -> Cell:
        """The field's cell of one row."""
        filled = [cells[place] for place in self.places if not is_blank(cells[place])]
        if self.counted and filled:
            return "0" if all(map(self._is_nothing, filled)) else "1"
        if self.joined_with is None:
            return filled[0] if filled else None
        # Exports repeat themselves: a street, and the same street as the first line of the address.
        return self.joined_with.join(dict.fromkeys(read_text(cell, LONGEST_TEXT) for cell in filled))

    def _is_nothing(self, cell: Cell) -> bool:
        if not isinstance(cell, str):
            return not cell
        word = cell.strip().casefold()
        return word in self.nothing or word in _NOTHING_WORDS or _NOTHING.fullmatch(word) is not None


class TableReader:
    """Reads the rows of a table. `plain` says which column holds a field; the map may combine others."""

    def __init__(self, table: Table, plain: Mapping[str, str], columns: ColumnMap) -> None:
        place = {name: number for number, name in reversed(list(enumerate(table.header))) if name}
        combined = {
            name: there
            for name, wanted in columns.combined.items()
            if (there := replace(wanted, columns=tuple(each for each in wanted.columns if each in place))).columns
        }
        self.columns: Mapping[str, str] = {
            **plain,
            **{name: " / ".join(each.columns) for name, each in combined.items()},
        }
        self._plain = [(name, place[column]) for name, column in plain.items()]
        self._words = {name: words for name, words in columns.words.items() if name in self.columns}
        self._combined = [
            (
                name,
                _Source(
                    tuple(place[column] for column in each.columns),
                    each.joined_with,
                    each.counted,
                    each.nothing,
                ),
            )
            for name, each in combined.items()
        ]
        self._skipped, self._lines = (
            [(place[column], words) for column, words in conditions.items() if column in place]
            for conditions in (columns.skip_rows, columns.only_lines)
        )
        self._table = table
        self._map = columns
        self._id: Cell = None

    def rows(self, rules: ReadingRules) -> Iterator[Row | RowProblem]:
        """Each row; one that has not the cells of the header is none. `rules` count what the map leaves out."""
        width = len(self._table.header)
        for number, cells in self._table.rows:
            if len(cells) == width or (len(cells) > width and all(map(is_blank, cells[width:]))):
                if self._skipped and any(_says(cells[place], words) for place, words in self._skipped):
                    rules.left_out["rows"] += 1
                    continue
                found = self._by_field(cells)
                if self._lines and not all(_says(cells[place], words) for place, words in self._lines):
                    rules.left_out["lines"] += any(not is_blank(found.get(name)) for name in READ_LINE_FIELDS)
                    found = {name: cell for name, cell in found.items() if name not in READ_LINE_FIELDS}
                yield Row(number, found)
            else:
                reason = _("has {cells} cells, but the header has {width}", cells=len(cells), width=width)
                yield rules.problem(number, "id", cells[0], reason)

    def _by_field(self, cells: Sequence[Cell]) -> dict[str, Cell]:
        if self._map.drop_apostrophes:
            cells = [cell.removeprefix("'") if isinstance(cell, str) else cell for cell in cells]
        found = {name: cells[place] for name, place in self._plain}
        for name, source in self._combined:
            found[name] = source.cell(cells)
        for name, words in self._words.items():
            cell = found[name]
            found[name] = words.get(cell.strip().casefold(), cell) if isinstance(cell, str) else cell
        return self._with_id(found)

    def _with_id(self, found: dict[str, Cell]) -> dict[str, Cell]:
        cell = found.get("id")
        if isinstance(cell, str) and self._map.id_prefix:
            found["id"] = cell.strip().removeprefix(self._map.id_prefix)
        if self._map.fill_down:
            if is_blank(cell):
                found["id"] = self._id
            self._id = found["id"]
        return found


def _says(cell: Cell, words: frozenset[str]) -> bool:
    word = read_text(cell, LONGEST_TEXT).casefold()
    return word in words or (word != "" and OTHER_WORDS in words)


Wrong = tuple[str, Cell, str]
# Our own exports say which version of the schema they follow.
_SCHEMA = "schema"


class JsonReader:
    """Reads objects of JSON by a map's column names, or by our own names; `buyer` may be an object."""

    def __init__(
        self, objects: Callable[[], Iterator[tuple[int, dict[str, Cell] | Broken]]], columns: ColumnMap
    ) -> None:
        self.columns = columns.columns
        self._objects = objects
        self._mapped = bool(columns.file)
        self._names: dict[str, list[str]] = {}
        for name, column in columns.columns.items():
            self._names.setdefault(column, []).append(name)

    def first_fields(self) -> Mapping[str, Cell]:
        """The cells of the first object, which shows what the others are."""
        objects = (found for __, found in self._objects() if isinstance(found, dict))
        return self._by_field(next(objects, {}))[0]

    def rows(self, rules: ReadingRules) -> Iterator[Row | RowProblem]:
        """Each object; a line that is none is a problem."""
        for number, found in self._objects():
            if isinstance(found, Broken):
                yield rules.problem(number, "", found.text, found.reason)
            else:
                cells, wrong = self._by_field(found)
                yield Row(number, cells, tuple(rules.problem(number, *each) for each in wrong))

    def _by_field(self, found: Mapping[str, Cell]) -> tuple[dict[str, Cell], list[Wrong]]:
        """Cells by field, and what cannot be one: column, value, reason."""
        cells: dict[str, Cell] = {}
        wrong: list[Wrong] = []
        for key, value in _flat(found):
            if key == NESTED_LINES:
                cells[key] = self._lines(value, wrong)
                continue
            names = self._named(key)
            if not names and not self._mapped and key != _SCHEMA:
                wrong.append((key, None, _unknown(key, FIELDS)))
            for name in names:
                if name in cells:
                    wrong.append((key, None, _("means {name}, which is there already", name=name)))
                elif _is_single(value) or (name == "tags" and _is_list_of_texts(value)):
                    cells[name] = value
                else:
                    wrong.append((key, str(value), _("is not a single value")))
        return cells, wrong

    def _named(self, key: str) -> list[str]:
        if key not in self._names and not self._mapped:
            name = field_of(key)
            return [name] if name else []
        return self._names.get(key, [])

    def _lines(self, value: object, wrong: list[Wrong]) -> list[object]:
        if not isinstance(value, list):
            wrong.append((NESTED_LINES, str(value), _("is not a list")))
            return []
        lines: list[object] = []
        for number, line in enumerate(value, start=1):
            where = f"{NESTED_LINES}[{number}]"
            if not isinstance(line, dict):
                wrong.append((where, str(line), _("is not an object")))
                continue
            cells: dict[str, Cell] = {}
            for key, cell in line.items():
                name = line_field_of(key)
                if name is None:
                    wrong.append((f"{where}.{key}", None, _unknown(key, READ_LINE_FIELDS)))
                elif not _is_single(cell):
                    wrong.append((f"{where}.{key}", str(cell), _("is not a single value")))
                else:
                    cells[name] = cell
            lines.append(cells)
        return lines


def _flat(found: Mapping[str, Cell]) -> Iterator[tuple[str, Cell]]:
    for key, value in found.items():
        if key == "buyer" and isinstance(value, dict):
            for part, cell in value.items():
                yield f"buyer_{part}", cell
        else:
            yield key, value


def _is_single(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool | date)


def _is_list_of_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _unknown(key: str, known: tuple[str, ...]) -> str:
    if close := closest(key, known):
        return _("is not a field of an order (did you mean {word}?)", word=close)
    return _("is not a field of an order")
