"""A file of orders, read once, checked whole, and given as often as it is asked for; see `OrderSource`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self, TypeVar

from orderctl.core.addresses import email_address
from orderctl.core.countries import country_code
from orderctl.core.text import safe
from orderctl.core.times import Progress
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import Cell, is_blank
from orderctl.files.csv import Table, read_csv
from orderctl.files.jsonl import Broken, read_jsonl
from orderctl.importing.column_map import (
    ColumnMap,
    mapped_fields,
    own_fields,
    read_map,
    recognised,
    shipped_map,
    time_zone,
)
from orderctl.importing.excel_file import LINES_SHEET, read_excel
from orderctl.importing.figures import RowProblem, SourceFigures, TotalChecks
from orderctl.importing.orders import (
    NEEDED,
    NEEDED_OF_LINES,
    READ_LINE_FIELDS,
    ReadingRules,
    Row,
    build_order,
    read_order_id,
)
from orderctl.importing.rows import JsonFields, RowCells
from orderctl.importing.staging import Staging
from orderctl.language import _
from orderctl.orders.orders import Order

T = TypeVar("T")
_EXCEL = {".xlsx", ".xlsm"}
_CSV = {".csv", ".tsv", ".txt"}
_JSON = {".jsonl", ".ndjson"}
_REPORT_EVERY = 1_000


class FileSource:
    """The orders and the problems of one file; its scratch data are deleted at the end of the block."""

    def __init__(self, rules: ReadingRules, staging: Staging, rows: int, map_name: str = "") -> None:
        self.map_name = map_name
        self._rules = rules
        self._staging = staging
        checks = TotalChecks(other_charges=rules.other_charges)
        staging.keep(self._checked(checks))
        orders, bad_orders, bad_rows, problems = staging.count()
        figures = SourceFigures(
            rows=rows,
            orders=orders - bad_orders,
            bad_orders=bad_orders,
            rows_without_order=staging.refused,
            bad_rows=bad_rows,
            problems=problems,
        )
        self.figures = checks.noted(figures, rules.columns)

    def __enter__(self) -> Self:
        """Give the source itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Delete the scratch data."""
        self._staging.__exit__(*exc)

    def orders(self) -> Iterator[Order]:
        """The good orders, sorted by id."""
        return self._staging.orders()

    def problems(self) -> Iterator[RowProblem]:
        """All problems, in the order of the file; each row of a bad order is among them."""
        return self._staging.problems(self._rules.file)

    def _checked(self, checks: TotalChecks) -> Iterator[Order]:
        """Build every order once: the good ones, while the problems of the others are noted."""
        for order_id, rows in self._staging.rows():
            found = build_order(order_id, rows, self._rules)
            if isinstance(found, list):
                self._staging.complain(found, order_id)
            wrong = self._staging.bad_rows(order_id)
            if not wrong and isinstance(found, Order):
                checks.see(found, rows[0].number)
                yield found
            elif wrong:
                self._staging.complain([self._left_out(order_id, row) for row in rows if row.number not in wrong])

    def _left_out(self, order_id: str, row: Row) -> RowProblem:
        return self._rules.problem(row.number, "id", order_id, _("is left out: another row of the order is wrong"))


def open_source(
    path: Path,
    map_path: Path | None = None,
    *,
    read_at: datetime,
    map_name: str | None = None,
    zone: str | None = None,
    defaults: Mapping[str, Cell] | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> FileSource:
    """Read and check a file of orders: `.xlsx`, `.csv`, `.tsv` or `.jsonl`.

    Its columns mean what a map says: the one in a file, the shipped one of that name, the shipped one whose columns
    the header has; else they carry our own names. UsageError if the file cannot be read as what it is; what is wrong
    with single rows are its problems.
    """
    columns = read_map(map_path) if map_path else shipped_map(map_name) if map_name else ColumnMap()
    columns = replace(columns, defaults={**columns.defaults, **(defaults or {})})
    asked = None if zone is None else time_zone(zone, "--timezone")
    kind = path.suffix.lower()
    if kind not in _EXCEL | _CSV | _JSON:
        raise UsageError(
            _("{name}: orders are read from .xlsx, .csv, .tsv and .jsonl files", name=path.name),
            hint=_("save it as one of them"),
        )
    staging = Staging(scratch)
    try:
        if kind in _JSON:
            rules, rows = _stage_json(path, _in_zone(columns, asked), read_at, staging, progress)
        else:
            table = read_table(path, columns.sheet)
            if not columns.file and (map_name := recognised(table.header)):
                found = shipped_map(map_name)
                columns = replace(found, defaults={**found.defaults, **columns.defaults})
            rules, rows = _stage_table(path, table, _in_zone(columns, asked), read_at, staging, progress)
        return FileSource(rules, staging, rows, map_name or "")
    except OSError as error:
        staging.__exit__()
        raise UsageError(
            _("{path} cannot be read: {why}", path=path, why=os_reason(error)), hint=_("check the path")
        ) from None
    except BaseException:
        staging.__exit__()
        raise


def _in_zone(columns: ColumnMap, zone: tzinfo | None) -> ColumnMap:
    return replace(columns, timezone=zone) if zone else columns


def read_table(path: Path, sheet: str | None = None) -> Table:
    """The table of an Excel or CSV file. Raises UsageError, and OSError if it cannot be opened."""
    kind = path.suffix.lower()
    if kind not in _EXCEL | _CSV:
        raise UsageError(
            _("{name}: a column map is for .xlsx, .csv and .tsv files", name=path.name),
            hint=_("save it as one of them"),
        )
    return read_excel(path, sheet) if kind in _EXCEL else read_csv(path)


def _stage_table(
    path: Path, table: Table, columns: ColumnMap, read_at: datetime, staging: Staging, progress: Progress | None
) -> tuple[ReadingRules, int]:
    plain = (
        mapped_fields(columns, table.header, path.name)
        if columns.file
        else own_fields((name for name in table.header if name), path.name)
    )
    reader = RowCells(plain, columns, table.header)
    fields = reader.columns
    lines = None if columns.file or "sku" in fields else table.lines
    if lines:
        fields = {**fields, **_line_columns(lines, path.name)}
    by_line = columns.rows == "lines" or (columns.rows is None and "sku" in fields)
    _refuse_gaps(fields, columns, path.name, by_line=by_line)
    rules = _rules(path.name, columns, fields, read_at, by_line=by_line)
    counted = _Counted(progress, table.total)
    staging.put(_identified_rows(table, reader, rules, staging, counted))
    if lines:
        rules = replace(rules, lines_apart=True)
        reader = RowCells(_line_fields(lines, path.name), columns, lines.header)
        staging.put(_identified_rows(lines, reader, rules, staging, _Counted(None, None)))
    return rules, counted.count


def _line_fields(lines: Table, file: str) -> dict[str, str]:
    """The fields of the sheet of lines; a line's number is its place, and its currency that of the order."""
    found = own_fields((name for name in lines.header if name and name.casefold() != "line"), file)
    found.pop("currency", None)
    if other := [name for name in found if name != "id" and name not in READ_LINE_FIELDS]:
        column = safe(found[other[0]])
        raise UsageError(
            _(
                "{file}, sheet {sheet}: {column!r} is not a column of lines",
                file=file,
                sheet=LINES_SHEET,
                column=column,
            ),
            hint=_("the fields of lines: {fields}", fields=", ".join(READ_LINE_FIELDS)),
        )
    if "id" not in found:
        raise UsageError(
            _("{file}, sheet {sheet}: no column says whose line a row is", file=file, sheet=LINES_SHEET),
            hint=_("name it Order"),
        )
    return found


