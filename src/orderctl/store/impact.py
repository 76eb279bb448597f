"""What a plan would do to seasons and buyers, added up inside the database on the plan's own snapshot."""

from collections.abc import Sequence
from typing import Any

from orderctl.domain.eligibility import Mode
from orderctl.domain.impact import Impact, LargestOrder, NamedBuyers, SeasonShare
from orderctl.domain.orders import Status
from orderctl.store.reading import GROUPS, PLANNED, Part, Read
from orderctl.store.sql import read_day, read_instant

# As the index `ix_orders_open` has it, so that it is used.
_OPEN = f"status NOT IN ('{Status.RETURNED_TO_CART}', '{Status.REJECTED}')"
_KEPT_SEASONS = 50
_NAMED_BUYERS = 5


def impact_parts(mode: Mode) -> tuple[Part, ...]:
    """What the impact of rejecting the planned orders is made of."""
    return (
        Part(
            "span",
            "begun, ended, begins, ends, changed",
            "SELECT min(ordered_at) AS begun, max(ordered_at) AS ended, min(begins) AS begins, max(ends) AS ends,"
            f" count(changed) AS changed FROM {PLANNED}",
        ),
        Part(
            "largest",
            "currency, id, total",
            f"SELECT currency, max(id) AS id, total FROM {PLANNED} AND (currency, total) IN"
            f" (SELECT currency, max(top) FROM {GROUPS} GROUP BY currency) GROUP BY currency, total ORDER BY currency",
        ),
        # Open orders of the planned seasons, out of the index alone.
        Part("standing", "season, currency, orders, total", "SELECT season, currency, orders, total FROM standing"),
        _buyers("silent", "id IS NOT NULL AND email IS NULL"),
        _buyers("confirmed", _confirmed(mode)),
    )


STANDING = (
    "standing AS MATERIALIZED (SELECT season, currency, count(*) AS orders, sum(total) AS total FROM orders"
    f" WHERE account = :account AND {_OPEN} AND season IN (SELECT season FROM {GROUPS}) GROUP BY season, currency)"
)


def impact_of(read: Read) -> Impact:
    """The impact, from its parts and the planned orders' groups."""
    groups = [row for row in read.rows("groups") if row[0] is None]
    standing = {(season, currency): figures for season, currency, *figures in read.rows("standing")}
    seasons = [
        SeasonShare(
            season=season,
            currency=currency,
            orders=orders,
            total=total,
            open_orders=standing[season, currency][0],
            open_total=standing[season, currency][1],
        )
        for _, currency, season, orders, total in groups
    ]
    seasons.sort(key=lambda share: (-share.orders, share.season, share.currency))
    ((begun, ended, begins, ends, changed),) = read.rows("span")
    return Impact(
        seasons=tuple(seasons[:_KEPT_SEASONS]),
        season_count=len(seasons),
        largest=tuple(_largest(row, seasons) for row in read.rows("largest")),
        recently_changed=changed,
        ordered_from=begun and read_instant(begun),
        ordered_to=ended and read_instant(ended),
        delivery_from=begins and read_day(begins),
        delivery_to=ends and read_day(ends),
        without_address=_named(read, "silent"),
        with_confirmed=_named(read, "confirmed"),
    )


def _buyers(name: str, flag: str) -> Part:
    """The buyers with a flag: how many, and the first few, those with the most planned orders first."""
    return Part(
        name,
        "number, name",
        "SELECT number, name FROM (SELECT name, count(*) OVER () AS number,"
        f" row_number() OVER (ORDER BY orders DESC, name, id) AS place FROM told WHERE {flag}) AS {name}_buyer"
        f" WHERE place <= {_NAMED_BUYERS} ORDER BY place",
    )


def _confirmed(mode: Mode) -> str:
    """Whether a buyer has a confirmed order in a planned season, whatever its currency."""
    # CROSS JOIN: SQLite seeks the orders of each season and currency, and never the other way round.
    other = (
        "SELECT 1 FROM standing CROSS JOIN orders AS other WHERE standing.season = bought.season"
        " AND other.account = :account AND other.season = standing.season AND other.currency = standing.currency"
        f" AND other.buyer_id = bought.buyer_id AND other.{_OPEN} AND other.status = '{Status.OC_CONFIRMED}'"
    )
    if mode is Mode.INDIVIDUAL:
        # Then a confirmed order may itself be the planned one.
        other += f" AND other.id NOT IN (SELECT id FROM {PLANNED})"
    return f"id IN (SELECT buyer_id FROM bought WHERE season <> '' AND EXISTS ({other}))"


def _largest(row: Sequence[Any], seasons: list[SeasonShare]) -> LargestOrder:
    """The largest order of each currency; of several that are as large, the one with the last id."""
    currency, order_id, total = row
    among = [share for share in seasons if share.currency == currency]
    return LargestOrder(
        id=order_id,
        currency=currency,
        total=total,
        among_orders=sum(share.orders for share in among),
        among_total=sum(share.total for share in among),
    )


def _named(read: Read, name: str) -> NamedBuyers:
    found = read.rows(name)
    return NamedBuyers(count=found[0][0], names=tuple(row[1] for row in found)) if found else NamedBuyers()
