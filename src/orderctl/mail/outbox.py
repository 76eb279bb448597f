"""Mails as values: letters, what they are made of, and the outbox that they wait in (design.md, section 7)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from orderctl.core.money import Money
from orderctl.delivery import outbox as delivery
from orderctl.delivery.outbox import DeliveryAction, DeliveryQuery, DeliveryState, Outbox
from orderctl.errors import NOT_ONE_ADDRESS, ODD_ADDRESS, ExitCode
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
COPIES_MISSED = N_("{words}; no copy to {copies}")
BOUNCED = N_("it came back: {words}")
BOUNCED_UNSAID = N_("it came back, and the report does not say why")
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
    "copies-missed": COPIES_MISSED,
    "bounced": BOUNCED,
    "bounced-unsaid": BOUNCED_UNSAID,
}
# The Message-ID again: Amazon SES replaces the one of the standard by its own, and reports name what it has.
OWN_ID = "X-Orderctl-Message-ID"
# Whether a text contains another, alike on both engines and without patterns to escape.
_HOLDS = "replace({column}, {text}, '') <> {column}"
MAILS = Outbox(
    table="mail",
    details=DETAILS,
    conditions={
        "order_id": "mail.id IN (SELECT mail_id FROM mail_order WHERE account = :account AND order_id = :order_id)",
        "buyer": "mail.buyer_id IN (SELECT buyer.id FROM buyer WHERE account = :account AND (buyer.id = :buyer"
        f" OR {_HOLDS.format(column='name_folded', text=':buyer_folded')}))",
        "recipient": _HOLDS.format(column="lower(mail.recipient)", text=":recipient_lower"),
        "queued_before": "mail.created_at < :queued_before",
    },
    recorded=dict.fromkeys(("subject", "text", "html", "sent_digest"), "text"),
    noted=("from_recipient", "to_recipient", "report"),
)
_MAY_BOUNCE = (DeliveryState.SENT, DeliveryState.UNKNOWN)
# A report proves that the server took the mail, which is why it settles one of unknown fate too.
BOUNCE = DeliveryAction(
    name="bounced", allowed=_MAY_BOUNCE, unasked=_MAY_BOUNCE, to=DeliveryState.BOUNCED, detail=BOUNCED_UNSAID
)


def packed_texts(*texts: object) -> str:
    """Texts as a JSON array without spaces or escapes for what is not ASCII: what both engines write."""
    return json.dumps([str(text) for text in texts], ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """The letter that a buyer reads. One without HTML is a note in plain text, for others than buyers."""

    subject: str
    text: str
    html: str

    def sent_digest(self, mail_id: str, of_message: str) -> str:
        """The digest of the message that was handed over, and SHA-256 over that and the letter. Never change it."""
        whole = packed_texts(mail_id, self.subject, self.text, self.html, of_message)
        return of_message + sha256(whole.encode("utf-8", "replace")).hexdigest()


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

    Rejected orders do not change, so a letter may be composed later than its batch. `earlier` are the Message-IDs of
    earlier mails to this buyer about the same orders, oldest first, and `cc` and `bcc` the copies that the buyer has of
    each mail; these are read only where a message is written.
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
    earlier: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """A mail as it was queued, which the digest of its batch covers.

    `recipient` is the first one; where it went elsewhere, `moves` are the addresses from and to, oldest first, and
    `goes_to` is the last one. `orders` are those that it tells of, by id, each with the message on it. An erasure
    leaves `digest` instead of the salt.
    """

    id: str
    buyer_id: str
    recipient: str
    language: str
    message_id: str
    salt: str
    digest: str
    goes_to: str
    moves: tuple[tuple[str, str], ...] = ()
    orders: tuple[tuple[str, str], ...] = ()

    @property
    def proof(self) -> str:
        """SHA-256 over all of it but the orders without a message. Never change it: digests of batches depend on it."""
        if not self.salt:
            return self.digest if _HEX.fullmatch(str(self.digest)) else "0" * 64
        fields = (self.id, self.buyer_id, self.recipient, self.language, self.message_id, self.salt)
        notes = (packed_texts(*told) for told in self.orders if told[1])
        return sha256("".join((packed_texts(*fields), *notes)).encode("utf-8", "replace")).hexdigest()

    @property
    def is_followed(self) -> bool:
        """Whether each address that it goes to instead follows the one before, up to that of now.

        One that was erased from its log, because it was that of another buyer too, follows any.
        """
        addresses = [self.recipient, *(text for move in self.moves for text in move), self.goes_to]
        pairs = zip(addresses[::2], addresses[1::2], strict=True)
        return all(before == after or before.startswith(_ERASED) for before, after in pairs)

    @property
    def is_partly_erased(self) -> bool:
        """Whether an address or a message of it became the mark of an erasure."""
        texts = [*(text for move in self.moves for text in move), *(message for __, message in self.orders)]
        return any(text.startswith(_ERASED) for text in texts)


_HEX = re.compile("[0-9a-f]{64}")
_ERASED = "erased on "
_LEAF_LENGTH = 8


class MailsDigest:
    """The digest of the mails of a batch, in the order of their ids, and a short one of each to find what changed."""

    def __init__(self) -> None:
        self._proofs, self._orders = sha256(), sha256()
        self._leaves: list[str] = []

    def add(self, mail: QueuedMail) -> None:
        """Add the next mail."""
        self.add_proofs([mail.proof])
        self.add_orders([packed_texts(mail.id, order_id) for order_id, __ in mail.orders])

    def add_proofs(self, proofs: Sequence[str]) -> None:
        """Add the proofs of the next mails."""
        self._proofs.update("".join(proofs).encode())
        self._leaves += [proof[:_LEAF_LENGTH] for proof in proofs]

    def add_orders(self, told: Iterable[str]) -> None:
        """Add which orders the next mails tell of: of each the ids of mail and order as `packed_texts`."""
        self._orders.update("".join(told).encode("utf-8", "replace"))

    @property
    def leaves(self) -> str:
        """The short digests."""
        return "".join(self._leaves)

    def hexdigest(self) -> str:
        """The digest of all mails; empty without mails."""
        whole = sha256(self._proofs.digest() + self._orders.digest())
        return whole.hexdigest() if self._leaves else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailQuery(DeliveryQuery):
    """Selects mails by their buyer too (id, or text in the name), text in the address, and age."""

    buyer: str | None = None
    recipient: str | None = None
    queued_before: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misdirected:
    """Mails to a buyer that were refused or came back, and went to another address than the buyer's now."""

    buyer_id: str
    buyer: str
    recipient: str
    email: str
    mail_ids: tuple[str, ...]


