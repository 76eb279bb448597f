"""Executes a plan in one transaction: statuses and events, digest, batch, and queued mails (design.md, section 6)."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import count

from orderctl.audit.log import AlikeLines, Batch, BatchDigester
from orderctl.audit.queries import BATCHES, IN_BATCH, batch_of_request, get_batch, list_batches
from orderctl.audit.verdicts import EDITED, REMOVED
from orderctl.core.money import Money
from orderctl.database.connection import Columns, Connection, Params, Row
from orderctl.delivery.outbox import DeliveryState
from orderctl.delivery.queries import of_batch
from orderctl.errors import OrderctlError, UnexpectedPlanError
from orderctl.filters.queries import summaries_sql
from orderctl.language import _
from orderctl.mail.queries import digest_queued
from orderctl.orders.eligibility import STALE, Mode, eligible_sql, refusal_sql, stale_sql
from orderctl.orders.orders import OrderChange, OrderEvent, OrderSummary, Status
from orderctl.orders.queries import read_summary
from orderctl.rejection.plan import ApprovedPlan, Executed, KeyUsedError, LeftOut, RejectionPlan
from orderctl.selection.notes import notes_sql

_EVENT = "account, order_id, id, batch_id, kind, from_status, to_status, detail, reason_code, actor, at, lines_digest"
_DIFFERENT = "order_id, lines_digest, from_status, detail, reason_code"
_REJECTED = Status.REJECTED.value
_CHANGE = f"SET status = '{_REJECTED}', rejected_at = :at, batch_id = :batch, version = {{}}version + 1"


def mark_rejected(connection: Connection, plan: RejectionPlan, at: datetime) -> Iterator[list[Row]]:
    """Reject every target that is still as planned, and write its event, a block of orders at a time.

    Yields the events of each block, sorted by order id. Each row has what differs between events: order id, lines
    digest, former status, detail, reason code. The rows come from the write itself, so the batch's digest reads no
    table again.
    """
    bound = {
        **notes_sql(plan.notes, connection.dialect, "").params,
        "batch": plan.id,
        "reason": plan.reason,
        "code": plan.reason_code,
        "actor": plan.by.actor,
        "at": connection.dialect.instant(at),
    }
    if (since := plan.seen_since(at)) is not None:
        bound["seen_since"] = connection.dialect.instant(since)
    run = _in_two_statements if connection.dialect.name == "sqlite" else _in_one_statement
    # Notes are joined as a whole, so a plan with notes is one block.
    blocks = (plan.targets.packed,) if plan.notes else plan.targets.blocks()
    last = ""
    for targets in blocks:
        for events in run(connection, plan, bound | {"targets": targets}):
            last = _in_order(events, last)
            yield events


def _rejectable(plan: RejectionPlan) -> str:
    """A condition over a row `o` of `orders`: no rule of the plan applies to it now."""
    rules = eligible_sql(plan.mode)
    return rules if plan.max_age is None else f"{rules} AND NOT ({stale_sql('o.id')})"


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
    """SQLite: events first, while the orders have their old status. Nobody else can write in between."""
    note = notes_sql(plan.notes, connection.dialect, "o.id")
    events = connection.execute(
        f"INSERT INTO order_event ({_EVENT}) {note.with_}SELECT o.account, o.id, :batch, :batch, '{_REJECTED}',"
        f" o.status, '{_REJECTED}', {note.reason}, {note.code}, :actor, :at, o.lines_digest"
        # CROSS JOIN: SQLite must look up each target, sorted by id, and not scan all orders.
        f" FROM ({connection.dialect.pairs('targets')}) AS target CROSS JOIN orders AS o{note.join}"
        " WHERE o.account = :account AND o.id = target.key AND o.version = target.value"
        f" AND {_rejectable(plan)} RETURNING {_DIFFERENT}",
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
            _(
                "{events} events for {orders} changed orders; nothing was changed",
                events=len(events),
                orders=changed.rowcount,
            ),
            hint=_("this is a fault of the program: report it"),
        )


def _in_one_statement(connection: Connection, plan: RejectionPlan, bound: Params) -> Iterator[list[Row]]:
    """PostgreSQL: lock the targets sorted by id, change and log them, in one snapshot."""
    note = notes_sql(plan.notes, connection.dialect, "changed_id")
    events = connection.execute(
        # The lock is one subquery deeper: a distributed database refuses it in a subquery that it keeps.
        f"{note.with_.rstrip() + ',' if note.with_ else 'WITH'} chosen AS MATERIALIZED"
        " (SELECT held.* FROM (SELECT o.id AS chosen_id, o.status AS was"
        f" FROM ({connection.dialect.pairs('targets')}) AS target JOIN orders AS o"
        " ON o.account = :account AND o.id = target.key AND o.version = target.value"
        f" WHERE {_rejectable(plan)} ORDER BY o.id FOR UPDATE OF o) AS held),"
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
    """Check that the ids of the events ascend, beginning after `last`; returns the last id."""
    for event in events:
        if event[0] <= last:
            raise OrderctlError(
                _("the event of order {order} came out of order; nothing was changed", order=event[0]),
                hint=_("this is a fault of the program: report it"),
            )
        last = event[0]
    return last


_MAIL = (
    "mail (account, id, batch_id, buyer_id, recipient, language, message_id, state, next_attempt_at, created_at,"
    " updated_at, salt)"
)
_MAIL_ORDER = "mail_order (account, mail_id, order_id, message)"
_MAIL_ID = "CAST(:batch || '.' || number AS TEXT)"
_QUEUED = ":state, :at, :at, :at"
# Nobody can try out addresses against the digest of a mail whose salt an erasure took. PostgreSQL makes the salts of a
# secret that is kept nowhere: a number of its own for each takes four times as long.
_SALTS = {
    "sqlite": "lower(hex(randomblob(16)))",
    "postgresql": "encode(substr(sha256(convert_to(:secret || '.' || number, 'UTF8')), 1, 16), 'hex')",
}


def queue_mails(connection: Connection, plan: RejectionPlan, at: datetime, message_domain: str) -> int:
    """Queue the mails about the orders that the plan's batch rejected; returns how many."""
    # One whose orders live in no system is let go as the next delivery begins.
    state = DeliveryState.HELD if plan.systems and not plan.mail.at_once else DeliveryState.WAITING
    bound = {
        "batch": plan.id,
        "domain": message_domain,
        "at": connection.dialect.instant(at),
        "state": state.value,
    }
    run = _queue_in_two_statements if connection.dialect.name == "sqlite" else _queue_in_one_statement
    return run(connection, plan, bound)


