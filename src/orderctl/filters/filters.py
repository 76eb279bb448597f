"""Filters over orders as values (design.md, section 4): the fields and the conditions.

A condition has two readings: `filters.matching` answers it for an order in memory, `filters.queries` turns it into
SQL. A test holds the two, and both engines, to the same answers.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache

from orderctl.core.text import plain_name
from orderctl.language import N_, _, in_every_language


class Kind(StrEnum):
    """What the values of a field are."""

    CHOICE = N_("one of a list")
    TEXT = N_("text it contains; * stands for any text")
    CODE = N_("the whole value, upper or lower case; * stands for any text")
    EXACT = N_("the whole value, exactly")
    DAY = N_("a day, a month, a year, -30d, -2w, -3m, today, or a range A..B")
    AMOUNT = N_("a number, or a range A..B")
    COUNT = N_("a whole number, or a range A..B")
    FLAG = N_("yes or no")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the language. `may_be_empty` allows `none` and `any`.

    `label`: how screens call it; `others`: how files and other columns do.
    """

    name: str
    label: str
    kind: Kind
    about: str
    example: str
    may_be_empty: bool = True
    others: tuple[str, ...] = ()


_FIELDS = (
    Field("status", N_("Status"), Kind.CHOICE, N_("the status"), "status:needs-oc,oc-created", may_be_empty=False),
    Field("buyer", N_("Buyer"), Kind.TEXT, N_("the buyer's name"), 'buyer:"Acme Paris"', others=("buyer_name",)),
    Field(
        "id", N_("Order"), Kind.EXACT, N_("the order's id"), "id:1001,1002", may_be_empty=False, others=("order_id",)
    ),
    Field("ref", N_("Reference"), Kind.TEXT, N_("the buyer's own reference"), "ref:PO-7*"),
    Field(
        "ordered",
        N_("Ordered"),
        Kind.DAY,
        N_("the day of the order (UTC)"),
        "ordered:2026-01-01..2026-03-31",
        may_be_empty=False,
        others=("ordered_at",),
    ),
    Field(
        "delivery",
        N_("Delivery"),
        Kind.DAY,
        N_("a day of the delivery window"),
        "delivery:2026-09",
        others=("delivery_from", "delivery_to"),
    ),
    Field(
        "total", N_("Total"), Kind.AMOUNT, N_("the total, in the order's currency"), "total:1000..", may_be_empty=False
    ),
    Field("quantity", N_("Pieces"), Kind.COUNT, N_("the pieces"), "quantity:..12", may_be_empty=False),
    Field("currency", N_("Currency"), Kind.CODE, N_("the currency"), "currency:EUR", may_be_empty=False),
    Field("brand", N_("Brand"), Kind.CODE, N_("the brand"), "brand:nord*"),
    Field("season", N_("Season"), Kind.CODE, N_("the season"), "season:26SS"),
    Field("country", N_("Country"), Kind.CODE, N_("the country, its code or name"), "country:JP"),
    Field("tag", N_("Tags"), Kind.CODE, N_("a tag"), "tag:late"),
    Field("sku", N_("SKU"), Kind.CODE, N_("the SKU of a line"), "sku:AB-12*"),
    Field(
        "rejected",
        N_("Rejected"),
        Kind.DAY,
        N_("the day of its rejection (UTC)"),
        "rejected:-7d..",
        others=("rejected_at",),
    ),
    Field("batch", N_("Batch"), Kind.EXACT, N_("the batch that rejected it"), "batch:none", others=("batch_id",)),
    Field("source", N_("Source"), Kind.CODE, N_("the source that last spoke of it"), "source:shopify"),
    Field(
        "seen",
        N_("Seen"),
        Kind.DAY,
        N_("the day on which its source last spoke of it (UTC)"),
        "seen:..-7d",
        others=("seen_at",),
    ),
    Field(
        "gone",
        N_("Gone since"),
        Kind.DAY,
        N_("the day since which it is gone from its source (UTC)"),
        "gone:any",
        others=("gone_at",),
    ),
    Field(
        "archived",
        N_("Archived"),
        Kind.FLAG,
        N_("archived or not"),
        "archived:yes",
        may_be_empty=False,
        others=("archived_at",),
    ),
)
FILTER_FIELDS = {field.name: field for field in _FIELDS}


def field_named(text: str) -> Field | None:
    """The field of that name, or of what screens, in any language, or files call it; None if there is none."""
    return FILTER_FIELDS.get(text) or _by_other_names().get(plain_name(text))


@cache
def _by_other_names() -> dict[str, Field]:
    return {
        plain_name(name): field
        for field in _FIELDS
        for name in (field.name, *in_every_language(field.label), *field.others)
    }


