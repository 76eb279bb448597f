"""What a rejection means for the business: its share of each season, its largest orders, the buyers to think of.

The database computes it on the snapshot of the plan, and the plan holds it (design.md, section 6, steps 2 and 3).
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from orderctl.core.money import Money
from orderctl.language import _

# Somebody may still be working on an order that changed this recently.
RECENT = timedelta(hours=1)
# Orders are behind if their source spoke of them so much earlier than of the others.
_BEHIND = timedelta(days=1)
# An order stands out if it is a quarter of the value, and three times the average of the planned orders.
_QUARTER = 25
_TIMES_USUAL = 3
_WHOLE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonShare:
    """The planned orders of one season and currency, and the open orders there. Amounts are in minor units."""

    season: str
    currency: str
    orders: int
    total: int
    open_orders: int
    open_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestOrder:
    """The largest planned order of one currency, and the planned orders that it is among. In minor units."""

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
        """Its share of the planned value; None if the value is not positive."""
        return percent_of(self.total, self.among_total)

    @property
    def stands_out(self) -> bool:
        """Whether it is so large a part of the plan that somebody should look at it."""
        share = self.percent or 0
        return share >= _QUARTER and share * self.among_orders >= _TIMES_USUAL * _WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBuyers:
    """A number of buyers, and the names of those with the most planned orders."""

    count: int = 0
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """When the sources of the planned orders last spoke of them: from `oldest` to `newest`.

    `behind` orders were seen a day or more before the newest, the last of them at `behind_at`. Of `unknown` orders
    nobody knows.
    """

    newest: datetime | None = None
    oldest: datetime | None = None
    behind: int = 0
    behind_at: datetime | None = None
    unknown: int = 0

    @classmethod
    def of(cls, seen: Iterable[tuple[datetime | None, int]]) -> "Freshness":
        """The figures of orders by when they were seen; None if that is not known."""
        counted = [(at, number) for at, number in seen if number]
        known = sorted((at, number) for at, number in counted if at is not None)
        unknown = sum(number for at, number in counted if at is None)
        if not known:
            return cls(unknown=unknown)
        newest = known[-1][0]
        behind = [(at, number) for at, number in known if at <= newest - _BEHIND]
        return cls(
            newest=newest,
            oldest=known[0][0],
            behind=sum(number for __, number in behind),
            behind_at=behind[-1][0] if behind else None,
            unknown=unknown,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Impact:
    """The impact of a plan. `seasons` holds the largest of `season_count` groups, largest first."""

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
    freshness: Freshness | None = None


def percent_of(part: int, whole: int) -> int | None:
    """A share in whole percent, rounded half up; None if the whole is not positive or the part is outside it."""
    if whole <= 0 or not 0 <= part <= whole:
        return None
    return (2 * _WHOLE * part + whole) // (2 * whole)


def percent_words(percent: int | None, *, part: int) -> str:
    """`15 %`; `under 1 %` for a small part; empty for None."""
    if percent is None:
        return ""
    return _("under 1 %") if part and not percent else _("{percent} %", percent=percent)


def impact_document(impact: Impact) -> dict[str, Any]:
    """The impact as JSON values, for a saved plan."""
    document = asdict(impact)
    for name in ("ordered_from", "ordered_to", "delivery_from", "delivery_to"):
        document[name] = document[name] and document[name].isoformat()
    if impact.freshness is None:
        del document["freshness"]  # so that plans saved before there was one keep their digest
    else:
        document["freshness"] |= {name: _text(document["freshness"][name]) for name in _SEEN}
    return document


def read_impact(document: Mapping[str, Any]) -> Impact:
    """Read the JSON values of `impact_document`."""
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
        freshness=_freshness(document["freshness"]) if "freshness" in document else None,
    )


_SEEN = ("newest", "oldest", "behind_at")


def _freshness(document: Mapping[str, Any]) -> Freshness:
    return Freshness(**{**document, **{name: _instant(document[name]) for name in _SEEN}})


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _buyers(document: Mapping[str, Any]) -> NamedBuyers:
    return NamedBuyers(count=document["count"], names=tuple(document["names"]))
