"""Mails: their states, the outcomes of an attempt, and when to try again (design.md, section 7)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orderctl.domain.mail_details import GIVEN_UP
from orderctl.domain.money import Money
from orderctl.domain.orders import Buyer, OrderSummary

MAX_ATTEMPTS = 12
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
# No lease is that long: the clock of whoever took it was wrong.
LONGEST_LEASE = timedelta(hours=1)


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
    """How one attempt ended: `SENT`, `RETRY`, `REFUSED` or `UNKNOWN`, and what the server said.

    `WAITING` is for an attempt that did not come about, and does not count.
    """

    state: MailState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an attempt leaves in the outbox. `due` is when to try again; None leaves it as it was."""

    mail_id: str
    state: MailState
    detail: str
    attempts: int
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """Mails that wait for a later time: how many, and when the first and the last of them is due."""

    mails: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """What a delivery run came to, in mails. `put_off` are those that were not due."""

    sent: int = 0
    retry: int = 0
    refused: int = 0
    unknown: int = 0
    stopped: str = ""
    put_off: PutOff | None = None

    @property
    def complete(self) -> bool:
        """Whether every mail was sent, and none waits."""
        return not (self.retry or self.refused or self.unknown or self.stopped or self.put_off)

    def plus(self, other: "DeliveryReport") -> "DeliveryReport":
        """Both together; the later one says why it stopped."""
        return DeliveryReport(
            sent=self.sent + other.sent,
            retry=self.retry + other.retry,
            refused=self.refused + other.refused,
            unknown=self.unknown + other.unknown,
            stopped=other.stopped,
        )


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the n-th temporary refusal: a minute, doubled each time, at most six hours."""
    doublings = min(max(0, attempts - 1), MAX_ATTEMPTS)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)


def settlement(mail: Mail, outcome: Outcome, now: datetime) -> Settlement:
    """How a mail that was claimed is left after an attempt: too many temporary refusals are a refusal."""
    attempts = mail.attempts + 1
    match outcome.state:
        case MailState.WAITING:
            state = MailState.RETRY if mail.attempts else MailState.WAITING
            return Settlement(mail_id=mail.id, state=state, detail=outcome.detail, attempts=mail.attempts)
        case MailState.RETRY if attempts < MAX_ATTEMPTS:
            return Settlement(
                mail_id=mail.id,
                state=MailState.RETRY,
                detail=outcome.detail,
                attempts=attempts,
                due=now + pause_after(attempts),
            )
        case MailState.RETRY:
            detail = GIVEN_UP.format(attempts=attempts, words=outcome.detail)
            return Settlement(mail_id=mail.id, state=MailState.REFUSED, detail=detail, attempts=attempts)
        case state:
            return Settlement(mail_id=mail.id, state=state, detail=outcome.detail, attempts=attempts)
