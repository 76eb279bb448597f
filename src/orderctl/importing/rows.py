"""The cells of a table's row by the fields that they mean, as a column map says."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches

from orderctl.files.cells import LONGEST_TEXT, Cell, is_blank, read_text
from orderctl.importing.column_map import NESTED_NAMES, ColumnMap, Combined, own_field
from orderctl.importing.orders import FIELDS, NESTED_LINES, READ_LINE_FIELDS, REJECTED_MARK
from orderctl.language import _

_ZERO = re.compile(r"[+-]?0*([.,]0*)?")


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a field's cell comes from: see `Combined`. `words` say which texts count as nothing."""

    places: tuple[int, ...]
    joined_with: str | None
    counted: bool
    words: Mapping[str, Cell]

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
        word = self.words.get(cell.strip().casefold(), cell) if isinstance(cell, str) else cell
        if isinstance(word, str):
            return word.strip().casefold() in {"no", "false"} or _ZERO.fullmatch(word.strip()) is not None
        return not word


class RowCells:
    """Turns rows into cells by field; `columns` says for each field how its column is called, for messages."""

    def __init__(self, plain: Mapping[str, str], columns: ColumnMap, header: Sequence[str]) -> None:
        place = {name: number for number, name in reversed(list(enumerate(header))) if name}
        combined = {
            name: there
            for name, wanted in (*columns.combined.items(), (REJECTED_MARK, Combined(columns.rejected_if_filled)))
            if (there := replace(wanted, columns=tuple(each for each in wanted.columns if each in place))).columns
        }
        self.columns = {**plain, **{name: " / ".join(each.columns) for name, each in combined.items()}}
        self._plain = [(name, place[column]) for name, column in plain.items()]
        self._words = {
            name: {word.casefold(): value for word, value in words.items()}
            for name, words in columns.words.items()
            if name in self.columns
        }
        self._combined = [
            (
                name,
                _Source(
                    tuple(place[column] for column in each.columns),
                    each.joined_with,
                    each.counted,
                    self._words.get(name, {}),
                ),
            )
            for name, each in combined.items()
        ]
        self._map = columns
        self._id: Cell = None

    def of(self, cells: Sequence[Cell]) -> dict[str, Cell]:
        """The cells of one row."""
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


Wrong = tuple[str, Cell, str]
# Our own exports say which version of the schema they follow.
_SCHEMA = "schema"


class JsonFields:
    """Finds the fields by a map's column names, or by our own names; `buyer` may be an object."""

    def __init__(self, columns: ColumnMap) -> None:
        self._mapped = bool(columns.file)
        self._names: dict[str, list[str]] = {}
        for name, column in columns.columns.items():
            self._names.setdefault(column, []).append(name)

    def fields(self, found: Mapping[str, Cell]) -> tuple[dict[str, Cell], list[Wrong]]:
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
            name = own_field(key)
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
                name = NESTED_NAMES.get(key) or own_field(key)
                if name not in READ_LINE_FIELDS:
                    wrong.append((f"{where}.{key}", None, _unknown(key, READ_LINE_FIELDS)))
                elif not _is_single(cell):
                    wrong.append((f"{where}.{key}", str(cell), _("is not a single value")))
                else:
                    cells[str(name)] = cell
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
    close = get_close_matches(key.casefold(), known, n=1)
    if close:
        return _("is not a field of an order (did you mean {word}?)", word=close[0])
    return _("is not a field of an order")