def _numbered(plan: RejectionPlan, columns: str) -> str:
    """The rejected orders whose buyers have an address, each with the number of its mail."""
    one_each = "orders.id" if plan.mail.per_order else "orders.buyer_id"
    return (
        # The expression keeps SQLite from scanning an index over all orders of the account.
        f"SELECT {columns}, dense_rank() OVER (ORDER BY {one_each} || '') AS number"
        " FROM orders JOIN buyer ON buyer.account = orders.account AND buyer.id = orders.buyer_id"
        " WHERE orders.account = :account AND orders.batch_id = :batch AND buyer.email IS NOT NULL"
    )


def _queue_in_two_statements(connection: Connection, plan: RejectionPlan, bound: Params) -> int:
    """SQLite: first write which order is in which mail, then the mails, sorted by id."""
    note = notes_sql(plan.notes, connection.dialect, "told.id")
    connection.execute(
        f"INSERT INTO {_MAIL_ORDER} {note.with_}SELECT :account, {_MAIL_ID}, told.id, {note.message}"
        f" FROM ({_numbered(plan, 'orders.id')}) AS told{note.join}",
        {**bound, **note.params},
    )
    queued = connection.execute(
        f"INSERT INTO {_MAIL} SELECT :account, told.mail_id, :batch, min(orders.buyer_id), min(buyer.email),"
        f" coalesce(min(buyer.language), ''), '<orderctl.' || told.mail_id || '@' || :domain || '>', {_QUEUED},"
        f" {_SALTS['sqlite']}"
        # The ids of the batch's mails begin with its id and a point. A slash comes after the point.
        " FROM mail_order AS told CROSS JOIN orders CROSS JOIN buyer WHERE told.account = :account"
        " AND told.mail_id > :batch || '.' AND told.mail_id < :batch || '/' AND orders.account = :account"
        " AND orders.id = told.order_id AND buyer.account = :account AND buyer.id = orders.buyer_id"
        " GROUP BY told.mail_id",
        bound,
    )
    return queued.rowcount


