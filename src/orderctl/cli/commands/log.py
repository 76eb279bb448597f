"""`orderctl log [ORDER|BATCH]`, `log verify|export|report`."""

import shlex
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orderctl.audit.document import batch_document, tampering_document, verdict_document, write_record
from orderctl.audit.log import Batch
from orderctl.audit.queries import batch_events, batch_summaries, get_batch, list_batches
from orderctl.audit.report import report_on
from orderctl.audit.service import record_of, verify_log
from orderctl.audit.verification import LogVerdict, Tampering
from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, ReportFormat, context_of, suggest_order_or_batch
from orderctl.core.text import safe
from orderctl.database.endings import BATCHES_LISTED, batch_ending, find_batch
from orderctl.errors import OrderctlError, UsageError
from orderctl.filters.parser import is_term
from orderctl.language import N_, _, ngettext
from orderctl.mail.outbox import MailQuery
from orderctl.mail.queries import count_mails
from orderctl.orders.document import SCHEMA, event_document
from orderctl.orders.orders import OrderEvent
from orderctl.orders.queries import get_order, order_events
from orderctl.settings import LARGEST

app = group_app(with_default=True)
_SHOWN = 20


@app.callback(
    epilog="Examples:\n\norderctl log\n\norderctl log 10021\n\norderctl log verify\n\n"
    "orderctl log show verify   # an order of that name"
)
def log() -> None:
    """Who rejected what, when and why: `log` lists the batches, `log ORDER` and `log BATCH` show one."""


@app.command(epilog="Examples:\n\norderctl log\n\norderctl log 10021\n\norderctl log 2gi7a8q4 --format json")
def show(
    ctx: typer.Context,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[ORDER|BATCH]",
            help="An order's id, or a batch's or its ending.",
            autocompletion=suggest_order_or_batch,
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=LARGEST, help="At most so many batches; 0: all.")] = _SHOWN,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """The batches, one batch, or one order's log; the word `show` may be left out."""
    context = context_of(ctx)
    with context.open_store() as store, store.snapshot() as connection:
        if subject is None:
            _batches(context, list_batches(connection, limit or None), as_)
            return
        batch = get_batch(connection, subject)
        order = None if batch else get_order(connection, subject)
        # The id of an order may equal the ending of a batch: whole ids come first.
        if batch is None and order is None and (batch_id := batch_ending(connection, subject)):
            batch = get_batch(connection, batch_id)
        if batch is not None:
            _batch(context, batch, list(batch_events(connection, batch.id)), as_)
            return
        if order is None:
            raise UsageError(
                _("there is no order and no batch {subject!r} in this store", subject=subject),
                hint=f"orderctl search {safe(shlex.quote(subject))}"
                if is_term(subject)
                else _("orderctl log lists batches"),
            )
        _order(context, order.id, order_events(connection, order.id), as_)


@app.command(
    epilog="Examples:\n\norderctl log verify\n\norderctl log verify --format json\n\n"
    "orderctl log verify --anchor 3f1c...   # the digest that an earlier run printed"
)
def verify(
    ctx: typer.Context,
    anchor: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="A batch's digest, kept elsewhere, that must still be there.")
    ] = None,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Prove that nobody edited the log; names each record that is not as it was written, and ends with 1."""
    context = context_of(ctx)
    if as_ is ReportFormat.TEXT:
        verdict = _verified(context, anchor, lambda found: context.output.lines([f"{found.record}: {found.problem}"]))
        context.output.lines(_summary(verdict))
    else:
        with context.output.listing(as_) as write:
            verdict = _verified(context, anchor, lambda found: write(tampering_document(found)))
            write(verdict_document(verdict))
    if verdict.tampered:
        raise OrderctlError(
            ngettext(
                "the log is not as it was written: {number:,} record",
                "the log is not as it was written: {number:,} records",
                verdict.tampered,
            ),
            hint=_("keep a copy of the store as it is, and see orderctl help log"),
        )


Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


class RecordFormat(StrEnum):
    """The formats of the log for an auditor."""

    JSONL = "jsonl"
    CSV = "csv"


def export(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file; - for standard output.")
    ] = "-",
    as_: Annotated[RecordFormat | None, typer.Option("--format", help="By the file's ending if not said.")] = None,
    force: Force = False,
) -> None:
    """Write every batch and event with its digests, for an auditor: JSON lines or CSV."""
    context = context_of(ctx)
    path = None if output == "-" else output
    format_ = as_ or (RecordFormat.CSV if output.lower().endswith(".csv") else RecordFormat.JSONL)
    with context.open_store() as store, store.snapshot() as connection:
        written = write_record(record_of(connection), path, format_, force=force)
    told = _(
        "{batches}, {rows}, written to {file}",
        batches=ngettext("{number:,} batch", "{number:,} batches", written["batch"]),
        rows=ngettext("{number:,} row", "{number:,} rows", sum(written.values())),
        file=_("standard output") if path is None else safe(path),
    )
    context.screen.tell(told)


app.command(epilog="Examples:\n\norderctl log export -o log.jsonl\n\norderctl log export --format csv > log.csv")(
    export
)


def report(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .pdf or an .html.")],
    batch_id: Annotated[
        str | None, typer.Argument(metavar="[BATCH]", help="The batch's id, or its ending; the newest if none.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a report of one batch: who, when, why, the orders, and a chart of what was rejected."""
    context = context_of(ctx)
    with context.open_store() as store, store.snapshot() as connection:
        batch = (
            get_batch(connection, find_batch(connection, batch_id))
            if batch_id
            else next(list_batches(connection, 1), None)
        )
        if batch is None:
            raise UsageError(_("nothing was rejected yet"), hint=_(BATCHES_LISTED))
        found = report_on(
            batch, batch_summaries(connection, batch.id), count_mails(connection, MailQuery(batch_id=batch.id))
        )
    from orderctl.audit.report_file import write_report

    write_report(found, output, force=force)
    context.screen.tell(_("wrote the report of batch {batch} to {file}", batch=batch.id, file=output))


