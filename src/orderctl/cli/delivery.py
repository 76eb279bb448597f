"""Deliveries for the commands: the options, the lists, the acts, and how a signal ends a run."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, Self, TypeVar

import typer

from orderctl.cli.context import Context
from orderctl.cli.options import BatchId, suggest_order
from orderctl.core.ids import new_id
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.endings import find_batch
from orderctl.delivery.outbox import DeliveryAction, DeliveryReport, DeliveryState, Item, Outbox
from orderctl.delivery.queries import count_states
from orderctl.delivery.service import QueryT, Sending, act, deliver, follow, found_in, pick
from orderctl.delivery.workers import Pace
from orderctl.errors import ExitCode, UsageError
from orderctl.language import N_, _, ngettext
from orderctl.mail.service import MailKind
from orderctl.settings import LARGEST, MAX_CONNECTIONS
from orderctl.systems.systems import SystemSettings, configured
from orderctl.terminal.prompts import can_ask, demand_yes
from orderctl.writeback.service import WritebackKind

if TYPE_CHECKING:
    from orderctl.orders.document import Document
    from orderctl.terminal.layout import RuledTable

ItemT = TypeVar("ItemT", bound=Item)
_SHOWN = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a run delivered: write-backs and mails. None: it did not look for any."""

    writebacks: DeliveryReport | None = None
    mails: DeliveryReport | None = None

    @property
    def exit_code(self) -> ExitCode:
        """That of what is not complete."""
        reports = [report for report in (self.writebacks, self.mails) if report is not None]
        return next((report.exit_code for report in reports if not report.complete), ExitCode.DONE)

    def show(self, context: Context) -> None:
        """Tell how each went, and where to find more."""
        from orderctl.mail.view import delivery_report
        from orderctl.writeback.view import writeback_report

        if self.writebacks is not None:
            context.screen.show(writeback_report(self.writebacks))
        if self.mails is not None:
            context.screen.show(delivery_report(self.mails))

    @property
    def sent(self) -> str:
        """How many of each the run sent."""
        parts = []
        if self.writebacks is not None:
            parts.append(
                ngettext("{number:,} order cancelled there", "{number:,} orders cancelled there", self.writebacks.sent)
            )
        if self.mails is not None:
            parts.append(ngettext("{number:,} mail sent", "{number:,} mails sent", self.mails.sent))
        return ", ".join(parts)

    @property
    def again(self) -> str:
        """The commands that send what is left."""
        commands = {"orderctl writeback send": self.writebacks, "orderctl mail send": self.mails}
        return ", ".join(command for command, report in commands.items() if report is not None)


