"""Reads tables from CSV: strict UTF-8, or what a byte order mark says; comma, semicolon or tab."""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from orderctl.domain.cells import Cell
from orderctl.domain.errors import UsageError
from orderctl.domain.syntax_errors import syntax_reason
from orderctl.files.table_writers import bare
from orderctl.files.tables import Table, header_of, is_empty
from orderctl.files.text_lines import text_lines
from orderctl.language import say

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
        for _, line in text_lines(file, path.name, LONGEST_LINE):
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
                    yield number, [bare(cell) if cell.startswith("'") else cell for cell in cells]
                header = False
        except csv.Error as error:
            raise UsageError(
                say(
                    "{name}:{start}: the row is not CSV: {error}",
                    name=path.name,
                    start=start,
                    error=syntax_reason(error),
                ),
                hint=say("look for a quotation mark that is not closed"),
            ) from None
