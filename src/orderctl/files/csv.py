"""Reads CSV files as tables, and writes CSV in which no text runs as a formula."""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell, is_blank
from orderctl.files.decoding import syntax_reason, text_lines
from orderctl.language import _

if TYPE_CHECKING:
    from _csv import Writer


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
                _("{file}: the column {name!r} stands twice in the header", file=file, name=safe(name)),
                hint=_("rename one of them"),
            )
    if not any(names):
        raise UsageError(_("{file} is empty", file=file), hint=_("the first row must name the columns"))
    return tuple(names)


def is_empty(cells: Sequence[Cell]) -> bool:
    """Whether a row holds nothing."""
    return all(is_blank(cell) for cell in cells)


LONGEST_LINE = 1_000_000
_DELIMITERS = ",;\t"


def read_csv(path: Path) -> Table:
    """The table of a CSV file. UsageError names the line that is no CSV or no text."""
    with closing(_lines(path)) as lines:
        first = next((line for line in lines if line.strip()), "")
    delimiter = max(_DELIMITERS, key=lambda mark: len(_header(first, mark)))
    return Table(header=header_of(_header(first, delimiter), path.name), rows=_rows(path, delimiter))


def _header(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter), [])


def _lines(path: Path) -> Generator[str]:
    with path.open("rb") as file:
        for __, line in text_lines(file, path.name, LONGEST_LINE):
            yield line + "\n"


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, Sequence[Cell]]]:
    """The rows below the header, each with the line where it begins."""
    with closing(_lines(path)) as lines:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        header = True
        start = 1
        try:
            for cells in reader:
                number, start = start, reader.line_num + 1
                if is_empty(cells):
                    continue
                if not header:
                    yield number, [unescape_formula(cell) if cell.startswith("'") else cell for cell in cells]
                header = False
        except csv.Error as error:
            raise UsageError(
                _(
                    "{name}:{start}: the row is not CSV: {error}",
                    name=path.name,
                    start=start,
                    error=syntax_reason(error),
                ),
                hint=_("look for a quotation mark that is not closed"),
            ) from None


_ROW_END = "\r\n"
# The wide forms too: a spreadsheet of East Asia takes them for the others.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


def escape_formula(text: str) -> str:
    """Text that a spreadsheet does not run as a formula: a quote before what would begin one.

    Quotes that stand before one already get another, so that `bare` gives back what was meant.
    """
    return f"'{text}" if text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


def unescape_formula(text: str) -> str:
    """The text that was escaped."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


class _Lines:
    """Takes the rows of a CSV writer and ends each with a bare line feed; none of them controls a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._on_screen = out.isatty()

    def write(self, row: str) -> int:
        """Write one row."""
        line = row.removesuffix(_ROW_END)
        return self._out.write(f"{safe(line) if self._on_screen else line}\n")


def csv_rows(out: TextIO) -> "Writer":
    """A CSV writer whose rows end in a line feed, and that quotes a text with any line break in it.

    Python before 3.13 quotes what its own row end holds, and spreadsheets begin a row at a bare carriage return:
    what a buyer wrote behind one would be a cell, and a formula. On a terminal, what could control it is shown instead.
    """
    return csv.writer(_Lines(out), lineterminator=_ROW_END)
