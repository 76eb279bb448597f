"""Mails as values: letters, what they are made of, and the outbox that they wait in (design.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orderctl.core.money import Money
from orderctl.delivery import outbox as delivery
from orderctl.delivery.outbox import DeliveryState, Outbox
from orderctl.errors import NOT_ONE_ADDRESS, ODD_ADDRESS
from orderctl.language import N_
from orderctl.orders.orders import Buyer, OrderSummary

GONE = N_("its buyer is not in the store any more")
WRITTEN = N_("written to {path}")
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
NO_TEMPLATE = N_("the mail template {name} is missing")
BROKEN_TEMPLATE = N_("{place}: the mail template is broken: {error}")
ODD_HEADERS = N_("the message's headers do not read back as they were meant")
# What is known of an attempt at a mail, by the codes that the outbox keeps: never change or reuse one.
DETAILS = delivery.DETAILS | {
    "gone": GONE,
    "written": WRITTEN,
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
    "no-template": NO_TEMPLATE,
    "broken-template": BROKEN_TEMPLATE,
    "odd-headers": ODD_HEADERS,
}
MAILS = Outbox(table="mail", details=DETAILS, recorded={"subject": "text", "text": "text", "html": "text"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The letter that a buyer reads."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterContext:
    """The content of a letter: the buyer, their rejected orders, and the operator's own words.

    `message` is a `Wording` as kept. `notes` are messages on single orders, by order id.
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
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    last_error: str
    orders: int
    letter: Letter | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery:
    """Selects mails by id, state, batch, buyer (id, or text in the name), order, text in the address, and age."""

    ids: tuple[str, ...] = ()
    states: tuple[DeliveryState, ...] = ()
    batch_id: str | None = None
    buyer: str | None = None
    order_id: str | None = None
    recipient: str | None = None
    queued_before: datetime | None = None
    limit: int | None = None
