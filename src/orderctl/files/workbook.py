"""Reads tables from workbooks, after a look at how large they would unfold, and from Parquet files."""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, count, islice
from pathlib import Path
from typing import IO
from xml.parsers.expat import ExpatError, ParserCreate

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
SUSPICIOUS_SIZE = 50_000_000
SUSPICIOUS_RATIO = 200
_CHUNK = 1_000_000
_BATCH = 5_000
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
# What a library says of a broken workbook may quote as much of it as it likes.
_LONGEST_REASON = 200
_LONGEST_TAG = 500
_TAG = rb"""<(?:\w+:)?(?:c|row)\b"""
_REFERENCE = re.compile(_TAG + rb"""[^>]{0,%d}?\br\s*=\s*["']([A-Za-z]*)(\d+)["']""" % _LONGEST_TAG)
_LONG_TAG = re.compile(_TAG + rb"""[^>]{%d}""" % _LONGEST_TAG)
_OVERLAP = 2 * _LONGEST_TAG
_SHEET_OF = re.compile(rb"""Target\s*=\s*["']/?(?:xl/)?([^"']+\.(?:xml|bin))["']""")
_DIGITS = 12  # of a row's number, or letters of a column: more are beyond any sheet
# The records of .xlsb that begin a row, and those of cells; a byte from 128 on goes on in the next one.
_ROW_RECORD, _CELL_RECORDS, _GOES_ON = 0, range(1, 20), 128
_RELATIONS = ("xl/_rels/workbook.xml.rels", "xl/_rels/workbook.bin.rels")
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_PROTECTED = "EncryptedPackage".encode("utf-16-le")


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
        with path.open("rb") as file:
            is_protected = _PROTECTED in file.read(_CHUNK)
        raise UsageError(
            _("{name} is protected by a password", name=path.name)
            if is_protected
            else _("{name} cannot be read as a workbook: {why}", name=path.name, why=_reason(error)),
            hint=_(_SAVE),
        ) from None


