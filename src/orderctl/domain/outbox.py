"""Mails: their states, the outcomes of an attempt, and when to try again (design.md, section 7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orderctl.domain.money import Money
from orderctl.domain.orders import Buyer, OrderSummary

MAX_ATTEMPTS = 12
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)


class MailState(StrEnum):
    """The life of a mail: waiting, claimed, sending, then one of the last four."""

    WAITING = "waiting"
    CLAIMED = "claimed"
    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused"
    RETRY = "retry"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a buyer reads."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFacts:
    """What a letter is made of: the buyer, their rejected orders, and the operator's own words.

    `notes` are messages on single orders, by the order's id.
    """

    buyer: Buyer
    orders: tuple[OrderSummary, ...]
    totals: tuple[Money, ...]
    message: str
    reason: str
    brand: str
    language: str
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One message to one buyer. `letter` is None until it is composed, at the latest just before sending.

    A rejected order is final, so composing later gives what composing in the batch would have given.
    """

    id: str
    batch_id: str
    buyer_id: str
    recipient: str
    language: str
    message_id: str
    state: MailState
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    last_error: str
    orders: int
    letter: Letter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended: `SENT`, `RETRY`, `REFUSED` or `UNKNOWN`, and what the server said."""

    state: MailState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What a delivery run came to, in mails."""

    sent: int = 0
    retry: int = 0
    refused: int = 0
    unknown: int = 0
    stopped: str = ""

    @property
    def complete(self) -> bool:
        """Whether every mail of the run was sent."""
        return not (self.retry or self.refused or self.unknown or self.stopped)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the n-th temporary refusal: a minute, doubled each time, at most six hours."""
    doublings = min(max(0, attempts - 1), MAX_ATTEMPTS)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)
