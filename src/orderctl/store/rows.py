"""Rows to domain values: one mapping for each value, with the columns that it wants."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Any

from orderctl.domain.log import Batch
from orderctl.domain.orders import Buyer, Order, OrderEvent, OrderLine, OrderSummary, Status
from orderctl.store.sorting import order_by
from orderctl.store.sql import Row, read_day, read_instant

SUMMARY_COLUMNS = (
    "id, buyer_id, status, reference, season, ordered_at, delivery_from, country, currency, total, quantity,"
    " archived_at, version"
)
# A list repeats its days.
_DAYS = 5_000


def _buyer_name(value: str | None) -> str:
    return value or ""


def _is_there(value: object) -> bool:
    return value is not None


@lru_cache(maxsize=_DAYS)
def _optional_day(value: Any) -> date | None:  # noqa: ANN401 - a column of either engine
    return None if value is None else read_day(value)


# The fields of a summary: the place of each in a row of `SUMMARY_COLUMNS` with the buyer's name behind, and its reader.
_SUMMARY: dict[str, tuple[int, Callable[[Any], Any] | None]] = {
    "id": (0, None),
    "buyer_name": (13, _buyer_name),
    "status": (2, {status.value: status for status in Status}.__getitem__),
    "reference": (3, None),
    "season": (4, None),
    "ordered_at": (5, read_instant),
    "delivery_from": (6, _optional_day),
    "country": (7, None),
    "currency": (8, None),
    "total": (9, None),
    "quantity": (10, None),
    "archived": (11, _is_there),
    "version": (12, None),
}
# So many rows are read together, a column at a time.
_TOGETHER = 1_000


def summary(row: Row) -> OrderSummary:
    """A row of `SUMMARY_COLUMNS` with the buyer's name behind them."""
    return OrderSummary(**{name: read(row[at]) if read else row[at] for name, (at, read) in _SUMMARY.items()})


def summary_fields(rows: Iterable[Row], names: Sequence[str]) -> Iterator[dict[str, Sequence[Any]]]:
    """These fields alone of the summaries of rows, as `summary` reads them: the values of a block of rows by field."""
    coming = iter(rows)
    fields = [(name, *_SUMMARY[name]) for name in names]
    while together := list(islice(coming, _TOGETHER)):
        columns = list(zip(*together, strict=True))
        yield {name: list(map(read, columns[at])) if read else columns[at] for name, at, read in fields}


def summaries_sql(where: str, sort: str, limit: str = "") -> str:
    """A query for summaries; buyers are looked up for the rows that are left after the limit."""
    return (
        f"SELECT page.*, buyer.name FROM (SELECT {SUMMARY_COLUMNS} FROM orders WHERE account = :account AND {where} "
        f"ORDER BY {order_by(sort)} {limit}) page "
        f"LEFT JOIN buyer ON buyer.account = :account AND buyer.id = page.buyer_id"
        f" ORDER BY {order_by(sort, 'page')}"
    )


ORDER_COLUMNS = (
    "o.id, o.brand, o.status, o.reference, o.season, o.ordered_at, o.terms, o.delivery_address, o.billing_address,"
    " o.country, o.delivery_from, o.delivery_to, o.currency, o.total, o.quantity, o.delivery_notes, o.invoices,"
    " o.backlog_skus, o.note, o.archived_at, o.rejected_at, o.batch_id, o.version,"
    " b.id, b.name, b.email, b.contact, b.country, b.language, o.changed_at"
)


def order(row: Row, lines: tuple[OrderLine, ...], tags: frozenset[str]) -> Order:
    """A row of `ORDER_COLUMNS` with its lines and tags."""
    return Order(
        id=row[0],
        brand=row[1],
        status=Status(row[2]),
        reference=row[3],
        season=row[4],
        ordered_at=read_instant(row[5]),
        terms=row[6],
        delivery_address=row[7],
        billing_address=row[8],
        country=row[9],
        delivery_from=_optional(read_day, row[10]),
        delivery_to=_optional(read_day, row[11]),
        currency=row[12],
        total=row[13],
        quantity=row[14],
        delivery_notes=row[15],
        invoices=row[16],
        backlog_skus=row[17],
        note=row[18],
        archived_at=_optional(read_instant, row[19]),
        rejected_at=_optional(read_instant, row[20]),
        batch_id=row[21],
        version=row[22],
        changed_at=_optional(read_instant, row[29]),
        buyer=buyer(row[23:29]) if row[23] is not None else None,
        lines=lines,
        tags=tags,
    )


def buyer(row: Row) -> Buyer:
    """A row of id, name, e-mail, contact, country and language."""
    return Buyer(id=row[0], name=row[1], email=row[2], contact=row[3], country=row[4], language=row[5])


LINE_COLUMNS = "number, sku, name, color, size, quantity, unit_price"


def line(row: Row) -> OrderLine:
    """A row of `LINE_COLUMNS`."""
    return OrderLine(
        number=row[0], sku=row[1], name=row[2], color=row[3], size=row[4], quantity=row[5], unit_price=row[6]
    )


EVENT_COLUMNS = "order_id, id, batch_id, kind, from_status, to_status, detail, actor, at, reason_code, lines_digest"


def event(row: Row) -> OrderEvent:
    """A row of `EVENT_COLUMNS`."""
    return OrderEvent(
        order_id=row[0],
        id=row[1],
        batch_id=row[2],
        kind=row[3],
        from_status=row[4],
        to_status=row[5],
        detail=row[6],
        actor=row[7],
        at=read_instant(row[8]),
        reason_code=row[9],
        lines_digest=row[10],
    )


BATCH_COLUMNS = (
    "id, position, at, actor, approver, host, program, mode, source, reason, message, mail_per_order, planned,"
    " rejected, skipped, mails, digest, leaves, previous, reason_code, request_key, request_digest"
)


def batch(row: Row) -> Batch:
    """A row of `BATCH_COLUMNS`."""
    return Batch(
        id=row[0],
        position=row[1],
        at=read_instant(row[2]),
        actor=row[3],
        approver=row[4],
        host=row[5],
        program=row[6],
        mode=row[7],
        source=row[8],
        reason=row[9],
        message=row[10],
        mail_per_order=bool(row[11]),
        planned=row[12],
        rejected=row[13],
        skipped=row[14],
        mails=row[15],
        digest=row[16],
        leaves=row[17],
        previous=row[18],
        reason_code=row[19],
        request_key=row[20] or "",
        request_digest=row[21],
    )


def _optional(read: Any, value: Any) -> Any:  # noqa: ANN401 - a reader and a column of either engine
    return None if value is None else read(value)
