"""What a plan would do to seasons and buyers, added up inside the database on the plan's own snapshot."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orderctl.domain.eligibility import Mode
from orderctl.domain.impact import Impact, LargestOrder, NamedBuyers, SeasonShare
from orderctl.domain.orders import Status
from orderctl.domain.selection import Choice, IdScope
from orderctl.store.reading import GROUPS, PLANNED, Part, Read
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection, read_day, read_instant

# By season and currency: how many orders are open, and their value.
Standing = Mapping[tuple[str, str], tuple[int, int]]

# As the index `ix_orders_open` has it, so that it is used.
_OPEN = f"status NOT IN ('{Status.RETURNED_TO_CART}', '{Status.REJECTED}')"
_KEPT_SEASONS = 50
_LONG_LIST = 1_000
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
        _buyers("silent", "id IS NOT NULL AND email IS NULL"),
        _buyers("confirmed", _confirmed(mode)),
    )


# In which currencies there are open orders in the planned seasons: a step along the index each.
_NEXT = f"(SELECT min(currency) FROM orders WHERE account = :account AND {_OPEN} AND season = "
OPEN_PAIRS = (
    (
        f"pair(season, currency) AS (SELECT season, {_NEXT}planned.season)"
        f" FROM (SELECT DISTINCT season FROM {GROUPS}) AS planned"
        f" UNION ALL SELECT season, {_NEXT}pair.season AND currency > pair.currency) FROM pair"
        " WHERE currency IS NOT NULL)"
    ),
    "open_pair AS MATERIALIZED (SELECT season, currency FROM pair WHERE currency IS NOT NULL)",
)


def ask_standing(connection: Connection, choice: Choice) -> Callable[[], Standing]:
    """Ask for the open orders of the seasons of the choice, out of the index alone, while the choice is read."""
    chosen, seasons = choice_condition(choice, connection.dialect), ""
    # Of a long list every season is asked for: reading it twice would take longer.
    if not _is_long(choice):
        seasons = f" AND season IN (SELECT DISTINCT season FROM orders WHERE account = :account AND {chosen.sql})"
    rows = connection.alongside(
        "SELECT season, currency, count(*), CAST(sum(total) AS BIGINT) FROM orders"
        f" WHERE account = :account AND {_OPEN}{seasons} GROUP BY season, currency",
        chosen.params if seasons else {},
    )
    return lambda: {(season, currency): (orders, total) for season, currency, orders, total in rows()}


def _is_long(choice: Choice) -> bool:
    return isinstance(choice.scope, IdScope) and len(choice.scope.given.ids) > _LONG_LIST


def impact_of(read: Read, standing: Standing) -> Impact:
    """The impact, from its parts, the planned orders' groups and the open orders of their seasons."""
    groups = [row for row in read.rows("groups") if row[0] is None]
    seasons = [
        SeasonShare(
            season=season,
            currency=currency,
            orders=orders,
            total=total,
            open_orders=standing[season, currency][0],
            open_total=standing[season, currency][1],
        )
        for _, currency, season, orders, total, _ in groups
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
        "SELECT 1 FROM open_pair CROSS JOIN orders AS other WHERE open_pair.season = bought.season"
        " AND other.account = :account AND other.season = open_pair.season AND other.currency = open_pair.currency"
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
