"""Reads whole orders of a choice one after the other, in constant memory and few statements."""

from collections.abc import Iterator, Sequence
from itertools import islice

from orderctl.domain.orders import Order, OrderLine
from orderctl.domain.selection import Choice
from orderctl.store import rows
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection, Row

# So many orders share the two statements that fetch lines and tags, and are in memory at a time.
_TOGETHER = 250


def stream_orders(connection: Connection, choice: Choice) -> Iterator[Order]:
    """The orders of the choice with their lines and tags, sorted by id."""
    condition = choice_condition(choice, connection.dialect)
    found = connection.stream(
        f"SELECT {rows.ORDER_COLUMNS} FROM (SELECT * FROM orders WHERE account = :account AND {condition.sql}) o"
        " LEFT JOIN buyer b ON b.account = :account AND b.id = o.buyer_id ORDER BY o.id",
        condition.params,
    )
    while together := list(islice(found, _TOGETHER)):
        yield from _complete(connection, together)


def _complete(connection: Connection, together: Sequence[Row]) -> Iterator[Order]:
    """These orders with what belongs to them."""
    ids = {"ids": connection.dialect.bind_ids([row[0] for row in together])}
    of_orders = f"WHERE account = :account AND order_id IN ({connection.dialect.ids('ids')})"
    lines: dict[str, list[OrderLine]] = {}
    for order_id, *line in connection.execute(
        f"SELECT order_id, {rows.LINE_COLUMNS} FROM order_line {of_orders} ORDER BY order_id, number", ids
    ):
        lines.setdefault(order_id, []).append(rows.line(tuple(line)))
    tags: dict[str, list[str]] = {}
    for order_id, tag in connection.execute(f"SELECT order_id, tag FROM order_tag {of_orders}", ids):
        tags.setdefault(order_id, []).append(tag)
    for row in together:
        yield rows.order(row, tuple(lines.pop(row[0], ())), frozenset(tags.get(row[0], ())))
