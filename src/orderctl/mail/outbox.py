"""Mails as values: their states, letters, outcomes and reports, and how attempts are counted (design.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from orderctl.core.money import Money
from orderctl.errors import NOT_ONE_ADDRESS, ODD_ADDRESS, ExitCode
from orderctl.language import N_, _
from orderctl.orders.orders import Buyer, OrderSummary

GIVEN_UP = N_("given up after {attempts} attempts: {words}")
GONE = N_("its buyer is not in the store any more")
NOT_BEGUN = N_("interrupted before it was sent")
INTERRUPTED = N_("interrupted while it was being sent: the server may have taken this mail")
DIED = N_("the sender stopped while it was sending: the server may have taken this mail")
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
# What is known of an attempt, by the codes that the outbox keeps: never change or reuse one.
DETAILS = {
    "given-up": GIVEN_UP,
    "gone": GONE,
    "not-begun": NOT_BEGUN,
    "interrupted": INTERRUPTED,
    "died": DIED,
    "perhaps-taken": PERHAPS_TAKEN,
    "not-taken": NOT_TAKEN,
    "written": WRITTEN,
    "sent-again": SENT_AGAIN,
    "cancelled": CANCELLED,
    "arrived": ARRIVED,
    "did-not-arrive": DID_NOT_ARRIVE,
    "unreachable": UNREACHABLE,
    "untrusted": UNTRUSTED,
    "no-encryption": NO_ENCRYPTION,
    "login-refused": LOGIN_REFUSED,
    "login-wanted": LOGIN_WANTED,
    "no-starttls": NO_STARTTLS,
    "no-login": NO_LOGIN,
    "turned-away": TURNED_AWAY,
    "no-maildir": NO_MAILDIR,
    "not-one-address": NOT_ONE_ADDRESS,
    "odd-address": ODD_ADDRESS,
    "no-message-id": NO_MESSAGE_ID,
    "no-message": NO_MESSAGE,
    "no-template": NO_TEMPLATE,
    "broken-template": BROKEN_TEMPLATE,
    "odd-headers": ODD_HEADERS,
}
MAX_ATTEMPTS = 12
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)
# A lease that ends later than this was taken by a wrong clock.
LONGEST_LEASE = timedelta(hours=1)


class MailState(StrEnum):
    """The state of a mail (design.md, section 7)."""

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
    """The letter that a buyer reads."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterContext:
    """The content of a letter: the buyer, their rejected orders, and the operator's own words.

    `notes` are messages on single orders, by order id.
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

    Rejected orders do not change, so a letter may be composed later than its batch.
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

    `WAITING` means that there was no attempt; it does not count.
    """

    state: MailState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What an attempt changes in the outbox. `due` is when to try again; None leaves it unchanged."""

    mail_id: str
    state: MailState
    detail: str
    attempts: int
    due: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOff:
    """Mails that wait for a later time: how many, and when the first and the last are due."""

    mails: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryReport:
    """The result of a delivery run, in mails. `put_off` are the mails that were not due."""

    sent: int = 0
    retry: int = 0
    refused: int = 0
    unknown: int = 0
    stopped: str = ""
    put_off: PutOff | None = None

    @property
    def complete(self) -> bool:
        """Whether every mail was sent and none waits."""
        return not (self.retry or self.refused or self.unknown or self.stopped or self.put_off)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a run that delivers mails."""
        return ExitCode.DONE if self.complete else ExitCode.MAILS_REMAIN

    def plus(self, other: DeliveryReport) -> DeliveryReport:
        """The sum of both; `stopped` is that of the later one."""
        return DeliveryReport(
            sent=self.sent + other.sent,
            retry=self.retry + other.retry,
            refused=self.refused + other.refused,
            unknown=self.unknown + other.unknown,
            stopped=other.stopped,
        )


def pause_after(attempts: int) -> timedelta:
    """How long to wait after the n-th temporary refusal: one minute, doubled each time, at most six hours."""
    doublings = min(max(0, attempts - 1), MAX_ATTEMPTS)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)


def settlement(mail: Mail, outcome: Outcome, now: datetime) -> Settlement:
    """The state of a claimed mail after an attempt. Too many temporary refusals become a final one."""
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
            detail = _(GIVEN_UP, attempts=attempts, words=outcome.detail)
            return Settlement(mail_id=mail.id, state=MailState.REFUSED, detail=detail, attempts=attempts)
        case state:
            return Settlement(mail_id=mail.id, state=state, detail=outcome.detail, attempts=attempts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAction:
    """What an operator can do with mails. `unasked` are the states that a query without states selects."""

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
    """Selects mails by id, state, batch, buyer (id, or text in the name), order, text in the address, and age."""

    ids: tuple[str, ...] = ()
    states: tuple[MailState, ...] = ()
    batch_id: str | None = None
    buyer: str | None = None
    order_id: str | None = None
    recipient: str | None = None
    queued_before: datetime | None = None
    limit: int | None = None
