"""Reads the whole log, oldest first, in constant memory."""

from collections.abc import Iterator
from itertools import islice

from orderctl.audit.log import Batch, Head, LostBatch, MarkedOrder
from orderctl.database.connection import Columns, Connection, Row, read_instant
from orderctl.database.line_digests import TOGETHER, digests_of, has_total
from orderctl.filters.queries import summaries_sql
from orderctl.orders.orders import IMPORTED, OrderEvent, OrderSummary
from orderctl.orders.queries import EVENTS, read_event, read_summary

BATCHES = Columns(
    "id, position, at, actor, approver, host, program, mode, source, reason, message, mail_per_order, planned,"
    " rejected, skipped, mails, digest, leaves, previous, reason_code, request_key, request_digest, salt, texts_digest,"
    " actor_login, events_digest, mails_digest, mail_leaves",
    at=read_instant,
    mail_per_order=bool,
)


def read_batch(row: Row) -> Batch:
    """Convert a row of `BATCHES`."""
    values = BATCHES.values(row)
    return Batch(**values | {"request_key": values["request_key"] or ""})


_EVENT = EVENTS.of("e")
_MARK = "o.id, o.batch_id, o.status, o.rejected_at, o.lines_digest"
_NO_BATCH = "NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.account = :account AND b.id = {})"


def batch_chain(connection: Connection) -> Iterator[Batch]:
    """Every batch in the order of the chain."""
    found = connection.stream(f"SELECT {BATCHES.sql} FROM batch WHERE account = :account ORDER BY position, id")
    return map(read_batch, found)


def newest_head(connection: Connection) -> tuple[str, Head | None]:
    """The id of the store, and the newest batch; None if there is none."""
    row = connection.execute(
        "SELECT s.id, b.position, b.digest FROM store_identity AS s LEFT JOIN (SELECT position, digest FROM batch"
        " WHERE account = :account ORDER BY position DESC LIMIT 1) AS b ON 1 = 1 LIMIT 1"
    ).fetchone()
    if row is None:
        return "", None
    store_id, position, digest = row
    return store_id, None if position is None else Head(position, digest)


def newest_act(connection: Connection) -> Head | None:
    """The newest act; None if there is none."""
    row = connection.execute(
        "SELECT position, digest FROM act WHERE account = :account ORDER BY position DESC LIMIT 1"
    ).fetchone()
    return Head(*row) if row else None


def digest_at(connection: Connection, position: int) -> str | None:
    """The digest of the batch at this place of the chain."""
    row = connection.execute(
        "SELECT digest FROM batch WHERE account = :account AND position = :position", {"position": position}
    ).fetchone()
    return row[0] if row else None


def act_digests(connection: Connection) -> Iterator[str]:
    """The digest of every act in the order of the chain."""
    found = connection.stream("SELECT digest FROM act WHERE account = :account ORDER BY position")
    return (digest for (digest,) in found)


def chained_digests(connection: Connection) -> Iterator[tuple[str, str]]:
    """The id and the digest of every batch in the order of the chain."""
    found = connection.stream("SELECT id, digest FROM batch WHERE account = :account ORDER BY position, id")
    return ((batch_id, digest) for batch_id, digest in found)


def chained_events(connection: Connection) -> Iterator[tuple[str, OrderEvent]]:
    """Every event of an existing batch, sorted by batch and order, each with the id of its batch.

    The id of an event is that of its batch, so an event whose `batch_id` was removed is found too.
    """
    joined = f"SELECT b.position, b.id AS owner, {_EVENT} FROM order_event AS e JOIN batch AS b"
    found = connection.stream(
        f"SELECT owner, {EVENTS.sql} FROM ("
        f"{joined} ON b.account = :account AND b.id = e.id WHERE e.account = :account UNION ALL "
        f"{joined} ON b.account = :account AND b.id = e.batch_id"
        " WHERE e.account = :account AND e.id <> e.batch_id) AS e ORDER BY position, owner, order_id, id"
    )
    return ((row[0], read_event(row[1:])) for row in found)


def batch_summaries(connection: Connection, batch_id: str) -> Iterator[OrderSummary]:
    """The orders of one batch, sorted by id."""
    found = connection.stream(summaries_sql("batch_id = :batch", "id"), {"batch": batch_id})
    return map(read_summary, found)


def loose_events(connection: Connection) -> Iterator[OrderEvent]:
    """Every event outside batches: imports of rejected orders, archiving, tags. No digest covers them."""
    found = connection.stream(
        f"SELECT {_EVENT} FROM order_event AS e WHERE e.account = :account"
        f" AND {_NO_BATCH.format('e.id')} AND (e.batch_id IS NULL OR {_NO_BATCH.format('e.batch_id')})"
        " ORDER BY e.order_id, e.at, e.id"
    )
    return map(read_event, found)


def marked_orders(connection: Connection) -> Iterator[MarkedOrder]:
    """Every order that names an existing batch, sorted by batch and order."""
    found = connection.stream(
        f"SELECT {_MARK} FROM orders AS o JOIN batch AS b"
        " ON b.account = :account AND b.id = o.batch_id WHERE o.account = :account AND o.batch_id IS NOT NULL"
        " ORDER BY b.position, b.id, o.id"
    )
    return _marked(connection, found)


