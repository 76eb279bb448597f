"""A file of orders, read once, checked whole, and given as often as it is asked for; see `OrderSource`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

from orderctl.core.text import safe
from orderctl.core.times import Progress
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import Cell, is_blank
from orderctl.files.csv import Table, read_csv
from orderctl.files.decoding import check_encoding, find_encoding
from orderctl.files.headers import Layout, without_totals
from orderctl.files.jsonl import Broken, read_json, read_jsonl
from orderctl.files.kinds import Kind, input_file
from orderctl.files.workbook import LINES_SHEET, read_excel, read_parquet
from orderctl.importing.column_map import (
    ColumnMap,
    check_zone,
    fitted,
    kept_signs,
    mapped_fields,
    named_map,
    read_map,
    recognised,
)
from orderctl.importing.evidence import Evidence
from orderctl.importing.fields import (
    FIELDS,
    NEEDED,
    NEEDED_OF_LINES,
    ORDER_FIELDS,
    READ_LINE_FIELDS,
    UnknownTableError,
    field_of,
    fields_by_name,
    how_to_say_currency,
)
from orderctl.importing.figures import ProblemGroup, RowProblem, SourceRequest, TotalChecks
from orderctl.importing.orders import Block, PlainOrders, ReadingRules, Row, StagedRow, build_order, read_order_id
from orderctl.importing.rows import JsonReader, RowReader, TableReader
from orderctl.importing.staging import Staging
from orderctl.language import _
from orderctl.orders.orders import Order, SaidOrder

_JSON = {Kind.JSON: read_json, Kind.JSON_LINES: read_jsonl}
_ADDED_UP = frozenset({"total", "quantity", "line_total", "line_quantity"})


@dataclass(slots=True)
class _Found:
    """What was found out about a file: how it is read, by which shipped map, and sentences for the operator."""

    columns: ColumnMap
    map_name: str = ""
    remarks: list[str] = field(default_factory=list)


class FileSource:
    """The orders and the problems of one file; its scratch data are deleted at the end of the block."""

    def __init__(self, rules: ReadingRules, staging: Staging, rows: int, found: _Found) -> None:
        self.map_name = found.map_name
        self.remarks = tuple(found.remarks)
        self._rules = rules
        self._staging = staging
        checks = TotalChecks(other_charges=rules.map.other_charges)
        staging.keep(self._checked(checks))
        figures = replace(
            staging.figures(rows),
            rows_left_out=rules.left_out["rows"],
            lines_left_out=rules.left_out["lines"],
            unknown_statuses=dict(rules.unknown_statuses.most_common()),
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
        return (said.order() for said in self.said())

    def said(self) -> Iterator[SaidOrder]:
        """The same as what the file says of them."""
        return self._staging.orders()

    def problems(self) -> Iterator[RowProblem]:
        """All problems, in the order of the file; each row of a bad order is among them."""
        return self._staging.problems(self._rules.file)

    def problem_groups(self, most: int) -> tuple[ProblemGroup, ...]:
        """The first few different problems, each with how many rows have it."""
        return self._staging.problem_groups(self._rules.file, most)

    def _checked(self, checks: TotalChecks) -> Iterator[SaidOrder]:
        """Build every order once: the good ones, while the problems of the others are noted."""
        plain = PlainOrders(self._rules)
        for rows in self._staging.rows():
            for order, staged in plain.read(rows):
                if order is None or self._staging.bad_rows(order.id):
                    yield from self._built(staged, checks)
                else:
                    if order.lines:
                        checks.see(order, staged[0][1])
                    yield order

    def _built(self, staged: Sequence[StagedRow], checks: TotalChecks) -> Iterator[SaidOrder]:
        order_id = staged[0][0]
        rows = [Row(number, dict(zip(fields, cells, strict=True))) for __, number, fields, cells in staged]
        found = build_order(order_id, rows, self._rules)
        if isinstance(found, list):
            self._staging.complain(found, order_id)
        wrong = self._staging.bad_rows(order_id)
        if not wrong and isinstance(found, SaidOrder):
            checks.see(found, rows[0].number)
            yield found
        elif wrong:
            self._staging.complain([self._left_out(order_id, row) for row in rows if row.number not in wrong])

    def _left_out(self, order_id: str, row: Row) -> RowProblem:
        reason = _("is left out: another row of the order is wrong")
        return replace(self._rules.problem(row.number, "id", order_id, reason), left_out=True)


_AS_IT_IS = SourceRequest()


def open_source(
    path: Path,
    request: SourceRequest = _AS_IT_IS,
    *,
    read_at: datetime,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> FileSource:
    """Read and check a file of orders of any kind that `input_file` knows; `-` is standard input.

    Its columns mean what a map says: the one in a file, the shipped one of that name, the shipped one whose columns
    the header has; else they carry our own names. UsageError if the file cannot be read as what it is; what is wrong
    with single rows are its problems.
    """
    found = _Found(_asked_map(request), request.map_name or "")
    try:
        with _kept_if_read(scratch) as staging:
            path, kind = input_file(path, staging.folder)
            layout = layout_of(found.columns, request)
            if kind not in _JSON:
                table = read_table(path, kind, layout)
                return _read_orders(path.name, table, request, found, read_at, staging, progress)
            encoding = find_encoding(path, layout.encoding)
            found.remarks += [encoding.remark] if encoding.remark else []
            objects = partial(_JSON[kind], path, encoding.name)
            rules, readers = _of_json(path.name, objects, found.columns, read_at)
            evidence = Evidence(rules.map, FIELDS, read_at.date())
            rows = _stage(rules, readers, staging, evidence, progress, None)
            rules = replace(rules, map=evidence.complete(path.name, found.remarks))
            return FileSource(rules, staging, rows, found)
    except OSError as error:
        raise UsageError(
            _("{path} cannot be read: {why}", path=path, why=os_reason(error)), hint=_("check the path")
        ) from None


def open_rows(
    name: str,
    rows: AbstractContextManager[Table],
    request: SourceRequest,
    *,
    map_: str,
    read_at: datetime,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> FileSource:
    """Read and check the orders of a table that is opened now, such as those of a query or of a system.

    `map_` is the name or the file of a column map, or empty; one of the request comes before it. Raises what the table
    raises, and UsageError as `open_source` does.
    """
    if map_ and not (request.map_file or request.map_name):
        is_file = map_.endswith(".toml")
        request = replace(request, map_file=map_) if is_file else replace(request, map_name=map_)
    found = _Found(_asked_map(request), request.map_name or "")
    with _kept_if_read(scratch) as staging, rows as table:
        return _read_orders(name, table, request, found, read_at, staging, progress)


@contextmanager
def _kept_if_read(scratch: Path | None) -> Iterator[Staging]:
    """Scratch data that are deleted if the block raises."""
    staging = Staging(scratch)
    try:
        yield staging
    except BaseException:
        staging.__exit__()
        raise


def _read_orders(
    name: str,
    table: Table,
    request: SourceRequest,
    found: _Found,
    read_at: datetime,
    staging: Staging,
    progress: Progress | None,
) -> FileSource:
    """Read and check a table of orders, of which `name` is the file or the source."""
    found.remarks += table.remarks
    if not found.columns.file and (map_name := recognised(table.header, kept_signs(request.kept_maps))):
        found.map_name, found.columns = map_name, _as_asked(named_map(map_name, request.kept_maps), request)
    if found.columns.file:
        found.columns = fitted(found.columns, table.header)
    table = _without_totals(table, found.columns, found.remarks)
    rules, readers = _of_table(name, table, found.columns, read_at)
    _refuse_gaps(rules, found.map_name)
    evidence = Evidence(rules.map, rules.columns, read_at.date())
    rows = _stage(rules, readers, staging, evidence, progress, table.total)
    _refuse_gaps(rules, found.map_name, evidence)
    rules = replace(rules, map=evidence.complete(name, found.remarks))
    return FileSource(rules, staging, rows, found)


def _asked_map(request: SourceRequest) -> ColumnMap:
    if request.map_file:
        return _as_asked(read_map(Path(request.map_file)), request)
    return _as_asked(named_map(request.map_name, request.kept_maps) if request.map_name else ColumnMap(), request)


def _as_asked(columns: ColumnMap, request: SourceRequest) -> ColumnMap:
    """A map with what was said beside it."""
    if request.time_zone is not None:
        check_zone(request.time_zone, "--timezone")
        columns = replace(columns, timezone=request.time_zone)
    if request.decimal_comma is not None:
        columns = replace(columns, decimal_comma=request.decimal_comma)
    return replace(columns, defaults={**columns.defaults, **request.defaults})


def _without_totals(table: Table, columns: ColumnMap, remarks: list[str]) -> Table:
    """The table without rows of totals at its end; a row without an id may be of the order above it."""
    if columns.fill_down or columns.skip_rows or not is_blank(columns.defaults.get("id")):
        return table
    fields: dict[str | None, str] = {field_of(name): name for name in table.header if name} if not columns.file else {}
    for field_name, combined in columns.combined.items():
        fields[field_name] = next((each for each in combined.columns if each in table.header), "")
    fields.update(columns.columns)
    places = {name: table.header.index(column) for name, column in fields.items() if name and column in table.header}
    if "id" not in places:
        return table
    amounts = {place for name, place in places.items() if name in _ADDED_UP}
    return replace(table, rows=without_totals(table.rows, places["id"], amounts, remarks))


def layout_of(columns: ColumnMap, request: SourceRequest) -> Layout:
    """Where the table stands in its file, as the command line says it, or the map, or what is known of headers."""
    encoding = request.encoding or columns.encoding
    if encoding:
        encoding = check_encoding(encoding, "--encoding")
    if columns.file:
        return Layout(
            encoding=encoding,
            delimiter=columns.delimiter,
            header_row=request.header_row or columns.header_row,
            sheet=request.sheet or columns.sheet,
            knows=lambda names: _names_columns_of(columns, names),
        )
    knows = partial(_is_header, kept=kept_signs(request.kept_maps))
    return Layout(encoding=encoding, header_row=request.header_row, sheet=request.sheet, knows=knows)


def _names_columns_of(columns: ColumnMap, names: Sequence[str]) -> bool:
    """Whether a header has the columns that a map needs, or where it needs none, all that it may combine."""
    there = fitted(columns, names)
    asked = {*there.columns.values()} or {name for each in there.combined.values() for name in each.columns}
    return bool(names) and asked.issubset(names)


def _is_header(names: Sequence[str], kept: Mapping[str, frozenset[str]]) -> bool:
    """Whether the names are those of a shipped map, or our own."""
    found = [field_of(name) for name in names if name]
    return ("id" in found and len(found) > 1 and None not in found) or recognised(names, kept) is not None


def read_table(path: Path, kind: Kind, layout: Layout) -> Table:
    """The table of a workbook or a CSV file. Raises UsageError, and OSError if it cannot be opened."""
    if kind in _JSON:
        raise UsageError(
            _("{name}: a column map is for tables, not for JSON", name=path.name),
            hint=_("name the keys as our fields, or give a map for JSON: --map"),
        )
    if kind is Kind.PARQUET:
        return read_parquet(path)
    return read_excel(path, layout) if kind is Kind.WORKBOOK else read_csv(path, layout)


def _of_table(
    file: str, table: Table, columns: ColumnMap, read_at: datetime
) -> tuple[ReadingRules, Sequence[RowReader]]:
    """How a table is meant, and the readers of its rows and of those of a sheet of lines beside it."""
    plain = mapped_fields(columns, table.header, file) if columns.file else fields_by_name(table.header, file)
    if not columns.file and columns.decimal_comma is None and set(ORDER_FIELDS).issubset(plain):
        columns = replace(columns, decimal_comma=False)  # an export of ours
    readers = [TableReader(table, plain, columns)]
    called = readers[0].columns
    if table.lines and not columns.file and "sku" not in called:
        readers.append(TableReader(table.lines, _line_fields(table.lines, file), columns))
        beside = {name: f"{LINES_SHEET}: {column}" for name, column in readers[1].columns.items() if name != "id"}
        called = {**called, **beside}
    rules = ReadingRules(
        file=file,
        read_at=read_at,
        map=columns,
        zone=columns.zone,
        columns=called,
        one_line_a_row=columns.holds_lines(called),
        lines_apart=len(readers) > 1,
    )
    return rules, readers


def _of_json(
    file: str,
    objects: Callable[[], Iterator[tuple[int, dict[str, Cell] | Broken]]],
    columns: ColumnMap,
    read_at: datetime,
) -> tuple[ReadingRules, Sequence[RowReader]]:
    """How objects of JSON are meant, and the reader of them."""
    if columns.combined or columns.skip_rows or columns.only_lines:
        raise UsageError(
            _("{name}: a map that combines columns or leaves out rows is for tables, not for JSON", name=file),
            hint=_("give a map of its own: --map"),
        )
    columns = replace(columns, decimal_comma=bool(columns.decimal_comma))  # a number of JSON has a point
    reader = JsonReader(objects, columns)
    rules = ReadingRules(
        file=file,
        read_at=read_at,
        map=columns,
        zone=columns.zone,
        columns=columns.columns,
        one_line_a_row=columns.holds_lines(reader.first_fields()),
    )
    return rules, [reader]


def _line_fields(lines: Table, file: str) -> dict[str, str]:
    """The fields of the sheet of lines; a line's number is its place, and its currency that of the order."""
    found = fields_by_name((name for name in lines.header if name.casefold() != "line"), file)
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


