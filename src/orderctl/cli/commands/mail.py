"""`orderctl mail list|show|send|retry|cancel|settle|bounces`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.commands.plan import due_plans_runner
from orderctl.cli.context import Context
from orderctl.cli.delivery import Delivery, Stopping, act_and_tell, counted, deliver_mails
from orderctl.cli.options import (
    AsReport,
    BatchId,
    FilterText,
    ReportFormat,
    SelectionName,
    Yes,
    context_of,
    suggest_mail,
    takes,
)
from orderctl.cli.sources import Source, choose, provenance
from orderctl.core.ids import new_id
from orderctl.core.times import parse_duration
from orderctl.database.endings import find_batch
from orderctl.database.store import Store
from orderctl.delivery.outbox import CANCEL, NOT_SENT, RETRY, SENT, DeliveryAction, DeliveryState
from orderctl.delivery.queries import list_events
from orderctl.delivery.service import Sending
from orderctl.errors import UsageError
from orderctl.language import _, ngettext
from orderctl.mail.letter_context import queued_letters
from orderctl.mail.outbox import MAILS, BounceNotice, LetterContext, MailQuery
from orderctl.mail.queries import count_mails, list_mails, mail_order_ids, with_earlier
from orderctl.mail.service import BounceReader, MailKind, found_in, pick_mails, readdress
from orderctl.mail.view import (
    bounce_document,
    bounce_summary,
    bounce_table,
    delivery_report,
    mail_details,
    mail_document,
    mail_table,
)
from orderctl.rejection.sample_mail import facts_of_batch, facts_of_request, invented_facts, send_sample
from orderctl.rejection.service import RejectionRequest
from orderctl.selection.queries import selection_size
from orderctl.selection.selection import DEFAULT_SELECTION
from orderctl.settings import LARGEST

MailIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[MAIL]...", help="Ids of mails, or their endings.", autocompletion=suggest_mail),
]
States = Annotated[list[DeliveryState] | None, typer.Option("--state", help="Only mails in this state; repeatable.")]
BuyerText = Annotated[
    str | None, typer.Option("--buyer", metavar="TEXT", help="Only to this buyer: id, or in the name.")
]
OrderId = Annotated[str | None, typer.Option("--order", metavar="ID", help="Only mails that speak of this order.")]
RecipientText = Annotated[
    str | None, typer.Option("--recipient", metavar="TEXT", help="Only where the address holds this text.")
]
OlderThan = Annotated[
    str | None, typer.Option("--older-than", metavar="TIME", help="Only mails queued before: 2d, 12h.")
]
AllMails = Annotated[bool, typer.Option("--all", help="All mails that this can be done with.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class MailChoice:
    """The options that choose mails."""

    ids: MailIds = None
    state: States = None
    batch: BatchId = None
    buyer: BuyerText = None
    order: OrderId = None
    recipient: RecipientText = None
    older_than: OlderThan = None
    everything: AllMails = False

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

    def named(self, context: Context) -> MailQuery:
        """The mails that are chosen by ids, by filters, or by `--all`; UsageError for none or several of these."""
        query = self.filters(context)
        filtered = query != MailQuery()
        if sum((bool(self.ids), filtered, self.everything)) > 1:
            raise UsageError(
                _("mails are named by ids, by filters or by --all, not by two of them"), hint=_("give one of them")
            )
        if not (self.ids or filtered or self.everything):
            raise UsageError(
                _("which mails? none was named"), hint=_("give ids, --state, --batch or another filter, or --all")
            )
        return replace(query, ids=tuple(dict.fromkeys(self.ids))) if self.ids else query


app = group_app()
_SHOWN = 50
# Servers give up after five days.
_REPORTS_OF = timedelta(days=30)


class MailFormat(StrEnum):
    """The formats of a list of mails."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    IDS = "ids"


MailId = Annotated[
    str, typer.Argument(metavar="MAIL", help="The mail's id, or its ending.", autocompletion=suggest_mail)
]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the mail.")]


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
    context = context_of(ctx)
    query = mails.filters(context)
    shown = (None if as_ is MailFormat.IDS else _SHOWN) if limit is None else limit or None
    with context.open_store() as store, store.snapshot() as connection:
        query = found_in(connection, query)
        found = list_mails(connection, replace(query, limit=shown))
        if as_ is MailFormat.IDS:
            context.output.lines(mail.id for mail in found)
            return
        if as_ is not MailFormat.TEXT:
            told = (mail_document(each, mail_order_ids(connection, each.id)) for each in found)
            context.output.documents(told, as_)
            return
        listed, counts = list(found), count_mails(connection, query)
    if listed:
        context.screen.table(lambda: mail_table(listed))
    summary = ", ".join(counted(name, number) for name, number in counts.items() if number)
    more = sum(counts.values()) - len(listed)
    summary = summary or _("no mails")
    context.screen.tell(
        _("{summary}; {more:,} not shown, see --limit", summary=summary, more=more) if more else summary
    )


