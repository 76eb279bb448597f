"""`orderctl show`."""

import shlex
from typing import Annotated

import typer

from orderctl.cli.apps import command_app
from orderctl.cli.options import AsReport, ReportFormat, program_of
from orderctl.cli.sources import read_id_argument
from orderctl.cli.suggesting import suggest_order
from orderctl.domain.errors import UsageError
from orderctl.domain.filter_parser import is_term
from orderctl.domain.reports import order_document
from orderctl.domain.text import safe
from orderctl.language import say

app = command_app()


@app.command(epilog="Examples:\n\norderctl show 10021\n\norderctl show 10021 --format json | jq .refused")
def show(
    ctx: typer.Context,
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.", autocompletion=suggest_order)],
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Show one order: lines, tags, log, and whether it can be rejected."""
    program = program_of(ctx)
    wanted = read_id_argument(order_id)
    with program.open_store() as store, store.snapshot() as work:
        order = work.orders.get(wanted)
        if order is None:
            raise UsageError(
                say("there is no order {id!r} in this store", id=wanted),
                hint=f"orderctl search {safe(shlex.quote(wanted))}"
                if is_term(wanted)
                else say("orderctl search finds it by other words"),
            )
        events = work.orders.events(order.id)
    if as_ is not ReportFormat.TEXT:
        program.output.document(order_document(order, events), as_)
    else:
        program.screen.order(order, events)