def _stage(
    rules: ReadingRules,
    readers: Sequence[RowReader],
    staging: Staging,
    evidence: Evidence,
    progress: Progress | None,
    total: int | None,
) -> int:
    """Set all rows aside under their orders; gives how many there are, but for those of a sheet of lines."""
    count = 0

    def counted(rows: Iterator[Block | RowProblem]) -> Iterator[Block | RowProblem]:
        nonlocal count
        for found in rows:
            if progress and count and isinstance(found, Block):
                progress(count, total)
            count += len(found.numbers) if isinstance(found, Block) else 1
            yield found
        if progress:
            progress(count, count)

    main, *beside = readers
    staging.put(_identified(counted(main.rows(rules)), rules, staging, evidence))
    for reader in beside:
        staging.put(_identified(reader.rows(rules), rules, staging, evidence))
    return count


def _identified(
    rows: Iterator[Block | RowProblem], rules: ReadingRules, staging: Staging, evidence: Evidence
) -> Iterator[tuple[list[str], Block]]:
    """The rows with the ids of their orders; what belongs to none is refused."""
    for block in rows:
        if isinstance(block, RowProblem):
            staging.refuse(block)
            continue
        ids = list(_ids(block, rules, staging))
        there = [place for place, order_id in enumerate(ids) if order_id]
        columns = block.columns
        if len(there) < len(ids):
            columns = {name: [column[place] for place in there] for name, column in columns.items()}
        for problem in block.wrong if there else ():
            staging.complain([problem], ids[0])
        evidence.see(columns)
        if evidence.seeks_currency and (codes := evidence.currency(columns)):
            columns = {**columns, "currency": codes}
        yield [ids[place] for place in there], Block([block.numbers[place] for place in there], columns)


