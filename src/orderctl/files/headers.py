"""Where a table stands among the rows of its file: below titles, above totals."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell, is_blank
from orderctl.language import N_, _

Numbered = tuple[int, Sequence[Cell]]
LOOKED_AT = 30
_TITLE = 2  # cells that a row above the header may have
_HEADER_ROW = N_("say where the header stands: --header-row N")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a table stands in its file; what is empty or 0 is found out.

    `header_row` is the number of a row as a text editor or a spreadsheet shows it. `knows` says whether names are those
    of a header that can be read.
    """

    encoding: str = ""
    delimiter: str = ""
    header_row: int = 0
    sheet: str = ""
    knows: Callable[[Sequence[str]], bool] = lambda _names: False


def names_of(cells: Sequence[Cell]) -> list[str]:
    """The cells of a row as names of columns; empty ones at the end are dropped."""
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def find_header(rows: Sequence[Numbered], layout: Layout, file: str) -> tuple[int, str]:
    """The place of the header among the first rows that hold something, and a sentence if rows above are left out.

    Raises UsageError if nothing says which row it is.
    """
    if layout.header_row:
        for place, (number, __) in enumerate(rows):
            if number == layout.header_row:
                return place, ""
        raise UsageError(
            _("{file}: row {row:,} holds no header", file=file, row=layout.header_row), hint=_(_HEADER_ROW)
        )
    known = known_header(rows, layout)
    place = _by_form(rows, file) if known is None else known
    if place == 0:
        return 0, ""
    told = _(
        "the header is row {row:,}, what stands above it is left out; --header-row says otherwise", row=rows[place][0]
    )
    return place, told


def known_header(rows: Sequence[Numbered], layout: Layout) -> int | None:
    """The place of the first row that is a header that can be read."""
    return next((place for place, (__, cells) in enumerate(rows) if layout.knows(names_of(cells))), None)


def _by_form(rows: Sequence[Numbered], file: str) -> int:
    """The first row, or the first one below titles: all of its cells are texts, and no two are the same."""
    widths = [sum(not is_blank(cell) for cell in cells) for __, cells in rows]
    if not widths or widths[0] > _TITLE or max(widths) <= _TITLE:
        return 0
    place = next(place for place, width in enumerate(widths) if width > _TITLE)
    names = [name for name in names_of(rows[place][1]) if name]
    if len({*names}) < len(names) or any(any(char.isdigit() for char in name) for name in names):
        raise UsageError(
            _("{file}: the first row is no header, and nothing says which row is", file=file), hint=_(_HEADER_ROW)
        )
    return place


# The words that begin a row of totals.
_TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "sum", "subtotal", "summe", "gesamt", "gesamtsumme", "endsumme"),
        *("insgesamt", "total général", "total general", "somme", "totale", "totali", "totale generale", "somma"),
        *("suma", "totales", "total geral", "soma", "totais", "totaal", "i alt", "razem", "celkem"),
        *("合計", "総計", "小計"),
    }
)
_NUMBER = re.compile(r"[^A-Za-z]{0,4}\d[\d.,'’\s]*[^A-Za-z]{0,4}|[A-Z]{3}")
_MOST_TOTALS = 5


def without_totals(
    rows: Iterable[Numbered], id_place: int, amounts: Collection[int], remarks: list[str]
) -> Iterator[Numbered]:
    """The rows but for totals below the last of them; each that is left out is said in `remarks`.

    Such a row has no id, and either begins with a word for it and holds only numbers beside, or holds nothing outside
    the places of `amounts`. One with other rows below it stays.
    """
    held: list[Numbered] = []
    for row in rows:
        if len(held) < _MOST_TOTALS and _is_total(row[1], id_place, amounts):
            held.append(row)
            continue
        yield from held
        held.clear()
        yield row
    for number, cells in held:
        shown = ", ".join(safe(str(cell).strip()) for cell in cells if not is_blank(cell))
        remarks.append(_("row {row:,} is left out, for it holds totals: {cells}", row=number, cells=shown))


def _is_total(cells: Sequence[Cell], id_place: int, amounts: Collection[int]) -> bool:
    cell = cells[id_place] if id_place < len(cells) else None
    if not is_blank(cell) and not _is_word_of_totals(cell):
        return False
    filled = [(place, each) for place, each in enumerate(cells) if not is_blank(each)]
    if filled and _is_word_of_totals(filled[0][1]):
        return all(map(_is_number, (each for __, each in filled[1:])))
    return bool(filled) and all(place in amounts and _is_number(each) for place, each in filled)


def _is_word_of_totals(cell: Cell) -> bool:
    return isinstance(cell, str) and cell.strip().rstrip(":").rstrip().casefold() in _TOTALS


def _is_number(cell: Cell) -> bool:
    if isinstance(cell, str):
        return _NUMBER.fullmatch(cell.strip()) is not None
    return isinstance(cell, int | float) and not isinstance(cell, bool)