def read_parquet(path: Path) -> Table:
    """The table of a Parquet file, read batch by batch; rows are counted from 1. Raises UsageError."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise UsageError(
            _("{name} is a Parquet file, which a further package reads", name=path.name),
            hint=_("install orderctl[parquet]"),
        ) from None

    def rows() -> Iterator[tuple[int, Sequence[Cell]]]:
        numbers = count(1)
        try:
            for batch in file.iter_batches(batch_size=_BATCH):
                for cells in zip(*(each.to_pylist() for each in batch.columns), strict=True):
                    yield next(numbers), [_cell(cell) for cell in cells]
        except ArrowException as error:
            raise broken(error) from None
        finally:
            file.close()

    def broken(error: Exception) -> UsageError:
        return UsageError(
            _("{name} cannot be read as Parquet: {why}", name=path.name, why=_reason(error)), hint=_("export it anew")
        )

    try:
        file = ParquetFile(path)
    except ArrowException as error:
        raise broken(error) from None
    return Table(header=header_of(file.schema_arrow.names, path.name), rows=rows(), total=file.metadata.num_rows)


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
            _("{file} has no sheet {name!r}", file=file, name=safe(name)), hint=_("it has: {names}", names=names)
        ) from None


def _rows(sheet: CalamineSheet) -> Iterator[tuple[int, Sequence[Cell]]]:
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        row = [_cell(cell) for cell in cells]
        if not is_empty(row):
            yield number, row


def _cell(cell: object) -> Cell:
    if isinstance(cell, Decimal):
        number = float(cell)
        return number if Decimal(repr(number)) == cell else str(cell)
    # Times and durations mean nothing here; as text they are refused where they stand.
    return cell if cell is None or isinstance(cell, str | int | float | bool | datetime | date) else str(cell)


def _refuse_bomb(path: Path) -> None:
    """A small file may unfold to more than memory holds: by compression, or by a cell at the far end of a sheet."""
    with path.open("rb") as file:
        if file.read(len(OLD_EXCEL)) == OLD_EXCEL:
            return  # of at most 65,536 rows and 256 columns, and not compressed
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
        raise UsageError(
            _("{name} is not a workbook: {error}", name=path.name, error=_reason(error)), hint=_(_SAVE)
        ) from None


def _is_suspicious(entry: zipfile.ZipInfo) -> bool:
    ratio = entry.file_size / max(1, entry.compress_size)
    return entry.file_size > SUSPICIOUS_SIZE and ratio > SUSPICIOUS_RATIO


def _relations(archive: zipfile.ZipFile) -> bytes:
    """What says where the sheets are: not all programs put them where Excel does."""
    for name in {*_RELATIONS} & {*archive.namelist()}:
        with archive.open(name) as part:
            return part.read(_CHUNK)
    return b""


class _Part:
    """A part of an archive, read no further than it says that it reaches."""

    def __init__(self, part: IO[bytes], said: int, path: Path) -> None:
        self._part, self._left, self._path = part, said, path

    def read(self, size: int) -> bytes:
        """The next bytes. Raises UsageError if there are more than the archive says."""
        chunk = self._part.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise _bomb(self._path)
        return chunk


def _look_through(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, *, is_sheet: bool) -> None:
    """Read a part to its end: it may be larger than it says, and empty cells between two far ones take memory too."""
    said, entry.file_size = entry.file_size, LARGEST
    with archive.open(entry) as opened:
        part = _Part(opened, said, path)
        if entry.filename == "content.xml":
            last_row, last_column = _extent_of_open_document(part)
        elif is_sheet:
            last_row, last_column = (_extent_of_records if entry.filename.endswith(".bin") else _extent_of_markup)(part)
        else:
            last_row = last_column = 0
        while part.read(_CHUNK):
            pass
    if last_row > _LAST_ROW or last_column > _LAST_COLUMN:
        raise UsageError(
            _("{name} has a cell beyond row {row:,} or column XFD, where a sheet ends", name=path.name, row=_LAST_ROW),
            hint=_(_SAVE),
        )
    if last_column * last_row > LARGEST_AREA:
        raise _bomb(path)


def _extent_of_markup(part: _Part) -> tuple[int, int]:
    """The last row and column that a sheet of .xlsx names."""
    columns: set[bytes] = set()
    last_row = 0
    tail = b""
    while chunk := part.read(_CHUNK):
        text = tail + chunk
        for column, row in _REFERENCE.findall(text):
            columns.add(column)
            last_row = max(last_row, int(row[:_DIGITS]))
        if _LONG_TAG.search(text):
            return _LAST_ROW, _LAST_COLUMN  # nobody can say
        tail = chunk[-_OVERLAP:]
    return last_row, max((_column_number(column.upper()[:_DIGITS]) for column in columns), default=0)


def _extent_of_records(part: _Part) -> tuple[int, int]:
    """The same of .xlsb: records with a type, a length, and the place of a row or a cell first."""
    last_row = last_column = 0
    while head := part.read(1):
        kind = head[0] if head[0] < _GOES_ON else head[0] + _GOES_ON * (part.read(1) or b"\0")[0]
        length = shift = 0
        while piece := part.read(1):
            length |= (piece[0] % _GOES_ON) << shift
            shift += 7
            if piece[0] < _GOES_ON:
                break
        place = int.from_bytes(part.read(min(length, 4)), "little") + 1
        if kind == _ROW_RECORD:
            last_row = max(last_row, place)
        elif kind in _CELL_RECORDS:
            last_column = max(last_column, place)
        left = length - 4
        while left > 0 and (skipped := part.read(min(left, _CHUNK))):
            left -= len(skipped)
    return last_row, last_column


def _extent_of_open_document(part: _Part) -> tuple[int, int]:
    """The same of .ods, where rows and cells are repeated by a number; the largest of its sheets."""
    found = _OpenDocument()
    parser = ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = found.begin, found.end
    try:
        while chunk := part.read(_CHUNK):
            parser.Parse(chunk, False)
    except (ExpatError, ValueError):
        pass  # the reader of workbooks says what is wrong
    return found.last_row, found.last_column


class _OpenDocument:
    """Follows the elements of an .ods file. Empty rows and cells count where filled ones come after them."""

    def __init__(self) -> None:
        self.last_row = self.last_column = 0
        self._row = self._repeated = self._column = self._filled = 0

    def begin(self, element: str, attributes: dict[str, str]) -> None:
        """Take the begin of an element."""
        name = element.rpartition(" ")[2]
        said = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        if name == "table":
            self._row = 0
        elif name == "table-row":
            self._repeated = int(said.get("number-rows-repeated", 1))
            self._column = self._filled = 0
        elif name in {"table-cell", "covered-table-cell"}:
            self._column += int(said.get("number-columns-repeated", 1))
        if name == "p" or "value-type" in said:
            self._filled = self._column

    def end(self, element: str) -> None:
        """Take the end of an element."""
        if element.rpartition(" ")[2] == "table-row":
            self._row += self._repeated
            if self._filled:
                self.last_row, self.last_column = max(self.last_row, self._row), max(self.last_column, self._filled)


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