def _line_columns(lines: Table, file: str) -> dict[str, str]:
    """How the columns of the sheet of lines are called in what is said about them."""
    return {name: f"{LINES_SHEET}: {column}" for name, column in _line_fields(lines, file).items() if name != "id"}


def _identified_rows(
    table: Table, reader: RowCells, rules: ReadingRules, staging: Staging, counted: "_Counted"
) -> Iterator[tuple[str, Row]]:
    width = len(table.header)
    for number, cells in counted.each(table.rows):
        extra = [cell for cell in cells[width:] if not is_blank(cell)]
        if len(cells) < width or extra:
            reason = _("has {cells} cells, but the header has {width}", cells=len(cells), width=width)
            _refuse(staging, rules, Row(number, {}), "id", cells[0], reason)
            continue
        yield from _identified(Row(number, reader.of(cells)), rules, staging)


def _stage_json(
    path: Path, columns: ColumnMap, read_at: datetime, staging: Staging, progress: Progress | None
) -> tuple[ReadingRules, int]:
    if columns.combined:
        raise UsageError(
            _("{name}: a map that combines columns is for tables, not for JSON", name=path.name),
            hint=_("give a map of its own: --map"),
        )
    reader = JsonFields(columns)
    objects = read_jsonl(path)
    first = next(((number, found) for number, found in objects if isinstance(found, dict)), None)
    names = reader.fields(first[1])[0] if first and isinstance(first[1], dict) else {}
    by_line = columns.rows == "lines" or (columns.rows is None and "sku" in names)
    rules = _rules(path.name, columns, columns.columns, read_at, by_line=by_line)
    counted = _Counted(progress, None)

    def rows() -> Iterator[tuple[str, Row]]:
        for number, found in counted.each(read_jsonl(path)):
            if isinstance(found, Broken):
                _refuse(staging, rules, Row(number, {}), "", found.text, found.reason)
                continue
            cells, wrong = reader.fields(found)
            row = Row(number, cells)
            for identified in _identified(row, rules, staging):
                if wrong:
                    problems = [rules.problem(number, name, value, reason) for name, value, reason in wrong]
                    staging.complain(problems, identified[0])
                yield identified

    staging.put(rows())
    return rules, counted.count


