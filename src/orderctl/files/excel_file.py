"""Reads tables from Excel workbooks, after a look at how large they would unfold."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import chain
from pathlib import Path

from python_calamine import CalamineSheet, CalamineWorkbook, WorksheetNotFound

from orderctl.domain.cells import Cell
from orderctl.domain.errors import UsageError
from orderctl.domain.text import safe
from orderctl.files.tables import Table, header_of, is_empty
from orderctl.language import later, say

LINES_SHEET = "Lines"
LARGEST = 1_500_000_000
LARGEST_AREA = 60_000_000
_SUSPICIOUS_SIZE = 50_000_000
_SUSPICIOUS_RATIO = 200
_CHUNK = 1_000_000
_OVERLAP = 40
_REFERENCE = re.compile(rb"""\br=["']([A-Z]{1,3})(\d{1,7})["']""")
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


def read_excel(path: Path, sheet_name: str | None) -> Table:
    """The table of a sheet, the first one unless named, with the sheet of lines beside it.

    A sheet goes on in those that have its name and a number. Row numbers are those that Excel shows.
    """
    _refuse_bomb(path)
    try:
        workbook = CalamineWorkbook.from_path(path)
        table = _table(workbook, sheet_name, path.name)
        beside = sheet_name is None and LINES_SHEET in workbook.sheet_names[1:]
        return replace(table, lines=_table(workbook, LINES_SHEET, path.name)) if beside else table
    except UsageError:
        raise
    except BaseException as error:
        # The reader panics at some broken files; its PanicException is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UsageError(
            say("{name} cannot be read as an Excel workbook: {why}", name=path.name, why=_reason(error)),
            hint=say(_SAVE),
        ) from None


def _table(workbook: CalamineWorkbook, name: str | None, file: str) -> Table:
    sheet = _sheet(workbook, name, file)
    rows = _rows(sheet)
    _, header = next(rows, (0, ()))
    more = [other for other in workbook.sheet_names if re.fullmatch(rf"{re.escape(sheet.name)} \d+", other)]
    return Table(
        header=header_of(header, file),
        rows=chain(rows, _continued(workbook, more, list(header))),
        total=None if more else max(0, sheet.total_height - 1),
    )


def _continued(
    workbook: CalamineWorkbook, names: Sequence[str], header: Sequence[Cell]
) -> Iterator[tuple[int, Sequence[Cell]]]:
    """The rows of further sheets, of those that begin with the same header."""
    for name in names:
        rows = _rows(workbook.get_sheet_by_name(name))
        if list(next(rows, (0, ()))[1]) == header:
            yield from rows


_SAVE = later("open it in a spreadsheet program and save it as .xlsx or as CSV (UTF-8)")


def _sheet(workbook: CalamineWorkbook, name: str | None, file: str) -> CalamineSheet:
    if not workbook.sheet_names:
        raise UsageError(say("{file} has no sheet", file=file), hint=say(_SAVE))
    try:
        return workbook.get_sheet_by_name(name) if name else workbook.get_sheet_by_index(0)
    except WorksheetNotFound:
        names = ", ".join(safe(found) for found in workbook.sheet_names)
        raise UsageError(
            say("{file} has no sheet {name!r}", file=file, name=safe(name or "")),
            hint=say("it has: {names}", names=names),
        ) from None


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, Sequence[Cell]]]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        row = [_cell(cell) for cell in cells]
        if not is_empty(row):
            yield number, row


def _cell(cell: object) -> Cell:
    # Times and durations mean nothing here; as text they are refused where they stand.
    return cell if isinstance(cell, str | int | float | bool | datetime | date) else str(cell)


def _refuse_bomb(path: Path) -> None:
    """A small file may unfold to more than memory holds: by compression, or by a cell at the far end of a sheet."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > LARGEST or any(map(_is_suspicious, entries)):
                raise _bomb(path)
            for entry in entries:
                if entry.filename.startswith("xl/worksheets/") and not entry.is_dir():
                    _refuse_area(archive, entry, path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        with path.open("rb") as file:
            old = file.read(len(_OLD_EXCEL)) == _OLD_EXCEL
        raise UsageError(
            say("{name} is protected by a password or in the old .xls format", name=path.name)
            if old
            else say("{name} is not an Excel workbook: {error}", name=path.name, error=error),
            hint=say(_SAVE),
        ) from None


def _is_suspicious(entry: zipfile.ZipInfo) -> bool:
    ratio = entry.file_size / max(1, entry.compress_size)
    return entry.file_size > _SUSPICIOUS_SIZE and ratio > _SUSPICIOUS_RATIO


def _refuse_area(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Empty cells between two far ones take memory too."""
    columns: set[bytes] = set()
    last_row = 0
    with archive.open(entry) as sheet:
        tail = b""
        while chunk := sheet.read(_CHUNK):
            for column, row in _REFERENCE.findall(tail + chunk):
                columns.add(column)
                last_row = max(last_row, int(row))
            tail = chunk[-_OVERLAP:]
    if max(map(_column_number, columns), default=0) * last_row > LARGEST_AREA:
        raise _bomb(path)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _bomb(path: Path) -> UsageError:
    return UsageError(
        say("{name} would unfold to more than this program reads at once", name=path.name),
        hint=say("split it, or save it as CSV (UTF-8)"),
    )


def _reason(error: BaseException) -> str:
    return safe((str(error) or type(error).__name__).splitlines()[0])
