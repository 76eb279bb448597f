"""The two writes of a rejection that touch every order: its status and its event, set-based on each engine."""

from collections.abc import Iterator
from datetime import datetime

from orderctl.domain.errors import OrderctlError
from orderctl.domain.orders import OrderEvent, Status
from orderctl.domain.rejection import RejectionPlan
from orderctl.language import say
from orderctl.store.eligibility import eligible_sql
from orderctl.store.notes import notes_sql
from orderctl.store.sql import Connection, Params, Row

_EVENT = "account, order_id, id, batch_id, kind, from_status, to_status, detail, reason_code, actor, at, lines_digest"
_DIFFERENT = "order_id, lines_digest, from_status, detail, reason_code"
_REJECTED = Status.REJECTED.value
_CHANGE = f"SET status = '{_REJECTED}', rejected_at = :at, batch_id = :batch, version = {{}}version + 1"


def mark_rejected(connection: Connection, plan: RejectionPlan, at: datetime) -> Iterator[list[Row]]:
    """Reject every target that is still as planned, and write its event; a block of orders at a time.

    Gives the events of each block in the order of the ids, and of each event what differs: order id, digest of the
    order's lines, former status, detail, reason code. They come from the write itself, so that sealing the batch reads
    no table again.
    """
    bound = {
        **notes_sql(plan.notes, connection.dialect, "").params,
        "batch": plan.id,
        "reason": plan.reason,
        "code": plan.reason_code,
        "actor": plan.by.actor,
        "at": connection.dialect.instant(at),
    }
    run = _in_two_statements if connection.dialect.name == "sqlite" else _in_one_statement
    # Notes are joined as a whole: with them, the block is the whole plan.
    blocks = (plan.targets.packed,) if plan.notes else plan.targets.blocks()
    last = ""
    for targets in blocks:
        for events in run(connection, plan, bound | {"targets": targets}):
            last = _in_order(events, last)
            yield events


def event_of(
    plan: RejectionPlan, at: datetime, order_id: str, lines: str, was: str, detail: str, code: str
) -> OrderEvent:
    """The event of one rejected order, as it is written."""
    return OrderEvent(
        order_id=order_id,
        id=plan.id,
        batch_id=plan.id,
        kind=_REJECTED,
        from_status=was,
        to_status=_REJECTED,
        detail=detail,
        reason_code=code,
        actor=plan.by.actor,
        at=at,
        lines_digest=lines,
    )


def _in_two_statements(connection: Connection, plan: RejectionPlan, bound: Params) -> Iterator[list[Row]]:
    """SQLite: one transaction writes at a time, so both see the same rows. The events, while the status is the old."""
    note = notes_sql(plan.notes, connection.dialect, "o.id")
    events = connection.execute(
        f"INSERT INTO order_event ({_EVENT}) {note.with_}SELECT o.account, o.id, :batch, :batch, '{_REJECTED}',"
        f" o.status, '{_REJECTED}', {note.reason}, {note.code}, :actor, :at, o.lines_digest"
        # CROSS JOIN: each target is looked up, in the order of the ids, instead of scanning all orders.
        f" FROM ({connection.dialect.pairs('targets')}) AS target CROSS JOIN orders AS o{note.join}"
        " WHERE o.account = :account AND o.id = target.key AND o.version = target.value"
        f" AND {eligible_sql(plan.mode)} RETURNING {_DIFFERENT}",
        bound,
    ).fetchall()
    yield events
    changed = connection.execute(
        f"UPDATE orders {_CHANGE.format('')} WHERE account = :account AND {eligible_sql(plan.mode)}"
        f" AND id {connection.dialect.among('changing')}",
        {**bound, "changing": connection.dialect.bind_ids([event[0] for event in events])},
    )
    if changed.rowcount != len(events):
        raise OrderctlError(
            say(
                "{events} events for {orders} changed orders; nothing was changed",
                events=len(events),
                orders=changed.rowcount,
            ),
            hint=say("this is a fault of the program: report it"),
        )


def _in_one_statement(connection: Connection, plan: RejectionPlan, bound: Params) -> Iterator[list[Row]]:
    """PostgreSQL: lock the targets in the order of their ids, change them, log them, in one snapshot."""
    note = notes_sql(plan.notes, connection.dialect, "changed_id")
    events = connection.execute(
        f"{note.with_.rstrip() + ',' if note.with_ else 'WITH'} chosen AS MATERIALIZED"
        " (SELECT o.id AS chosen_id, o.status AS was"
        f" FROM ({connection.dialect.pairs('targets')}) AS target JOIN orders AS o"
        " ON o.account = :account AND o.id = target.key AND o.version = target.value"
        f" WHERE {eligible_sql(plan.mode)} ORDER BY o.id FOR UPDATE OF o),"
        f" changed AS (UPDATE orders AS o {_CHANGE.format('o.')} FROM chosen"
        f" WHERE o.account = :account AND o.id = chosen.chosen_id AND {eligible_sql(plan.mode)}"
        " RETURNING o.id AS changed_id, chosen.was, o.lines_digest AS lines),"
        f" logged AS (INSERT INTO order_event ({_EVENT}) SELECT :account, changed_id, :batch, :batch, '{_REJECTED}',"
        f" was, '{_REJECTED}', {note.reason}, {note.code}, :actor, :at, lines FROM changed{note.join}"
        f" RETURNING {_DIFFERENT})"
        f" SELECT {_DIFFERENT} FROM logged ORDER BY order_id",
        bound,
    )
    yield events.fetchall()


def _in_order(events: list[Row], last: str) -> str:
    """Hold the events of a block to be in the order of the ids, after the last one before; gives their own last."""
    for event in events:
        if event[0] <= last:
            raise OrderctlError(
                say("the event of order {order} came out of order; nothing was changed", order=event[0]),
                hint=say("this is a fault of the program: report it"),
            )
        last = event[0]
    return last
