"""Write-backs as rows of their outbox (design.md, section 7)."""

from collections.abc import Iterator, Sequence
from functools import partial

from orderctl.core.money import Money
from orderctl.database.connection import Columns, Connection, Fragment, Row, read_instant
from orderctl.delivery.outbox import DeliveryState
from orderctl.delivery.queries import matching
from orderctl.language.stored import told
from orderctl.orders.contradictions import Contradicted, Contradiction, Said
from orderctl.orders.orders import Status
from orderctl.systems.systems import Cancellation
from orderctl.writeback.outbox import DETAILS, WRITEBACKS, WriteBack, WriteBackQuery

_ROW = Columns(
    "id, system, state, attempts, next_attempt_at, created_at, updated_at, last_error",
    state=DeliveryState,
    last_error=partial(told, templates=DETAILS),
    **dict.fromkeys(("next_attempt_at", "created_at", "updated_at"), read_instant),
)
_OWN = ", ".join(f"writeback.{name}" for name in _ROW.names)
_FACTS = (
    "writeback.order_id, writeback.system_key, writeback.batch_id, coalesce(e.detail, ''), coalesce(e.reason_code, ''),"
    " b.reason, b.reason_code,"
    " o.currency, o.total, o.rejected_at, o.reference"
)
# The event of a rejection has the id of its batch.
_JOINED = (
    "writeback JOIN orders AS o ON o.account = :account AND o.id = writeback.order_id"
    " JOIN batch AS b ON b.account = :account AND b.id = writeback.batch_id"
    " LEFT JOIN order_event AS e"
    " ON e.account = :account AND e.order_id = writeback.order_id AND e.id = writeback.batch_id"
)
# The ids of a batch's write-backs differ only in their number, so the longer id has the greater number.
_NEWEST_FIRST = "writeback.created_at DESC, writeback.batch_id DESC, length(writeback.id) DESC, writeback.id DESC"
_OLDEST_FIRST = "writeback.next_attempt_at, length(writeback.id), writeback.id"


def claimed_writebacks(connection: Connection, ids: Sequence[str]) -> tuple[WriteBack, ...]:
    """The write-backs of these ids, longest due first."""
    return tuple(_read(connection, WriteBackQuery(ids=tuple(ids)), _OLDEST_FIRST))


def list_writebacks(connection: Connection, query: WriteBackQuery) -> Iterator[WriteBack]:
    """The write-backs, newest first; those of one batch by descending number."""
    return _read(connection, query, _NEWEST_FIRST)


def _read(connection: Connection, query: WriteBackQuery, order: str) -> Iterator[WriteBack]:
    where = matching(connection.dialect, WRITEBACKS, query)
    limit = "" if query.limit is None else " LIMIT :most"
    found = connection.stream(
        f"SELECT {_OWN}, {_FACTS} FROM {_JOINED} WHERE writeback.account = :account{where.sql} ORDER BY {order}{limit}",
        {**where.params, "most": query.limit} if limit else where.params,
    )
    return map(_writeback, found)


def conflicts(connection: Connection, among: Fragment) -> Iterator[Contradicted]:
    """The orders that meet a condition over `orders` and whose system did not, or perhaps not, cancel them, by id."""
    found = connection.stream(
        "SELECT o.id, o.status, w.updated_at, w.system FROM writeback AS w"
        " JOIN orders AS o ON o.account = :account AND o.id = w.order_id WHERE w.account = :account"
        f" AND w.state IN ('{DeliveryState.REFUSED}', '{DeliveryState.UNKNOWN}')"
        f" AND o.id IN (SELECT id FROM orders WHERE account = :account AND {among.sql}) ORDER BY o.id",
        among.params,
    )
    for order_id, status, at, system in found:
        yield Contradicted(
            id=order_id,
            contradiction=Contradiction.NOT_CANCELLED,
            status=Status(status),
            said=Said(at=read_instant(at)),
            source=system,
        )


def _writeback(row: Row) -> WriteBack:
    own, facts = row[: len(_ROW.names)], row[len(_ROW.names) :]
    order_id, key, batch_id, words, code, of_batch, code_of_batch, currency, total, rejected_at, reference = facts
    values = _ROW.values(own)
    return WriteBack(
        **values,
        cancellation=Cancellation(
            id=values["id"],
            order_id=order_id,
            key=key,
            batch_id=batch_id,
            reason=words or of_batch,
            reason_code=code or code_of_batch,
            amount=Money(currency, total),
            rejected_at=read_instant(rejected_at),
            reference=reference,
        ),
    )
