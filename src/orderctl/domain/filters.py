"""Filters over orders as values (design.md, section 4): the fields and the conditions.

A condition has two readings: `filter_matching` answers it for an order in memory, `store.filtering` turns it into
SQL. A test holds the two, and both engines, to the same answers.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache

from orderctl.domain.text import plain_name
from orderctl.language import in_every_language, later


class Kind(StrEnum):
    """What the values of a field are."""

    CHOICE = later("one of a list")
    TEXT = later("text it contains; * stands for any text")
    CODE = later("the whole value, upper or lower case; * stands for any text")
    EXACT = later("the whole value, exactly")
    DAY = later("a day, a month, a year, -30d, -2w, -3m, today, or a range A..B")
    AMOUNT = later("a number, or a range A..B")
    COUNT = later("a whole number, or a range A..B")
    FLAG = later("yes or no")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the language. `may_be_empty` allows `none` and `any`.

    `label`: how screens call it; `others`: how files and other columns do.
    """

    name: str
    label: str
    kind: Kind
    about: str
    example: str
    may_be_empty: bool = False
    others: tuple[str, ...] = ()


_FIELDS = (
    Field(
        name="status",
        label=later("Status"),
        kind=Kind.CHOICE,
        about=later("the status"),
        example="status:needs-oc,oc-created",
    ),
    Field(
        name="buyer",
        label=later("Buyer"),
        others=("buyer_name",),
        kind=Kind.TEXT,
        about=later("the buyer's name"),
        example='buyer:"Acme Paris"',
        may_be_empty=True,
    ),
    Field(
        name="id",
        label=later("Order"),
        others=("order_id",),
        kind=Kind.EXACT,
        about=later("the order's id"),
        example="id:1001,1002",
    ),
    Field(
        name="ref",
        label=later("Reference"),
        kind=Kind.TEXT,
        about=later("the buyer's own reference"),
        example="ref:PO-7*",
        may_be_empty=True,
    ),
    Field(
        name="ordered",
        label=later("Ordered"),
        others=("ordered_at",),
        kind=Kind.DAY,
        about=later("the day of the order (UTC)"),
        example="ordered:2026-01-01..2026-03-31",
    ),
    Field(
        name="delivery",
        label=later("Delivery"),
        others=("delivery_from", "delivery_to"),
        kind=Kind.DAY,
        about=later("a day of the delivery window"),
        example="delivery:2026-09",
        may_be_empty=True,
    ),
    Field(
        name="total",
        label=later("Total"),
        kind=Kind.AMOUNT,
        about=later("the total, in the order's currency"),
        example="total:1000..",
    ),
    Field(name="quantity", label=later("Pieces"), kind=Kind.COUNT, about=later("the pieces"), example="quantity:..12"),
    Field(
        name="currency", label=later("Currency"), kind=Kind.CODE, about=later("the currency"), example="currency:EUR"
    ),
    Field(
        name="brand",
        label=later("Brand"),
        kind=Kind.CODE,
        about=later("the brand"),
        example="brand:nord*",
        may_be_empty=True,
    ),
    Field(
        name="season",
        label=later("Season"),
        kind=Kind.CODE,
        about=later("the season"),
        example="season:26SS",
        may_be_empty=True,
    ),
    Field(
        name="country",
        label=later("Country"),
        kind=Kind.CODE,
        about=later("the country, its code or name"),
        example="country:JP",
        may_be_empty=True,
    ),
    Field(name="tag", label=later("Tags"), kind=Kind.CODE, about=later("a tag"), example="tag:late", may_be_empty=True),
    Field(
        name="sku",
        label=later("SKU"),
        kind=Kind.CODE,
        about=later("the SKU of a line"),
        example="sku:AB-12*",
        may_be_empty=True,
    ),
    Field(
        name="rejected",
        label=later("Rejected"),
        others=("rejected_at",),
        kind=Kind.DAY,
        about=later("the day of its rejection (UTC)"),
        example="rejected:-7d..",
        may_be_empty=True,
    ),
    Field(
        name="batch",
        label=later("Batch"),
        others=("batch_id",),
        kind=Kind.EXACT,
        about=later("the batch that rejected it"),
        example="batch:none",
        may_be_empty=True,
    ),
    Field(
        name="archived",
        label=later("Archived"),
        others=("archived_at",),
        kind=Kind.FLAG,
        about=later("archived or not"),
        example="archived:yes",
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
