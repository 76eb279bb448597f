"""`orderctl mail list|show|send|retry|cancel|settle`."""

from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.mail_sample import send_sample_mail
from orderctl.cli.options import AsReport, FilterText, ReportFormat, SelectionName, program_of
from orderctl.domain.errors import UsageError
from orderctl.domain.outbox import MailState
from orderctl.domain.reports import mail_document
from orderctl.ports import MailQuery
from orderctl.services.delivering import deliver
from orderctl.services.mail_actions import cancel_mail, retry_mail, settle_mail

app = group_app()
MAILS_REMAIN = 5
_SHOWN = 50
MailId = Annotated[str, typer.Argument(metavar="MAIL", help="The mail's id.")]
BatchId = Annotated[str | None, typer.Option("--batch", metavar="BATCH", help="Only mails of this batch.")]


@app.callback()
def mail() -> None:
    """The outbox: what waits, what was sent, what failed."""


@app.command("list", epilog="Examples:\n\norderctl mail list\n\norderctl mail list --state unknown --format json")
def list_(
    ctx: typer.Context,
    state: Annotated[list[MailState] | None, typer.Option(help="Only mails in this state; repeatable.")] = None,
    batch: BatchId = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many; 0: all.")] = _SHOWN,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """List the mails, newest first."""
    program = program_of(ctx)
    query = MailQuery(states=tuple(state or ()), batch_id=batch, limit=limit or None)
    with program.open_store() as store, store.snapshot() as work:
        mails = list(work.outbox.find(query))
        if as_ is ReportFormat.JSON:
            program.output.documents(mail_document(each, work.outbox.order_ids(each.id)) for each in mails)
            return
        counts = work.outbox.counts(batch)
    if mails:
        program.screen.mails(mails)
    summary = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
    program.screen.tell(summary or "no mails")


@app.command(epilog="Examples:\n\norderctl mail show 068fj5h7qb3p16ko7s2gi7a8q4.1")
def show(ctx: typer.Context, mail_id: MailId, as_: AsReport = ReportFormat.TEXT) -> None:
    """Show one mail as the buyer reads it, and how its delivery went."""
    program = program_of(ctx)
    with program.open_store() as store, store.snapshot() as work:
        found = work.outbox.get(mail_id)
        if found is None:
            raise UsageError(f"there is no mail {mail_id!r} in this store", hint="orderctl mail list shows them")
        orders = work.outbox.order_ids(mail_id)
        facts = None if found.letter else work.outbox.facts([mail_id]).get(mail_id)
    if as_ is ReportFormat.JSON:
        program.output.document(mail_document(found, orders))
        return
    letter = found.letter or (program.composer().compose(facts) if facts else None)
    program.screen.mail(found, letter, orders)


@app.command(
    epilog="Examples:\n\norderctl mail send\n\norderctl mail send --batch 068fj5h7qb3p16ko7s2gi7a8q4\n\n"
    "orderctl mail send --sample me@brand.example --filter 'season:26SS sku:LN-10*'"
)
def send(
    ctx: typer.Context,
    batch: BatchId = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    sample: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one letter to this address, as a sample, and no mail.")
    ] = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
) -> None:
    """Send the mails that are due; or a sample of one, of a batch, a filter or a selection, to yourself."""
    program = program_of(ctx)
    if sample is not None:
        send_sample_mail(program, sample, batch=batch, filter_text=filter_text, name=name)
        return
    if filter_text is not None or name is not None:
        raise UsageError("--filter and --name choose the orders of a --sample", hint="orderctl mail send --batch BATCH")
    with program.open_store() as store, program.screen.progress("Mailing") as progress:
        report = deliver(
            store,
            program.composer(),
            program.mailer_factory(),
            clock=program.clock,
            new_token=program.new_id,
            batch_id=batch,
            limit=limit,
            progress=progress,
        )
    program.screen.delivery(report)
    if not report.complete:
        raise typer.Exit(MAILS_REMAIN)


@app.command(epilog="Examples:\n\norderctl mail retry 068fj5h7qb3p16ko7s2gi7a8q4.1")
def retry(ctx: typer.Context, mail_id: MailId) -> None:
    """Let a mail be sent again: one that was refused, cancelled, or of unknown fate."""
    program = program_of(ctx)
    with program.open_store() as store:
        retry_mail(store, mail_id, clock=program.clock)
    program.screen.tell(f"{mail_id} waits; send with: orderctl mail send")


@app.command(epilog="Examples:\n\norderctl mail cancel 068fj5h7qb3p16ko7s2gi7a8q4.1")
def cancel(ctx: typer.Context, mail_id: MailId) -> None:
    """Never send a mail that waits."""
    program = program_of(ctx)
    with program.open_store() as store:
        cancel_mail(store, mail_id, clock=program.clock)
    program.screen.tell(f"{mail_id} will not be sent")


@app.command(epilog="Examples:\n\norderctl mail settle 068fj5h7qb3p16ko7s2gi7a8q4.1 --sent")
def settle(
    ctx: typer.Context,
    mail_id: MailId,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What you found out: it arrived, or it did not.")],
) -> None:
    """Say what became of a mail of unknown fate; neither answer sends it again."""
    program = program_of(ctx)
    with program.open_store() as store:
        settle_mail(store, mail_id, as_sent=sent, clock=program.clock)
    program.screen.tell(f"{mail_id} is {'sent' if sent else 'refused'}")