app.command(epilog="Examples:\n\norderctl log report -o report.pdf\n\norderctl log report 2gi7a8q4 -o report.html")(
    report
)


def _verified(context: Context, anchor: str | None, tell: Callable[[Tampering], None]) -> LogVerdict:
    with context.open_store() as store, context.screen.progress(N_("Verifying")) as progress:
        return verify_log(store, anchor=anchor, report=tell, progress=progress)


def _summary(verdict: LogVerdict) -> list[str]:
    """What was read, and the digest to keep."""
    counted = {
        "batches": ngettext("{number:,} batch", "{number:,} batches", verdict.batches),
        "events": ngettext("{number:,} event", "{number:,} events", verdict.events),
    }
    read = (
        _("read {batches} and {events} of them", **counted)
        if verdict.tampered
        else _("as written: {batches} and {events} of them", **counted)
    )
    lines = [read]
    if verdict.anchored:
        lines.append(_("the anchor is in the chain: nothing up to it was changed or removed"))
    if verdict.loose:
        loose = ngettext(
            "no digest covers {number:,} event outside batches (imports as rejected: {imported:,}, archiving, tags)",
            "no digest covers {number:,} events outside batches (imports as rejected: {imported:,}, archiving, tags)",
            verdict.loose,
            imported=verdict.imported,
        )
        lines.append(loose)
    if verdict.unknown_lines:
        unknown = ngettext(
            "no digest covers the lines of {number:,} order, which an earlier version rejected",
            "no digest covers the lines of {number:,} orders, which an earlier version rejected",
            verdict.unknown_lines,
        )
        lines.append(unknown)
    if verdict.head and not verdict.tampered:
        head = verdict.head
        lines.append(_("head: batch {batch}, number {position:,}", batch=head.id, position=head.position))
        lines.append(_("keep elsewhere, for --anchor: {digest}", digest=head.digest))
    return lines


def _batches(context: Context, batches: Iterable[Batch], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        context.output.documents(map(batch_document, batches), as_)
    elif listed := list(batches):
        from orderctl.audit.view import batch_table

        context.screen.table(lambda: batch_table(listed))
    else:
        context.screen.tell(_("nothing was rejected yet"))


def _batch(context: Context, batch: Batch, events: list[OrderEvent], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        context.output.document(batch_document(batch) | {"events": list(map(event_document, events))}, as_)
    else:
        from orderctl.audit.view import batch_details

        context.screen.page(batch_details(batch, events))


def _order(context: Context, order_id: str, events: tuple[OrderEvent, ...], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        document = {"schema": SCHEMA, "order": order_id, "events": list(map(event_document, events))}
        context.output.document(document, as_)
    elif events:
        from orderctl.orders.view import event_table

        context.screen.table(lambda: event_table(events))
    else:
        context.screen.tell(_("nothing is logged for order {id}", id=order_id))