def _queue_in_one_statement(connection: Connection, plan: RejectionPlan, bound: Params) -> int:
    """PostgreSQL: number the orders once for both tables."""
    note = notes_sql(plan.notes, connection.dialect, "told.id")
    columns = "orders.id, orders.buyer_id, buyer.email, buyer.language"
    queued = connection.execute(
        f"{note.with_.rstrip() + ',' if note.with_ else 'WITH'} told AS MATERIALIZED ({_numbered(plan, columns)}),"
        f" spoken_of AS (INSERT INTO {_MAIL_ORDER} SELECT :account, {_MAIL_ID}, told.id, {note.message}"
        f" FROM told{note.join})"
        f" INSERT INTO {_MAIL} SELECT :account, {_MAIL_ID}, :batch, min(buyer_id), min(email),"
        f" coalesce(min(language), ''), '<orderctl.' || :batch || '.' || number || '@' || :domain || '>', {_QUEUED},"
        f" {_SALTS['postgresql']}"
        " FROM told GROUP BY number",
        {**bound, **note.params, "secret": os.urandom(32).hex()},
    )
    return queued.rowcount


def queue_writebacks(connection: Connection, plan: RejectionPlan, at: datetime) -> None:
    """Queue what the systems are to be told about the orders that the plan's batch rejected."""
    if not plan.systems:
        return
    names = {f"system{number}": system.name for number, system in enumerate(plan.systems)}
    columns = [_KEYS[system.key] for system in plan.systems]
    keys = " ".join(f"WHEN :{name} THEN o.{column}" for name, column in zip(names, columns, strict=True))
    # Numbered by an expression, or SQLite scans the key of all orders of the account for their order. All numbers have
    # as many digits: sorted as texts they ascend, and each goes to the end of the indexes.
    number = "(:above + row_number() OVER (ORDER BY o.id || ''))"
    digits = next(digits for digits in count() if plan.targets.count <= 9 * 10**digits)
    connection.execute(
        "INSERT INTO writeback (account, id, batch_id, order_id, system, system_key, state, next_attempt_at,"
        f" created_at, updated_at) SELECT :account, CAST(:batch || '.' || {number} AS TEXT),"
        f" :batch, o.id, said.source, CASE said.source {keys} END, '{DeliveryState.WAITING}', :at, :at, :at"
        " FROM orders AS o JOIN order_source AS said ON said.account = :account AND said.order_id = o.id"
        " WHERE o.account = :account AND o.batch_id = :batch"
        f" AND said.source IN ({', '.join(f':{number}' for number in names)})",
        {
            "batch": plan.id,
            "at": connection.dialect.instant(at),
            "above": 10**digits - 1,
            **names,
        },
    )


# A saved plan names one of these; its text is not taken for SQL.
_KEYS = {"id": "id", "reference": "reference"}


_VERDICT = "INSERT INTO batch_verdict (account, batch_id, order_id, verdict, code)"


