"""What the readers of tables give."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orderctl.domain.cells import Cell, is_blank
from orderctl.domain.errors import UsageError
from orderctl.domain.text import safe
from orderctl.language import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header, and rows with their numbers in the file; `total` says how many where that is known.

    `lines` are those of the orders, where a workbook keeps them on a sheet of their own.
    """

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[Cell]]]
    total: int | None = None
    lines: "Table | None" = None


def header_of(cells: Sequence[Cell], file: str) -> tuple[str, ...]:
    """The names of the columns; empty ones at the end are dropped, a name that stands twice is refused."""
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    for name in names:
        if name and names.count(name) > 1:
            raise UsageError(
                say("{file}: the column {name!r} stands twice in the header", file=file, name=safe(name)),
                hint=say("rename one of them"),
            )
    if not any(names):
        raise UsageError(say("{file} is empty", file=file), hint=say("the first row must name the columns"))
    return tuple(names)


def is_empty(cells: Sequence[Cell]) -> bool:
    """Whether a row holds nothing."""
    return all(is_blank(cell) for cell in cells)
