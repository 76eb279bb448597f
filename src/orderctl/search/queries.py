"""Finds orders: their summaries, ids and number, page by page (design.md, section 4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orderctl.database.connection import Connection, Fragment, Row
from orderctl.errors import UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.filters.queries import after, compile_filter, order_by, sorted_by, summaries_sql
from orderctl.language import _
from orderctl.orders.orders import OrderSummary
from orderctl.orders.queries import OF_SOURCES, read_summary, summary_fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which orders to list: newest first, unless `sort` names a column (`-` before it: descending).

    With `after`, only the orders that follow the order with this id.
    """

    limit: int | None = None
    sort: str = "-ordered"
    after: str | None = None


def list_orders(
    connection: Connection, wanted: OrderFilter, page: Page, also: Sequence[str] = ()
) -> Iterator[OrderSummary]:
    """Stream the summaries of the matching orders, sorted; `also` may name fields that few lists show."""
    return map(read_summary, _summaries(connection, wanted, page, also))


def list_fields(
    connection: Connection, wanted: OrderFilter, page: Page, names: Sequence[str]
) -> Iterator[Mapping[str, Sequence[Any]]]:
    """Stream some fields of the same summaries: for each block of orders, the values by field name."""
    return summary_fields(_summaries(connection, wanted, page, names), names)


def list_ids(connection: Connection, wanted: OrderFilter, page: Page) -> Iterator[str]:
    """Stream the ids of the matching orders, sorted."""
    condition, limit = _condition(connection, wanted, page)
    sql = f"SELECT id FROM orders WHERE account = :account AND {condition.sql} ORDER BY {order_by(page.sort)} {limit}"
    return (row[0] for row in connection.stream(sql, condition.params))


def count_orders(connection: Connection, wanted: OrderFilter, *, at_most: int | None = None) -> int:
    """How many orders match; with `at_most`, counting stops there."""
    condition = compile_filter(wanted, connection.dialect)
    matching = f"FROM orders WHERE account = :account AND {condition.sql}"
    sql, params = f"SELECT count(*) {matching}", condition.params
    if at_most is not None:
        sql = f"SELECT count(*) FROM (SELECT 1 {matching} LIMIT :at_most) AS counted"
        params = {**condition.params, "at_most": at_most}
    row = connection.execute(sql, params).fetchone()
    return row[0] if row else 0


def _summaries(connection: Connection, wanted: OrderFilter, page: Page, names: Sequence[str]) -> Iterable[Row]:
    condition, limit = _condition(connection, wanted, page)
    sql = summaries_sql(condition.sql, page.sort, limit, seen=not OF_SOURCES.isdisjoint(names))
    run = connection.stream if page.limit is None else connection.execute
    return run(sql, condition.params)


def _condition(connection: Connection, wanted: OrderFilter, page: Page) -> tuple[Fragment, str]:
    condition = compile_filter(wanted, connection.dialect)
    if page.after is not None:
        key = _key(connection, page.sort, page.after)
        condition = Fragment(f"{condition.sql} AND {key.sql}", {**condition.params, **key.params})
    if page.limit is None:
        return condition, ""
    return Fragment(condition.sql, {**condition.params, "page_limit": page.limit}), "LIMIT :page_limit"


def _key(connection: Connection, sort: str, order_id: str) -> Fragment:
    """A condition for the orders after one. Raises UsageError if there is no such order."""
    sql = f"SELECT {sorted_by(sort)} FROM orders WHERE account = :account AND id = :id"
    found = connection.execute(sql, {"id": order_id}).fetchone()
    if found is None:
        raise UsageError(
            _("there is no order {id!r} in this store, so nothing comes after it", id=order_id),
            hint=_("--after takes the last id of the page before"),
        )
    return after(sort, found[0], order_id)
