"""Delivers what batches queued, and what an operator may do with a mail (design.md, section 7)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orderctl.domain.errors import MailUnavailableError, OrderctlError, UsageError
from orderctl.domain.outbox import DeliveryReport, Letter, LetterFacts, Mail, MailState, Outcome
from orderctl.ports import Clock, Composer, Mailer, Progress, Store

CHUNK = 20
LEASE = timedelta(minutes=10)
_GONE = "its buyer is not in the store any more"
_INTERRUPTED = "interrupted while it was being sent: the server may have taken this mail"


@dataclass(slots=True, kw_only=True)
class _Delivery:
    """One run: its parts, the token its leases carry, and its figures so far."""

    store: Store
    composer: Composer
    clock: Clock
    token: str
    batch_id: str | None
    figures: dict[MailState, int] = field(default_factory=dict)
    stopped: str = ""

    def claim(self, most: int, due_by: datetime) -> tuple[tuple[Mail, LetterFacts | None], ...]:
        """Lease the next few mails, with what their letters are made of."""
        until = self.clock.now() + LEASE
        mails = self.store.write(
            lambda work: work.outbox.claim(
                token=self.token, until=until, now=due_by, limit=most, batch_id=self.batch_id
            )
        )
        with self.store.snapshot() as work:
            return tuple((mail, work.outbox.facts(mail.id)) for mail in mails)

    def send(self, mailer: Mailer, mail: Mail, facts: LetterFacts | None) -> None:
        """Send one mail; each step is its own transaction, and none is open while the server is spoken to."""
        # What was composed once is sent again as it is: the same Message-ID stands for the same text.
        letter = mail.letter or (self.composer.compose(facts) if facts else None)
        if letter is None:
            self._refuse(mail)
        elif self._started(mail, letter):
            self._settle(mail, self._handed_over(mailer, mail, letter))

    def release(self) -> None:
        """Give back what was claimed and not begun."""
        now = self.clock.now()
        self.store.write(lambda work: work.outbox.release(self.token, now))

    def report(self) -> DeliveryReport:
        """The figures."""
        return DeliveryReport(
            sent=self.figures.get(MailState.SENT, 0),
            retry=self.figures.get(MailState.RETRY, 0),
            refused=self.figures.get(MailState.REFUSED, 0),
            unknown=self.figures.get(MailState.UNKNOWN, 0),
            stopped=self.stopped,
        )

    def _started(self, mail: Mail, letter: Letter) -> bool:
        now = self.clock.now()
        return self.store.write(
            lambda work: work.outbox.start_sending(mail.id, self.token, letter, until=now + LEASE, now=now)
        )

    def _handed_over(self, mailer: Mailer, mail: Mail, letter: Letter) -> Outcome:
        try:
            return mailer.send(mail, letter)
        except MailUnavailableError as error:
            self._settle(mail, Outcome(state=MailState.RETRY, detail=str(error)))
            raise
        except BaseException:
            self._settle(mail, Outcome(state=MailState.UNKNOWN, detail=_INTERRUPTED))
            raise

    def _settle(self, mail: Mail, outcome: Outcome) -> None:
        now = self.clock.now()
        self.store.write(lambda work: work.outbox.settle(mail.id, self.token, outcome, now))
        self._count(outcome.state)

    def _refuse(self, mail: Mail) -> None:
        now = self.clock.now()
        self.store.write(
            lambda work: work.outbox.move(
                mail.id, frm=(MailState.CLAIMED,), to=MailState.REFUSED, detail=_GONE, now=now
            )
        )
        self._count(MailState.REFUSED)

    def _count(self, state: MailState) -> None:
        self.figures[state] = self.figures.get(state, 0) + 1


def deliver(
    store: Store,
    composer: Composer,
    mailer_factory: Callable[[], Mailer],
    *,
    clock: Clock,
    new_token: Callable[[], str],
    batch_id: str | None = None,
    limit: int | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """Send the mails that are due; the mail server is only connected to if there are any.

    What keeps mails from leaving at all (no connection, a login that fails, a broken template) ends
    the run: the report's `stopped` says why, and what was not begun is due again. An interruption
    gives it back too, and goes on to the caller.
    """
    run = _Delivery(store=store, composer=composer, clock=clock, token=new_token(), batch_id=batch_id)
    started = clock.now()
    store.write(lambda work: work.outbox.expire(started))
    with store.snapshot() as work:
        due = work.outbox.due(started, batch_id)
    total = due if limit is None else min(due, limit)
    if not total:
        return run.report()
    try:
        with mailer_factory() as mailer:
            _send_all(run, mailer, started, total, progress, should_stop)
    except (MailUnavailableError, UsageError) as error:
        run.stopped = _sentence(error)
    finally:
        run.release()
    return run.report()


def _send_all(
    run: _Delivery,
    mailer: Mailer,
    due_by: datetime,
    total: int,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> None:
    """Claim and send a few at a time. What is put off in this run is not due in it again."""
    handled = 0
    while handled < total:
        chunk = run.claim(min(CHUNK, total - handled), due_by)
        if not chunk:
            return
        for mail, facts in chunk:
            if should_stop():
                return
            run.send(mailer, mail, facts)
            handled += 1
            if progress is not None:
                progress(handled, total)


def retry_mail(store: Store, mail_id: str, *, clock: Clock) -> None:
    """Let a mail be sent again. Raises UsageError unless it was refused, cancelled, put off or is of unknown fate."""
    frm = (MailState.REFUSED, MailState.UNKNOWN, MailState.RETRY, MailState.CANCELLED)
    _move(store, mail_id, frm=frm, to=MailState.WAITING, detail="an operator lets it be sent again", clock=clock)


def cancel_mail(store: Store, mail_id: str, *, clock: Clock) -> None:
    """Never send a mail. Raises UsageError unless it still waits."""
    frm = (MailState.WAITING, MailState.RETRY, MailState.CLAIMED)
    _move(store, mail_id, frm=frm, to=MailState.CANCELLED, detail="cancelled by an operator", clock=clock)


def settle_mail(store: Store, mail_id: str, *, as_sent: bool, clock: Clock) -> None:
    """Say what became of a mail of unknown fate: it arrived, or it did not. Raises UsageError for another."""
    to = MailState.SENT if as_sent else MailState.REFUSED
    found = "it arrived" if as_sent else "it did not arrive"
    _move(store, mail_id, frm=(MailState.UNKNOWN,), to=to, detail=f"an operator found out: {found}", clock=clock)


def _move(store: Store, mail_id: str, *, frm: tuple[MailState, ...], to: MailState, detail: str, clock: Clock) -> None:
    now = clock.now()
    moved = store.write(lambda work: work.outbox.move(mail_id, frm=frm, to=to, detail=detail, now=now))
    if moved:
        return
    with store.snapshot() as work:
        mail = work.outbox.get(mail_id)
    if mail is None:
        raise UsageError(f"there is no mail {mail_id!r} in this store", hint="orderctl mail list shows them")
    raise UsageError(
        f"mail {mail_id} is {mail.state}; only one that is {_or(frm)} can become {to}",
        hint=f"look first: orderctl mail show {mail_id}",
    )


def _or(states: tuple[MailState, ...]) -> str:
    *others, last = states
    return f"{', '.join(others)} or {last}" if others else str(last)


def _sentence(error: OrderctlError) -> str:
    return f"{error}; {error.hint}" if error.hint else str(error)
