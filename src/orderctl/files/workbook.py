"""Reads tables from Excel workbooks, after a look at how large they would unfold."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import chain, islice
from pathlib import Path

from python_calamine import CalamineSheet, CalamineWorkbook, WorksheetNotFound

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell
from orderctl.files.csv import Table, header_of, is_empty
from orderctl.files.headers import LOOKED_AT, Layout, find_header, known_header
from orderctl.language import N_, _

LINES_SHEET = "Lines"
LARGEST = 1_500_000_000
LARGEST_AREA = 60_000_000
_SUSPICIOUS_SIZE = 50_000_000
_SUSPICIOUS_RATIO = 200
_CHUNK = 1_000_000
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
# What a library says of a broken workbook may quote as much of it as it likes.
_LONGEST_REASON = 200
_LONGEST_TAG = 500
_TAG = rb"""<(?:\w+:)?(?:c|row)\b"""
_REFERENCE = re.compile(_TAG + rb"""[^>]{0,%d}?\br\s*=\s*["']([A-Za-z]*)(\d+)["']""" % _LONGEST_TAG)
_LONG_TAG = re.compile(_TAG + rb"""[^>]{%d}""" % _LONGEST_TAG)
_OVERLAP = 2 * _LONGEST_TAG
_SHEET_OF = re.compile(rb"""Target\s*=\s*["']/?(?:xl/)?([^"']+\.xml)["']""")
_DIGITS = 12  # of a row's number, or letters of a column: more are beyond any sheet
_RELATIONS = "xl/_rels/workbook.xml.rels"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


def read_excel(path: Path, layout: Layout) -> Table:
    """The table of a sheet with the sheet of lines beside it.

    Without a name it is the first sheet, or the only one with a header that `layout` knows. A sheet goes on in those
    that have its name and a number. Row numbers are those that a spreadsheet shows.
    """
    _refuse_bomb(path)
    try:
        with path.open("rb") as file:
            workbook = CalamineWorkbook.from_filelike(file)
        name, told = _chosen(workbook, layout, path.name)
        table = _table(workbook, name, layout, path.name)
        table = replace(table, remarks=tuple(filter(None, (told, *table.remarks))))
        beside = not layout.sheet and LINES_SHEET in workbook.sheet_names and name != LINES_SHEET
        return replace(table, lines=_table(workbook, LINES_SHEET, Layout(), path.name)) if beside else table
    except UsageError:
        raise
    except BaseException as error:
        # The reader panics at some broken files; its PanicException is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UsageError(
            _("{name} cannot be read as a workbook: {why}", name=path.name, why=_reason(error)),
            hint=_(_SAVE),
        ) from None


def _chosen(workbook: CalamineWorkbook, layout: Layout, file: str) -> tuple[str, str]:
    """The name of the sheet to read, and a sentence if it is not the first one."""
    if not workbook.sheet_names:
        raise UsageError(_("{file} has no sheet", file=file), hint=_(_SAVE))
    first, *others = workbook.sheet_names
    if layout.sheet:
        return layout.sheet, ""
    if not others or _is_known(workbook, first, layout):
        return first, ""
    known = [name for name in others if _is_known(workbook, name, layout)]
    # A sheet that goes on in others is one.
    known = [name for name in known if not any(re.fullmatch(rf"{re.escape(one)} \d+", name) for one in known)]
    if len(known) > 1:
        raise UsageError(
            _("{file} has orders on several sheets: {names}", file=file, names=", ".join(map(safe, known))),
            hint=_("say which with --sheet NAME"),
        )
    if not known:
        return first, ""
    names = ", ".join(map(safe, workbook.sheet_names))
    told = _(
        "the orders are read from the sheet {name!r} of {names}; --sheet says otherwise",
        name=safe(known[0]),
        names=names,
    )
    return known[0], told


def _is_known(workbook: CalamineWorkbook, name: str, layout: Layout) -> bool:
    if name == LINES_SHEET:
        return False
    head = list(islice(_rows(workbook.get_sheet_by_name(name)), LOOKED_AT))
    return known_header(head, layout) is not None


