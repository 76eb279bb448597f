"""The fields of a JSON object that stands for an order."""

from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches

from orderctl.domain.cells import Cell
from orderctl.domain.importing import FIELDS, NESTED_LINES, READ_LINE_FIELDS
from orderctl.files.column_map import NESTED_NAMES, ColumnMap, own_field
from orderctl.language import say

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
                    wrong.append((key, None, say("means {name}, which is there already", name=name)))
                elif _is_single(value) or (name == "tags" and _is_list_of_texts(value)):
                    cells[name] = value
                else:
                    wrong.append((key, str(value), say("is not a single value")))
        return cells, wrong

    def _named(self, key: str) -> list[str]:
        if key not in self._names and not self._mapped:
            name = own_field(key)
            return [name] if name else []
        return self._names.get(key, [])

    def _lines(self, value: object, wrong: list[Wrong]) -> list[object]:
        if not isinstance(value, list):
            wrong.append((NESTED_LINES, str(value), say("is not a list")))
            return []
        lines: list[object] = []
        for number, line in enumerate(value, start=1):
            where = f"{NESTED_LINES}[{number}]"
            if not isinstance(line, dict):
                wrong.append((where, str(line), say("is not an object")))
                continue
            cells: dict[str, Cell] = {}
            for key, cell in line.items():
                name = NESTED_NAMES.get(key) or own_field(key)
                if name not in READ_LINE_FIELDS:
                    wrong.append((f"{where}.{key}", None, _unknown(key, READ_LINE_FIELDS)))
                elif not _is_single(cell):
                    wrong.append((f"{where}.{key}", str(cell), say("is not a single value")))
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
        return say("is not a field of an order (did you mean {word}?)", word=close[0])
    return say("is not a field of an order")