def record_verdicts(connection: Connection, plan: RejectionPlan, *, complete: bool) -> None:
    """Write why each id that is not rejected is not, and where all ids came from.

    `complete`: every target was rejected. A rejected order has its batch already, and gets no row: see
    `docs/decisions/0009-verdicts.md`.
    """
    dialect = connection.dialect
    for number, origin in enumerate(plan.origins, 1):
        connection.execute(
            "INSERT INTO batch_origin (account, batch_id, number, source, lines)"
            " VALUES (:account, :batch, :number, :source, :lines)",
            {"batch": plan.id, "number": number, "source": origin.source, "lines": origin.lines},
        )
    groups: list[tuple[str, str, Sequence[str]]] = [
        ("unknown", "", plan.given.unknown),
        ("taken-out", "", plan.given.excluded),
        *(("skipped", group.code, tuple(group)) for group in plan.skipped),
    ]
    for verdict, code, ids in groups:
        if ids:
            connection.execute(
                f"{_VERDICT} SELECT :account, :batch, asked.value, :verdict, :code"
                f" FROM ({dialect.ids('ids')}) AS asked",
                {"batch": plan.id, "verdict": verdict, "code": code, "ids": dialect.bind_ids(ids)},
            )
    if not complete:
        connection.execute(
            f"{_VERDICT} SELECT :account, :batch, target.key, 'changed', CASE WHEN orders.id IS NULL THEN '{REMOVED}'"
            f" ELSE coalesce({refusal_sql(plan.mode)}, CASE WHEN orders.version = target.value THEN '{STALE.code}'"
            f" ELSE '{EDITED}' END) END FROM ({dialect.pairs('targets')}) AS target"
            " LEFT JOIN orders ON orders.account = :account AND orders.id = target.key"
            " WHERE orders.batch_id IS NULL OR orders.batch_id <> :batch",
            {"batch": plan.id, "targets": plan.targets.packed},
        )


_TURN = "SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || ' orderctl batch ' || :account, 0))"


def target_orders(connection: Connection, plan: RejectionPlan) -> tuple[OrderSummary, ...]:
    """Every target as it is now, newest first."""
    dialect = connection.dialect
    # Sorted here: to sort them itself, SQLite would scan the index of the days.
    sql = summaries_sql(f"id IN ({dialect.ids('ids')})", "id")
    found = map(read_summary, connection.execute(sql, {"ids": dialect.bind_ids(list(plan.targets))}))
    return tuple(sorted(found, key=lambda order: (order.ordered_at, order.id), reverse=True))


def wait_for_turn(connection: Connection) -> None:
    """Wait until no other batch is being made, and block others until the transaction ends.

    SQLite allows one writing transaction anyway. On PostgreSQL, a batch that began earlier could otherwise come later
    in the chain.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(_TURN)


def execute_plan(connection: Connection, approved: ApprovedPlan, at: datetime, message_domain: str) -> Executed:
    """Reject every target that is still as planned, with its event, batch and mails.

    Raises UnexpectedPlanError if the plan ran before, KeyUsedError if another plan ran under the same request key.
    """
    plan = approved.plan
    if get_batch(connection, plan.id) is not None:
        raise UnexpectedPlanError(
            _("plan {id} has run already", id=plan.id), hint=_("see: orderctl log {id}", id=plan.id)
        )
    if approved.request and batch_of_request(connection, approved.request.key):
        raise KeyUsedError(
            _("another run under the key {key} was first", key=approved.request.key),
            hint=_("try again in a moment"),
        )
    lines, digester = AlikeLines(lambda *differing: event_of(plan, at, *differing)), BatchDigester()
    rejected = 0
    for events in mark_rejected(connection, plan, at):
        digester.add(lines.of(events))
        rejected += len(events)
    queue_writebacks(connection, plan, at)
    mails = queue_mails(connection, plan, at, message_domain) if plan.mail.notify else 0
    record_verdicts(connection, plan, complete=rejected == plan.targets.count)
    batch = _new_batch(connection, approved, at, rejected, mails)
    if mails:
        queued = digest_queued(connection, plan.id)
        batch = replace(batch, mails_digest=queued.hexdigest(), mail_leaves=queued.leaves)
    made = digester.finish(batch)
    batch = replace(batch, digest=made.digest, leaves=made.leaves, events_digest=made.events_digest)
    _insert_batch(connection, batch, approved)
    return replace(_executed(connection, plan, batch), unselected=_unselect(connection, plan))


def plan_outcome(connection: Connection, plan: RejectionPlan) -> Executed | None:
    """What the plan's batch did; None if it never ran."""
    batch = get_batch(connection, plan.id)
    return _executed(connection, plan, batch) if batch else None