class Verdict(StrEnum):
    """What a message of the mailbox says of a mail. `UNCLEAR`: a server wrote it, in words that we do not know."""

    FAILED = "failed"
    DELAYED = "delayed"
    UNCLEAR = "unclear"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A recipient that a report names, as addressed and as the last server knew it, and why the mail came back."""

    addresses: frozenset[str]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceNotice:
    """A message of the mailbox, as far as it concerns the outbox.

    `id` is its own Message-ID, or a digest of it. `message_ids` are those of our mails that it may be about: one is
    certain, several are doubtful. A report without any is about somebody else's mail.
    """

    id: str
    verdict: Verdict
    message_ids: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def words(self) -> str:
        """Why the mail came back, in the server's words; empty if the report does not say."""
        return next((failure.words for failure in self.failures if failure.words), "")

    @property
    def addresses(self) -> frozenset[str]:
        """The addresses that it names, in lower case."""
        return frozenset[str]().union(*(failure.addresses for failure in self.failures))


class Fate(StrEnum):
    """What became of a message of the mailbox."""

    BOUNCED = "bounced"
    KNOWN = "known"
    NOTED = "noted"
    IN_HAND = "in-hand"
    DELAYED = "delayed"
    COPY = "copy"
    EARLIER = "earlier"
    DOUBTFUL = "doubtful"
    FOREIGN = "foreign"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounced:
    """A mail that came back. `report` is the Message-ID of the report."""

    mail_id: str
    recipient: str
    words: str
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BounceReport:
    """What a mailbox said: the mails that came back, the doubtful reports, and what became of each message."""

    bounced: tuple[Bounced, ...] = ()
    doubtful: tuple[BounceNotice, ...] = ()
    fates: Mapping[Fate, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """That mails did not arrive, if any was found now, or if a person has to look at a report."""
        return ExitCode.MAILS_REMAIN if self.bounced or self.doubtful else ExitCode.DONE
