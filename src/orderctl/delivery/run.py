"""One delivery run, over one connection or several (design.md, section 7).

The thread of the caller claims, prepares and records deliveries. Each connection has a worker (`workers.py`) that waits
for its server. One transaction for all workers records which are about to be sent and how earlier ones ended:
docs/decisions/0004-mails-are-recorded-in-groups.md says why that is safe.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Any, Protocol, TypeVar

from orderctl.core.times import Progress
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.outbox import (
    INTERRUPTED,
    NOT_BEGUN,
    DeliveryReport,
    DeliveryState,
    Item,
    Outbox,
    Outcome,
    Settlement,
    settlement,
)
from orderctl.delivery.queries import claim, in_sending, release_lease, renew_lease, settle, start
from orderctl.delivery.workers import Job, Notice, Pace, Sender, Worker
from orderctl.errors import ServerSetupError, ServerUnavailableError, StoreUnavailableError, UsageError
from orderctl.language import _

CHUNK = 20
LEASE = timedelta(minutes=2)
MAX_TROUBLES = 8
_RENEWED_EVERY = LEASE / 4
_LOOK_S = 0.1  # how often a waiting run checks whether to stop
_GOODBYE_S = 5.0
_STORE_PAUSES_S = (0.5, 1, 2, 4, 8)
_UNHEARD = "a thread that sends ended without a word"
_NOT_BEGUN = Outcome(state=DeliveryState.WAITING, detail=NOT_BEGUN)


class CarriedClock:
    """The store's clock, read once and carried on by the computer's clock.

    The two clocks may differ widely. The difference is measured again at the start of each round.
    """

    def __init__(self, clock: Clock, read: datetime) -> None:
        self._clock = clock
        self._ahead = read - clock.now()

    def now(self) -> datetime:
        """The present by the store's clock."""
        return self._clock.now() + self._ahead


ItemT = TypeVar("ItemT", bound=Item)
FactsT = TypeVar("FactsT")


class Kind(Protocol[ItemT, FactsT]):
    """A kind of deliveries: where they wait, what they are made of, and who takes them."""

    @property
    def outbox(self) -> Outbox:
        """Their table."""

    def ready(self) -> None:
        """Make what all of a run share. Raises ServerUnavailableError or UsageError if nothing can be sent at all."""

    def before(self, store: Store, /) -> None:
        """What comes before a round, outside of a transaction."""

    def wake(self, connection: Connection, now: datetime, /) -> None:
        """Make due what waited for something else. Called as a round begins."""

    def read(self, connection: Connection, ids: Sequence[str], /) -> Sequence[ItemT]:
        """The claimed deliveries of these ids, longest due first."""

    def facts(self, connection: Connection, items: Sequence[ItemT], /) -> Mapping[str, FactsT]:
        """What they are made of, by id."""

    def prepare(self, item: ItemT, facts: FactsT | None, now: datetime, /) -> Job | Settlement:
        """What to hand over, or how the delivery ends without that. Raises nothing that other deliveries share."""

    def sender(self) -> Sender[ItemT, Any]:
        """A new connection, not opened yet."""


