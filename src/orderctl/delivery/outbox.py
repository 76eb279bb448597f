"""Deliveries as values: their states, outcomes and reports, and how attempts are counted (design.md, section 7).

A delivery is a row of an outbox, written in the transaction that rejects, and handed over to a server later. Mails are
one kind of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orderctl.core.identity import Identity
from orderctl.errors import ExitCode
from orderctl.language import N_, _

if TYPE_CHECKING:
    from orderctl.database.connection import Fragment

GIVEN_UP = N_("given up after {attempts} attempts: {words}")
NOT_BEGUN = N_("interrupted before it was sent")
INTERRUPTED = N_("interrupted while it was being sent: the server may have taken it")
DIED = N_("the sender stopped while it was sending: the server may have taken it")
SENT_AGAIN = N_("an operator lets it be sent again")
CANCELLED = N_("cancelled by an operator")
ARRIVED = N_("an operator found out: it arrived")
DID_NOT_ARRIVE = N_("an operator found out: it did not arrive")
PERHAPS_TAKEN = N_("{step}: the connection was lost ({why}); the server may have taken it")
NOT_TAKEN = N_("{step}: the connection was lost ({why}); the server did not take it")
NO_MESSAGE = N_("it cannot be written as a message: {why}")
# What is known of an attempt at any delivery, by the codes that the outbox keeps: never change or reuse one.
DETAILS = {
    "given-up": GIVEN_UP,
    "not-begun": NOT_BEGUN,
    "interrupted": INTERRUPTED,
    "died": DIED,
    "sent-again": SENT_AGAIN,
    "cancelled": CANCELLED,
    "arrived": ARRIVED,
    "did-not-arrive": DID_NOT_ARRIVE,
    "perhaps-taken": PERHAPS_TAKEN,
    "not-taken": NOT_TAKEN,
    "no-message": NO_MESSAGE,
}
MAX_ATTEMPTS = 12
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
_LONGEST_PAUSE_S = _LONGEST_PAUSE.total_seconds()
# A lease that ends later than this was taken by a wrong clock.
LONGEST_LEASE = timedelta(hours=1)


class DeliveryState(StrEnum):
    """The state of a delivery (design.md, section 7)."""

    HELD = "held"
    WAITING = "waiting"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """The table of a kind of deliveries, and that of its events.

    `details` are the messages that it keeps, by code. `conditions` are those on its rows, by the field of its query
    that gives their value; a text is bound as `:field_lower` and `:field_folded` too. `recorded` are the columns, with
    their types, that are written when a delivery begins: what will be handed over. `only` is a condition on its rows,
    with AND before it, for a run that delivers a part of it. `noted` are columns of the events beyond those of every
    kind.
    """

    table: str
    details: Mapping[str, str]
    conditions: Mapping[str, str]
    recorded: Mapping[str, str] = field(default_factory=dict)
    only: Fragment | None = None
    noted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryQuery:
    """Selects deliveries of any kind by id, state, batch and order."""

    ids: tuple[str, ...] = ()
    states: tuple[DeliveryState, ...] = ()
    batch_id: str | None = None
    order_id: str | None = None
    limit: int | None = None


class Item(Protocol):
    """A delivery that is claimed."""

    @property
    def id(self) -> str:
        """The id of its row."""

    @property
    def attempts(self) -> int:
        """How many attempts there were before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: `SENT`, `RETRY`, `REFUSED` or `UNKNOWN`, and what the server said.

    `WAITING` means that there was no attempt; it does not count. After a `RETRY` the server
    does not want to be asked again for `not_before_s` seconds.
    """

    state: DeliveryState
    detail: str = ""
    not_before_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an attempt changes in the outbox. `due` is when to try again; None leaves it unchanged."""

    item_id: str
    state: DeliveryState
    detail: str
    attempts: int
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """Deliveries that wait for a later time: how many, and when the first and the last are due."""

    number: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """The result of a delivery run, in deliveries. `put_off` are those that were not due, `held` wait for others.

    None is `bounced` in a run itself: a server says so later.
    """

    sent: int = 0
    retry: int = 0
    refused: int = 0
    unknown: int = 0
    bounced: int = 0
    stopped: str = ""
    put_off: PutOff | None = None
    held: int = 0

    @property
    def complete(self) -> bool:
        """Whether everything was sent and nothing waits."""
        left = (self.retry, self.refused, self.unknown, self.bounced, self.stopped, self.put_off, self.held)
        return not any(left)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that delivers."""
        return ExitCode.DONE if self.complete else ExitCode.MAILS_REMAIN

    def plus(self, other: DeliveryReport) -> DeliveryReport:
        """The sum of both; `stopped` is that of the later one."""
        counts = ("sent", "retry", "refused", "unknown", "bounced")
        summed = {name: getattr(self, name) + getattr(other, name) for name in counts}
        return DeliveryReport(**summed, stopped=other.stopped)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the n-th temporary refusal: one minute, doubled each time, at most six hours."""
    doublings = min(max(0, attempts - 1), MAX_ATTEMPTS)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)


