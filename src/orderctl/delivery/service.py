"""Delivers what waits in an outbox, once or continuously; applies what operators do (design.md, section 7)."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

from orderctl.core.ids import new_id
from orderctl.core.times import Progress
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.endings import find_batch, find_deliveries
from orderctl.delivery.outbox import DeliveryAction, DeliveryQuery, DeliveryReport, DeliveryState, Logged, Outbox
from orderctl.delivery.queries import change, count_due, count_held, expire_leases, find_put_off, find_states
from orderctl.delivery.run import CarriedClock, DeliveryRun, Kind
from orderctl.delivery.workers import Pace
from orderctl.errors import ServerUnavailableError, StoreUnavailableError, UsageError
from orderctl.language import _

_POLL_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """The result of one look into the outbox. `needs_person`: looking again is useless."""

    due: int
    report: DeliveryReport
    needs_person: bool = False


KindT = TypeVar("KindT", bound=Kind[Any, Any])
QueryT = TypeVar("QueryT", bound=DeliveryQuery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(Generic[KindT]):
    """What a delivery needs: its kind, its pace, when to stop, and perhaps of which batch alone."""

    kind: KindT
    clock: Clock
    new_token: Callable[[], str]
    batch_id: str | None = None
    connections: int = 1
    pace: Pace = field(default_factory=Pace)
    should_stop: Callable[[], bool] = lambda: False


def deliver(
    store: Store, sending: Sending[Any], *, limit: int | None = None, progress: Progress | None = None
) -> DeliveryReport:
    """Send what is due. The server is connected to only if there is any.

    If nothing can be sent at all (no connection, a login that fails), the run ends: `stopped` of the report says why,
    and what was not begun is due again. An interruption gives it back too, and is raised again. What waits for a later
    time is counted in `put_off`.
    """
    with store.snapshot() as connection:
        put_off = find_put_off(connection, sending.kind.outbox, sending.clock.of(connection), sending.batch_id)
    round_ = _round(store, sending, limit=limit, progress=progress)
    with store.snapshot() as connection:
        held = count_held(connection, sending.kind.outbox, sending.batch_id)
    return replace(round_.report, put_off=put_off, held=held)


def follow(
    store: Store,
    sendings: Sequence[Sending[Any]],
    *,
    tell: Callable[[str], None],
    done: Callable[[Sending[Any], DeliveryReport], None],
    beside: Callable[[], None] | None = None,
) -> tuple[DeliveryReport, ...]:
    """Deliver as things fall due, of each kind in turn, until told to stop; returns what came of each.

    `tell` is called for trouble that may pass, `done` after each round with due ones, `beside` before each round: it
    may queue more, and raises nothing. Trouble that needs a person (a refused login) ends a kind, as it ends `deliver`;
    the last one to end ends it all.
    """
    totals = {id(sending): DeliveryReport() for sending in sendings}
    waits = {id(sending): _Wait() for sending in sendings}
    left = list(sendings)
    while left and not left[0].should_stop():
        if beside:
            beside()
        for sending in list(left):
            wait = waits[id(sending)]
            if wait.until > time.monotonic() or sending.should_stop():
                continue
            round_ = _round_or_trouble(store, sending)
            totals[id(sending)] = totals[id(sending)].plus(round_.report)
            if round_.due:
                done(sending, round_.report)
            if round_.needs_person:
                left.remove(sending)
                if left:
                    tell(round_.report.stopped)
                continue
            pause_s = wait.after(round_)
            if round_.report.stopped:
                tell(_("{problem}; trying again in about {pause:.0f} s", problem=round_.report.stopped, pause=pause_s))
        if left:
            soonest = min(waits[id(sending)].until for sending in left)
            _wait(soonest - time.monotonic(), left[0].should_stop)
    return tuple(totals.values())


@dataclass(slots=True)
class _Wait:
    """Until when a kind is left alone, and how many rounds in a row ended in trouble."""

    until: float = 0.0
    troubles: int = 0

    def after(self, round_: _Round) -> float:
        """Note how a round ended; returns the seconds to wait, without the jitter."""
        if round_.report.stopped:
            self.troubles += 1
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (self.troubles - 1), _LONGEST_PAUSE_S)
        else:
            self.troubles, pause_s = 0, 0.0 if round_.due else _POLL_S
        # Jitter, so that processes that were started together do not poll together.
        self.until = time.monotonic() + pause_s * random.uniform(0.5, 1.5)  # noqa: S311
        return pause_s


def _round_or_trouble(store: Store, sending: Sending[Any]) -> _Round:
    """A round; a store that is away is trouble that may pass."""
    try:
        return _round(store, sending)
    except StoreUnavailableError as error:
        return _Round(due=0, report=DeliveryReport(stopped=error.sentence))


def _round(
    store: Store, sending: Sending[Any], *, limit: int | None = None, progress: Progress | None = None
) -> _Round:
    """Send what is due now."""
    outbox = sending.kind.outbox

    def expire(connection: Connection) -> datetime:
        now = sending.clock.of(connection)
        expire_leases(connection, outbox, now)
        sending.kind.wake(connection, now)
        return now

    sending.kind.before(store)
    started = store.write(expire)
    with store.snapshot() as connection:
        due = count_due(connection, outbox, started, sending.batch_id)
    total = due if limit is None else min(due, limit)
    if not total:
        return _Round(due=0, report=DeliveryReport())
    try:
        sending.kind.ready()
    except (ServerUnavailableError, UsageError) as error:
        return _Round(due=total, report=DeliveryReport(stopped=error.sentence), needs_person=True)
    run = DeliveryRun(
        store=store,
        kind=sending.kind,
        clock=CarriedClock(sending.clock, started),
        token=sending.new_token(),
        batch_id=sending.batch_id,
        started=started,
        renewed=started,
        total=total,
        pace=sending.pace,
        progress=progress,
        should_stop=sending.should_stop,
    )
    run.run(sending.connections)
    return _Round(due=total, report=run.report(), needs_person=run.needs_person)


def _wait(seconds: float, should_stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not should_stop() and (left := end - time.monotonic()) > 0:
        time.sleep(min(_LOOK_S, left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What an action applies to, each by its id with its state, and how many it leaves alone, by state."""

    states: Mapping[str, DeliveryState]
    left: Mapping[DeliveryState, int]

    def count(self, state: DeliveryState) -> int:
        """How many of them are in the state."""
        return sum(1 for each in self.states.values() if each is state)


