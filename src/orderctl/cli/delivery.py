"""Delivery for the commands: its options, and how a signal ends it."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Annotated, Self

import typer

from orderctl.cli.context import Context
from orderctl.cli.options import BatchId
from orderctl.core.ids import new_id
from orderctl.database.store import Store
from orderctl.delivery.outbox import DeliveryReport
from orderctl.delivery.service import Sending, deliver, follow
from orderctl.language import N_, ngettext
from orderctl.mail.service import MailKind
from orderctl.settings import LARGEST, MAX_CONNECTIONS

Rate = Annotated[str | None, typer.Option(metavar="N/UNIT", help="At most so many mails: 5/s, 30/m or 1000/h.")]
Connections = Annotated[
    int | None, typer.Option(metavar="N", min=1, max=MAX_CONNECTIONS, help="So many connections to the mail server.")
]


class Stopped(KeyboardInterrupt):
    """A signal ended the run after the mails in progress were finished; `exit_code` is that of the signal."""

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

    def check(self, report: DeliveryReport) -> None:
        """Raise Stopped if a signal ended the run."""
        if self.number:
            stopped = ngettext(
                "stopped; {number:,} mail sent, what is left waits for: orderctl mail send",
                "stopped; {number:,} mails sent, what is left waits for: orderctl mail send",
                report.sent,
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
    rate: Rate = None
    connections: Connections = None

    def sending(self, context: Context, stop: Callable[[], bool]) -> Sending[MailKind]:
        """What the settings and these options say of a delivery. Raises UsageError."""
        return Sending(
            kind=MailKind(composer=context.mailing.composer(), sender=context.mailing.mailer_factory()),
            clock=context.clock,
            new_token=new_id,
            batch_id=self.batch,
            connections=self.connections or context.settings.number("mail.connections") or 1,
            pace=context.mailing.pace(self.rate),
            should_stop=stop,
        )


def deliver_mails(context: Context, store: Store, stop: Stopping, wanted: Delivery) -> DeliveryReport:
    """Send the mails that are due; with `follow`, go on until a signal comes."""
    sending = wanted.sending(context, stop)
    if not wanted.follow:
        with context.screen.progress(N_("Mailing")) as progress:
            return deliver(store, sending, limit=wanted.limit, progress=progress)
    from orderctl.mail.view import delivery_figures

    sending.kind.ready()
    context.screen.tell(
        ngettext(
            "following the outbox of {store} over {number:,} connection",
            "following the outbox of {store} over {number:,} connections",
            sending.connections,
            store=store.label,
        )
    )

    def tell_round(report: DeliveryReport) -> None:
        context.screen.tell(delivery_figures(report))

    return follow(store, sending, tell=context.screen.warn, done=tell_round)