def settlement(item: Item, outcome: Outcome, now: datetime) -> Settlement:
    """The state of a claimed delivery after an attempt. Too many temporary refusals become a final one."""
    attempts = item.attempts + 1
    match outcome.state:
        case DeliveryState.WAITING:
            state = DeliveryState.RETRY if item.attempts else DeliveryState.WAITING
            return Settlement(item_id=item.id, state=state, detail=outcome.detail, attempts=item.attempts)
        case DeliveryState.RETRY if attempts < MAX_ATTEMPTS:
            return Settlement(
                item_id=item.id,
                state=DeliveryState.RETRY,
                detail=outcome.detail,
                attempts=attempts,
                due=now + max(pause_after(attempts), timedelta(seconds=min(outcome.not_before_s, _LONGEST_PAUSE_S))),
            )
        case DeliveryState.RETRY:
            detail = _(GIVEN_UP, attempts=attempts, words=outcome.detail)
            return Settlement(item_id=item.id, state=DeliveryState.REFUSED, detail=detail, attempts=attempts)
        case state:
            return Settlement(item_id=item.id, state=state, detail=outcome.detail, attempts=attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAction:
    """What an operator can do with deliveries. `unasked` are the states that a query without states selects."""

    name: str
    allowed: tuple[DeliveryState, ...]
    unasked: tuple[DeliveryState, ...]
    to: DeliveryState
    detail: str


_WAITS = (DeliveryState.HELD, DeliveryState.WAITING, DeliveryState.RETRY, DeliveryState.CLAIMED)
RETRY = DeliveryAction(
    name="retry",
    allowed=(
        DeliveryState.REFUSED,
        DeliveryState.UNKNOWN,
        DeliveryState.RETRY,
        DeliveryState.CANCELLED,
        DeliveryState.WAITING,
        DeliveryState.HELD,
        DeliveryState.BOUNCED,
    ),
    unasked=(DeliveryState.REFUSED, DeliveryState.RETRY),
    to=DeliveryState.WAITING,
    detail=SENT_AGAIN,
)
CANCEL = DeliveryAction(name="cancel", allowed=_WAITS, unasked=_WAITS, to=DeliveryState.CANCELLED, detail=CANCELLED)
SENT = DeliveryAction(
    name=N_("settle as sent"),
    allowed=(DeliveryState.UNKNOWN,),
    unasked=(DeliveryState.UNKNOWN,),
    to=DeliveryState.SENT,
    detail=ARRIVED,
)
NOT_SENT = DeliveryAction(
    name=N_("settle as not sent"),
    allowed=(DeliveryState.UNKNOWN,),
    unasked=(DeliveryState.UNKNOWN,),
    to=DeliveryState.REFUSED,
    detail=DID_NOT_ARRIVE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent:
    """One line of a delivery's log: what an operator did. Append-only."""

    item_id: str
    id: str
    action: str
    from_state: DeliveryState
    to_state: DeliveryState
    reason: str
    actor: str
    at: datetime
    actor_login: str = ""
    more: Mapping[str, str] = field(default_factory=dict)

    @property
    def by(self) -> Identity:
        """Who did it, with their login."""
        return Identity(actor=self.actor, login=self.actor_login)


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """One act on deliveries, as it is logged: the id of its events, who, why, when (UTC).

    `noted` are more columns of the events; `changes` are columns of the deliveries that it sets. `proof` is a digest of
    what is noted, which the act covers.
    """

    event_id: str
    actor: str
    reason: str
    at: datetime
    noted: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, str] = field(default_factory=dict)
    proof: str = ""
