"""What the outbox keeps of a mail's last attempt: stored in English, told in the operator's language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orderctl.core.money import Money
from orderctl.errors import NOT_ONE_ADDRESS, ODD_ADDRESS
from orderctl.language import N_, retell
from orderctl.orders.orders import Buyer, OrderSummary

GIVEN_UP = N_("given up after {attempts} attempts: {words}")
GONE = N_("its buyer is not in the store any more")
NOT_BEGUN = N_("interrupted before it was sent")
INTERRUPTED = N_("interrupted while it was being sent: the server may have taken this mail")
PERHAPS_TAKEN = N_("{step}: the connection was lost ({why}); the server may have taken it")
NOT_TAKEN = N_("{step}: the connection was lost ({why}); the server did not take it")
WRITTEN = N_("written to {path}")
SENT_AGAIN = N_("an operator lets it be sent again")
CANCELLED = N_("cancelled by an operator")
ARRIVED = N_("an operator found out: it arrived")
DID_NOT_ARRIVE = N_("an operator found out: it did not arrive")
UNREACHABLE = N_("the mail server {host}:{port} cannot be reached: {why}")
UNTRUSTED = N_("the mail server {host}:{port} showed a certificate that is not trusted: {why}")
NO_ENCRYPTION = N_("the mail server {host}:{port} did not agree on encryption")
LOGIN_REFUSED = N_("the mail server {host}:{port} refused the login of {user} ({code})")
LOGIN_WANTED = N_("the mail server wants a login before it takes mails: {reply}")
NO_STARTTLS = N_("the mail server {host}:{port} does not offer starttls")
NO_LOGIN = N_("the mail server {host}:{port} does not offer a login that we know")
TURNED_AWAY = N_("the mail server {host}:{port} turned us away ({code})")
NO_MAILDIR = N_("the Maildir {path} cannot be written: {why}")
NO_MESSAGE_ID = N_("{text} is not a Message-ID")
NO_MESSAGE = N_("the letter cannot be written as a message: {why}")
NO_TEMPLATE = N_("the mail template {name} is missing")
BROKEN_TEMPLATE = N_("{place}: the mail template is broken: {error}")
ODD_HEADERS = N_("the message's headers do not read back as they were meant")
_TOLD = (
    GIVEN_UP,
    GONE,
    NOT_BEGUN,
    INTERRUPTED,
    PERHAPS_TAKEN,
    NOT_TAKEN,
    WRITTEN,
    SENT_AGAIN,
    CANCELLED,
    ARRIVED,
    DID_NOT_ARRIVE,
    UNREACHABLE,
    UNTRUSTED,
    NO_ENCRYPTION,
    LOGIN_REFUSED,
    LOGIN_WANTED,
    NO_STARTTLS,
    NO_LOGIN,
    TURNED_AWAY,
    NO_MAILDIR,
    NOT_ONE_ADDRESS,
    ODD_ADDRESS,
    NO_MESSAGE_ID,
    NO_MESSAGE,
    NO_TEMPLATE,
    BROKEN_TEMPLATE,
    ODD_HEADERS,
)


def detail_in_words(detail: str) -> str:
    """What the outbox keeps of the last attempt, in the operator's language; a server's own words stay as they are."""
    return retell(detail, _TOLD)


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
class LetterContext:
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

    def plus(self, other: DeliveryReport) -> DeliveryReport:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAction:
    """One action. `unasked` are the states that filters take without naming a state."""

    name: str
    allowed: tuple[MailState, ...]
    unasked: tuple[MailState, ...]
    to: MailState
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailEvent:
    """One line of a mail's log: what an operator did. Append-only."""

    mail_id: str
    id: str
    action: str
    from_state: MailState
    to_state: MailState
    reason: str
    actor: str
    at: datetime


_WAITS = (MailState.WAITING, MailState.RETRY, MailState.CLAIMED)
RETRY = MailAction(
    name="retry",
    allowed=(MailState.REFUSED, MailState.UNKNOWN, MailState.RETRY, MailState.CANCELLED, MailState.WAITING),
    unasked=(MailState.REFUSED, MailState.RETRY),
    to=MailState.WAITING,
    detail=SENT_AGAIN,
)
CANCEL = MailAction(name="cancel", allowed=_WAITS, unasked=_WAITS, to=MailState.CANCELLED, detail=CANCELLED)
SENT = MailAction(
    name=N_("settle as sent"),
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.SENT,
    detail=ARRIVED,
)
NOT_SENT = MailAction(
    name=N_("settle as not sent"),
    allowed=(MailState.UNKNOWN,),
    unasked=(MailState.UNKNOWN,),
    to=MailState.REFUSED,
    detail=DID_NOT_ARRIVE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """Which mails: by id, state, batch, buyer (id, or text in the name), order, text in the address, age."""

    ids: tuple[str, ...] = ()
    states: tuple[MailState, ...] = ()
    batch_id: str | None = None
    buyer: str | None = None
    order_id: str | None = None
    recipient: str | None = None
    queued_before: datetime | None = None
    limit: int | None = None
