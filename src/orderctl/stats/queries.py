"""Lets the database count and add up orders and rejections, by currency and by group."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from orderctl.database.connection import Connection, Fragment, Row
from orderctl.database.store import Store
from orderctl.filters.filters import OrderFilter, with_archived
from orderctl.filters.queries import compile_filter
from orderctl.orders.orders import Status
from orderctl.stats.statistics import OVERVIEWS, Breakdown, Dimension, Figure, Question, Statistics, Subject, in_order

_SUMS = "count(*) AS orders, CAST(sum(quantity) AS BIGINT) AS quantity, CAST(sum(total) AS BIGINT) AS amount"
_KEYS = {
    Dimension.STATUS: "status",
    Dimension.SEASON: "season",
    Dimension.BUYER: "coalesce(buyer_id, '')",
    Dimension.COUNTRY: "coalesce(country, '')",
    Dimension.REASON: "CASE WHEN reason_code <> '' THEN reason_code ELSE detail END",
    Dimension.ACTOR: "actor",
}
_FIRST_KEY = 5
_NO_LIMIT = 2**31 - 2
_MONTHS = {Dimension.MONTH: "at", Dimension.DELIVERY: "delivery_from"}


def total_figures(connection: Connection, wanted: OrderFilter, subject: Subject) -> tuple[Figure, ...]:
    """The total of each currency."""
    counted = _counted(connection, wanted, subject)
    found = connection.execute(
        f"SELECT currency, {_SUMS}, 1 FROM ({counted.sql}) AS counted GROUP BY currency ORDER BY currency",
        counted.params,
    )
    return tuple(map(_figure, found))


def count_rejected(connection: Connection, wanted: OrderFilter) -> int:
    """How many rejected orders match."""
    chosen = compile_filter(wanted, connection.dialect)
    row = connection.execute(
        f"SELECT count(*) FROM orders WHERE account = :account AND status = '{Status.REJECTED}' AND {chosen.sql}",
        chosen.params,
    ).fetchone()
    return row[0] if row else 0


def break_down(connection: Connection, wanted: OrderFilter, subject: Subject, question: Question) -> Breakdown:
    """The figures in groups, as the question asks. `rest` adds up the groups beyond its limit."""
    counted = _counted(connection, wanted, subject)
    kept = _NO_LIMIT if question.limit is None else question.limit
    rows = connection.execute(_grouped(connection, counted.sql, question), {**counted.params, "kept": kept}).fetchall()
    groups = [row for row in rows if row[-1] <= kept]
    names = _buyer_names(connection, groups, question)
    return Breakdown(
        question=question,
        figures=in_order([_figure(row, question, names) for row in groups], question),
        rest=tuple(_figure(row) for row in sorted(rows) if row[-1] > kept),
    )


def _grouped(connection: Connection, counted: str, question: Question) -> str:
    """The groups with their ranks; the groups beyond the limit become one row for each currency."""
    keys = [f"{_key(connection, dimension)} AS key{number}" for number, dimension in enumerate(question.by)]
    named = [f"key{number}" for number in range(len(keys))]
    best = ", ".join(f"{name} DESC" for name in named) if question.latest else f"amount DESC, {', '.join(named)}"
    grouped = f"SELECT currency, {_SUMS}, {', '.join(keys)} FROM ({counted}) AS counted"
    grouped += f" GROUP BY currency, {', '.join(named)}"
    placed = f"SELECT grouped.*, row_number() OVER (PARTITION BY currency ORDER BY {best}) AS place"
    return (
        "SELECT currency, CAST(sum(orders) AS BIGINT), CAST(sum(quantity) AS BIGINT), CAST(sum(amount) AS BIGINT),"
        f" count(*), {', '.join(f'min({name})' for name in named)}, min(place)"
        f" FROM ({placed} FROM ({grouped}) AS grouped) AS placed"
        " GROUP BY currency, CASE WHEN place <= :kept THEN place END"
    )


def _key(connection: Connection, dimension: Dimension) -> str:
    if dimension in _MONTHS:
        return f"coalesce({connection.dialect.month(_MONTHS[dimension])}, '')"
    return _KEYS[dimension]


def _counted(connection: Connection, wanted: OrderFilter, subject: Subject) -> Fragment:
    """The rows that count: matching orders that are not rejected, or rejections of matching orders."""
    chosen = compile_filter(wanted, connection.dialect)
    among = f"FROM orders WHERE account = :account AND {chosen.sql} AND status"
    columns = "currency, total, quantity, season, buyer_id, country, delivery_from"
    if subject is Subject.ORDERS:
        return Fragment(f"SELECT {columns}, status, ordered_at AS at {among} <> '{Status.REJECTED}'", chosen.params)
    return Fragment(
        f"SELECT o.*, e.at, e.actor, e.detail, e.reason_code"
        f" FROM (SELECT id, batch_id, {columns} {among} = '{Status.REJECTED}') AS o"
        " JOIN order_event AS e ON e.account = :account AND e.order_id = o.id AND e.id = o.batch_id",
        chosen.params,
    )


def _buyer_names(connection: Connection, rows: list[Row], question: Question) -> dict[str, str]:
    if Dimension.BUYER not in question.by:
        return {}
    place = _FIRST_KEY + question.by.index(Dimension.BUYER)
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT id, name FROM buyer WHERE account = :account AND id IN ({dialect.ids('ids')})",
        {"ids": dialect.bind_ids(sorted({row[place] for row in rows}))},
    )
    return dict(found.fetchall())


def _figure(row: Row, question: Question | None = None, names: Mapping[str, str] | None = None) -> Figure:
    """Convert a row of currency, orders, quantity, amount, groups and keys."""
    by = question.by if question else ()
    keys = tuple(row[_FIRST_KEY : _FIRST_KEY + len(by)])
    labels = tuple(
        (names or {}).get(key, key) if dimension is Dimension.BUYER else key
        for dimension, key in zip(by, keys, strict=True)
    )
    return Figure(
        keys=keys, labels=labels, currency=row[0], orders=row[1], quantity=row[2], amount=row[3], groups=row[4]
    )


def statistics_of(
    store: Store, wanted: OrderFilter, subject: Subject, questions: Sequence[Question], *, top: int | None = None
) -> Statistics:
    """Totals and breakdowns. Without questions an overview, whose lists of the largest have `top` entries.

    A rejection always counts: the filter finds rejections of archived orders too.
    """
    if subject is Subject.REJECTIONS:
        wanted = with_archived(wanted)
    overview = [replace(each, limit=top) if top and each.by_amount else each for each in OVERVIEWS[subject]]
    with store.snapshot() as connection:
        return Statistics(
            subject=subject,
            totals=total_figures(connection, wanted, subject),
            breakdowns=tuple(break_down(connection, wanted, subject, question) for question in questions or overview),
            rejected=count_rejected(connection, wanted),
        )
