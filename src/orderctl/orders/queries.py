"""Reads orders, lines, tags and events from the store, and turns rows into values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from orderctl.database.connection import Columns, Connection, Fragment, Row, read_day, read_instant
from orderctl.language.stored import told
from orderctl.orders.orders import (
    DETAILS,
    GONE,
    IMPORTED,
    SEEN_AGAIN,
    Buyer,
    Order,
    OrderEvent,
    OrderLine,
    OrderSummary,
    Status,
    forms_of,
)

SUMMARY_COLUMNS = (
    "id, buyer_id, status, reference, season, ordered_at, delivery_from, country, currency, total, quantity,"
    " archived_at, version"
)
# Lists repeat the same days, so their conversion is cached.
_DAYS = 5_000


def _or_nothing(value: str | None) -> str:
    return value or ""


@lru_cache(maxsize=_DAYS)
def _optional_day(value: Any) -> date | None:  # noqa: ANN401 - a column of either engine
    return None if value is None else read_day(value)


def _optional_instant(value: Any) -> datetime | None:  # noqa: ANN401 - a column of either engine
    return None if value is None else read_instant(value)


# The fields of a summary: the index of each in a row of `SUMMARY_COLUMNS` and the buyer's name, and its converter.
_SUMMARY: dict[str, tuple[int, Callable[[Any], Any] | None]] = {
    "id": (0, None),
    "buyer_name": (13, _or_nothing),
    "status": (2, {status.value: status for status in Status}.__getitem__),
    "reference": (3, None),
    "season": (4, None),
    "ordered_at": (5, read_instant),
    "delivery_from": (6, _optional_day),
    "country": (7, None),
    "currency": (8, None),
    "total": (9, None),
    "quantity": (10, None),
    "archived": (11, lambda at: at is not None),
    "version": (12, None),
}
# The fields that follow where a list asks for them.
_OF_SOURCE: dict[str, tuple[int, Callable[[Any], Any] | None]] = {
    "source": (14, _or_nothing),
    "seen_at": (15, _optional_instant),
}
OF_SOURCES = frozenset(_OF_SOURCE)
# How many rows are converted together, a column at a time.
_TOGETHER = 1_000


def read_summary(row: Row) -> OrderSummary:
    """Convert a row of `SUMMARY_COLUMNS`, followed by the buyer's name, and perhaps by source and time."""
    fields = _SUMMARY if len(row) == len(_SUMMARY) + 1 else _SUMMARY | _OF_SOURCE
    return OrderSummary(**{name: read(row[at]) if read else row[at] for name, (at, read) in fields.items()})


def summary_fields(rows: Iterable[Row], names: Sequence[str]) -> Iterator[dict[str, Sequence[Any]]]:
    """Only these fields of the summaries, converted as by `read_summary`: for each block of rows, lists by field."""
    coming = iter(rows)
    known = _SUMMARY | _OF_SOURCE
    fields = [(name, *known[name]) for name in names]
    while together := list(islice(coming, _TOGETHER)):
        columns = list(zip(*together, strict=True))
        yield {name: list(map(read, columns[at])) if read else columns[at] for name, at, read in fields}


_ORDER = Columns(
    "id, brand, status, reference, season, ordered_at, terms, delivery_address, billing_address, country,"
    " delivery_from, delivery_to, currency, total, quantity, delivery_notes, invoices, backlog_skus, note, archived_at,"
    " rejected_at, batch_id, version, changed_at, gone_at",
    status=Status,
    **dict.fromkeys(("ordered_at", "archived_at", "rejected_at", "changed_at", "gone_at"), read_instant),
    **dict.fromkeys(("delivery_from", "delivery_to"), read_day),
)
BUYER_COLUMNS = Columns("id, name, email, contact, country, language, cc, bcc")
BUYER = f"SELECT {BUYER_COLUMNS.sql} FROM buyer WHERE account = :account"
LINES = Columns("number, sku, name, color, size, quantity, unit_price, quantity_decimals")
EVENTS = Columns(
    "order_id, id, batch_id, kind, from_status, to_status, detail, actor, at, reason_code, lines_digest, actor_login",
    at=read_instant,
)
_SEEN = Columns("source, seen_at", seen_at=read_instant)
# The columns of an order `o` with its buyer and what its source last said, for `read_order`; and the joins of these.
_WHOLE = f"{_ORDER.of('o')}, {BUYER_COLUMNS.of('b')}, {_SEEN.of('s')}"
_JOINS = (
    " LEFT JOIN buyer b ON b.account = :account AND b.id = o.buyer_id"
    " LEFT JOIN order_source s ON s.account = :account AND s.order_id = o.id"
)


