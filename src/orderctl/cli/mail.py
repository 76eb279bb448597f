"""`orderctl mail list|show|send|retry|cancel|settle`."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.delivery import Connections, Rate, Stopping, deliver_mails, follow_outbox
from orderctl.cli.mail_acting import act, counted
from orderctl.cli.mail_options import BatchId, MailChoice
from orderctl.cli.mail_sample import send_sample_mail
from orderctl.cli.option_groups import takes
from orderctl.cli.options import AsReport, FilterText, ReportFormat, SelectionName, program_of
from orderctl.cli.suggesting import suggest_mail
from orderctl.domain.errors import ExitCode, UsageError
from orderctl.domain.mail_actions import CANCEL, NOT_SENT, RETRY, SENT
from orderctl.domain.outbox import MailState
from orderctl.domain.reports import mail_document
from orderctl.language import later, say, say_count
from orderctl.services.finding import find_batch, find_mails, found_in
from orderctl.settings import LARGEST

app = group_app()
_SHOWN = 50


class MailFormat(StrEnum):
    """How a list of mails is written."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    IDS = "ids"


MailId = Annotated[
    str, typer.Argument(metavar="MAIL", help="The mail's id, or its ending.", autocompletion=suggest_mail)
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the mail.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback()
def mail() -> None:
    """The outbox: what waits, what was sent, what failed."""


@app.command(
    "list",
    epilog="Examples:\n\norderctl mail list\n\norderctl mail list --state unknown --format json\n\n"
    "orderctl mail list --state refused --older-than 2d --format ids",
)
@takes("mails", MailChoice, without={"ids", "everything"})
def list_(
    ctx: typer.Context,
    mails: MailChoice,
    limit: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help="At most so many; 0: all. 50 unless --format ids.")
    ] = None,
    as_: Annotated[
        MailFormat, typer.Option("--format", help="text for people; json: one array; jsonl or ids: one a line.")
    ] = MailFormat.TEXT,
) -> None:
    """List the mails, newest first."""
    program = program_of(ctx)
    query = mails.filters(program)
    shown = (None if as_ is MailFormat.IDS else _SHOWN) if limit is None else limit or None
    with program.open_store() as store, store.snapshot() as work:
        query = found_in(work, query)
        found = work.outbox.find(replace(query, limit=shown))
        if as_ is MailFormat.IDS:
            program.output.lines(mail.id for mail in found)
            return
        if as_ is not MailFormat.TEXT:
            told = (mail_document(each, work.outbox.order_ids(each.id)) for each in found)
            program.output.documents(told, as_)
            return
        listed, counts = list(found), work.outbox.counts(query)
    if listed:
        program.screen.mails(listed)
    summary = ", ".join(counted(name, number) for name, number in counts.items() if number)
    more = sum(counts.values()) - len(listed)
    summary = summary or say("no mails")
    program.screen.tell(
        say("{summary}; {more:,} not shown, see --limit", summary=summary, more=more) if more else summary
    )


