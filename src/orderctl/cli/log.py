"""`orderctl log [ORDER|BATCH]`, `log verify|export|report`."""

from typing import Annotated

import typer

from orderctl.bootstrap.program import Program
from orderctl.cli.apps import group_app
from orderctl.cli.log_files import export, report
from orderctl.cli.options import AsReport, ReportFormat, program_of
from orderctl.cli.suggesting import suggest_order_or_batch
from orderctl.domain.errors import OrderctlError, UsageError
from orderctl.domain.log import Batch
from orderctl.domain.orders import OrderEvent
from orderctl.domain.reports import SCHEMA, batch_document, event_document, tampering_document, verdict_document
from orderctl.domain.text import count_of
from orderctl.domain.verification import LogVerdict, Tampering
from orderctl.services.verifying import verify_log

app = group_app(with_default=True)
_SHOWN = 20


@app.callback(
    epilog="Examples:\n\norderctl log\n\norderctl log 10021\n\norderctl log verify\n\n"
    "orderctl log show verify   # an order of that name"
)
def log() -> None:
    """Who rejected what, when and why: `log` lists the batches, `log ORDER` and `log BATCH` show one."""


@app.command(
    epilog="Examples:\n\norderctl log\n\norderctl log 10021\n\norderctl log 068fj5h7qb3p16ko7s2gi7a8q4 --format json"
)
def show(
    ctx: typer.Context,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[ORDER|BATCH]", help="An order's id, or a batch's.", autocompletion=suggest_order_or_batch
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many batches; 0: all.")] = _SHOWN,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """The batches, one batch, or one order's log; the word `show` may be left out."""
    program = program_of(ctx)
    with program.open_store() as store, store.snapshot() as work:
        if subject is None:
            _batches(program, list(work.rejections.batches(limit or None)), as_)
            return
        batch = work.rejections.batch(subject)
        if batch is not None:
            _batch(program, batch, list(work.rejections.batch_orders(subject)), as_)
            return
        if work.orders.get(subject) is None:
            raise UsageError(
                f"there is no order and no batch {subject!r} in this store", hint="orderctl log lists batches"
            )
        _order(program, subject, work.orders.events(subject), as_)


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
    as_json = as_ is ReportFormat.JSON

    def tell(tampering: Tampering) -> None:
        if as_json:
            program.output.documents([tampering_document(tampering)])
        else:
            program.output.lines([f"{tampering.record}: {tampering.problem}"])

    with program.open_store() as store, program.screen.progress("Verifying") as progress:
        verdict = verify_log(store, anchor=anchor, report=tell, progress=progress)
    if as_json:
        program.output.documents([verdict_document(verdict)])
    else:
        program.output.lines(_summary(verdict))
    if verdict.tampered:
        raise OrderctlError(
            f"the log is not as it was written: {count_of(verdict.tampered, 'record')}",
            hint="keep a copy of the store as it is, and see docs/reference/log.md",
        )


app.command(epilog="Examples:\n\norderctl log export -o log.jsonl\n\norderctl log export --format csv > log.csv")(
    export
)
app.command(
    epilog="Examples:\n\norderctl log report -o report.pdf\n\n"
    "orderctl log report 068fj5h7qb3p16ko7s2gi7a8q4 -o report.html"
)(report)


def _summary(verdict: LogVerdict) -> list[str]:
    """What was read, and the digest to keep."""
    read = f"{count_of(verdict.batches, 'batch', 'batches')} and {count_of(verdict.events, 'event')} of them"
    lines = [f"read {read}" if verdict.tampered else f"as written: {read}"]
    if verdict.anchored:
        lines.append("the anchor is in the chain: nothing up to it was changed or removed")
    if verdict.loose:
        outside = f"{count_of(verdict.loose, 'event')} outside batches"
        lines.append(f"no digest covers {outside} (imports as rejected: {verdict.imported:,}, archiving, tags)")
    if verdict.head and not verdict.tampered:
        lines.append(f"head: batch {verdict.head.id}, number {verdict.head.position:,}")
        lines.append(f"keep elsewhere, for --anchor: {verdict.head.digest}")
    return lines


def _batches(program: Program, batches: list[Batch], as_: ReportFormat) -> None:
    if as_ is ReportFormat.JSON:
        program.output.documents(map(batch_document, batches))
    elif batches:
        program.screen.batches(batches)
    else:
        program.screen.tell("nothing was rejected yet")


def _batch(program: Program, batch: Batch, events: list[OrderEvent], as_: ReportFormat) -> None:
    if as_ is ReportFormat.JSON:
        program.output.document(batch_document(batch) | {"events": list(map(event_document, events))})
    else:
        program.screen.batch(batch, events)


def _order(program: Program, order_id: str, events: tuple[OrderEvent, ...], as_: ReportFormat) -> None:
    if as_ is ReportFormat.JSON:
        document = {"schema": SCHEMA, "order": order_id, "events": list(map(event_document, events))}
        program.output.document(document)
    elif events:
        program.screen.events(events)
    else:
        program.screen.tell(f"nothing is logged for order {order_id}")