def found_in(connection: Connection, outbox: Outbox, query: QueryT) -> QueryT:
    """The query with full ids instead of endings. Raises UsageError for an id or ending that is not found."""
    batch_id = None if query.batch_id is None else find_batch(connection, query.batch_id)
    return replace(query, ids=find_deliveries(connection, outbox.table, query.ids), batch_id=batch_id)


def pick(store: Store, outbox: Outbox, action: DeliveryAction, query: DeliveryQuery) -> Picked:
    """Those of the query that the action applies to.

    One that is named by its id, or the ending of it, must be there and in a state that allows the action, else
    UsageError. Filters without a state select the states `unasked` of the action, and leave others alone.
    """
    states = query.states
    with store.snapshot() as connection:
        query = found_in(connection, outbox, query)
        found = find_states(connection, outbox, replace(query, states=()))
    if query.ids:
        for item_id in query.ids:
            _check(outbox, action, item_id, found[item_id])
        return Picked(states=found, left={})
    wanted = [state for state in action.allowed if state in states] if states else action.unasked
    if states and not wanted:
        raise UsageError(
            _("only those that are {allowed} can become {to}", allowed=_or(action.allowed), to=action.to),
            hint=_("name another --state"),
        )
    in_question = {item_id: state for item_id, state in found.items() if not states or state in states}
    return Picked(
        states={item_id: state for item_id, state in in_question.items() if state in wanted},
        left=dict(Counter(state for state in in_question.values() if state not in wanted)),
    )


def act(
    store: Store,
    outbox: Outbox,
    action: DeliveryAction,
    picked: Picked,
    *,
    actor: str,
    reason: str,
    clock: Clock,
) -> int:
    """Apply the action in one transaction to what was picked and whose state is unchanged; returns how many."""
    if not picked.states:
        return 0
    event_id = new_id()
    return store.write(
        lambda connection: change(
            connection,
            outbox,
            action,
            picked.states,
            Logged(event_id=event_id, actor=actor, reason=reason, at=clock.of(connection)),
        )
    )


def _check(outbox: Outbox, action: DeliveryAction, item_id: str, state: DeliveryState) -> None:
    if state not in action.allowed:
        raise UsageError(
            _(
                "{item_id} is {state}; only one that is {allowed} can become {to}",
                item_id=item_id,
                state=state,
                allowed=_or(action.allowed),
                to=action.to,
            ),
            hint=_("look first: orderctl {table} show {item_id}", table=outbox.table, item_id=item_id),
        )


def _or(states: tuple[DeliveryState, ...]) -> str:
    *others, last = states
    return _("{others} or {last}", others=", ".join(others), last=last) if others else str(last)
