"""Files that a command reads or writes: each library is imported when its file is asked for."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orderctl.domain.batch_report import BatchReport
    from orderctl.domain.exporting import ExportRequest
    from orderctl.domain.import_figures import RowProblem, SourceRequest
    from orderctl.domain.log import SealedBatch
    from orderctl.domain.order_columns import Column
    from orderctl.domain.orders import Order
    from orderctl.domain.statistics import Statistics
    from orderctl.files.source import FileSource
    from orderctl.ports import Progress


def write_orders(blocks: "Iterable[Mapping[str, Sequence[Any]]]", columns: "Sequence[Column]", format_: str) -> None:
    """Write orders to standard output as `csv`, `json` or `jsonl`.

    Blocks hold `fields_of` the columns, see `ports.Orders`.
    """
    from orderctl.files.table_writers import WRITERS

    WRITERS[format_](blocks, columns, sys.stdout)


def id_lines(ids: Iterable[str]) -> Iterator[str]:
    """Order ids as the lines of a list that `--ids` reads back."""
    from orderctl.files.id_file import id_line

    return map(id_line, ids)


def write_figures(statistics: "Statistics") -> None:
    """Write the breakdowns of figures to standard output as CSV."""
    from orderctl.files.figure_rows import write_figures

    write_figures(statistics, sys.stdout)


def open_source(file: str, request: "SourceRequest", read_at: datetime, progress: "Progress") -> "FileSource":
    """A file of orders, read and checked, as a context manager. Raises UsageError if it cannot be read at all."""
    from orderctl.files.source import open_source

    return open_source(
        Path(file),
        Path(request.map_file) if request.map_file else None,
        map_name=request.map_name,
        zone=request.time_zone,
        defaults=request.defaults,
        read_at=read_at,
        progress=progress,
    )


def draft_map(file: str, today: "date") -> list[str]:
    """The lines of a column map to begin with, drafted from a file of orders. Raises UsageError."""
    from orderctl.files.map_draft import draft_map

    return draft_map(Path(file), today)


def shipped_maps() -> list[tuple[str, str]]:
    """The names of the column maps that ship with the program, and what each is for."""
    from orderctl.files.shipped_maps import map_names, shipped_map

    return [(name, shipped_map(name).about) for name in map_names()]


def write_error_report(path: str, problems: "Iterable[RowProblem]", *, force: bool) -> None:
    """Write the problems of an import as CSV. Raises UsageError if the file is there, unless forced."""
    from orderctl.files.error_report import write_error_report

    write_error_report(Path(path), problems, force=force)


def write_sample(path: Path, number: int) -> None:
    """Write that many sample orders as JSON lines, as an import reads them. Raises UsageError."""
    from orderctl.domain.exporting import ExportFormat, ExportRequest
    from orderctl.files.export import write_export
    from orderctl.services.sampling import sample_orders

    write_export(sample_orders(number), ExportRequest(format=ExportFormat.JSONL, path=str(path)))


def write_export(orders: "Iterable[Order]", request: "ExportRequest") -> None:
    """Write orders as the request says. Raises UsageError if the target is taken."""
    from orderctl.files.export import write_export

    write_export(orders, request)


def write_report(report: "BatchReport", path: Path, *, force: bool) -> None:
    """Write a report of one batch as PDF or HTML, by the ending. Raises UsageError if the name is taken."""
    from orderctl.files.batch_reports import write_report

    write_report(report, path, force=force)


def write_record(batches: "Iterable[SealedBatch]", path: str | None, format_: str, *, force: bool) -> Mapping[str, int]:
    """Write the log for an auditor as `jsonl` or `csv`; gives how many records of each kind.

    Raises UsageError if the name is taken.
    """
    from orderctl.files.record_writers import write_record

    return write_record(batches, path, format_, force=force)


def write_private(path: Path, text: str, *, force: bool) -> None:
    """Write a file that only its owner can read, its folder made if need be. Raises UsageError."""
    from orderctl.files.safe_files import create_file, create_folder

    create_folder(path.parent)
    with create_file(path, force=force) as out:
        out.write(text.encode())
