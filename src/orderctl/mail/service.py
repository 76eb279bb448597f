"""Delivers queued mails, once or continuously, and applies the actions of operators (design.md, section 7)."""

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from orderctl.core.times import Progress
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.endings import find_batch, find_mails
from orderctl.database.store import Store
from orderctl.errors import MailUnavailableError, StoreUnavailableError, UsageError
from orderctl.language import _
from orderctl.mail.delivery_run import CHUNK, CarriedClock, DeliveryRun, prepare_mail
from orderctl.mail.letter_context import queued_letters
from orderctl.mail.outbox import DeliveryReport, MailAction, MailQuery, MailState, Settlement
from orderctl.mail.queries import change_mails, count_due, expire_leases, find_put_off, list_mails, mail_states
from orderctl.mail.transports import Mailer
from orderctl.mail.workers import Pace

if TYPE_CHECKING:
    from orderctl.mail.letters import Composer

POLL_S = 3.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 300.0
_LOOK_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Round:
    """The result of one look into the outbox. `needs_person`: looking again is useless."""

    due: int
    report: DeliveryReport
    needs_person: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What a delivery needs: the composer, the mail server, its pace, and when to stop.

    With `batch_id`, only the mails of this batch are sent.
    """

    composer: "Composer"
    mailer_factory: Callable[[], Mailer]
    clock: Clock
    new_token: Callable[[], str]
    batch_id: str | None = None
    connections: int = 1
    pace: Pace = field(default_factory=Pace)
    should_stop: Callable[[], bool] = lambda: False


def deliver(
    store: Store, sending: Sending, *, limit: int | None = None, progress: Progress | None = None
) -> DeliveryReport:
    """Send the mails that are due. The mail server is connected to only if there are any.

    If no mail can be sent at all (no connection, a login that fails), the run ends: `stopped` of the report says why,
    and mails that were not begun are due again. An interruption gives them back too, and is raised again. Mails that
    wait for a later time are counted in `put_off`.
    """
    with store.snapshot() as connection:
        put_off = find_put_off(connection, sending.clock.of(connection), sending.batch_id)
    round_ = _round(store, sending, limit=limit, progress=progress)
    return replace(round_.report, put_off=put_off)


def try_delivery(connection: Connection, sending: Sending, *, progress: Progress) -> DeliveryReport:
    """What sending the mails of a batch would give if the server took each: their messages are made, and not sent.

    Raises MailUnavailableError and UsageError if no mail can be sent at all.
    """
    writer, now = sending.mailer_factory(), sending.clock.of(connection)
    query = MailQuery(batch_id=sending.batch_id)
    states: Counter[MailState] = Counter()
    mails, total = list_mails(connection, query), len(mail_states(connection, query))
    while together := list(islice(mails, CHUNK)):
        facts = queued_letters(connection, [mail.id for mail in together])
        for mail in together:
            made = prepare_mail(mail, facts.get(mail.id), sending.composer, writer, now)
            states[made.state if isinstance(made, Settlement) else MailState.SENT] += 1
        progress(states.total(), total)
    return DeliveryReport(sent=states[MailState.SENT], retry=states[MailState.RETRY], refused=states[MailState.REFUSED])


def follow(
    store: Store,
    sending: Sending,
    *,
    tell: Callable[[str], None],
    done: Callable[[DeliveryReport], None],
    poll_s: float = POLL_S,
) -> DeliveryReport:
    """Deliver mails as they become due, until told to stop.

    `tell` is called for trouble that may pass, `done` after each round with due mails. Trouble that needs a person (a
    refused login) ends it, as it ends `deliver`.
    """
    total, troubles = DeliveryReport(), 0
    while not sending.should_stop():
        try:
            round_ = _round(store, sending)
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
            tell(_("{problem}; trying again in about {pause:.0f} s", problem=round_.report.stopped, pause=pause_s))
        else:
            troubles, pause_s = 0, 0 if round_.due else poll_s
        # Jitter, so that processes that were started together do not poll together.
        _wait(pause_s * random.uniform(0.5, 1.5), sending.should_stop)  # noqa: S311
    return total


def _round(store: Store, sending: Sending, *, limit: int | None = None, progress: Progress | None = None) -> _Round:
    """Send the mails that are due now."""

    def expire(connection: Connection) -> datetime:
        now = sending.clock.of(connection)
        expire_leases(connection, now)
        return now

    started = store.write(expire)
    with store.snapshot() as connection:
        due = count_due(connection, started, sending.batch_id)
    total = due if limit is None else min(due, limit)
    if not total:
        return _Round(due=0, report=DeliveryReport())
    try:
        writer = sending.mailer_factory()
    except (MailUnavailableError, UsageError) as error:
        return _Round(due=total, report=DeliveryReport(stopped=error.sentence), needs_person=True)
    run = DeliveryRun(
        store=store,
        composer=sending.composer,
        mailer_factory=sending.mailer_factory,
        writer=writer,
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
class PickedMails:
    """The mails that an action applies to, each with its state, and how many it leaves alone, by state."""

    mails: Mapping[str, MailState]
    left: Mapping[MailState, int]

    def count(self, state: MailState) -> int:
        """How many of the mails are in the state."""
        return sum(1 for each in self.mails.values() if each is state)


def pick_mails(store: Store, action: MailAction, query: MailQuery) -> PickedMails:
    """The mails of the query that the action applies to.

    A mail that is named by its id or ending must exist and be in a state that allows the action, else UsageError.
    Filters without a state select the states `unasked` of the action, and leave other mails alone.
    """
    with store.snapshot() as connection:
        query = found_in(connection, query)
        found = mail_states(connection, replace(query, states=()))
    if query.ids:
        for mail_id in query.ids:
            _check(action, mail_id, found[mail_id])
        return PickedMails(mails=found, left={})
    wanted = [state for state in action.allowed if state in query.states] if query.states else action.unasked
    if query.states and not wanted:
        raise UsageError(
            _("only mails that are {allowed} can become {to}", allowed=_or(action.allowed), to=action.to),
            hint=_("name another --state"),
        )
    in_question = {mail_id: state for mail_id, state in found.items() if not query.states or state in query.states}
    return PickedMails(
        mails={mail_id: state for mail_id, state in in_question.items() if state in wanted},
        left=dict(Counter(state for state in in_question.values() if state not in wanted)),
    )


def act_on_mails(
    store: Store,
    action: MailAction,
    picked: PickedMails,
    *,
    actor: str,
    reason: str,
    clock: Clock,
    new_id: Callable[[], str],
) -> int:
    """Apply the action in one transaction to the picked mails whose state is unchanged; returns how many."""
    if not picked.mails:
        return 0
    event_id = new_id()
    return store.write(
        lambda connection: change_mails(
            connection, action, picked.mails, event_id=event_id, actor=actor, reason=reason, at=clock.of(connection)
        )
    )


def _check(action: MailAction, mail_id: str, state: MailState) -> None:
    if state not in action.allowed:
        raise UsageError(
            _(
                "mail {mail_id} is {state}; only one that is {allowed} can become {to}",
                mail_id=mail_id,
                state=state,
                allowed=_or(action.allowed),
                to=action.to,
            ),
            hint=_("look first: orderctl mail show {mail_id}", mail_id=mail_id),
        )


def _or(states: tuple[MailState, ...]) -> str:
    *others, last = states
    return _("{others} or {last}", others=", ".join(others), last=last) if others else str(last)


def found_in(connection: Connection, query: MailQuery) -> MailQuery:
    """The query with full ids instead of endings. Raises UsageError for an id or ending that is not found."""
    batch_id = None if query.batch_id is None else find_batch(connection, query.batch_id)
    return replace(query, ids=find_mails(connection, query.ids), batch_id=batch_id)
