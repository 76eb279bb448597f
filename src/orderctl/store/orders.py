"""Reads orders; see `ports.Orders`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orderctl.domain.errors import UsageError
from orderctl.domain.filters import OrderFilter
from orderctl.domain.order_ids import forms_of
from orderctl.domain.orders import Order, OrderEvent, OrderSummary
from orderctl.domain.selection import Choice
from orderctl.language import say
from orderctl.ports import Page
from orderctl.store import rows
from orderctl.store.filtering import compile_filter
from orderctl.store.order_streams import stream_orders
from orderctl.store.sorting import after, order_by, sorted_by
from orderctl.store.sql import Connection, Fragment, Row


class SqlOrders:
    """Orders of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def page(self, wanted: OrderFilter, page: Page) -> Iterator[OrderSummary]:
        """The summaries of the matching orders, sorted, streamed."""
        return map(rows.summary, self._summaries(wanted, page))

    def fields(self, wanted: OrderFilter, page: Page, names: Sequence[str]) -> Iterator[Mapping[str, Sequence[Any]]]:
        """The same page, of the summaries only some fields: by their names the values of a block of orders."""
        return rows.summary_fields(self._summaries(wanted, page), names)

    def ids(self, wanted: OrderFilter, page: Page) -> Iterator[str]:
        """The ids of the matching orders, sorted, streamed."""
        condition, limit = self._condition(wanted, page)
        sql = (
            f"SELECT id FROM orders WHERE account = :account AND {condition.sql} ORDER BY {order_by(page.sort)} {limit}"
        )
        return (row[0] for row in self._connection.stream(sql, condition.params))

    def count(self, wanted: OrderFilter, *, at_most: int | None = None) -> int:
        """How many orders match; with `at_most`, counting stops there."""
        condition = compile_filter(wanted, self._connection.dialect)
        matching = f"FROM orders WHERE account = :account AND {condition.sql}"
        sql, params = f"SELECT count(*) {matching}", condition.params
        if at_most is not None:
            sql = f"SELECT count(*) FROM (SELECT 1 {matching} LIMIT :at_most) AS counted"
            params = {**condition.params, "at_most": at_most}
        row = self._connection.execute(sql, params).fetchone()
        return row[0] if row else 0

    def get(self, order_id: str) -> Order | None:
        """One order with its lines and tags, however the accents of its id are written."""
        run = self._connection.execute
        sql = (
            f"SELECT {rows.ORDER_COLUMNS} FROM orders o LEFT JOIN buyer b"
            " ON b.account = o.account AND b.id = o.buyer_id WHERE o.account = :account AND o.id = :id"
        )
        forms = dict.fromkeys((order_id, *forms_of(order_id)))
        row = next(filter(None, (run(sql, {"id": form}).fetchone() for form in forms)), None)
        if row is None:
            return None
        of_order = "WHERE account = :account AND order_id = :id"
        lines = run(f"SELECT {rows.LINE_COLUMNS} FROM order_line {of_order} ORDER BY number", {"id": row[0]})
        tags = run(f"SELECT tag FROM order_tag {of_order}", {"id": row[0]})
        return rows.order(row, tuple(map(rows.line, lines)), frozenset(tag for (tag,) in tags))

    def chosen(self, choice: Choice) -> Iterator[Order]:
        """The orders of a choice with their lines and tags, sorted by id, streamed."""
        return stream_orders(self._connection, choice)

    def events(self, order_id: str) -> tuple[OrderEvent, ...]:
        """The order's log, oldest first."""
        found = self._connection.execute(
            f"SELECT {rows.EVENT_COLUMNS} FROM order_event WHERE account = :account AND order_id = :id ORDER BY at, id",
            {"id": order_id},
        )
        return tuple(map(rows.event, found))

    def _summaries(self, wanted: OrderFilter, page: Page) -> Iterable[Row]:
        condition, limit = self._condition(wanted, page)
        sql = rows.summaries_sql(condition.sql, page.sort, limit)
        run = self._connection.stream if page.limit is None else self._connection.execute
        return run(sql, condition.params)

    def _condition(self, wanted: OrderFilter, page: Page) -> tuple[Fragment, str]:
        condition = compile_filter(wanted, self._connection.dialect)
        if page.after is not None:
            key = self._key(page.sort, page.after)
            condition = Fragment(f"{condition.sql} AND {key.sql}", {**condition.params, **key.params})
        if page.limit is None:
            return condition, ""
        return Fragment(condition.sql, {**condition.params, "page_limit": page.limit}), "LIMIT :page_limit"

    def _key(self, sort: str, order_id: str) -> Fragment:
        """The condition of the orders after one. Raises UsageError if there is no such order."""
        sql = f"SELECT {sorted_by(sort)} FROM orders WHERE account = :account AND id = :id"
        found = self._connection.execute(sql, {"id": order_id}).fetchone()
        if found is None:
            raise UsageError(
                say("there is no order {id!r} in this store, so nothing comes after it", id=order_id),
                hint=say("--after takes the last id of the page before"),
            )
        return after(sort, found[0], order_id)