def _ids(block: Block, rules: ReadingRules, staging: Staging) -> Iterator[str]:
    """The id of the order of each row; empty for one that is refused."""
    default = rules.map.defaults.get("id")
    for number, cell in zip(block.numbers, block.columns.get("id", [None] * len(block.numbers)), strict=True):
        meant = default if is_blank(cell) else cell
        try:
            yield read_order_id(meant)
        except ValueError as error:
            staging.refuse(rules.problem(number, "id", meant, error.args[0]))
            yield ""


def _refuse_gaps(rules: ReadingRules, map_name: str, evidence: Evidence | None = None) -> None:
    """A column that every order needs and no row can have is told once, not once a row.

    A currency may stand in the amounts, which `evidence` has seen.
    """
    needed = [*NEEDED, *(NEEDED_OF_LINES if rules.one_line_a_row else ["total"])]
    there = {*rules.columns, *rules.map.defaults}
    missing = [name for name in needed if name not in there and not (name == "unit_price" and "line_total" in there)]
    if missing and not (missing == ["currency"] and (evidence is None or evidence.currencies)):
        raise _gap(rules, missing, map_name)
    lines = [] if rules.one_line_a_row else [name for name in READ_LINE_FIELDS if name in rules.columns]
    if lines:
        raise UsageError(
            _(
                "{file} has columns of order lines ({lines}), but its rows are meant to be orders",
                file=rules.file,
                lines=", ".join(lines),
            ),
            hint=_('put rows = "lines" into the column map'),
        )


def _gap(rules: ReadingRules, missing: Sequence[str], map_name: str) -> UsageError:
    """The error for what no row can have. One field is said on the command line, such as a currency."""
    error = _("{file} has no column for {missing}", file=rules.file, missing=", ".join(missing))
    if missing != ["currency"]:
        kind = UsageError if rules.map.file else UnknownTableError
        return kind(
            error,
            hint=_("name the columns so, or give a column map with [columns] and [defaults]: --make-map drafts one"),
        )
    return UsageError(error, hint=how_to_say_currency(map_name))