@app.command(epilog="Examples:\n\norderctl mail show 2gi7a8q4.1\n\norderctl mail show 2gi7a8q4.1 --raw > mail.eml")
def show(
    ctx: typer.Context,
    mail_id: MailId,
    raw: Annotated[bool, typer.Option("--raw", help="The message itself, as it goes or went out (RFC 5322).")] = False,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Show one mail as the buyer reads it, how its delivery went, and what operators did with it."""
    program = program_of(ctx)
    with program.open_store() as store, store.snapshot() as work:
        (mail_id,) = find_mails(work, [mail_id])
        found = work.outbox.get(mail_id)
        assert found is not None  # noqa: S101 - it was found in this snapshot
        orders, events = work.outbox.order_ids(mail_id), work.outbox.events(mail_id)
        facts = None if found.letter else work.outbox.facts([mail_id]).get(mail_id)
    if as_ is not ReportFormat.TEXT:
        program.output.document(mail_document(found, orders, events), as_)
        return
    letter = found.letter or (program.mailing.composer().compose(facts) if facts else None)
    if not raw:
        program.screen.mail(found, letter, orders, events)
    elif letter is None:
        raise UsageError(
            say("mail {id} has no text: its buyer is not in the store any more", id=mail_id),
            hint=f"orderctl mail cancel {mail_id}",
        )
    else:
        program.output.message(program.mailing.mailer_factory()().write(found, letter))


@app.command(
    epilog="Examples:\n\norderctl mail send\n\norderctl mail send --limit 100 --connections 4\n\n"
    "orderctl mail send --follow --rate 30/m\n\n"
    "orderctl mail send --sample me@brand.example --filter 'season:26SS sku:LN-10*'"
)
def send(
    ctx: typer.Context,
    batch: BatchId = None,
    limit: Annotated[int | None, typer.Option(min=1, max=LARGEST, help="At most so many.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with whatever falls due, until stopped.")
    ] = False,
    rate: Rate = None,
    connections: Connections = None,
    sample: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one letter to this address, as a sample, and no mail.")
    ] = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
) -> None:
    """Send the mails that are due; a worker with --follow; or a sample of one letter to yourself."""
    program = program_of(ctx)
    if sample is not None:
        send_sample_mail(program, sample, batch=batch, filter_text=filter_text, name=name)
        return
    if filter_text is not None or name is not None:
        raise UsageError(
            say("--filter and --name choose the orders of a --sample"), hint="orderctl mail send --batch BATCH"
        )
    if follow and limit is not None:
        raise UsageError(
            say("--follow goes on until it is stopped, and --limit would end it"), hint=say("leave one of them out")
        )
    with program.open_store() as store, Stopping() as stop:
        if batch is not None:
            with store.snapshot() as work:
                batch = find_batch(work, batch)
        if follow:
            report = follow_outbox(program, store, stop, batch_id=batch, rate=rate, connections=connections)
        else:
            with program.screen.progress(later("Mailing")) as progress:
                report = deliver_mails(
                    program,
                    store,
                    stop,
                    batch_id=batch,
                    progress=progress,
                    limit=limit,
                    rate=rate,
                    connections=connections,
                )
    program.screen.delivery(report)
    stop.check(report)
    if not report.complete:
        raise typer.Exit(ExitCode.MAILS_REMAIN)


@app.command(
    epilog="Examples:\n\norderctl mail retry 2gi7a8q4.1\n\n"
    "orderctl mail retry --state refused --to @acme.example --reason 'mailbox is back'\n\n"
    "orderctl mail retry --batch 2gi7a8q4 --state unknown --yes"
)
@takes("mails", MailChoice)
def retry(
    ctx: typer.Context,
    mails: MailChoice,
    reason: Why = "",
    yes: Yes = False,
) -> None:
    """Let mails be sent again, now: refused or put off ones; cancelled, unknown or waiting ones by id or --state."""
    program = program_of(ctx)
    changed = act(program, RETRY, mails.named(program), reason=reason, yes=yes)
    if changed:
        program.screen.tell(
            say_count(
                "{number:,} mail will be sent again; send with: orderctl mail send",
                "{number:,} mails will be sent again; send with: orderctl mail send",
                changed,
            )
        )


@app.command(
    epilog="Examples:\n\norderctl mail cancel 2gi7a8q4.1\n\n"
    "orderctl mail cancel --batch 2gi7a8q4 --reason 'told by phone'"
)
@takes("mails", MailChoice)
def cancel(
    ctx: typer.Context,
    mails: MailChoice,
    reason: Why = "",
) -> None:
    """Never send mails that wait."""
    program = program_of(ctx)
    changed = act(program, CANCEL, mails.named(program), reason=reason, yes=True)
    if changed:
        program.screen.tell(say_count("{number:,} mail will not be sent", "{number:,} mails will not be sent", changed))


@app.command(
    epilog="Examples:\n\norderctl mail settle 2gi7a8q4.1 --sent\n\n"
    "orderctl mail settle --batch 2gi7a8q4 --not-sent --reason 'not in the log of the server'"
)
@takes("mails", MailChoice, without={"state"})
def settle(
    ctx: typer.Context,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What you found out: it arrived, or it did not.")],
    mails: MailChoice,
    reason: Why = "",
) -> None:
    """Say what became of mails of unknown fate; neither answer sends them again."""
    program = program_of(ctx)
    changed = act(program, SENT if sent else NOT_SENT, mails.named(program), reason=reason, yes=True)
    if changed:
        state = (MailState.SENT if sent else MailState.REFUSED).value
        settled = say_count(
            "{number:,} mail settled as {state}", "{number:,} mails settled as {state}", changed, state=state
        )
        program.screen.tell(settled)
