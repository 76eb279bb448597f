"""`orderctl writeback list|show|send|retry|cancel|settle`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from orderctl.cli.apps import Without, group_app
from orderctl.cli.context import Context
from orderctl.cli.delivery import (
    AsList,
    Delivery,
    DeliveryChoice,
    Kind,
    ListLimit,
    Stopping,
    act_and_tell,
    list_deliveries,
    tell_systems,
)
from orderctl.cli.options import AsReport, Yes
from orderctl.delivery.outbox import CANCEL, NOT_SENT, RETRY, SENT, DeliveryAction
from orderctl.delivery.queries import list_events
from orderctl.delivery.service import found_in
from orderctl.errors import UsageError
from orderctl.language import N_, _, ngettext
from orderctl.systems.systems import configured, system_named
from orderctl.writeback.outbox import WRITEBACKS, WriteBackQuery
from orderctl.writeback.queries import list_writebacks
from orderctl.writeback.view import writeback_details, writeback_document, writeback_table

app = group_app(
    "What the systems are told of rejected orders: what waits, what was cancelled there, what is in conflict."
)
SystemName = Annotated[str | None, typer.Option("--system", metavar="NAME", help="Only of this system.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the write-back.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class WritebackChoice(DeliveryChoice[WriteBackQuery]):
    """The options that choose write-backs."""

    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[WRITEBACK]...", help="Ids of write-backs, or their endings.")
    ] = None
    system: SystemName = None

    def filters(self, _context: Context) -> WriteBackQuery:
        """The filters as a query."""
        return WriteBackQuery(
            states=tuple(self.state or ()), batch_id=self.batch, order_id=self.order, system=self.system
        )


def _again(unknown: int) -> str:
    return ngettext(
        "{number:,} write-back of unknown fate may have been carried out: tell the system again, perhaps twice?",
        "{number:,} write-backs of unknown fate may have been carried out: tell the systems again, perhaps twice?",
        unknown,
    )


def _done(action: DeliveryAction, number: int) -> str:
    if action is RETRY:
        return ngettext(
            "{number:,} write-back will be sent again; send with: orderctl writeback send",
            "{number:,} write-backs will be sent again; send with: orderctl writeback send",
            number,
        )
    if action is CANCEL:
        return ngettext("{number:,} write-back will not be sent", "{number:,} write-backs will not be sent", number)
    return ngettext(
        "{number:,} write-back settled as {state}", "{number:,} write-backs settled as {state}", number, state=action.to
    )


_KIND = Kind(
    outbox=WRITEBACKS,
    read=list_writebacks,
    document=lambda _connection, each: writeback_document(each),
    table=writeback_table,
    none=N_("no write-backs"),
    done=_done,
    again=_again,
)


@app.command("orderctl writeback list", "orderctl writeback list --state refused --format json")
def list_(
    context: Context,
    chosen: Annotated[WritebackChoice, Without({"ids", "everything"})],
    limit: ListLimit = None,
    as_: AsList = "text",
) -> None:
    """List the write-backs, newest first. What is refused is in conflict: the system did not cancel the order."""
    list_deliveries(context, _KIND, chosen.filters(context), limit, as_)


@app.command("orderctl writeback show 2gi7a8q4.1")
def show(
    context: Context,
    writeback_id: Annotated[str, typer.Argument(metavar="WRITEBACK", help="The write-back's id, or its ending.")],
    as_: AsReport = "text",
) -> None:
    """Show one write-back: what the system is told, what it said, and what operators did."""
    with context.open_store() as store, store.snapshot() as connection:
        [found] = list_writebacks(connection, found_in(connection, WRITEBACKS, WriteBackQuery(ids=(writeback_id,))))
        events = list_events(connection, WRITEBACKS, found.id)
    if as_ != "text":
        context.output.document(writeback_document(found, events), as_)
        return
    context.screen.page(writeback_details(found, events))


@app.command("orderctl writeback send", "orderctl writeback send --follow")
def send(context: Context, *, wanted: Delivery, system: SystemName = None) -> None:
    """Tell the systems what is due; with --follow a worker, which sends mails too."""
    systems = {system: system_named(context.settings, system)} if system else configured(context.settings)
    if not systems:
        raise UsageError(_("no system is set up"), hint=_("see orderctl help close-the-loop"))
    with context.open_store() as store, Stopping() as stop:
        delivered = tell_systems(context, store, stop, wanted.found(store), systems)
    delivered.show(context)
    stop.check(delivered)
    raise typer.Exit(delivered.exit_code)


@app.command(
    "orderctl writeback retry 2gi7a8q4.1",
    "orderctl writeback retry --state refused --system shop --reason 'was put back on hold there'",
)
def retry(context: Context, chosen: WritebackChoice, reason: Why = "", yes: Yes = False) -> None:
    """Let systems be told again, now: conflicts and what was put off; cancelled or unknown ones by id or --state."""
    act_and_tell(context, _KIND, RETRY, chosen.named(context), reason=reason, yes=yes)


@app.command(
    "orderctl writeback cancel 2gi7a8q4.1 --reason 'cancelled there by hand'",
    "orderctl writeback cancel --batch 2gi7a8q4",
)
def cancel(context: Context, chosen: WritebackChoice, reason: Why = "") -> None:
    """Never tell the systems of these orders. Mails that wait for them stay held: orderctl mail retry sends them."""
    act_and_tell(context, _KIND, CANCEL, chosen.named(context), reason=reason)


@app.command(
    "orderctl writeback settle 2gi7a8q4.1 --sent",
    "orderctl writeback settle --batch 2gi7a8q4 --not-sent --reason 'open there'",
)
def settle(
    context: Context,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What you found out: cancelled there, or not.")],
    chosen: Annotated[WritebackChoice, Without({"state"})],
    reason: Why = "",
) -> None:
    """Say what became of write-backs of unknown fate; neither answer sends them again."""
    action = SENT if sent else NOT_SENT
    act_and_tell(context, _KIND, action, chosen.named(context), reason=reason)