@app.command(epilog="Examples:\n\norderctl mail show 2gi7a8q4.1\n\norderctl mail show 2gi7a8q4.1 --raw > mail.eml")
def show(
    ctx: typer.Context,
    mail_id: MailId,
    raw: Annotated[bool, typer.Option("--raw", help="The message itself, as it goes or went out (RFC 5322).")] = False,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Show one mail as the buyer reads it, how its delivery went, and what operators did with it."""
    context = context_of(ctx)
    with context.open_store() as store, store.snapshot() as connection:
        [found] = with_earlier(
            connection, tuple(list_mails(connection, found_in(connection, MailQuery(ids=(mail_id,)))))
        )
        orders, events = mail_order_ids(connection, found.id), list_events(connection, MAILS, found.id)
        facts = None if found.letter else queued_letters(connection, [found.id]).get(found.id)
    if as_ is not ReportFormat.TEXT:
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
    epilog="Examples:\n\norderctl mail send\n\norderctl mail send --limit 100 --connections 4\n\n"
    "orderctl mail send --follow --rate 30/m\n\n"
    "orderctl mail send --sample me@brand.example --filter 'season:26SS sku:LN-10*'"
)
@takes("wanted", Delivery)
def send(
    ctx: typer.Context,
    *,
    wanted: Delivery,
    sample: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send one letter to this address, as a sample, and no mail.")
    ] = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
) -> None:
    """Send the mails that are due; a worker with --follow, of due plans too; or a sample of one letter to yourself."""
    context = context_of(ctx)
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
        if wanted.batch is not None:
            with store.snapshot() as connection:
                wanted = replace(wanted, batch=find_batch(connection, wanted.batch))
        beside = due_plans_runner(context, store) if wanted.follow and wanted.batch is None else None
        report = deliver_mails(context, store, stop, wanted, beside)
    context.screen.show(delivery_report(report))
    stop.check(report)
    raise typer.Exit(report.exit_code)


@app.command(
    epilog="Examples:\n\norderctl mail retry 2gi7a8q4.1\n\n"
    "orderctl mail retry --state refused --recipient @acme.example --reason 'mailbox is back'\n\n"
    "orderctl mail retry --batch 2gi7a8q4 --state unknown --yes\n\n"
    "orderctl mail retry 2gi7a8q4.1 --to orders@acme.example"
)
@takes("mails", MailChoice)
def retry(
    ctx: typer.Context,
    mails: MailChoice,
    reason: Why = "",
    yes: Yes = False,
    to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="To this address from now on; mails of one buyer, by id.")
    ] = None,
) -> None:
    """Let mails be sent again, now: refused or put off ones; cancelled, unknown or bounced ones by id or --state."""
    context = context_of(ctx)

    def done(changed: int) -> str:
        return ngettext(
            "{number:,} mail will be sent again; send with: orderctl mail send",
            "{number:,} mails will be sent again; send with: orderctl mail send",
            changed,
        )

    if to is None:
        _act(context, RETRY, mails, done, reason=reason, yes=yes)
        return
    address, query = context.mailing.address(to, "--to"), mails.named(context)
    if not query.ids:
        raise UsageError(_("--to is for mails that are named by their ids"), hint="orderctl mail list --format ids")
    with context.open_store() as store:
        changed = readdress(
            store,
            query,
            address,
            actor=context.actor,
            reason=reason.strip(),
            clock=context.clock,
            new_id=new_id,
        )
    context.screen.tell(done(changed))


@app.command(epilog="Examples:\n\norderctl mail bounces ./Maildir\n\norderctl mail bounces --format json")
def bounces(
    ctx: typer.Context,
    maildir: Annotated[
        str | None, typer.Argument(metavar="[MAILDIR]", help="A Maildir with reports; else the one of mail.bounces.")
    ] = None,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Read the reports of mails that came back, and mark these mails as bounced; nothing in the mailbox changes."""
    from orderctl.mail.bounces import read_notice

    context = context_of(ctx)
    reader = BounceReader(
        actor=context.actor,
        clock=context.clock,
        new_id=new_id,
        copies=context.mailing.copies,
    )
    since = (context.clock.now() - _REPORTS_OF).date()
    with context.open_store() as store:
        with store.snapshot():
            pass  # a store that cannot be used ends this before the mailbox is read
        messages = context.mailing.bounce_messages(maildir, since=since)
        found = reader.record(store, map(read_notice, messages))
    if as_ is not ReportFormat.TEXT:
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
    context = context_of(ctx)

    def done(changed: int) -> str:
        return ngettext("{number:,} mail will not be sent", "{number:,} mails will not be sent", changed)

    _act(context, CANCEL, mails, done, reason=reason, yes=True)


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
    context = context_of(ctx)
    action = SENT if sent else NOT_SENT

    def done(changed: int) -> str:
        return ngettext(
            "{number:,} mail settled as {state}", "{number:,} mails settled as {state}", changed, state=action.to
        )

    _act(context, action, mails, done, reason=reason, yes=True)


def _act(
    context: Context, action: DeliveryAction, mails: MailChoice, done: Callable[[int], str], *, reason: str, yes: bool
) -> None:
    """Apply the action; tell which mails were left alone, and what was done to how many."""
    query = mails.named(context)

    def question(unknown: int) -> str:
        return ngettext(
            "{number:,} mail of unknown fate may have arrived: send again, perhaps twice?",
            "{number:,} mails of unknown fate may have arrived: send again, perhaps twice?",
            unknown,
        )

    with context.open_store() as store:
        picked = pick_mails(store, action, query)
        ask = None if yes or (len(picked.states) == 1 and query.ids) else question
        act_and_tell(context, store, MAILS, action, picked, done, reason=reason, ask=ask)


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
