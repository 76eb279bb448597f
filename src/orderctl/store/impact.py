"""What a plan would do to seasons and buyers, added up inside the database on the plan's own snapshot."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from orderctl.domain.eligibility import Mode
from orderctl.domain.impact import Impact, LargestOrder, NamedBuyers, SeasonShare
from orderctl.domain.orders import Status
from orderctl.domain.selection import Choice
from orderctl.store.eligibility import eligible_sql
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection, Fragment, Row, read_day, read_instant

# As the index `ix_orders_open` has it, so that it is used.
_OPEN = f"status NOT IN ('{Status.RETURNED_TO_CART}', '{Status.REJECTED}')"
_KEPT_SEASONS = 50
_NAMED_BUYERS = 5
# Added to a total, a credit included, it makes all of them texts of one length, whose order is that of the amounts.
_LIFT = 2 * 10**18
_LIFTED_DIGITS = len(str(_LIFT))


def impact_of(connection: Connection, choice: Choice, mode: Mode, *, changed_since: datetime) -> Impact:
    """The impact of rejecting the eligible orders of a choice; nothing is changed."""
    chosen = choice_condition(choice, connection.dialect)
    wanted = Fragment(f"{chosen.sql} AND {eligible_sql(mode)}", chosen.params)
    rows = connection.execute(
        _sql(wanted.sql, mode), {**wanted.params, "changed_since": connection.dialect.instant(changed_since)}
    ).fetchall()
    seasons = [row for row in rows if row[0] == "season"]
    ordered = _span(read_instant, (instant for row in seasons for instant in row[8:10]))
    delivery = _span(read_day, (day for row in seasons for day in row[10:12]))
    return Impact(
        seasons=tuple(map(_season, seasons[:_KEPT_SEASONS])),
        season_count=len(seasons),
        largest=_largest(seasons),
        recently_changed=sum(row[12] for row in seasons),
        ordered_from=ordered[0],
        ordered_to=ordered[1],
        delivery_from=delivery[0],
        delivery_to=delivery[1],
        without_address=_named(rows, "silent"),
        with_confirmed=_named(rows, "confirmed"),
    )


def _sql(wanted: str, mode: Mode) -> str:
    """One pass over the planned orders; what is asked of them is asked of their groups.

    Rows of a kind: `season` for each season and currency, `silent` and `confirmed` for the first buyers of each.
    """
    return (
        # Planned orders by season, currency and buyer.
        "WITH hit AS MATERIALIZED (SELECT season, currency, buyer_id, count(*) AS orders, sum(total) AS total,"
        f" max(CAST({_LIFT} + total AS TEXT) || id) AS top, min(ordered_at) AS first, max(ordered_at) AS last,"
        " min(delivery_from) AS begins, max(coalesce(delivery_to, delivery_from)) AS ends,"
        " count(CASE WHEN changed_at >= :changed_since THEN 1 END) AS changed"
        f" FROM orders WHERE account = :account AND {wanted} GROUP BY season, currency, buyer_id),"
        # Open orders of those seasons, out of the index alone.
        " standing AS MATERIALIZED (SELECT season, currency, count(*) AS orders, sum(total) AS total FROM orders"
        f" WHERE account = :account AND {_OPEN} AND season IN (SELECT season FROM hit) GROUP BY season, currency),"
        " told AS MATERIALIZED (SELECT buyer.id, buyer.name, buyer.email IS NULL AS silent, sum(hit.orders) AS orders,"
        f" max(CASE WHEN hit.season <> '' AND EXISTS ({_confirmed(wanted, mode)}) THEN 1 ELSE 0 END) = 1 AS confirmed"
        " FROM hit JOIN buyer ON buyer.account = :account AND buyer.id = hit.buyer_id"
        " GROUP BY buyer.id, buyer.name, buyer.email)"
        " SELECT 'season' AS kind, hit.season AS name, hit.currency, CAST(sum(hit.orders) AS BIGINT) AS number,"
        " CAST(sum(hit.total) AS BIGINT), max(top), max(standing.orders), CAST(max(standing.total) AS BIGINT),"
        " min(first), max(last), min(begins), max(ends), CAST(sum(changed) AS BIGINT), 0 AS place"
        " FROM hit JOIN standing ON standing.season = hit.season AND standing.currency = hit.currency"
        f" GROUP BY hit.season, hit.currency UNION ALL {_first('silent')} UNION ALL {_first('confirmed')}"
        " ORDER BY kind, place, number DESC, name"
    )


def _confirmed(wanted: str, mode: Mode) -> str:
    """The confirmed orders of the buyer in the season, whatever their currency."""
    sql = (
        "SELECT 1 FROM standing JOIN orders AS other ON other.account = :account AND other.season = standing.season"
        f" AND other.currency = standing.currency AND other.buyer_id = hit.buyer_id AND other.{_OPEN}"
        f" AND other.status = '{Status.OC_CONFIRMED}' WHERE standing.season = hit.season"
    )
    if mode is Mode.INDIVIDUAL:
        # Then a confirmed order may itself be the planned one.
        sql += f" AND other.id NOT IN (SELECT id FROM orders WHERE account = :account AND {wanted})"
    return sql


def _first(flag: str) -> str:
    """The buyers with a flag: how many, and the first few, those with the most planned orders first."""
    return (
        f"SELECT '{flag}', name, '', number, 0, '', 0, 0, NULL, NULL, NULL, NULL, 0, place FROM ("
        "SELECT name, count(*) OVER () AS number, row_number() OVER (ORDER BY orders DESC, name, id) AS place"
        f" FROM told WHERE {flag}) AS {flag}_buyer WHERE place <= {_NAMED_BUYERS}"
    )


def _season(row: Row) -> SeasonShare:
    return SeasonShare(
        season=row[1], currency=row[2], orders=row[3], total=row[4], open_orders=row[6], open_total=row[7]
    )


def _largest(seasons: list[Row]) -> tuple[LargestOrder, ...]:
    """The largest order of each currency; of several that are as large, the one with the last id."""
    by_currency: dict[str, list[Row]] = {}
    for row in seasons:
        by_currency.setdefault(row[2], []).append(row)
    return tuple(_largest_of(currency, rows) for currency, rows in sorted(by_currency.items()))


def _largest_of(currency: str, rows: list[Row]) -> LargestOrder:
    top = max(row[5] for row in rows)
    return LargestOrder(
        id=top[_LIFTED_DIGITS:],
        currency=currency,
        total=int(top[:_LIFTED_DIGITS]) - _LIFT,
        among_orders=sum(row[3] for row in rows),
        among_total=sum(row[4] for row in rows),
    )


def _named(rows: list[Row], flag: str) -> NamedBuyers:
    found = [row for row in rows if row[0] == flag]
    return NamedBuyers(count=found[0][3], names=tuple(row[1] for row in found)) if found else NamedBuyers()


def _span(read: Any, values: Iterable[Any]) -> tuple[Any, Any]:  # noqa: ANN401 - columns of either engine
    present = [read(value) for value in values if value is not None]
    return (min(present), max(present)) if present else (None, None)
