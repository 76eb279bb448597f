"""Reads CSV files as tables, and writes CSV in which no text is run as a formula."""

import csv
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell, is_blank
from orderctl.files.decoding import find_encoding, syntax_reason, text_lines
from orderctl.files.headers import LOOKED_AT, Layout, find_header, known_header, names_of
from orderctl.language import _

if TYPE_CHECKING:
    from _csv import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A header, and rows with their numbers in the file; `total` says how many where that is known.

    `lines` are those of the orders, where a workbook keeps them on a sheet of their own. `remarks` are sentences on
    what was found out about the file.
    """

    header: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[Cell]]]
    total: int | None = None
    lines: "Table | None" = None
    remarks: tuple[str, ...] = ()


def header_of(cells: Sequence[Cell], file: str) -> tuple[str, ...]:
    """The names of the columns; empty ones at the end are dropped, a name that stands twice is refused."""
    names = names_of(cells)
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
    return all(map(is_blank, cells))


LONGEST_LINE = 1_000_000
_DELIMITERS = ",;\t|"
_NAMED_DELIMITER = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


def read_csv(path: Path, layout: Layout) -> Table:
    """The table of a CSV file. UsageError names the line that is no CSV or no text, and what is not plain."""
    encoding = find_encoding(path, layout.encoding)
    with closing(_lines(path, encoding.name)) as lines:
        first = list(islice(lines, LOOKED_AT))
    named = _NAMED_DELIMITER.fullmatch(first[0].strip("\r\n")) if first else None
    delimiter = layout.delimiter or (named[1] if named else _delimiter(first, layout, path.name))
    rows = _rows(path, encoding.name, delimiter, skipped=1 if named else 0)
    head = list(islice(rows, LOOKED_AT))
    place, told = find_header(head, layout, path.name)
    return Table(
        header=header_of(head[place][1] if head else (), path.name),
        rows=_unescaped(chain(head[place + 1 :], rows)),
        remarks=tuple(filter(None, (encoding.remark, told))),
    )


def _delimiter(first: Sequence[str], layout: Layout, file: str) -> str:
    """What stands between the cells: what gives a header that is known, else as many rows of one width as can be."""
    forms: dict[str, tuple[bool, int, int]] = {}
    for mark in _DELIMITERS:
        try:
            rows = [cells for cells in csv.reader(first, delimiter=mark) if not is_empty(cells)]
        except csv.Error:
            continue
        known = known_header(list(enumerate(rows)), layout) is not None
        widths = Counter(len(cells) for cells in rows if len(cells) > 1)
        number, width = max(((number, width) for width, number in widths.items()), default=(0, 0))
        forms[mark] = (known, number, width)
    best = max(forms.values(), default=(False, 0, 0))
    found = [mark for mark, form in forms.items() if form == best]
    if len(found) > 1 and any(best):
        raise UsageError(
            _(
                "{file}: the cells of a row may be separated by {marks}, and nothing says by which",
                file=file,
                marks=", ".join(map(repr, found)),
            ),
            hint=_('say so in a column map, such as delimiter = ";"'),
        )
    return found[0] if found else ","


def _lines(path: Path, encoding: str) -> Generator[str]:
    with path.open("rb") as file:
        for __, line in text_lines(file, path.name, LONGEST_LINE, encoding):
            yield line + "\n"


def _rows(path: Path, encoding: str, delimiter: str, *, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold something, each with the line where it begins; `skipped` lines come before them."""
    with closing(_lines(path, encoding)) as lines:
        start = 1 + len(list(islice(lines, skipped)))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                number, start = start, reader.line_num + 1 + skipped
                if not is_empty(cells):
                    yield number, cells
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


def _unescaped(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, Sequence[Cell]]]:
    """The rows as they were before `escape_formula`."""
    for number, cells in rows:
        yield number, list(map(unescape_formula, cells)) if "'" in "".join(cells) else cells


_ROW_END = "\r\n"
# The full-width forms too: spreadsheets in East Asia treat them like the others.
_STARTS_A_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")


def escape_formula(text: str) -> str:
    """Text that a spreadsheet does not run as a formula: a text that would begin one gets an apostrophe before it.

    Apostrophes that stand before one already get another, so that `unescape_formula` returns the original text.
    """
    return f"'{text}" if text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


def unescape_formula(text: str) -> str:
    """The original of a text from `escape_formula`."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_STARTS_A_FORMULA) else text


class _Lines:
    """Writes the rows of a CSV writer, each ended by a line feed alone, and escaped where the output is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._on_screen = out.isatty()

    def write(self, row: str) -> int:
        """Write one row."""
        line = row.removesuffix(_ROW_END)
        return self._out.write(f"{safe(line) if self._on_screen else line}\n")


def csv_rows(out: TextIO) -> "Writer":
    """A CSV writer whose rows end with a line feed, and that quotes each text with a line break in it.

    Python before 3.13 quotes only the characters of its own line terminator, and spreadsheets begin a row at a carriage
    return alone: the text behind one would become a cell, and perhaps a formula. On a terminal, control characters are
    shown as escapes.
    """
    return csv.writer(_Lines(out), lineterminator=_ROW_END)
