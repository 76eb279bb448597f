"""Delivers what batches queued: once, or again and again as a worker (design.md, section 7)."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from orderctl.domain.errors import MailUnavailableError, StoreUnavailableError, UsageError
from orderctl.domain.outbox import DeliveryReport
from orderctl.language import say
from orderctl.ports import Clock, Composer, Mailer, Progress, Store, UnitOfWork
from orderctl.services.delivery_run import CarriedClock, DeliveryRun
from orderctl.services.pacing import Pace

POLL_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """What one look into the outbox came to; `needs_person`: looking again is of no use."""

    due: int
    report: DeliveryReport
    needs_person: bool = False


def deliver(
    store: Store,
    composer: Composer,
    mailer_factory: Callable[[], Mailer],
    *,
    clock: Clock,
    new_token: Callable[[], str],
    batch_id: str | None = None,
    limit: int | None = None,
    connections: int = 1,
    pace: Pace | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeliveryReport:
    """Send the mails that are due; the mail server is only connected to if there are any.

    What keeps mails from leaving at all (no connection, a login that fails) ends
    the run: the report's `stopped` says why, and what was not begun is due again. An interruption
    gives it back too, and goes on to the caller. What waits for a later time is counted.
    """
    with store.snapshot() as work:
        put_off = work.outbox.put_off(clock.of(work), batch_id)
    round_ = _round(
        store,
        composer,
        mailer_factory,
        clock=clock,
        new_token=new_token,
        batch_id=batch_id,
        limit=limit,
        connections=connections,
        pace=pace or Pace(),
        progress=progress,
        should_stop=should_stop,
    )
    return replace(round_.report, put_off=put_off)


def follow(
    store: Store,
    composer: Composer,
    mailer_factory: Callable[[], Mailer],
    *,
    clock: Clock,
    new_token: Callable[[], str],
    should_stop: Callable[[], bool],
    tell: Callable[[str], None],
    done: Callable[[DeliveryReport], None],
    batch_id: str | None = None,
    connections: int = 1,
    pace: Pace | None = None,
    poll_s: float = POLL_S,
) -> DeliveryReport:
    """Deliver whatever falls due until told to stop.

    `tell` hears of trouble that time may mend, `done` of each round in which mails were due. Trouble that
    only a person can mend (a refused login) ends it, as it ends `deliver`.
    """
    total, troubles, pace = DeliveryReport(), 0, pace or Pace()
    while not should_stop():
        try:
            round_ = _round(
                store,
                composer,
                mailer_factory,
                clock=clock,
                new_token=new_token,
                batch_id=batch_id,
                limit=None,
                connections=connections,
                pace=pace,
                progress=None,
                should_stop=should_stop,
            )
        except StoreUnavailableError as error:
            round_ = _Round(due=0, report=DeliveryReport(stopped=error.sentence))
        total = total.plus(round_.report)
        if round_.due:
            done(round_.report)
        if round_.needs_person:
            return total
        if round_.report.stopped:
            troubles += 1
            pause_s = min(_FIRST_PAUSE_S * 2 ** (troubles - 1), _LONGEST_PAUSE_S)
            tell(say("{problem}; trying again in about {pause:.0f} s", problem=round_.report.stopped, pause=pause_s))
        else:
            troubles, pause_s = 0, 0 if round_.due else poll_s
        # Workers that were started together must not look together for ever.
        _wait(pause_s * random.uniform(0.5, 1.5), should_stop)  # noqa: S311
    return total


def _round(
    store: Store,
    composer: Composer,
    mailer_factory: Callable[[], Mailer],
    *,
    clock: Clock,
    new_token: Callable[[], str],
    batch_id: str | None,
    limit: int | None,
    connections: int,
    pace: Pace,
    progress: Progress | None,
    should_stop: Callable[[], bool],
) -> _Round:
    """Send what is due now."""

    def expire(work: UnitOfWork) -> datetime:
        now = clock.of(work)
        work.outbox.expire(now)
        return now

    started = store.write(expire)
    with store.snapshot() as work:
        due = work.outbox.due(started, batch_id)
    total = due if limit is None else min(due, limit)
    if not total:
        return _Round(due=0, report=DeliveryReport())
    try:
        writer = mailer_factory()
    except (MailUnavailableError, UsageError) as error:
        return _Round(due=total, report=DeliveryReport(stopped=error.sentence), needs_person=True)
    run = DeliveryRun(
        store=store,
        composer=composer,
        mailer_factory=mailer_factory,
        writer=writer,
        clock=CarriedClock(clock, started),
        token=new_token(),
        batch_id=batch_id,
        started=started,
        renewed=started,
        total=total,
        pace=pace,
        progress=progress,
        should_stop=should_stop,
    )
    run.run(connections)
    return _Round(due=total, report=run.report(), needs_person=run.needs_person)


def _wait(seconds: float, should_stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not should_stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(_LOOK_S, left))