@dataclass(slots=True, kw_only=True)
class DeliveryRun:
    """A delivery run: its parts, what is in hand and the figures so far.

    `stopped` says why it ended early. `needs_person`: trying again without a person is useless.
    """

    store: Store
    kind: Kind[Any, Any]
    clock: CarriedClock
    token: str
    batch_id: str | None
    started: datetime
    total: int
    pace: Pace
    progress: Progress | None
    should_stop: Callable[[], bool]
    renewed: datetime
    workers: list[Worker] = field(default_factory=list)
    notices: SimpleQueue[Notice] = field(default_factory=SimpleQueue)
    free: deque[Worker] = field(default_factory=deque)
    claimed: deque[tuple[Item, object]] = field(default_factory=deque)
    ready: deque[Job] = field(default_factory=deque)
    starting: list[Job] = field(default_factory=list)
    settling: list[Settlement] = field(default_factory=list)
    figures: dict[DeliveryState, int] = field(default_factory=dict)
    asked: int = 0
    handled: int = 0
    stopped: str = ""
    needs_person: bool = False
    failure: BaseException | None = None

    def run(self, connections: int) -> None:
        """Send until nothing is left or the run has to stop, then wait for what a server has.

        Other errors are raised after what was not begun is given back.
        """
        self.workers = [Worker(self.kind.sender(), self.notices) for __ in range(min(connections, self.total))]
        try:
            try:
                self._send_all()
            except (ServerUnavailableError, UsageError) as error:
                self._stop(error.sentence, needs_person=True)
                self._send_all()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._close()
        if self.failure is not None:
            raise self.failure

    def report(self) -> DeliveryReport:
        """The figures of the run so far."""
        return DeliveryReport(
            sent=self.figures.get(DeliveryState.SENT, 0),
            retry=self.figures.get(DeliveryState.RETRY, 0),
            refused=self.figures.get(DeliveryState.REFUSED, 0),
            unknown=self.figures.get(DeliveryState.UNKNOWN, 0),
            stopped=self.stopped,
        )

    def _send_all(self) -> None:
        while True:
            stopping = bool(self.stopped or self.failure) or self.should_stop()
            if not stopping:
                self._hand_out()
            self._record()
            left = self.ready or self.claimed or self.asked < self.total
            if not self._in_hand and (stopping or not left):
                return
            busy = not stopping and self._work_ahead()
            self._listen(wait=not busy)

    def _stop(self, why: str, *, needs_person: bool = False) -> None:
        if not self.stopped:
            self.stopped, self.needs_person = why, needs_person

    @property
    def _in_hand(self) -> bool:
        return any(worker.job for worker in self.workers)

    def _hand_out(self) -> None:
        while self.free and self.ready and not self.pace.wait_s():
            worker, job = self.free.popleft(), self.ready.popleft()
            self.pace.count()
            self.starting.append(job)
            worker.give(job)

    def _record(self) -> None:
        """Record in one transaction which deliveries begin and how others ended; then let the former go."""
        now = self.clock.now()
        due = now - self.renewed >= _RENEWED_EVERY
        if not (self.starting or self.settling or due):
            return
        begun = {job.item.id: job.recorded for job in self.starting}
        outbox = self.kind.outbox

        def work(connection: Connection) -> frozenset[str]:
            started: frozenset[str] = frozenset()
            if begun:
                started = start(connection, outbox, self.token, begun, until=now + LEASE, now=now)
            if self.settling:
                settle(connection, outbox, self.token, self.settling, now)
            if due:
                renew_lease(connection, outbox, self.token, now + LEASE)
            return started

        # `work` runs twice if a commit is lost. Settling and renewing twice changes nothing, but what is already
        # `sending` cannot be started again: `landed` reads those back.
        started = self._write(
            work, landed=lambda connection: in_sending(connection, outbox, self.token) & begun.keys() or None
        )
        self.settling.clear()
        self.renewed = now if due else self.renewed
        while self.starting:
            # Removed first: once it has its answer, a server may have it, whatever happens here.
            job = self.starting.pop(0)
            job.answer.put(job.item.id in started)

    def _write(
        self,
        work: Callable[[Connection], frozenset[str]],
        landed: Callable[[Connection], frozenset[str] | None],
    ) -> frozenset[str]:
        """Write, and retry for a while if the store is away: only this run knows how these ended."""
        for pause_s in _STORE_PAUSES_S:
            try:
                return self.store.write(work, landed=landed)
            except StoreUnavailableError:
                time.sleep(pause_s)
        return self.store.write(work, landed=landed)

    def _work_ahead(self) -> bool:
        """Claim deliveries or prepare one while the servers work; False if there is nothing to do."""
        if len(self.ready) >= 2 * len(self.workers):
            return False
        if not self.claimed and self.asked < self.total:
            self._claim()
        if not self.claimed:
            return False
        self._prepare(*self.claimed.popleft())
        return True

    def _claim(self) -> None:
        """Lease the next ones and read what they are made of. What was put off is not due again."""
        most = min(max(CHUNK, 2 * len(self.workers)), self.total - self.asked)
        until, kind = self.clock.now() + LEASE, self.kind

        def work(connection: Connection) -> Sequence[Item]:
            ids = claim(
                connection,
                kind.outbox,
                token=self.token,
                until=until,
                now=self.started,
                limit=most,
                batch_id=self.batch_id,
            )
            return kind.read(connection, ids) if ids else ()

        items = self.store.write(work)
        self.asked = self.asked + len(items) if items else self.total
        if items:
            with self.store.snapshot() as connection:
                facts = kind.facts(connection, items)
            self.claimed.extend((item, facts.get(item.id)) for item in items)

    def _prepare(self, item: Item, facts: object) -> None:
        """Make ready for sending. An error settles only this one; the others go on."""
        made = self.kind.prepare(item, facts, self.clock.now())
        if isinstance(made, Settlement):
            self._settle(made)
        else:
            self.ready.append(made)

    def _settle(self, settled: Settlement) -> None:
        """Settle a delivery without asking a server."""
        self.settling.append(settled)
        self._count(settled.state)

    def _listen(self, *, wait: bool) -> None:
        """Process the notices of the workers; with `wait`, wait for the first one for a while.

        A worker whose thread died without a notice would be waited for without end.
        """
        dead = [worker for worker in self.workers if not worker.alive]
        pace_s = self.pace.wait_s()
        timeout_s = min(_LOOK_S, pace_s) if pace_s and self.free and self.ready else _LOOK_S
        try:
            self._note(self.notices.get(wait, timeout_s))
            while True:
                self._note(self.notices.get_nowait())
        except Empty:
            for worker in dead:
                if worker in self.workers:
                    self._note(Notice(worker=worker, job=worker.job, ended=True, error=RuntimeError(_UNHEARD)))

    def _note(self, notice: Notice) -> None:
        worker, job = notice.worker, notice.job
        if notice.ended:
            self._worker_ended(worker, notice.error)
        if job is not None:
            worker.job = None
            outcome = self._failed(job, notice.error) if notice.error else notice.outcome
            if outcome is not None:
                self.settling.append(settlement(job.item, outcome, self.clock.now()))
            self._count(outcome.state if outcome else None)
            if outcome is not None and worker.troubles >= MAX_TROUBLES:
                why = _(
                    "the server put off {number} in a row, at last: {detail}",
                    number=worker.troubles,
                    detail=outcome.detail,
                )
                self._stop(why)
        if notice.free:
            self.free.append(worker)

    def _failed(self, job: Job, error: BaseException) -> Outcome:
        """The outcome of an attempt that raised an error. Without a connection there was no attempt."""
        if isinstance(error, ServerUnavailableError) or not job.begun:
            detail = error.message if isinstance(error, ServerUnavailableError) else str(error)
            return Outcome(state=DeliveryState.WAITING, detail=detail)
        return Outcome(state=DeliveryState.UNKNOWN, detail=INTERRUPTED)

    def _worker_ended(self, worker: Worker, error: BaseException | None) -> None:
        """Go on with the workers that are left, unless that is useless."""
        self.workers.remove(worker)
        if worker in self.free:
            self.free.remove(worker)
        if error is None:
            return
        if not isinstance(error, ServerUnavailableError):
            self.failure = self.failure or error
        elif isinstance(error, ServerSetupError) or not self.workers:
            self._stop(error.sentence, needs_person=isinstance(error, ServerSetupError))

    def _count(self, state: DeliveryState | None) -> None:
        """Count one more that is finished; None and WAITING have no figure."""
        self.handled += 1
        if state is not None:
            self.figures[state] = self.figures.get(state, 0) + 1
        if self.progress is not None:
            self.progress(self.handled, self.total)

    def _abandon(self) -> None:
        """Settle what is in hand as far as is known, without waiting for a server."""
        self._listen(wait=False)
        for worker in self.workers:
            if worker.job is None:
                continue
            begun = worker.job not in self.starting
            outcome = Outcome(state=DeliveryState.UNKNOWN, detail=INTERRUPTED) if begun else _NOT_BEGUN
            self.settling.append(settlement(worker.job.item, outcome, self.clock.now()))
            self._count(outcome.state)
        for job in self.starting:
            job.answer.put(False)
        self.starting.clear()

    def _close(self) -> None:
        """End the workers, and give back what was not begun."""
        for worker in self.workers:
            worker.close()
        self._record()
        now = self.clock.now()
        self.store.write(lambda connection: release_lease(connection, self.kind.outbox, self.token, now))
        for worker in self.workers:
            # A worker with something in hand was abandoned: do not wait for its server.
            if worker.job is None:
                worker.join(_GOODBYE_S)