def unbatched_orders(connection: Connection) -> Iterator[MarkedOrder]:
    """Every rejected order that names no batch and has a lines digest, sorted by id."""
    found = connection.stream(
        f"SELECT {_MARK} FROM orders AS o WHERE o.account = :account AND o.status = 'rejected'"
        " AND o.batch_id IS NULL AND o.lines_digest <> '' ORDER BY o.id"
    )
    return _marked(connection, found)


def _marked(connection: Connection, found: Iterator[Row]) -> Iterator[MarkedOrder]:
    """These orders with the digest of their lines and amounts as they are now, if they have one to compare with."""
    while together := list(islice(found, TOGETHER)):
        lines = digests_of(connection, {order_id: has_total(known) for order_id, *__, known in together if known})
        for order_id, batch_id, status, at, known in together:
            yield MarkedOrder(
                id=order_id,
                batch_id=batch_id,
                status=status,
                rejected_at=None if at is None else read_instant(at),
                lines_digest=known,
                lines=lines.get(order_id),
            )


def lost_batches(connection: Connection) -> Iterator[LostBatch]:
    """Every missing batch that orders, events or mails refer to."""
    # A checkpoint for an auditor is a mail of no batch and no buyer.
    tables = {"orders": "batch_id IS NOT NULL", "order_event": "batch_id IS NOT NULL"}
    tables["mail"] = "(batch_id <> '' OR buyer_id <> '')"
    counted = " UNION ALL ".join(
        "SELECT batch_id, "
        + ", ".join(f"{int(each == table)} AS of_{each}" for each in tables)
        + f" FROM {table} WHERE account = :account AND {of_batch} AND {_NO_BATCH.format('batch_id')}"
        for table, of_batch in tables.items()
    )
    sums = ", ".join(f"CAST(sum(of_{table}) AS BIGINT)" for table in tables)
    for batch_id, orders, events, mails in connection.stream(
        f"SELECT batch_id, {sums} FROM ({counted}) AS lost GROUP BY batch_id ORDER BY batch_id"
    ):
        yield LostBatch(id=batch_id, orders=orders, events=events, mails=mails)


def unproven_orders(connection: Connection) -> Iterator[str]:
    """Every rejected order for which the log has neither a batch nor an import."""
    found = connection.stream(
        "SELECT id FROM orders AS o WHERE account = :account AND status = 'rejected' AND batch_id IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM order_event AS e WHERE e.account = :account AND e.order_id = o.id"
        f" AND e.kind = '{IMPORTED}') ORDER BY id"
    )
    return (order_id for (order_id,) in found)


def reopened_orders(connection: Connection) -> Iterator[str]:
    """Every order that was imported as rejected and is not rejected any more, or is gone."""
    found = connection.stream(
        f"SELECT DISTINCT e.order_id FROM order_event AS e WHERE e.account = :account AND e.kind = '{IMPORTED}'"
        " AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.account = :account AND o.id = e.order_id"
        " AND o.status = 'rejected') ORDER BY e.order_id"
    )
    return (order_id for (order_id,) in found)


def mails_by_batch(connection: Connection) -> dict[str, int]:
    """How many mails of each batch the outbox holds."""
    found = connection.execute("SELECT batch_id, count(*) FROM mail WHERE account = :account GROUP BY batch_id")
    return {batch_id: int(number) for batch_id, number in found}


def log_size(connection: Connection) -> int:
    """How many events there are."""
    row = connection.execute("SELECT count(*) FROM order_event WHERE account = :account").fetchone()
    return int(row[0]) if row else 0


IN_BATCH = "account = :account AND batch_id = :batch"


def get_batch(connection: Connection, batch_id: str) -> Batch | None:
    """One batch."""
    row = connection.execute(
        f"SELECT {BATCHES.sql} FROM batch WHERE account = :account AND id = :id", {"id": batch_id}
    ).fetchone()
    return read_batch(row) if row else None


def batch_of_request(connection: Connection, key: str) -> tuple[Batch, str] | None:
    """The batch with this request key, and the plan that it ran as JSON."""
    row = connection.execute(
        f"SELECT {BATCHES.sql}, request_plan FROM batch WHERE account = :account AND request_key = :key",
        {"key": key},
    ).fetchone()
    return (read_batch(row), row[-1]) if row else None


def list_batches(connection: Connection, limit: int | None) -> Iterator[Batch]:
    """The batches, newest first."""
    newest = f"SELECT {BATCHES.sql} FROM batch WHERE account = :account ORDER BY position DESC"
    found = (
        connection.stream(newest)
        if limit is None
        else connection.execute(f"{newest} LIMIT :batch_limit", {"batch_limit": limit})
    )
    return map(read_batch, found)


def batch_events(connection: Connection, batch_id: str) -> Iterator[OrderEvent]:
    """The events of a batch, sorted by order id."""
    found = connection.stream(
        f"SELECT {EVENTS.sql} FROM order_event WHERE account = :account AND id = :batch"
        f" AND order_id IN (SELECT id FROM orders WHERE {IN_BATCH}) ORDER BY order_id",
        {"batch": batch_id},
    )
    return map(read_event, found)
