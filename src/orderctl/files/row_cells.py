"""The cells of a table's row by the fields that they mean, as a column map says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orderctl.domain.cells import LONGEST_TEXT, Cell, is_blank, read_text
from orderctl.domain.importing import REJECTED_MARK
from orderctl.files.column_map import ColumnMap, Combined

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
