"""The rows of a file as cells by the fields that they mean, as a column map says."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby, islice
from typing import Any, Protocol

from orderctl.core.text import closest
from orderctl.files.cells import LONGEST_TEXT, Cell, is_blank, read_text
from orderctl.files.csv import Table
from orderctl.files.jsonl import Broken
from orderctl.importing.column_map import OTHER_WORDS, ColumnMap
from orderctl.importing.fields import FIELDS, NESTED_LINES, READ_LINE_FIELDS, field_of, line_field_of
from orderctl.importing.figures import RowProblem
from orderctl.importing.orders import TOGETHER, Block, ReadingRules, Row
from orderctl.language import _

# Words that mean nothing in any source; the pattern is for 0, 0.00, 0 %, -, 0000-00-00 00:00:00.
_NOTHING_WORDS = {"no", "false", "none", "null", "n/a"}
_NOTHING = re.compile(r"[-+\u2013\u2014 0.,:/%]*")


class RowReader(Protocol):
    """Reads the rows of a file. `columns` says for each field how its column is called there, for messages."""

    columns: Mapping[str, str]

    def rows(self, rules: ReadingRules) -> Iterator[Block | RowProblem]:
        """The rows, or what is wrong with one of which nobody can say whose it is."""


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
                    tuple(place[each] for each in all_of.columns), all_of.joined_with, all_of.counted, all_of.nothing
                ),
            )
            for name, all_of in combined.items()
        ]
        self._skipped, self._lines = (
            [(place[column], words) for column, words in conditions.items() if column in place]
            for conditions in (columns.skip_rows, columns.only_lines)
        )
        self._table = table
        self._map = columns
        self._id: Cell = None

    def rows(self, rules: ReadingRules) -> Iterator[Block | RowProblem]:
        """The rows; one that has not the cells of the header is none. `rules` count what the map leaves out."""
        width = len(self._table.header)
        coming = iter(self._table.rows)
        while read := list(islice(coming, TOGETHER)):
            rows = []
            for number, cells in read:
                if len(cells) != width and (len(cells) < width or not all(map(is_blank, cells[width:]))):
                    reason = _("has {cells} cells, but the header has {width}", cells=len(cells), width=width)
                    yield rules.problem(number, "id", cells[0], reason)
                elif self._skipped and any(_says(cells[place], words) for place, words in self._skipped):
                    rules.left_out["rows"] += 1
                else:
                    rows.append((number, cells))
            if rows:
                numbers, cells_of_rows = zip(*rows, strict=True)
                yield Block(numbers, self._by_field(cells_of_rows, rules))

    def _by_field(self, rows: Sequence[Sequence[Cell]], rules: ReadingRules) -> dict[str, Sequence[Cell]]:
        if self._map.drop_apostrophes:
            rows = [[cell.removeprefix("'") if isinstance(cell, str) else cell for cell in cells] for cells in rows]
        columns = list(zip(*rows, strict=False))  # blank cells beyond the header are no column
        found: dict[str, Sequence[Cell]] = {name: columns[place] for name, place in self._plain}
        for name, source in self._combined:
            found[name] = list(map(source.cell, rows))
        for name, words in self._words.items():
            found[name] = [
                words.get(cell.strip().casefold(), cell) if isinstance(cell, str) else cell for cell in found[name]
            ]
        if self._lines:
            self._leave_out_lines(rows, found, rules)
        if "id" in found:
            found["id"] = list(map(self._id_of, found["id"]))
        elif self._map.fill_down:
            found["id"] = [None] * len(rows)
        return found

    def _leave_out_lines(
        self, rows: Sequence[Sequence[Cell]], found: dict[str, Sequence[Cell]], rules: ReadingRules
    ) -> None:
        """Blank what the rows say of lines whose row holds none."""
        is_line = [all(_says(cells[place], words) for place, words in self._lines) for cells in rows]
        fields = [name for name in READ_LINE_FIELDS if name in found]
        of_lines = zip(is_line, zip(*(found[name] for name in fields), strict=True), strict=False)
        rules.left_out["lines"] += sum(not is_one and not all(map(is_blank, cells)) for is_one, cells in of_lines)
        for name in fields:
            found[name] = [cell if is_one else None for cell, is_one in zip(found[name], is_line, strict=True)]

    def _id_of(self, cell: Cell) -> Cell:
        if isinstance(cell, str) and self._map.id_prefix:
            cell = cell.strip().removeprefix(self._map.id_prefix)
        if self._map.fill_down:
            self._id = cell = self._id if is_blank(cell) else cell
        return cell


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

    def rows(self, rules: ReadingRules) -> Iterator[Block | RowProblem]:
        """The objects; a line that is none is a problem."""
        for fields, rows in groupby(self._rows(rules), _fields_of):
            if fields is None:
                yield from (row if isinstance(row, RowProblem) else _block([row]) for row in rows)
            else:
                while together := list(islice(rows, TOGETHER)):
                    yield _block(together)

    def _rows(self, rules: ReadingRules) -> Iterator[Row | RowProblem]:
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


def _fields_of(row: Row | RowProblem) -> tuple[str, ...] | None:
    """The fields of a row that may stand together with others."""
    return None if isinstance(row, RowProblem) or row.wrong else tuple(row.cells)


def _block(rows: Sequence[Any]) -> Block:
    """Rows that have the same fields."""
    cells = zip(*(row.cells.values() for row in rows), strict=True)
    return Block([row.number for row in rows], dict(zip(rows[0].cells, cells, strict=True)), rows[0].wrong)


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
