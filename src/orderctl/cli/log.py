"""`orderctl log`."""

from typing import Annotated

import typer

from orderctl.bootstrap import Program
from orderctl.cli.apps import command_app
from orderctl.cli.options import AsReport, ReportFormat, program_of
from orderctl.domain.errors import UsageError
from orderctl.domain.log import Batch
from orderctl.domain.orders import OrderEvent
from orderctl.domain.reports import SCHEMA, batch_document, event_document

app = command_app()
_SHOWN = 20


@app.command(
    epilog="Examples:\n\norderctl log\n\norderctl log 10021\n\norderctl log 068fj5h7qb3p16ko7s2gi7a8q4 --format json"
)
def log(
    ctx: typer.Context,
    subject: Annotated[str | None, typer.Argument(metavar="[ORDER|BATCH]", help="An order's id, or a batch's.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many batches; 0: all.")] = _SHOWN,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Who rejected what, when and why: the batches, one batch, or one order's log."""
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
