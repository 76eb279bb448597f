"""Orders, buyers, statuses and events as values, and the reading of ids and tags (design.md, sections 2 and 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from operator import attrgetter
from typing import NamedTuple
from unicodedata import normalize

from orderctl.core.identity import Identity
from orderctl.core.money import Money, rounded_half_up
from orderctl.core.text import fold, plain_name
from orderctl.language import N_, _, in_every_language


class Status(StrEnum):
    """The statuses of an order, in the order of its life."""

    NEEDS_OC = "needs-oc"
    OC_CREATED = "oc-created"
    OC_APPROVED = "oc-approved"
    OC_DECLINED = "oc-declined"
    OC_CONFIRMED = "oc-confirmed"
    RETURNED_TO_CART = "returned-to-cart"
    REJECTED = "rejected"

    @property
    def brand_sees(self) -> str:
        """The name of the status for the brand."""
        return _BRAND_SEES[self]

    @property
    def buyer_sees(self) -> str:
        """The name of the status for the buyer."""
        return _BUYER_SEES[self]


_BRAND_SEES = {
    Status.NEEDS_OC: N_("Please create an OC"),
    Status.OC_CREATED: N_("OC created"),
    Status.OC_APPROVED: N_("OC approved by buyer"),
    Status.OC_DECLINED: N_("OC rejected by buyer"),
    Status.OC_CONFIRMED: N_("OC confirmed"),
    Status.RETURNED_TO_CART: N_("Returned to cart"),
    Status.REJECTED: N_("Order rejected by brand"),
}
_BUYER_SEES = {
    Status.NEEDS_OC: N_("Awaiting OC creation"),
    Status.OC_CREATED: N_("Please check the contents of the OC"),
    Status.OC_APPROVED: N_("OC approved"),
    Status.OC_DECLINED: N_("OC rejected"),
    Status.OC_CONFIRMED: N_("OC confirmed"),
    Status.RETURNED_TO_CART: N_("Returned to cart"),
    Status.REJECTED: N_("Order declined"),
}
_CODES = {status.value: status for status in Status}


@lru_cache(maxsize=1_000)
def status_named(text: str) -> Status | None:
    """The status with this code, or with this name for the brand or the buyer in any language."""
    return _CODES.get(text) or status_names().get(plain_name(text))


@cache
def status_names() -> Mapping[str, Status]:
    """Each code and name of a status, normalised by `plain_name`."""
    return {
        plain_name(name): status
        for status in Status
        for name in (status, *in_every_language(_BRAND_SEES[status]), *in_every_language(_BUYER_SEES[status]))
    }


# Without slots, as `OrderLine`: Python pickles a frozen class with slots by functions that take ten times as long.
@dataclass(frozen=True, kw_only=True)
class Buyer:
    """A shop that orders. `country` is ISO 3166-1 alpha-2 where known, `language` a BCP 47 tag.

    `cc` and `bcc` are addresses that get a copy of each mail to it, with commas between them.
    """

    id: str
    name: str
    email: str | None = None
    contact: str | None = None
    country: str | None = None
    language: str | None = None
    cc: str | None = None
    bcc: str | None = None


def listed_addresses(text: str | None) -> tuple[str, ...]:
    """The addresses of a buyer's copies."""
    return tuple(text.split(", ")) if text else ()


def pieces(quantity: int, decimals: int) -> int | Decimal:
    """A quantity of a line as a number."""
    return Decimal(quantity).scaleb(-decimals) if decimals else quantity


@dataclass(frozen=True, kw_only=True)
class OrderLine:
    """One line: a quantity of one SKU. `unit_price` is in minor units of the order's currency.

    `quantity` counts parts of a piece, without needless decimals: 2.50 metres are 25 with a `quantity_decimals` of 1.
    """

    number: int
    sku: str
    name: str = ""
    color: str = ""
    size: str = ""
    quantity: int
    unit_price: int
    quantity_decimals: int = 0

    @property
    def pieces(self) -> int | Decimal:
        """The quantity as a number: a whole one, or one of up to three decimals."""
        return pieces(self.quantity, self.quantity_decimals) if self.quantity_decimals else self.quantity

    @property
    def total(self) -> int:
        """What the line costs in minor units, rounded half up."""
        amount = self.quantity * self.unit_price
        return rounded_half_up(amount, 10**self.quantity_decimals) if self.quantity_decimals else amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One purchase order. Instants are aware UTC; `total` is in minor units of `currency`.

    `changed_at` is the last change by an import, archiving or a tag; None if there was none. `source` last spoke of a
    stored order at `seen_at`, and has it no longer since `gone_at`; None if that is not known, or not so. `unsaid`
    names the fields that the imported file does not have; it is empty for a stored order.
    """

    id: str
    buyer: Buyer | None = None
    brand: str = ""
    status: Status
    reference: str = ""
    season: str = ""
    ordered_at: datetime
    terms: str = ""
    delivery_address: str = ""
    billing_address: str = ""
    country: str | None = None
    delivery_from: date | None = None
    delivery_to: date | None = None
    currency: str
    total: int
    quantity: int
    delivery_notes: int = 0
    invoices: int = 0
    backlog_skus: int = 0
    note: str = ""
    archived_at: datetime | None = None
    rejected_at: datetime | None = None
    changed_at: datetime | None = None
    batch_id: str | None = None
    version: int = 1
    gone_at: datetime | None = None
    source: str = field(default="", compare=False)
    seen_at: datetime | None = field(default=None, compare=False)
    lines: tuple[OrderLine, ...] = ()
    tags: frozenset[str] = frozenset()
    unsaid: frozenset[str] = field(default=frozenset(), compare=False, repr=False)

    @property
    def amount(self) -> Money:
        """The order's total."""
        return Money(self.currency, self.total)


