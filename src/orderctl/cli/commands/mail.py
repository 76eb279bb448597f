"""`orderctl mail list|show|send|retry|cancel|settle|bounces`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

import typer

from orderctl.cli.apps import Without, group_app
from orderctl.cli.commands.plan import due_plans_runner
from orderctl.cli.context import Context
from orderctl.cli.delivery import (
    AsList,
    Delivery,
    DeliveryChoice,
    Kind,
    ListLimit,
    Stopping,
    act_and_tell,
    deliver_mails,
    list_deliveries,
)
from orderctl.cli.options import AsReport, FilterText, SelectionName, Yes, suggest_mail
from orderctl.cli.sources import Source, choose, provenance
from orderctl.core.times import parse_duration
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.outbox import CANCEL, NOT_SENT, RETRY, SENT, DeliveryAction
from orderctl.delivery.queries import list_events
from orderctl.delivery.service import Sending, found_in
from orderctl.errors import UsageError
from orderctl.language import N_, _, ngettext
from orderctl.mail.outbox import MAILS, BounceNotice, LetterContext, Mail, MailQuery
from orderctl.mail.queries import for_writing, list_mails, mail_order_ids, queued_letters
from orderctl.mail.service import BounceReader, MailKind, readdress
from orderctl.mail.view import (
    bounce_document,
    bounce_summary,
    bounce_table,
    mail_details,
    mail_document,
    mail_table,
)
from orderctl.orders.document import Document
from orderctl.rejection.sample_letters import facts_of_batch, facts_of_request, invented_facts, send_sample
from orderctl.rejection.service import RejectionRequest
from orderctl.selection.queries import selection_size
from orderctl.selection.selection import DEFAULT_SELECTION


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoice(DeliveryChoice[MailQuery]):
    """The options that choose mails."""

    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MAIL]...", help="Ids of mails, or their endings.", autocompletion=suggest_mail),
    ] = None
    buyer: Annotated[
        str | None, typer.Option("--buyer", metavar="TEXT", help="Only to this buyer: id, or in the name.")
    ] = None
    recipient: Annotated[
        str | None, typer.Option("--recipient", metavar="TEXT", help="Only where the address holds this text.")
    ] = None
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="TIME", help="Only mails queued before: 2d, 12h.")
    ] = None

    def filters(self, context: Context) -> MailQuery:
        """The filters as a query. Raises UsageError if `--older-than` is not a length of time."""
        before = None
        if self.older_than is not None:
            try:
                before = context.clock.now() - parse_duration(self.older_than)
            except ValueError as error:
                raise UsageError(
                    _("--older-than: {text!r} {problem}", text=self.older_than, problem=error),
                    hint=_("for example: --older-than 2h"),
                ) from None
        return MailQuery(
            states=tuple(self.state or ()),
            batch_id=self.batch,
            buyer=self.buyer,
            order_id=self.order,
            recipient=self.recipient,
            queued_before=before,
        )


def _again(unknown: int) -> str:
    return ngettext(
        "{number:,} mail of unknown fate may have arrived: send again, perhaps twice?",
        "{number:,} mails of unknown fate may have arrived: send again, perhaps twice?",
        unknown,
    )


def _done(action: DeliveryAction, number: int) -> str:
    if action is RETRY:
        return ngettext(
            "{number:,} mail will be sent again; send with: orderctl mail send",
            "{number:,} mails will be sent again; send with: orderctl mail send",
            number,
        )
    if action is CANCEL:
        return ngettext("{number:,} mail will not be sent", "{number:,} mails will not be sent", number)
    return ngettext(
        "{number:,} mail settled as {state}", "{number:,} mails settled as {state}", number, state=action.to
    )


def _listed(connection: Connection, mail: Mail) -> Document:
    """A mail without the copies of its buyer, which lists do not look up."""
    document = mail_document(mail, mail_order_ids(connection, mail.id))
    return {name: value for name, value in document.items() if name not in {"cc", "bcc"}}


_KIND = Kind(
    outbox=MAILS,
    read=list_mails,
    document=_listed,
    table=mail_table,
    none=N_("no mails"),
    done=_done,
    again=_again,
)
app = group_app("The outbox: what waits, what was sent, what failed.")
# Servers give up after five days.
_REPORTS_OF = timedelta(days=30)

Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the mail.")]


@app.command(
    "orderctl mail list",
    "orderctl mail list --state unknown --format json",
    "orderctl mail list --state refused --older-than 2d --format ids",
)
def list_(
    context: Context,
    mails: Annotated[MailChoice, Without({"ids", "everything"})],
    limit: ListLimit = None,
    as_: AsList = "text",
) -> None:
    """List the mails, newest first."""
    list_deliveries(context, _KIND, mails.filters(context), limit, as_)


@app.command("orderctl mail show 2gi7a8q4.1", "orderctl mail show 2gi7a8q4.1 --raw > mail.eml")
def show(
    context: Context,
    mail_id: Annotated[
        str, typer.Argument(metavar="MAIL", help="The mail's id, or its ending.", autocompletion=suggest_mail)
    ],
    raw: Annotated[bool, typer.Option("--raw", help="The message itself, as it goes or went out (RFC 5322).")] = False,
    as_: AsReport = "text",
) -> None:
    """Show one mail as the buyer reads it, how its delivery went, and what operators did with it."""
    with context.open_store() as store, store.snapshot() as connection:
        [found] = for_writing(
            connection, tuple(list_mails(connection, found_in(connection, MAILS, MailQuery(ids=(mail_id,)))))
        )
        orders, events = mail_order_ids(connection, found.id), list_events(connection, MAILS, found.id)
        facts = None if found.letter else queued_letters(connection, [found.id]).get(found.id)
    if as_ != "text":
        context.output.document(mail_document(found, orders, events), as_)
        return
    letter = found.letter or (context.mailing.composer().compose(facts) if facts else None)
    if not raw:
        context.screen.page(mail_details(found, letter, orders, events))
    elif letter is None:
        raise UsageError(
            _("mail {id} has no text: its buyer is not in the store any more", id=found.id),
            hint=f"orderctl mail cancel {found.id}",
        )
    else:
        context.output.message(context.mailing.mailer_factory()().write(found, letter))


@app.command(
    "orderctl mail send",
    "orderctl mail send --limit 100 --connections 4",
    "orderctl mail send --follow --rate 30/m",
    "orderctl mail send --sample me@brand.example --filter 'season:26SS sku:LN-10*'",
)
def send(
    context: Context,
    *,
    wanted: Delivery,
    sample: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one letter to this address, as a sample, and no mail.")
    ] = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
) -> None:
    """Send the mails that are due; a worker with --follow, of due plans too; or a sample of one letter to yourself."""
    if sample is not None:
        send_sample_mail(context, sample, batch=wanted.batch, filter_text=filter_text, name=name)
        return
    if filter_text is not None or name is not None:
        raise UsageError(
            _("--filter and --name choose the orders of a --sample"), hint="orderctl mail send --batch BATCH"
        )
    if wanted.follow and wanted.limit is not None:
        raise UsageError(
            _("--follow goes on until it is stopped, and --limit would end it"), hint=_("leave one of them out")
        )
    with context.open_store() as store, Stopping() as stop:
        beside = due_plans_runner(context, store) if wanted.follow and wanted.batch is None else None
        delivered = deliver_mails(context, store, stop, wanted.found(store), beside)
    delivered.show(context)
    stop.check(delivered)
    raise typer.Exit(delivered.exit_code)


@app.command(
    "orderctl mail retry 2gi7a8q4.1",
    "orderctl mail retry --state refused --recipient @acme.example --reason 'mailbox is back'",
    "orderctl mail retry --batch 2gi7a8q4 --state unknown --yes",
    "orderctl mail retry 2gi7a8q4.1 --to orders@acme.example",
)
def retry(
    context: Context,
    mails: MailChoice,
    reason: Why = "",
    yes: Yes = False,
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="To this address from now on; mails of one buyer, by id.")
    ] = None,
) -> None:
    """Let mails be sent again, now: refused or put off ones; cancelled, unknown or bounced ones by id or --state."""
    if to is None:
        act_and_tell(context, _KIND, RETRY, mails.named(context), reason=reason, yes=yes)
        return
    address, query = context.mailing.address(to, "--to"), mails.named(context)
    if not query.ids:
        raise UsageError(_("--to is for mails that are named by their ids"), hint="orderctl mail list --format ids")
    with context.open_store() as store:
        changed = readdress(store, query, address, actor=context.actor, reason=reason.strip(), clock=context.clock)
    context.screen.tell(_done(RETRY, changed))


@app.command("orderctl mail bounces ./Maildir", "orderctl mail bounces --format json")
def bounces(
    context: Context,
    maildir: Annotated[
        str | None, typer.Argument(metavar="[MAILDIR]", help="A Maildir with reports; else the one of mail.bounces.")
    ] = None,
    as_: AsReport = "text",
) -> None:
    """Read the reports of mails that came back, and mark these mails as bounced; nothing in the mailbox changes."""
    from orderctl.mail.bounces import read_notice

    reader = BounceReader(actor=context.actor, clock=context.clock, copies=context.mailing.copies)
    since = (context.clock.now() - _REPORTS_OF).date()
    with context.open_store() as store:
        with store.snapshot():
            pass  # a store that cannot be used ends this before the mailbox is read
        messages = context.mailing.bounce_messages(maildir, since=since)
        found = reader.record(store, map(read_notice, messages))
    if as_ != "text":
        context.output.document(bounce_document(found), as_)
    else:
        if found.bounced:
            context.screen.table(lambda: bounce_table(found.bounced))
        context.screen.tell(bounce_summary(found))
    for notice in found.doubtful:
        context.screen.warn(
            _("report {id} names {mails}: which of them came back is not certain", id=notice.id, mails=_named(notice))
        )
    raise typer.Exit(found.exit_code)


@app.command("orderctl mail cancel 2gi7a8q4.1", "orderctl mail cancel --batch 2gi7a8q4 --reason 'told by phone'")
def cancel(context: Context, mails: MailChoice, reason: Why = "") -> None:
    """Never send mails that wait."""
    act_and_tell(context, _KIND, CANCEL, mails.named(context), reason=reason)


@app.command(
    "orderctl mail settle 2gi7a8q4.1 --sent",
    "orderctl mail settle --batch 2gi7a8q4 --not-sent --reason 'not in the log of the server'",
)
def settle(
    context: Context,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="What you found out: it arrived, or it did not.")],
    mails: Annotated[MailChoice, Without({"state"})],
    reason: Why = "",
) -> None:
    """Say what became of mails of unknown fate; neither answer sends them again."""
    action = SENT if sent else NOT_SENT
    act_and_tell(context, _KIND, action, mails.named(context), reason=reason)


def _named(notice: BounceNotice) -> str:
    return ", ".join(notice.message_ids) + (f" ({', '.join(sorted(notice.addresses))})" if notice.addresses else "")


def send_sample_mail(
    context: Context, to: str, *, batch: str | None, filter_text: str | None, name: str | None
) -> None:
    """Send one letter to an address: of the batch, the filter or the selection, else about an invented order."""
    if batch is not None and (filter_text is not None or name is not None):
        raise UsageError(_("--batch and a choice of orders are two sources of a letter"), hint=_("give one of them"))
    address = context.mailing.address(to, "--sample")
    sending = Delivery().sending(context, lambda: False, copies=False)
    with context.open_store() as store:
        if batch is not None:
            facts = facts_of_batch(store, batch)
        else:
            facts = _facts(context, store, sending, Source(filter_text=filter_text, name=name))
    letter = send_sample(sending, facts, address, domain=context.mailing.message_domain)
    context.screen.tell(_("a sample was sent to {address}: {subject}", address=address, subject=letter.subject))


def _facts(context: Context, store: Store, sending: Sending[MailKind], source: Source) -> LetterContext:
    if not source.given:
        with store.snapshot() as connection:
            selected = selection_size(connection, context.actor, DEFAULT_SELECTION)
        if not selected:
            return invented_facts(context.settings.text("mail.language"))
    choice = choose(context, store, source)
    return facts_of_request(store, RejectionRequest(choice=choice, by=provenance(context, choice.words)), sending)