def _identified(row: Row, rules: ReadingRules, staging: Staging) -> Iterator[tuple[str, Row]]:
    cell = row.cells.get("id")
    cell = rules.defaults.get("id") if is_blank(cell) else cell
    try:
        yield read_order_id(cell), row
    except ValueError as error:
        _refuse(staging, rules, row, "id", cell, str(error))


def _refuse(staging: Staging, rules: ReadingRules, row: Row, name: str, cell: Cell, reason: str) -> None:
    staging.refuse(rules.problem(row.number, name, cell, reason))


def _refuse_gaps(fields: Mapping[str, str], columns: ColumnMap, file: str, *, by_line: bool) -> None:
    """A column that every order needs and no row can have is told once, not once a row."""
    needed = [*NEEDED, *(NEEDED_OF_LINES if by_line else ["total"])]
    there = {*fields, *columns.defaults}
    missing = [name for name in needed if name not in there and not (name == "unit_price" and "line_total" in there)]
    if missing:
        raise UsageError(
            _("{file} has no column for {missing}", file=file, missing=", ".join(missing)),
            hint=_("name the columns so, or give a column map with [columns] and [defaults]: --map"),
        )
    if not by_line and (lines := [name for name in READ_LINE_FIELDS if name in fields]):
        raise UsageError(
            _(
                "{file} has columns of order lines ({lines}), but its rows are meant to be orders",
                file=file,
                lines=", ".join(lines),
            ),
            hint=_('put rows = "lines" into the column map'),
        )


def _rules(
    file: str, columns: ColumnMap, fields: Mapping[str, str], read_at: datetime, *, by_line: bool
) -> ReadingRules:
    return ReadingRules(
        file=file,
        read_at=read_at,
        one_line_a_row=by_line,
        columns=fields,
        defaults=columns.defaults,
        statuses={word.casefold(): code for word, code in columns.statuses.items()},
        rejected_id_prefix=columns.rejected_id_prefix,
        date_formats=columns.date_formats,
        decimal_comma=columns.decimal_comma,
        round_prices=columns.round_prices,
        other_charges=columns.other_charges,
        zone=columns.timezone,
        tag_separator=columns.tag_separator,
        country_code=country_code,
        email_address=email_address,
    )


class _Counted:
    """Counts the rows that pass, and tells how far it is."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self.count = 0
        self._progress = progress
        self._total = total

    def each(self, rows: Iterable[T]) -> Iterator[T]:
        """The same rows."""
        for row in rows:
            self.count += 1
            if self._progress and self.count % _REPORT_EVERY == 0:
                self._progress(self.count, self._total)
            yield row
        if self._progress:
            self._progress(self.count, self.count)