def read_order(row: Row, lines: tuple[OrderLine, ...], tags: frozenset[str]) -> Order:
    """Convert a row of `_WHOLE`, with its lines and tags."""
    of_buyer, seen = row[len(_ORDER.names) : -len(_SEEN.names)], row[-len(_SEEN.names) :]
    buyer = None if of_buyer[0] is None else read_buyer(of_buyer)
    of_source = {} if seen[0] is None else _SEEN.values(seen)
    return Order(**_ORDER.values(row), **of_source, buyer=buyer, lines=lines, tags=tags)


def read_buyer(row: Row) -> Buyer:
    """Convert a row of `BUYER`."""
    return Buyer(**BUYER_COLUMNS.values(row))


def read_line(row: Row) -> OrderLine:
    """Convert a row of `LINES`."""
    return OrderLine(**LINES.values(row))


# The kinds of events whose detail is kept as a code; those of a batch are covered by its digest as they are.
_OF_IMPORTS = {IMPORTED, GONE, SEEN_AGAIN}


def read_event(row: Row) -> OrderEvent:
    """Convert a row of `EVENTS`."""
    event = OrderEvent(**EVENTS.values(row))
    return replace(event, detail=told(event.detail, DETAILS)) if event.kind in _OF_IMPORTS else event


# How many orders share the two statements that fetch lines and tags, and are in memory at a time.
_STREAMED_TOGETHER = 250


def stream_orders(connection: Connection, condition: Fragment) -> Iterator[Order]:
    """The orders that meet the condition, with their lines and tags, sorted by id."""
    found = connection.stream(
        f"SELECT {_WHOLE} FROM (SELECT * FROM orders WHERE account = :account AND {condition.sql}) o{_JOINS}"
        " ORDER BY o.id",
        condition.params,
    )
    while together := list(islice(found, _STREAMED_TOGETHER)):
        yield from _complete(connection, together)


def _complete(connection: Connection, together: Sequence[Row]) -> Iterator[Order]:
    """These orders with their lines and tags."""
    ids = {"ids": connection.dialect.bind_ids([row[0] for row in together])}
    of_orders = f"WHERE account = :account AND order_id IN ({connection.dialect.ids('ids')})"
    lines: dict[str, list[OrderLine]] = {}
    for order_id, *line in connection.execute(
        f"SELECT order_id, {LINES.sql} FROM order_line {of_orders} ORDER BY order_id, number", ids
    ):
        lines.setdefault(order_id, []).append(read_line(tuple(line)))
    tags: dict[str, list[str]] = {}
    for order_id, tag in connection.execute(f"SELECT order_id, tag FROM order_tag {of_orders}", ids):
        tags.setdefault(order_id, []).append(tag)
    for row in together:
        yield read_order(row, tuple(lines.pop(row[0], ())), frozenset(tags.get(row[0], ())))


def get_order(connection: Connection, order_id: str) -> Order | None:
    """One order with its lines and tags; the accents of its id may be composed or not. None if there is none."""
    run = connection.execute
    sql = f"SELECT {_WHOLE} FROM orders o{_JOINS} WHERE o.account = :account AND o.id = :id"
    forms = dict.fromkeys((order_id, *forms_of(order_id)))
    row = next(filter(None, (run(sql, {"id": form}).fetchone() for form in forms)), None)
    if row is None:
        return None
    of_order = "WHERE account = :account AND order_id = :id"
    lines = run(f"SELECT {LINES.sql} FROM order_line {of_order} ORDER BY number", {"id": row[0]})
    tags = run(f"SELECT tag FROM order_tag {of_order}", {"id": row[0]})
    return read_order(row, tuple(map(read_line, lines)), frozenset(tag for (tag,) in tags))


def order_events(connection: Connection, order_id: str) -> tuple[OrderEvent, ...]:
    """The order's log, oldest first."""
    found = connection.execute(
        f"SELECT {EVENTS.sql} FROM order_event WHERE account = :account AND order_id = :id ORDER BY at, id",
        {"id": order_id},
    )
    return tuple(map(read_event, found))
