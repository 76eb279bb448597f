"""`orderctl log [ORDER|BATCH]`, `log verify|export|report`."""

import shlex
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from orderctl.bootstrap.program import Program
from orderctl.cli.apps import group_app
from orderctl.cli.log_files import export, report
from orderctl.cli.options import AsReport, ReportFormat, program_of
from orderctl.cli.suggesting import suggest_order_or_batch
from orderctl.domain.errors import OrderctlError, UsageError
from orderctl.domain.filter_parser import is_term
from orderctl.domain.log import Batch
from orderctl.domain.orders import OrderEvent
from orderctl.domain.reports import SCHEMA, batch_document, event_document, tampering_document, verdict_document
from orderctl.domain.text import safe
from orderctl.domain.verification import LogVerdict, Tampering
from orderctl.language import later, say, say_count
from orderctl.services.finding import batch_ending
from orderctl.services.verifying import verify_log
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
    program = program_of(ctx)
    with program.open_store() as store, store.snapshot() as work:
        if subject is None:
            _batches(program, work.rejections.batches(limit or None), as_)
            return
        batch = work.rejections.batch(subject)
        order = None if batch else work.orders.get(subject)
        # An order may be called like the ending of a batch: ids come first.
        if batch is None and order is None and (batch_id := batch_ending(work, subject)):
            batch = work.rejections.batch(batch_id)
        if batch is not None:
            _batch(program, batch, list(work.rejections.batch_orders(batch.id)), as_)
            return
        if order is None:
            raise UsageError(
                say("there is no order and no batch {subject!r} in this store", subject=subject),
                hint=f"orderctl search {safe(shlex.quote(subject))}"
                if is_term(subject)
                else say("orderctl log lists batches"),
            )
        _order(program, order.id, work.orders.events(order.id), as_)


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
    program = program_of(ctx)
    if as_ is ReportFormat.TEXT:
        verdict = _verified(program, anchor, lambda found: program.output.lines([f"{found.record}: {found.problem}"]))
        program.output.lines(_summary(verdict))
    else:
        with program.output.listing(as_) as write:
            verdict = _verified(program, anchor, lambda found: write(tampering_document(found)))
            write(verdict_document(verdict))
    if verdict.tampered:
        raise OrderctlError(
            say_count(
                "the log is not as it was written: {number:,} record",
                "the log is not as it was written: {number:,} records",
                verdict.tampered,
            ),
            hint=say("keep a copy of the store as it is, and see orderctl help log"),
        )


app.command(epilog="Examples:\n\norderctl log export -o log.jsonl\n\norderctl log export --format csv > log.csv")(
    export
)
app.command(epilog="Examples:\n\norderctl log report -o report.pdf\n\norderctl log report 2gi7a8q4 -o report.html")(
    report
)


def _verified(program: Program, anchor: str | None, tell: Callable[[Tampering], None]) -> LogVerdict:
    with program.open_store() as store, program.screen.progress(later("Verifying")) as progress:
        return verify_log(store, anchor=anchor, report=tell, progress=progress)


def _summary(verdict: LogVerdict) -> list[str]:
    """What was read, and the digest to keep."""
    counted = {
        "batches": say_count("{number:,} batch", "{number:,} batches", verdict.batches),
        "events": say_count("{number:,} event", "{number:,} events", verdict.events),
    }
    read = (
        say("read {batches} and {events} of them", **counted)
        if verdict.tampered
        else say("as written: {batches} and {events} of them", **counted)
    )
    lines = [read]
    if verdict.anchored:
        lines.append(say("the anchor is in the chain: nothing up to it was changed or removed"))
    if verdict.loose:
        loose = say_count(
            "no digest covers {number:,} event outside batches (imports as rejected: {imported:,}, archiving, tags)",
            "no digest covers {number:,} events outside batches (imports as rejected: {imported:,}, archiving, tags)",
            verdict.loose,
            imported=verdict.imported,
        )
        lines.append(loose)
    if verdict.unknown_lines:
        unknown = say_count(
            "no digest covers the lines of {number:,} order, which an earlier version rejected",
            "no digest covers the lines of {number:,} orders, which an earlier version rejected",
            verdict.unknown_lines,
        )
        lines.append(unknown)
    if verdict.head and not verdict.tampered:
        head = verdict.head
        lines.append(say("head: batch {batch}, number {position:,}", batch=head.id, position=head.position))
        lines.append(say("keep elsewhere, for --anchor: {digest}", digest=head.digest))
    return lines


def _batches(program: Program, batches: Iterable[Batch], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        program.output.documents(map(batch_document, batches), as_)
    elif listed := list(batches):
        program.screen.batches(listed)
    else:
        program.screen.tell(say("nothing was rejected yet"))


def _batch(program: Program, batch: Batch, events: list[OrderEvent], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        program.output.document(batch_document(batch) | {"events": list(map(event_document, events))}, as_)
    else:
        program.screen.batch(batch, events)


def _order(program: Program, order_id: str, events: tuple[OrderEvent, ...], as_: ReportFormat) -> None:
    if as_ is not ReportFormat.TEXT:
        document = {"schema": SCHEMA, "order": order_id, "events": list(map(event_document, events))}
        program.output.document(document, as_)
    elif events:
        program.screen.events(events)
    else:
        program.screen.tell(say("nothing is logged for order {id}", id=order_id))
