"""Exports orders: what is asked for, and the writer of each format."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from orderctl.audit.log import Batch
from orderctl.core.times import Progress
from orderctl.database.connection import Connection, Fragment
from orderctl.database.store import Store
from orderctl.errors import UsageError
from orderctl.exporting.rows import write_line_rows, write_objects, write_order_rows
from orderctl.files.cells import LONGEST_TEXT
from orderctl.files.csv import escape_formula
from orderctl.files.safe import SafeNames, create_file, create_folder, output_file, text_in
from orderctl.language import _
from orderctl.orders.orders import Order, Status, parse_order_id, refuse_damaged
from orderctl.orders.queries import stream_orders
from orderctl.selection.queries import chosen_orders, ids_as_stored, unknown_ids
from orderctl.selection.selection import Choice
from orderctl.selection.service import refuse_unknown


class ExportFormat(StrEnum):
    """What orders can be written as."""

    XLSX = "xlsx"
    CSV = "csv"
    JSONL = "jsonl"
    PDF = "pdf"
    OC_PDF = "oc-pdf"

    @property
    def is_text(self) -> bool:
        """Whether a terminal can show it."""
        return self in {ExportFormat.CSV, ExportFormat.JSONL}

    @property
    def is_document(self) -> bool:
        """Whether it is made of pages."""
        return self in {ExportFormat.PDF, ExportFormat.OC_PDF}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """How to write the orders, and where: `path` is None for standard output."""

    format: ExportFormat
    path: str | None
    by_line: bool = False
    per_order: bool = False
    force: bool = False
    raw: bool = False


_REPORT_EVERY = 100


def export_orders(
    store: Store,
    choice: Choice,
    write: Callable[[Iterable[Order]], None],
    *,
    progress: Progress,
    ignore_unknown: bool = False,
) -> int:
    """Hand the orders of the choice to `write`, sorted by id; gives how many.

    Raises UsageError, before anything is written, if the choice names an order that there is not.
    """
    count = 0

    def counted(orders: Iterator[Order]) -> Iterator[Order]:
        nonlocal count
        for order in orders:
            yield order
            count += 1
            if not count % _REPORT_EVERY:
                progress(count, None)

    with store.snapshot() as connection:
        refuse_unknown(connection, choice, ignore=ignore_unknown)
        write(counted(chosen_orders(connection, choice)))
    return count


OLD_ID = "{id}"
NEW_ID = f"{OLD_ID}-R"


def reentered_orders(connection: Connection, batch: Batch, rule: str) -> Iterator[Order]:
    """The orders that a batch rejected, as new orders to import: each with a new id and a note of the old one.

    They are `needs-oc`, because nobody has confirmed them. They have no delivery notes, invoices or backlog, which
    belong to the old orders, and none of the tags, by which a filter would find and reject them again.
    `rule` is the new id with `{id}` for the old one. Raises UsageError, before the first order, if it gives ids that
    are not valid or that the store has.
    """
    wanted = Fragment("batch_id = :batch", {"batch": batch.id})
    old_ids = connection.execute(f"SELECT id FROM orders WHERE account = :account AND {wanted.sql}", wanted.params)
    new_ids = {order_id: _new_id(order_id, rule) for (order_id,) in old_ids.fetchall()}
    listed = sorted(new_ids.values())
    unknown = {*unknown_ids(connection, listed)} - ids_as_stored(connection, listed).keys()
    if taken := [order_id for order_id in listed if order_id not in unknown]:
        raise UsageError(
            _("order {id} is in the store already", id=taken[0]),
            hint=_("was the batch entered anew before? Else take another rule: --new-id '{rule}'", rule=f"{rule}2"),
        )
    return (_reentered(order, new_ids[order.id], batch) for order in stream_orders(connection, wanted))


def _new_id(order_id: str, rule: str) -> str:
    if OLD_ID not in rule:
        raise UsageError(
            _("--new-id {rule!r} gives every order the same id", rule=rule),
            hint=_("write {old} where the old id belongs, as in {example}", old=OLD_ID, example=NEW_ID),
        )
    new_id = rule.replace(OLD_ID, order_id)
    try:
        if parse_order_id(refuse_damaged(new_id)) == new_id:
            return new_id
        problem = _("would be read as {other!r}", other=parse_order_id(new_id))
    except ValueError as error:
        problem = str(error)
    raise UsageError(
        _("the new id {new!r} of order {old} {problem}", new=new_id, old=order_id, problem=problem),
        hint=_("take another rule: --new-id '{rule}'", rule=NEW_ID),
    )


def _reentered(order: Order, new_id: str, batch: Batch) -> Order:
    note = f"Re-entry of order {order.id}, rejected by batch {batch.id}\n{order.note}"
    return replace(
        order,
        id=new_id,
        status=Status.NEEDS_OC,
        note=note[:LONGEST_TEXT].rstrip("\n"),
        delivery_notes=0,
        invoices=0,
        backlog_skus=0,
        archived_at=None,
        tags=frozenset(),
    )


def write_export(orders: Iterable[Order], request: ExportRequest) -> None:
    """Write the orders. Raises UsageError if the target is taken, and OrderctlError if writing fails."""
    if request.per_order:
        _write_folder(orders, request)
        return
    with output_file(request.path, force=request.force) as out:
        if request.format.is_text:
            _write_text(orders, request, out)
        elif request.format is ExportFormat.XLSX:
            from orderctl.exporting.excel import write_workbook  # noqa: PLC0415 - one of the libraries is loaded

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
    from orderctl.exporting.pdf import write_documents  # noqa: PLC0415 - see above

    write_documents(orders, out, confirmation=request.format is ExportFormat.OC_PDF)


def _write_text(orders: Iterable[Order], request: ExportRequest, out: BinaryIO) -> None:
    shown = str if request.raw else escape_formula
    with text_in(out) as text:
        if request.format is ExportFormat.JSONL:
            write_objects(orders, text)
        else:
            (write_line_rows if request.by_line else write_order_rows)(orders, text, shown)


def _refuse_none(orders: Iterable[Order]) -> Iterator[Order]:
    """The same orders. Raises UsageError if there is none: a document without pages is none."""
    remaining = iter(orders)
    first = next(remaining, None)
    if first is None:
        raise UsageError(_("no order is chosen, and nothing was written"), hint=_("look with: orderctl search"))
    return chain([first], remaining)