def _new_batch(connection: Connection, approved: ApprovedPlan, at: datetime, rejected: int, mails: int) -> Batch:
    """The batch that follows the last one, without its digest."""
    plan, request = approved.plan, approved.request
    last = next(list_batches(connection, 1), None)
    return Batch(
        id=plan.id,
        position=last.position + 1 if last else 1,
        at=at,
        actor=plan.by.actor,
        actor_login=approved.login,
        approver=f"{approved.approver} ({approved.how})",
        host=plan.by.host,
        program=plan.by.program,
        mode=plan.mode,
        source=plan.by.source,
        reason=plan.reason,
        reason_code=plan.reason_code,
        message=plan.mail.message,
        mail_per_order=plan.mail.per_order,
        planned=plan.targets.count,
        rejected=rejected,
        skipped=plan.skipped_count,
        mails=mails,
        digest="",
        leaves="",
        previous=last.digest if last else "",
        request_key=request.key if request else "",
        request_digest=request.digest if request else "",
        salt=os.urandom(16).hex(),
    )


def _insert_batch(connection: Connection, batch: Batch, approved: ApprovedPlan) -> None:
    columns = [*BATCHES.names, "request_plan"]
    values = {column: getattr(batch, column, "") for column in columns}
    values |= {
        "at": connection.dialect.instant(batch.at),
        "mail_per_order": int(batch.mail_per_order),
        "mode": Mode(batch.mode).value,
        "request_key": batch.request_key or None,
        "request_plan": approved.plan.to_json() if approved.request else "",
    }
    connection.execute(
        f"INSERT INTO batch (account, {', '.join(columns)})"
        f" VALUES (:account, {', '.join(f':{column}' for column in columns)})",
        values,
    )


def _unselect(connection: Connection, plan: RejectionPlan) -> int:
    """Remove the rejected orders from the selections that they came from; returns how many orders it concerned."""
    if not plan.by.selections:
        return 0
    dialect = connection.dialect
    taken = connection.execute(
        "DELETE FROM selection_item WHERE account = :account AND actor = :actor"
        f" AND name IN ({dialect.ids('names')})"
        " AND EXISTS (SELECT 1 FROM orders AS o WHERE o.account = :account"
        " AND o.id = selection_item.order_id AND o.batch_id = :batch)"
        " RETURNING order_id",
        {"actor": plan.by.actor, "names": dialect.bind_ids(plan.by.selections), "batch": plan.id},
    )
    return len({order_id for (order_id,) in taken})


def _executed(connection: Connection, plan: RejectionPlan, batch: Batch) -> Executed:
    complete = batch.rejected == plan.targets.count
    return Executed(
        rejected=batch.rejected,
        left_out=() if complete else _left_out(connection, plan),
        totals=plan.totals if complete else _batch_totals(connection, plan.id),
        mails=batch.mails,
        head=batch.as_head,
        writebacks=_queued_writebacks(connection, plan),
    )


def _queued_writebacks(connection: Connection, plan: RejectionPlan) -> int:
    if not plan.systems:
        return 0
    among = of_batch("writeback.id", plan.id)
    found = connection.execute(
        f"SELECT count(*) FROM writeback WHERE account = :account AND {among.sql}", among.params
    ).fetchone()
    return int(found[0]) if found else 0


def _batch_totals(connection: Connection, batch_id: str) -> tuple[Money, ...]:
    found = connection.execute(
        f"SELECT currency, CAST(sum(total) AS BIGINT) FROM orders WHERE {IN_BATCH} GROUP BY currency ORDER BY currency",
        {"batch": batch_id},
    )
    return tuple(Money(currency, minor) for currency, minor in found)


LEFT_OUT = Columns("id, planned_version, version, status, batch_id")


def _left_out(connection: Connection, plan: RejectionPlan) -> tuple[LeftOut, ...]:
    found = connection.execute(
        "SELECT target.key, target.value, o.version, o.status, o.batch_id"
        f" FROM ({connection.dialect.pairs('targets')}) AS target"
        " LEFT JOIN orders AS o ON o.account = :account AND o.id = target.key"
        " WHERE o.batch_id IS NULL OR o.batch_id <> :batch ORDER BY target.key",
        {"targets": plan.targets.packed, "batch": plan.id},
    )
    # An order whose version is still the planned one was left out because it became stale.
    stale = (OrderChange(_(STALE.reason)),)
    return tuple(
        LeftOut(**LEFT_OUT.values(row), changes=stale if plan.max_age is not None and row[1] == row[2] else ())
        for row in found
    )
