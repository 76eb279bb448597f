"""What a rejection would do to the business: its share of each season, its largest orders, who should think twice.

Computed by the database on the snapshot of the plan, and part of the plan (design.md, section 6, steps 2 and 3).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from orderctl.core.money import Money
from orderctl.language import _

# An order changed so shortly ago may still be under somebody's hands.
RECENT = timedelta(hours=1)
# One order stands out if it is a quarter of the value, and three times what is usual among the others.
_QUARTER = 25
_TIMES_USUAL = 3
_WHOLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonShare:
    """The planned orders of one season and currency, out of those that are open in it."""

    season: str
    currency: str
    orders: int
    total: int
    open_orders: int
    open_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestOrder:
    """The largest planned order of one currency, and what it stands among."""

    id: str
    currency: str
    total: int
    among_orders: int
    among_total: int

    @property
    def amount(self) -> Money:
        """The order's total."""
        return Money(self.currency, self.total)

    @property
    def percent(self) -> int | None:
        """Its share of the planned value; None where the value is no measure."""
        return percent_of(self.total, self.among_total)

    @property
    def stands_out(self) -> bool:
        """Whether it is so large a part of so many orders that somebody should look at it."""
        share = self.percent or 0
        return share >= _QUARTER and share * self.among_orders >= _TIMES_USUAL * _WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBuyers:
    """So many buyers, and the names of those with the most planned orders."""

    count: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """What stands beside the totals of a plan. `seasons` holds the first of `season_count` groups, largest first."""

    seasons: tuple[SeasonShare, ...] = ()
    season_count: int = 0
    largest: tuple[LargestOrder, ...] = ()
    recently_changed: int = 0
    ordered_from: datetime | None = None
    ordered_to: datetime | None = None
    delivery_from: date | None = None
    delivery_to: date | None = None
    without_address: NamedBuyers = NamedBuyers()
    with_confirmed: NamedBuyers = NamedBuyers()


def percent_of(part: int, whole: int) -> int | None:
    """A share in whole percent, rounded half up; None if it is no share of a positive whole."""
    if whole <= 0 or not 0 <= part <= whole:
        return None
    return (2 * _WHOLE * part + whole) // (2 * whole)


def percent_words(percent: int | None, *, part: int) -> str:
    """`15 %`; `under 1 %` for what is little but not nothing; empty where there is no share."""
    if percent is None:
        return ""
    return _("under 1 %") if part and not percent else _("{percent} %", percent=percent)


def impact_document(impact: Impact) -> dict[str, Any]:
    """The impact as JSON values, for a kept plan."""
    document = asdict(impact)
    for name in ("ordered_from", "ordered_to", "delivery_from", "delivery_to"):
        document[name] = document[name] and document[name].isoformat()
    return document


def read_impact(document: Mapping[str, Any]) -> Impact:
    """Read `impact_document` back."""
    return Impact(
        seasons=tuple(SeasonShare(**each) for each in document["seasons"]),
        season_count=document["season_count"],
        largest=tuple(LargestOrder(**each) for each in document["largest"]),
        recently_changed=document["recently_changed"],
        ordered_from=_instant(document["ordered_from"]),
        ordered_to=_instant(document["ordered_to"]),
        delivery_from=_day(document["delivery_from"]),
        delivery_to=_day(document["delivery_to"]),
        without_address=_buyers(document["without_address"]),
        with_confirmed=_buyers(document["with_confirmed"]),
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _buyers(document: Mapping[str, Any]) -> NamedBuyers:
    return NamedBuyers(count=document["count"], names=tuple(document["names"]))