def _table(workbook: CalamineWorkbook, name: str, layout: Layout, file: str) -> Table:
    sheet = _sheet(workbook, name, file)
    rows = _rows(sheet)
    head = list(islice(rows, LOOKED_AT))
    place, told = find_header(head, layout, file)
    __, header = head[place] if head else (0, ())
    if not head and len(workbook.sheet_names) > 1:
        names = ", ".join(map(safe, workbook.sheet_names))
        raise UsageError(
            _("{file}: the sheet {name!r} is empty", file=file, name=safe(name)),
            hint=_("say which with --sheet NAME; it has: {names}", names=names),
        )
    more = [other for other in workbook.sheet_names if re.fullmatch(rf"{re.escape(sheet.name)} \d+", other)]
    return Table(
        header=header_of(header, file),
        rows=chain(head[place + 1 :], rows, _continued(workbook, more, list(header))),
        total=None if more else max(0, sheet.total_height - 1),
        remarks=tuple(filter(None, (told,))),
    )


def _continued(
    workbook: CalamineWorkbook, names: Sequence[str], header: Sequence[Cell]
) -> Iterator[tuple[int, Sequence[Cell]]]:
    """The rows of further sheets, of those that begin with the same header."""
    for name in names:
        rows = _rows(workbook.get_sheet_by_name(name))
        if list(next(rows, (0, ()))[1]) == header:
            yield from rows


_SAVE = N_("open it in a spreadsheet program and save it as .xlsx or as CSV (UTF-8)")


def _sheet(workbook: CalamineWorkbook, name: str, file: str) -> CalamineSheet:
    try:
        return workbook.get_sheet_by_name(name)
    except WorksheetNotFound:
        names = ", ".join(safe(found) for found in workbook.sheet_names)
        raise UsageError(
            _("{file} has no sheet {name!r}", file=file, name=safe(name)),
            hint=_("it has: {names}", names=names),
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
            named = {f"xl/{found.decode('utf-8', 'replace')}" for found in _SHEET_OF.findall(_relations(archive))}
            for entry in entries:
                is_sheet = entry.filename.startswith("xl/worksheets/") or entry.filename in named
                _look_through(archive, entry, path, is_sheet=is_sheet)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        with path.open("rb") as file:
            old = file.read(len(_OLD_EXCEL)) == _OLD_EXCEL
        raise UsageError(
            _("{name} is protected by a password or in the old .xls format", name=path.name)
            if old
            else _("{name} is not a workbook: {error}", name=path.name, error=_reason(error)),
            hint=_(_SAVE),
        ) from None


def _is_suspicious(entry: zipfile.ZipInfo) -> bool:
    ratio = entry.file_size / max(1, entry.compress_size)
    return entry.file_size > _SUSPICIOUS_SIZE and ratio > _SUSPICIOUS_RATIO


def _relations(archive: zipfile.ZipFile) -> bytes:
    """What says where the sheets are: not all programs put them where Excel does."""
    if _RELATIONS not in archive.namelist():
        return b""
    with archive.open(_RELATIONS) as part:
        return part.read(_CHUNK)


def _look_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, *, is_sheet: bool) -> None:
    """Read a part to its end: it may be larger than it says, and empty cells between two far ones take memory too."""
    said, entry.file_size = entry.file_size, LARGEST
    columns: set[bytes] = set()
    last_row = size = 0
    with archive.open(entry) as part:
        tail = b""
        while chunk := part.read(_CHUNK):
            size += len(chunk)
            if size > said:
                raise _bomb(path)
            if not is_sheet:
                continue
            text = tail + chunk
            for column, row in _REFERENCE.findall(text):
                columns.add(column)
                last_row = max(last_row, int(row[:_DIGITS]))
            if _LONG_TAG.search(text):
                raise _bomb(path)
            tail = chunk[-_OVERLAP:]
    last_column = max((_column_number(column.upper()[:_DIGITS]) for column in columns), default=0)
    if last_row > _LAST_ROW or last_column > _LAST_COLUMN:
        raise UsageError(
            _(
                "{name} has a cell beyond row {row:,} or column XFD, where a sheet ends",
                name=path.name,
                row=_LAST_ROW,
            ),
            hint=_(_SAVE),
        )
    if last_column * last_row > LARGEST_AREA:
        raise _bomb(path)


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _bomb(path: Path) -> UsageError:
    return UsageError(
        _("{name} would unfold to more than this program reads at once", name=path.name),
        hint=_("split it, or save it as CSV (UTF-8)"),
    )


def _reason(error: BaseException) -> str:
    return safe((str(error) or type(error).__name__).splitlines()[0])[:_LONGEST_REASON]
