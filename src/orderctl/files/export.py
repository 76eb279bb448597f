"""Writes orders as what is asked for, to a file, to a folder or to standard output."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from orderctl.domain.errors import UsageError
from orderctl.domain.exporting import ExportFormat, ExportRequest
from orderctl.domain.orders import Order
from orderctl.files.order_writers import write_line_rows, write_objects, write_order_rows
from orderctl.files.safe_files import SafeNames, create_file, create_folder
from orderctl.files.table_writers import inert
from orderctl.language import say


def write_export(orders: Iterable[Order], request: ExportRequest) -> None:
    """Write the orders. Raises UsageError if the target is taken, and OrderctlError if writing fails."""
    if request.per_order:
        _write_folder(orders, request)
        return
    with _target(request) as out:
        if request.format.is_text:
            _write_text(orders, request, out)
        elif request.format is ExportFormat.XLSX:
            from orderctl.files.excel_writer import write_workbook  # noqa: PLC0415 - one of the libraries is loaded

            write_workbook(orders, out)
        else:
            _write_documents(_refuse_none(orders), request, out)


def _write_folder(orders: Iterable[Order], request: ExportRequest) -> None:
    """One document an order."""
    folder, names = Path(request.path or "."), SafeNames()
    create_folder(folder)
    for order in orders:
        with create_file(folder / names.name(order.id, ".pdf"), force=request.force) as out:
            _write_documents([order], request, out)


def _write_documents(orders: Iterable[Order], request: ExportRequest, out: BinaryIO) -> None:
    from orderctl.files.pdf_writer import write_documents  # noqa: PLC0415 - see above

    write_documents(orders, out, confirmation=request.format is ExportFormat.OC_PDF)


def _write_text(orders: Iterable[Order], request: ExportRequest, out: BinaryIO) -> None:
    text = TextIOWrapper(out, encoding="utf-8", newline="")
    if request.format is ExportFormat.JSONL:
        write_objects(orders, text)
    else:
        (write_line_rows if request.by_line else write_order_rows)(orders, text, str if request.raw else inert)
    text.flush()
    text.detach()


@contextmanager
def _target(request: ExportRequest) -> Iterator[BinaryIO]:
    if request.path is not None:
        with create_file(Path(request.path), force=request.force) as out:
            yield out
        return
    # Bytes, whatever encoding the terminal was thought to have.
    yield sys.stdout.buffer
    sys.stdout.flush()


def _refuse_none(orders: Iterable[Order]) -> Iterator[Order]:
    """The same orders. Raises UsageError if there is none: a document without pages is none."""
    remaining = iter(orders)
    first = next(remaining, None)
    if first is None:
        raise UsageError(say("no order is chosen, and nothing was written"), hint=say("look with: orderctl search"))
    return chain([first], remaining)