class SaidOrder(NamedTuple):
    """What a file says of an order, by the names of `Order`: made and kept in a fraction of an order's time."""

    id: str
    buyer: Buyer | None
    brand: str
    status: Status
    reference: str
    season: str
    ordered_at: datetime
    terms: str
    delivery_address: str
    billing_address: str
    country: str | None
    delivery_from: date | None
    delivery_to: date | None
    currency: str
    total: int
    quantity: int
    delivery_notes: int
    invoices: int
    backlog_skus: int
    note: str
    archived_at: datetime | None
    lines: tuple[OrderLine, ...]
    tags: frozenset[str]
    unsaid: frozenset[str]

    @classmethod
    def of(cls, order: Order) -> "SaidOrder":
        """What the order says."""
        return cls(*_said_in(order))

    def order(self) -> Order:
        """The order itself."""
        return Order(**self._asdict())


_said_in = attrgetter(*SaidOrder._fields)


def searched_text(order: Order | SaidOrder) -> str:
    """The text in which a bare word of a filter is searched, besides the buyer's name."""
    return fold(f"{order.id}\n{order.reference}\n{order.note}")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSummary:
    """The fields of an order that a list shows; the last two only where it is asked for them."""

    id: str
    buyer_name: str
    status: Status
    reference: str
    season: str
    ordered_at: datetime
    delivery_from: date | None
    country: str | None
    currency: str
    total: int
    quantity: int
    archived: bool = False
    version: int = 1
    source: str = ""
    seen_at: datetime | None = None

    @property
    def amount(self) -> Money:
        """The order's total."""
        return Money(self.currency, self.total)


# The kind of event of an order that was imported as rejected: it has no batch.
IMPORTED = "imported-as-rejected"
IMPORT_OF = N_("import of {file}")
# The details of such events, by the codes that the log keeps: never change or reuse one.
DETAILS = {"import": IMPORT_OF}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEvent:
    """One line of an order's log. `batch_id` is set if a batch wrote it, `reason_code` if the reason has a code.

    `lines_digest` is the digest of the order's lines at that time; empty if unknown. The database sets `actor_login`,
    if it has logins.
    """

    order_id: str
    id: str
    batch_id: str | None
    kind: str
    from_status: str | None
    to_status: str | None
    detail: str
    actor: str
    at: datetime
    reason_code: str = ""
    lines_digest: str = ""
    actor_login: str = ""

    @property
    def by(self) -> Identity:
        """The actor with the login that wrote the line. For the line of a batch, the batch knows the login."""
        return Identity(actor=self.actor, login="" if self.batch_id else self.actor_login)


# The kinds of event of an order that a complete import of its source has no longer, and of one that it has again.
GONE, SEEN_AGAIN = "gone", "seen-again"


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One difference: a field with its old and new value, or an action (`was` and `now` are empty)."""

    what: str
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        """In words: `status was needs-oc, is oc-confirmed`; `tagged late`."""
        if not (self.was or self.now):
            return self.what
        return _("{what} was {was}, is {now}", what=self.what, was=self.was, now=self.now)


LONGEST_TAG = 60
_WORDS_OF_THE_FILTER = {"none", "any"}


def parse_tag(text: str) -> str:
    """Read one tag and trim it. Raises ValueError that says what is wrong."""
    tag = text.strip()
    if not tag:
        raise ValueError(_("is empty"))
    if len(tag) > LONGEST_TAG:
        raise ValueError(_("is longer than {max_length} characters", max_length=LONGEST_TAG))
    if not tag.isprintable() or "," in tag:
        raise ValueError(_("holds a comma or a control character"))
    if tag.casefold() in _WORDS_OF_THE_FILTER:
        raise ValueError(_("means something else in a filter (tag:none, tag:any)"))
    return tag


LONGEST_ID = 200
# What a spreadsheet turns a long number into, and a number that had to keep its zeros.
_DAMAGED = re.compile(r"\A(\d([.,]\d+)?E\+\d{1,3}|=\".*\")\Z", re.IGNORECASE)
# Spreadsheets turn the id 573415 into the number 573415.0.
_SPREADSHEET_NUMBER = re.compile(r"\A(\d+)\.0\Z")


def refuse_damaged(text: str) -> str:
    """The text of an id or a reference. Raises ValueError if a spreadsheet has changed it."""
    if _DAMAGED.match(text):
        raise ValueError(
            _("was damaged by a spreadsheet: export the file anew, and open it only with this column as text")
        )
    return text


def forms_of(order_id: str) -> tuple[str, ...]:
    """The id with composed accents (NFC), and with decomposed accents (NFD) if that is a different text."""
    return (
        (order_id,)
        if order_id.isascii()
        else tuple(dict.fromkeys(normalize(form, order_id) for form in ("NFC", "NFD")))
    )


def parse_order_id(text: str) -> str:
    """Read one order id: trimmed, `573415.0` as `573415`. Raises ValueError that says what is wrong."""
    order_id = text.strip()
    if not order_id:
        raise ValueError(_("is empty"))
    if len(order_id) > LONGEST_ID:
        raise ValueError(_("is longer than {max_length} characters", max_length=LONGEST_ID))
    if not order_id.isprintable():
        raise ValueError(_("holds a control character"))
    number = order_id.endswith(".0") and _SPREADSHEET_NUMBER.match(order_id)
    return number[1] if number else order_id