class Stopped(KeyboardInterrupt):
    """A signal ended the run after what was in progress was finished; `exit_code` is that of the signal."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + number


class Stopping:
    """A context manager: the first signal asks the delivery to stop, and the second interrupts it.

    A call of it returns whether to stop. Ignored signals (`nohup`) stay ignored.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, signal.Handlers | int | object | None] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self) -> bool:
        """Whether a signal came."""
        return bool(self.number)

    def check(self, delivered: Delivered) -> None:
        """Raise Stopped if a signal ended the run."""
        if self.number:
            stopped = _(
                "stopped; {sent}; what is left waits for: {command}", sent=delivered.sent, command=delivered.again
            )
            raise Stopped(stopped, self.number)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number = number
            return
        before = self._before[number]
        if callable(before):
            before(number, frame)
        raise KeyboardInterrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The options that say which mails to send, and how fast."""

    batch: BatchId = None
    limit: Annotated[int | None, typer.Option(min=1, max=LARGEST, help="At most so many.")] = None
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with whatever falls due, until stopped.")] = (
        False
    )
    rate: Annotated[str | None, typer.Option(metavar="N/UNIT", help="At most so many mails: 5/s, 30/m or 1000/h.")] = (
        None
    )
    connections: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_CONNECTIONS, help="So many connections to the mail server."),
    ] = None

    def found(self, store: Store) -> Self:
        """The same, with the whole id of the batch. Raises UsageError if there is none."""
        if self.batch is None:
            return self
        with store.snapshot() as connection:
            return replace(self, batch=find_batch(connection, self.batch))

    def sending(self, context: Context, stop: Callable[[], bool], *, copies: bool = True) -> Sending[MailKind]:
        """What the settings and these options say of a delivery, with or without the copies. Raises UsageError."""
        return Sending(
            kind=MailKind(composer=context.mailing.composer(), sender=context.mailing.mailer_factory(copies=copies)),
            clock=context.clock,
            new_token=new_id,
            batch_id=self.batch,
            connections=self.connections or context.settings.number("mail.connections") or 1,
            pace=context.mailing.pace(self.rate),
            should_stop=stop,
        )


def deliver_mails(
    context: Context, store: Store, stop: Stopping, wanted: Delivery, beside: Callable[[], None] | None = None
) -> Delivered:
    """Send the mails that are due; with `follow`, go on until a signal comes.

    Then it tells the systems too, and does `beside` before each round.
    """
    sending = wanted.sending(context, stop)
    if wanted.follow:
        sending.kind.ready()
        systems = _to_systems(context, stop, wanted, configured(context.settings))
        return _follow(context, store, [*systems, sending], beside)
    with context.screen.progress(N_("Mailing")) as progress:
        return Delivered(mails=deliver(store, sending, limit=wanted.limit, progress=progress))


def tell_systems(
    context: Context, store: Store, stop: Stopping, wanted: Delivery, systems: Mapping[str, SystemSettings]
) -> Delivered:
    """Tell the systems of what is due; with `follow`, go on until a signal comes, and send mails if they are set up."""
    sendings = _to_systems(context, stop, wanted, systems)
    if wanted.follow:
        mails = [wanted.sending(context, stop)] if context.settings.text("mail.transport") else []
        return _follow(context, store, [*sendings, *mails])
    total = DeliveryReport()
    for sending in sendings:
        with context.screen.progress(_("Telling {system}", system=sending.kind.system.name)) as progress:
            total = total.plus(deliver(store, sending, limit=wanted.limit, progress=progress))
    return Delivered(writebacks=total)


def _to_systems(
    context: Context, stop: Callable[[], bool], wanted: Delivery, systems: Mapping[str, SystemSettings]
) -> list[Sending[WritebackKind]]:
    return [
        Sending(
            kind=WritebackKind(system=system, actor=context.actor, clock=context.clock),
            clock=context.clock,
            new_token=new_id,
            batch_id=wanted.batch,
            connections=wanted.connections or system.number("connections") or 1,
            pace=Pace.parse(wanted.rate or system.text("rate"), where=f"systems.{system.name}.rate"),
            should_stop=stop,
        )
        for system in systems.values()
    ]


def _follow(
    context: Context, store: Store, sendings: Sequence[Sending[Any]], beside: Callable[[], None] | None = None
) -> Delivered:
    """Deliver whatever falls due in any of the outboxes, until a signal comes."""
    from orderctl.mail.view import delivery_figures
    from orderctl.writeback.view import writeback_figures

    words = ngettext(
        "following the outbox of {store} over {number:,} connection",
        "following the outbox of {store} over {number:,} connections",
        sum(sending.connections for sending in sendings),
        store=store.label,
    )
    context.screen.tell(words)

    def tell_round(sending: Sending[Any], report: DeliveryReport) -> None:
        context.screen.tell(delivery_figures(report) if _mails(sending) else writeback_figures(report))

    reports = follow(store, sendings, tell=context.screen.warn, done=tell_round, beside=beside)
    totals: dict[str, DeliveryReport] = {}
    for sending, report in zip(sendings, reports, strict=True):
        name = "mails" if _mails(sending) else "writebacks"
        totals[name] = totals.get(name, DeliveryReport()).plus(report)
    return Delivered(**totals)


def _mails(sending: Sending[Any]) -> bool:
    return isinstance(sending.kind, MailKind)


ListFormat = Literal["text", "json", "jsonl", "ids"]


AsList = Annotated[
    ListFormat, typer.Option("--format", help="text for people; json: one array; jsonl or ids: one a line.")
]
ListLimit = Annotated[
    int | None, typer.Option(min=0, max=LARGEST, help="At most so many; 0: all. 50 unless --format ids.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryChoice(ABC, Generic[QueryT]):
    """The options that choose deliveries of any kind."""

    ids: list[str] | None = None

    state: Annotated[
        list[DeliveryState] | None, typer.Option("--state", help="Only those in this state; repeatable.")
    ] = None
    batch: BatchId = None
    order: Annotated[
        str | None, typer.Option("--order", metavar="ID", help="Only of this order.", autocompletion=suggest_order)
    ] = None
    everything: Annotated[bool, typer.Option("--all", help="All that this can be done with.")] = False

    @abstractmethod
    def filters(self, context: Context) -> QueryT:
        """The filters as a query. Raises UsageError."""

    def named(self, context: Context) -> QueryT:
        """What is chosen by ids, by filters, or by `--all`. Raises UsageError for none or several of these."""
        query = self.filters(context)
        ways = sum((bool(self.ids), query != type(query)(), self.everything))
        if ways > 1:
            raise UsageError(
                _("named by ids, by filters or by --all, and not by two of them"), hint=_("give one of them")
            )
        if not ways:
            raise UsageError(
                _("which ones? none was named"), hint=_("give ids, --state, --batch or another filter, or --all")
            )
        return replace(query, ids=tuple(dict.fromkeys(self.ids or ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[QueryT, ItemT]):
    """A kind of deliveries for its commands: its outbox, how it is read and shown, and what is said of it.

    `none` says that there is none, `done` what was done to how many. `again` asks whether so many of unknown fate are
    to be sent again.
    """

    outbox: Outbox
    read: Callable[[Connection, QueryT], Iterator[ItemT]]
    document: Callable[[Connection, ItemT], "Document"]
    table: Callable[[Sequence[ItemT]], "RuledTable"]
    none: str
    done: Callable[[DeliveryAction, int], str]
    again: Callable[[int], str]


def list_deliveries(
    context: Context, kind: Kind[QueryT, ItemT], query: QueryT, limit: int | None, as_: ListFormat
) -> None:
    """List the deliveries, newest first, and how many are in which state. `limit`: at most so many; 0: all."""
    shown = (None if as_ == "ids" else _SHOWN) if limit is None else limit or None
    with context.open_store() as store, store.snapshot() as connection:
        query = found_in(connection, kind.outbox, query)
        found = kind.read(connection, replace(query, limit=shown))
        if as_ == "ids":
            context.output.lines(each.id for each in found)
            return
        if as_ != "text":
            context.output.documents((kind.document(connection, each) for each in found), as_)
            return
        listed, counts = list(found), count_states(connection, kind.outbox, query)
    if listed:
        context.screen.table(lambda: kind.table(listed))
    more = sum(counts.values()) - len(listed)
    summary = ", ".join(counted(name, number) for name, number in counts.items() if number) or _(kind.none)
    context.screen.tell(
        _("{summary}; {more:,} not shown, see --limit", summary=summary, more=more) if more else summary
    )


def act_and_tell(
    context: Context, kind: Kind[QueryT, Any], action: DeliveryAction, query: QueryT, *, reason: str, yes: bool = True
) -> None:
    """Apply the action; tell what was left alone, and what was done to how many.

    Unless `yes`, it asks before deliveries of unknown fate that were not named as such are sent again. Raises
    UsageError; DeclinedError.
    """
    with context.open_store() as store:
        picked = pick(store, kind.outbox, action, query)
        unknown = picked.count(DeliveryState.UNKNOWN)
        if unknown and not yes and not (len(picked.states) == 1 and query.ids):
            _confirm(unknown, kind.again)
        changed = act(
            store, kind.outbox, action, picked, actor=context.actor, reason=reason.strip(), clock=context.clock
        )
    left = ", ".join(counted(state, number) for state, number in picked.left.items())
    if left or not picked.states:
        context.screen.tell(_("left as they are: {left}", left=left) if left else _("there is none of that kind"))
    if changed < len(picked.states):
        stayed = ngettext(
            "{number:,} changed in between and stayed as it is",
            "{number:,} changed in between and stayed as they are",
            len(picked.states) - changed,
        )
        context.screen.warn(stayed)
    if changed:
        context.screen.tell(kind.done(action, changed))


def counted(state: str, number: int) -> str:
    """How many are in a state."""
    return _("{number:,} {state}", number=number, state=state)


def _confirm(unknown: int, ask: Callable[[int], str]) -> None:
    if not can_ask():
        unasked = ngettext(
            "{number:,} of unknown fate may have arrived, and there is no terminal to confirm on",
            "{number:,} of unknown fate may have arrived, and there is no terminal to confirm on",
            unknown,
        )
        raise UsageError(unasked, hint=_("find out at the server, then say yes with --yes"))
    demand_yes(ask(unknown))