@dataclass(frozen=True, slots=True)
class Pattern:
    """Text as literal pieces with any text between them: `ac*` is ("ac", ""), `acme` is ("acme",)."""

    pieces: tuple[str, ...]

    @property
    def is_literal(self) -> bool:
        """Whether it has no wildcard."""
        return len(self.pieces) == 1


@dataclass(frozen=True, slots=True)
class DayRange:
    """Days from `first` to `last`, both included; None is open."""

    first: date | None
    last: date | None


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers from `low` to `high`, both included; None is open."""

    low: Decimal | None
    high: Decimal | None


@dataclass(frozen=True, slots=True)
class Empty:
    """The field has no value (`none`)."""


@dataclass(frozen=True, slots=True)
class Present:
    """The field has a value (`any`)."""


@dataclass(frozen=True, slots=True)
class Flag:
    """The field is so (`yes`) or not (`no`)."""

    value: bool


Test = Pattern | DayRange | NumberRange | Empty | Present | Flag


@dataclass(frozen=True, slots=True)
class Term:
    """A field that passes any of the tests."""

    field: str
    tests: tuple[Test, ...]


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word: contained in id, reference, notes or the buyer's name."""

    pattern: Pattern


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    of: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Every one of them."""

    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one of them."""

    of: tuple["Condition", ...]


Condition = Term | Word | Not | All | AnyOf


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """A parsed filter: its text as written, and its condition (None: every order)."""

    text: str
    condition: Condition | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has no term at all."""
        return self.condition is None

    @property
    def leaves_out_archived(self) -> bool:
        """Whether archived orders are left out: unless the filter speaks of them."""
        return self.condition is None or not _mentions(self.condition, "archived")


def with_archived(wanted: OrderFilter) -> OrderFilter:
    """The same filter; where it says nothing of archived orders, they match too."""
    if not wanted.leaves_out_archived:
        return wanted
    either = Term("archived", (Flag(True), Flag(False)))
    return OrderFilter(wanted.text, All((wanted.condition, either)) if wanted.condition else either)


def _mentions(condition: Condition, field: str) -> bool:
    match condition:
        case Term():
            return condition.field == field
        case Not(of):
            return _mentions(of, field)
        case All(of) | AnyOf(of):
            return any(_mentions(each, field) for each in of)
        case _:
            return False


_ABSOLUTE = re.compile(r"\A(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?\Z", re.ASCII)
_RELATIVE = re.compile(r"\A([+-])(\d{1,5})([dwmy])\Z", re.ASCII)
_MONTHS_A_YEAR = 12
FORMS = N_("write 2026-09-14, 2026-09, 2026, today, -30d, -2w, -3m, or a range such as 2026-01..2026-03 or ..-30d")


def parse_day_range(text: str, today: date) -> DayRange:
    """Read a day, month, year, relative day or a range of them; ValueError if it is none, or runs backwards."""
    low, dots, high = text.partition("..")
    if not dots:
        return DayRange(*_span(low, today))
    if not low and not high:
        raise ValueError(_("a range needs at least one end"))
    first = _span(low, today)[0] if low else None
    last = _span(high, today)[1] if high else None
    if first and last and first > last:
        raise ValueError(_("the range ends before it begins"))
    return DayRange(first, last)


def _span(text: str, today: date) -> tuple[date, date]:
    """The first and the last day that the text means."""
    word = text.lower()
    if word in {"today", "yesterday", "tomorrow"}:
        day = today + timedelta(days={"today": 0, "yesterday": -1, "tomorrow": 1}[word])
        return day, day
    relative = _RELATIVE.match(word)
    if relative:
        day = _shifted(today, int(f"{relative[1]}{relative[2]}"), relative[3])
        return day, day
    absolute = _ABSOLUTE.match(text)
    if not absolute:
        raise ValueError(_("{text!r} is not a date", text=text))
    year, month, day_number = (int(group) if group else None for group in absolute.groups())
    try:
        first = date(year or 0, month or 1, day_number or 1)
    except ValueError:
        raise ValueError(_("{text!r} is not in the calendar", text=text)) from None
    last_month = month or _MONTHS_A_YEAR
    return first, first if day_number else first.replace(month=last_month, day=monthrange(first.year, last_month)[1])


def _shifted(day: date, number: int, unit: str) -> date:
    try:
        if unit in "dw":
            return day + timedelta(days=number * (7 if unit == "w" else 1))
        months = day.year * _MONTHS_A_YEAR + day.month - 1 + number * (_MONTHS_A_YEAR if unit == "y" else 1)
        year, month = divmod(months, _MONTHS_A_YEAR)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        raise ValueError(_("lies outside the calendar")) from None
