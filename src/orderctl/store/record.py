"""Reads the whole record, oldest first and in constant memory; see `ports.Record`."""

from collections.abc import Iterator
from itertools import islice

from orderctl.domain.log import IMPORTED, Batch
from orderctl.domain.orders import OrderEvent, OrderSummary
from orderctl.domain.verification import LostBatch, MarkedOrder
from orderctl.store import rows
from orderctl.store.line_digests import TOGETHER, digests_of
from orderctl.store.sql import Connection, Row, read_instant

_EVENT = ", ".join(f"e.{column}" for column in rows.EVENT_COLUMNS.split(", "))
_MARK = "o.id, o.batch_id, o.status, o.rejected_at, o.lines_digest"
_NO_BATCH = "NOT EXISTS (SELECT 1 FROM batch AS b WHERE b.account = :account AND b.id = {})"


class SqlRecord:
    """The record of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def batches(self) -> Iterator[Batch]:
        """Every batch in the order of the chain."""
        found = self._connection.stream(
            f"SELECT {rows.BATCH_COLUMNS} FROM batch WHERE account = :account ORDER BY position, id"
        )
        return map(rows.batch, found)

    def batch_events(self) -> Iterator[tuple[str, OrderEvent]]:
        """Every event that names a batch which is there, in the order of the batches and of the orders.

        An event's own id is that of its batch: one that had only its batch's name taken away is found by it.
        """
        joined = f"SELECT b.position, b.id AS owner, {_EVENT} FROM order_event AS e JOIN batch AS b"
        found = self._connection.stream(
            f"SELECT owner, {rows.EVENT_COLUMNS} FROM ("
            f"{joined} ON b.account = :account AND b.id = e.id WHERE e.account = :account UNION ALL "
            f"{joined} ON b.account = :account AND b.id = e.batch_id"
            " WHERE e.account = :account AND e.id <> e.batch_id) AS e ORDER BY position, owner, order_id, id"
        )
        return ((row[0], rows.event(row[1:])) for row in found)

    def batch_summaries(self, batch_id: str) -> Iterator[OrderSummary]:
        """The orders of one batch, sorted by id."""
        found = self._connection.stream(rows.summaries_sql("batch_id = :batch", "id"), {"batch": batch_id})
        return map(rows.summary, found)

    def loose_events(self) -> Iterator[OrderEvent]:
        """Every event that no batch made: imports of rejected orders, archiving, tags; no digest covers them."""
        found = self._connection.stream(
            f"SELECT {_EVENT} FROM order_event AS e WHERE e.account = :account"
            f" AND {_NO_BATCH.format('e.id')} AND (e.batch_id IS NULL OR {_NO_BATCH.format('e.batch_id')})"
            " ORDER BY e.order_id, e.at, e.id"
        )
        return map(rows.event, found)

    def marked_orders(self) -> Iterator[MarkedOrder]:
        """Every order that names a batch which is there, in the order of the batches and of the orders."""
        found = self._connection.stream(
            f"SELECT {_MARK} FROM orders AS o JOIN batch AS b"
            " ON b.account = :account AND b.id = o.batch_id WHERE o.account = :account AND o.batch_id IS NOT NULL"
            " ORDER BY b.position, b.id, o.id"
        )
        return self._marked(found)

    def unbatched_orders(self) -> Iterator[MarkedOrder]:
        """Every rejected order that names no batch and has a digest of its lines, sorted by id."""
        found = self._connection.stream(
            f"SELECT {_MARK} FROM orders AS o WHERE o.account = :account AND o.status = 'rejected'"
            " AND o.batch_id IS NULL AND o.lines_digest <> '' ORDER BY o.id"
        )
        return self._marked(found)

    def _marked(self, found: Iterator[Row]) -> Iterator[MarkedOrder]:
        """These orders with their lines as they are now, unless nobody knows what they were."""
        while together := list(islice(found, TOGETHER)):
            lines = digests_of(self._connection, [order_id for order_id, *_, known in together if known])
            for order_id, batch_id, status, at, known in together:
                yield MarkedOrder(
                    id=order_id,
                    batch_id=batch_id,
                    status=status,
                    rejected_at=None if at is None else read_instant(at),
                    lines_digest=known,
                    lines=lines.get(order_id),
                )

    def lost_batches(self) -> Iterator[LostBatch]:
        """Every batch that orders, events or mails refer to and that is not there."""
        tables = ("orders", "order_event", "mail")
        counted = " UNION ALL ".join(
            "SELECT batch_id, "
            + ", ".join(f"{int(each == table)} AS of_{each}" for each in tables)
            + f" FROM {table} WHERE account = :account AND batch_id IS NOT NULL AND {_NO_BATCH.format('batch_id')}"
            for table in tables
        )
        sums = ", ".join(f"CAST(sum(of_{table}) AS BIGINT)" for table in tables)
        for batch_id, orders, events, mails in self._connection.stream(
            f"SELECT batch_id, {sums} FROM ({counted}) AS lost GROUP BY batch_id ORDER BY batch_id"
        ):
            yield LostBatch(id=batch_id, orders=orders, events=events, mails=mails)

    def unproven_orders(self) -> Iterator[str]:
        """Every rejected order of which the log does not say who rejected it, or that it came so."""
        found = self._connection.stream(
            "SELECT id FROM orders AS o WHERE account = :account AND status = 'rejected' AND batch_id IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM order_event AS e WHERE e.account = :account AND e.order_id = o.id"
            f" AND e.kind = '{IMPORTED}') ORDER BY id"
        )
        return (order_id for (order_id,) in found)

    def reopened_orders(self) -> Iterator[str]:
        """Every order that came as rejected and is not any more, or is gone."""
        found = self._connection.stream(
            f"SELECT DISTINCT e.order_id FROM order_event AS e WHERE e.account = :account AND e.kind = '{IMPORTED}'"
            " AND NOT EXISTS (SELECT 1 FROM orders AS o WHERE o.account = :account AND o.id = e.order_id"
            " AND o.status = 'rejected') ORDER BY e.order_id"
        )
        return (order_id for (order_id,) in found)

    def mails_by_batch(self) -> dict[str, int]:
        """How many mails of each batch the outbox holds."""
        found = self._connection.execute(
            "SELECT batch_id, count(*) FROM mail WHERE account = :account GROUP BY batch_id"
        )
        return {batch_id: int(number) for batch_id, number in found}

    def size(self) -> int:
        """How many events there are."""
        row = self._connection.execute("SELECT count(*) FROM order_event WHERE account = :account").fetchone()
        return int(row[0]) if row else 0
