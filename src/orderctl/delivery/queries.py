"""The outbox: deliveries as rows that runs lease, send and settle (design.md, section 7)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from orderctl.core.text import fold, lower_ascii
from orderctl.database.acts import Act, record_act
from orderctl.database.connection import Columns, Connection, Dialect, Fragment, packed, read_instant, recordset
from orderctl.delivery.outbox import (
    DIED,
    LONGEST_LEASE,
    DeliveryAction,
    DeliveryEvent,
    DeliveryQuery,
    DeliveryState,
    Logged,
    Outbox,
    PutOff,
    Settlement,
)
from orderctl.language.stored import kept

_DUE_STATES = (DeliveryState.WAITING, DeliveryState.RETRY)
_DUE = f"state IN ('{DeliveryState.WAITING}', '{DeliveryState.RETRY}') AND next_attempt_at <= :now"
_HELD = f"state IN ('{DeliveryState.CLAIMED}', '{DeliveryState.SENDING}')"
_BACK = f"CASE WHEN attempts > 0 THEN '{DeliveryState.RETRY}' ELSE '{DeliveryState.WAITING}' END"
_INSTANT = "timestamptz"
_EVENT = Columns(
    "id, action, from_state, to_state, reason, actor, at, actor_login",
    from_state=DeliveryState,
    to_state=DeliveryState,
    at=read_instant,
)


def matching(dialect: Dialect, outbox: Outbox, query: DeliveryQuery) -> Fragment:
    """The conditions on a row of the outbox, each with AND before it."""
    conditions: list[str] = []
    bound: dict[str, object] = {}
    for column, ids in (("id", query.ids), ("state", query.states)):
        if ids:
            conditions.append(f"{outbox.table}.{column} IN ({dialect.ids(f'{column}s')})")
            bound[f"{column}s"] = dialect.bind_ids(ids)
    if query.batch_id is not None:
        among = of_batch(f"{outbox.table}.id", query.batch_id)
        conditions.append(among.sql)
        bound |= among.params
    for name, condition in outbox.conditions.items():
        value = getattr(query, name)
        if value is not None:
            conditions.append(condition)
            bound[name] = dialect.instant(value) if isinstance(value, datetime) else value
        if isinstance(value, str):
            bound |= {f"{name}_lower": lower_ascii(value), f"{name}_folded": fold(value)}
    return Fragment("".join(f" AND {condition}" for condition in conditions), bound)


def of_batch(column: str, batch_id: str) -> Fragment:
    """The condition on ids of deliveries of a batch: they begin with its id and a point. A slash comes after that."""
    bound = {"batch_begins": f"{batch_id}.", "batch_ends": f"{batch_id}/"}
    return Fragment(f"{column} > :batch_begins AND {column} < :batch_ends", bound)


def count_states(connection: Connection, outbox: Outbox, query: DeliveryQuery) -> dict[DeliveryState, int]:
    """How many of the deliveries are in each state."""
    where = matching(connection.dialect, outbox, query)
    found = connection.execute(
        f"SELECT state, count(*) FROM {outbox.table} WHERE account = :account{where.sql} GROUP BY state", where.params
    )
    counted = {DeliveryState(state): int(number) for state, number in found}
    return {state: counted.get(state, 0) for state in DeliveryState}


def find_states(connection: Connection, outbox: Outbox, query: DeliveryQuery) -> dict[str, DeliveryState]:
    """The state of each of the deliveries, by id."""
    where = matching(connection.dialect, outbox, query)
    found = connection.execute(
        f"SELECT id, state FROM {outbox.table} WHERE account = :account{where.sql} ORDER BY id", where.params
    )
    return {item_id: DeliveryState(state) for item_id, state in found}


def claim(
    connection: Connection,
    outbox: Outbox,
    *,
    token: str,
    until: datetime,
    now: datetime,
    limit: int,
    batch_id: str | None,
) -> list[str]:
    """Lease the deliveries that are due, longest due first; returns their ids. Two runs never get the same one."""
    dialect = connection.dialect
    among, bound = _among(outbox, batch_id)
    # One subquery for each state: each reads the index in the order wanted, and nothing is sorted.
    by_state = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, next_attempt_at FROM {outbox.table} WHERE account = :account"
        f" AND state = '{state}' AND next_attempt_at <= :now{among} ORDER BY next_attempt_at LIMIT :most"
        f" {dialect.lock_free(outbox.table)}) AS {state}_due"
        for state in _DUE_STATES
    )
    due = connection.execute(
        f"SELECT id FROM ({by_state}) AS due ORDER BY next_attempt_at, id LIMIT :most",
        {"now": dialect.instant(now), "most": limit, **bound},
    ).fetchall()
    claimed = [str(item_id) for (item_id,) in due]
    if not claimed:
        return []
    connection.execute(
        f"UPDATE {outbox.table} SET state = '{DeliveryState.CLAIMED}', token = :token, lease_until = :until,"
        " updated_at = :now"
        f" WHERE account = :account AND id IN ({dialect.ids('claimed')})",
        {
            "token": token,
            "until": dialect.instant(until),
            "now": dialect.instant(now),
            "claimed": dialect.bind_ids(claimed),
        },
    )
    return claimed


def count_due(connection: Connection, outbox: Outbox, now: datetime, batch_id: str | None) -> int:
    """How many deliveries are due and not leased."""
    among, bound = _among(outbox, batch_id)
    row = connection.execute(
        f"SELECT count(*) FROM {outbox.table} WHERE account = :account AND {_DUE}{among}",
        {"now": connection.dialect.instant(now), **bound},
    ).fetchone()
    return int(row[0]) if row else 0


def count_held(connection: Connection, outbox: Outbox, batch_id: str | None) -> int:
    """How many deliveries wait for something else."""
    among, bound = _among(outbox, batch_id)
    row = connection.execute(
        f"SELECT count(*) FROM {outbox.table} WHERE account = :account AND state = '{DeliveryState.HELD}'{among}", bound
    ).fetchone()
    return int(row[0]) if row else 0


def find_put_off(connection: Connection, outbox: Outbox, now: datetime, batch_id: str | None) -> PutOff | None:
    """The deliveries that are due only after `now`; None if there are none."""
    among, bound = _among(outbox, batch_id)
    states = ", ".join(f"'{state}'" for state in _DUE_STATES)
    row = connection.execute(
        f"SELECT count(*), min(next_attempt_at), max(next_attempt_at) FROM {outbox.table} WHERE account = :account"
        f" AND state IN ({states}) AND next_attempt_at > :now{among}",
        {"now": connection.dialect.instant(now), **bound},
    ).fetchone()
    if not row or not row[0]:
        return None
    return PutOff(number=int(row[0]), first=read_instant(row[1]), last=read_instant(row[2]))


def start(
    connection: Connection,
    outbox: Outbox,
    token: str,
    begun: Mapping[str, Mapping[str, str]],
    *,
    until: datetime,
    now: datetime,
) -> frozenset[str]:
    """Record, before a server can take them, that these are being sent; returns the ids of those still leased.

    `begun` has for each id what is handed over: the values of the columns `outbox.recorded`.
    """
    dialect, table = connection.dialect, outbox.table
    handed_over = "".join(f" {column} = begun.{column}," for column in outbox.recorded)
    started = connection.execute(
        f"UPDATE {table} SET state = '{DeliveryState.SENDING}', attempts = attempts + 1,{handed_over}"
        " lease_until = :until, updated_at = :now"
        f" FROM ({recordset(dialect, {'id': 'text', **outbox.recorded})}) AS begun"
        f" WHERE {table}.account = :account AND {table}.id = begun.id AND {table}.id IN ({dialect.ids('few')})"
        f" AND {table}.token = :token AND {table}.state = '{DeliveryState.CLAIMED}' RETURNING {table}.id",
        {
            "rows": packed([{"id": item_id, **columns} for item_id, columns in begun.items()]),
            "few": dialect.bind_ids(list(begun)),
            "token": token,
            "until": dialect.instant(until),
            "now": dialect.instant(now),
        },
    ).fetchall()
    return frozenset(item_id for (item_id,) in started)


def in_sending(connection: Connection, outbox: Outbox, token: str) -> frozenset[str]:
    """The ids of what the holder of the token is sending."""
    found = connection.execute(
        f"SELECT id FROM {outbox.table} WHERE account = :account AND state = '{DeliveryState.SENDING}'"
        " AND token = :token",
        {"token": token},
    )
    return frozenset(item_id for (item_id,) in found)


def settle(
    connection: Connection, outbox: Outbox, token: str, settled: Sequence[Settlement], now: datetime
) -> frozenset[str]:
    """Record how attempts ended; returns the ids of those that the token held.

    A worker whose lease ran out may still report; until then its delivery is `unknown`. One that was never begun cannot
    become `sent`.
    """
    dialect, table = connection.dialect, outbox.table
    columns = {"id": "text", "state": "text", "detail": "text", "attempts": "integer", "due": _INSTANT}
    found = connection.execute(
        f"UPDATE {table} SET state = done.state, last_error = done.detail, attempts = done.attempts,"
        f" next_attempt_at = coalesce(done.due, {table}.next_attempt_at), token = NULL, lease_until = NULL,"
        f" updated_at = :now FROM ({recordset(dialect, columns)}) AS done"
        f" WHERE {table}.account = :account AND {table}.id = done.id AND {table}.id IN ({dialect.ids('few')})"
        f" AND {table}.token = :token"
        f" AND ({table}.state IN ('{DeliveryState.SENDING}', '{DeliveryState.UNKNOWN}')"
        f" OR {table}.state = '{DeliveryState.CLAIMED}' AND done.state <> '{DeliveryState.SENT}')"
        f" RETURNING {table}.id",
        {
            "rows": packed([_settled(dialect, outbox, each) for each in settled]),
            "few": dialect.bind_ids([each.item_id for each in settled]),
            "token": token,
            "now": dialect.instant(now),
        },
    ).fetchall()
    return frozenset(item_id for (item_id,) in found)


def renew_lease(connection: Connection, outbox: Outbox, token: str, until: datetime) -> int:
    """Extend the leases of the token; returns how many."""
    renewed = connection.execute(
        f"UPDATE {outbox.table} SET lease_until = :until WHERE account = :account AND {_HELD} AND token = :token",
        {"token": token, "until": connection.dialect.instant(until)},
    )
    return renewed.rowcount


def release_lease(connection: Connection, outbox: Outbox, token: str, now: datetime) -> int:
    """Give back what the token claimed and did not begin to send; returns how many."""
    released = connection.execute(
        f"UPDATE {outbox.table} SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
        f" WHERE account = :account AND token = :token AND state = '{DeliveryState.CLAIMED}'",
        {"token": token, "now": connection.dialect.instant(now)},
    )
    return released.rowcount


def expire_leases(connection: Connection, outbox: Outbox, now: datetime) -> int:
    """End the leases that ran out: what is claimed is due again, what is in `sending` becomes `unknown`.

    A lease that ends far in the future was taken by a wrong clock, and is ended too.
    """
    instant = connection.dialect.instant
    bound = {"now": instant(now), "far": instant(now + LONGEST_LEASE)}
    ran_out = "account = :account AND (lease_until < :now OR lease_until > :far)"
    claimed = connection.execute(
        f"UPDATE {outbox.table} SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
        f" WHERE {ran_out} AND state = '{DeliveryState.CLAIMED}'",
        bound,
    )
    sending = connection.execute(
        f"UPDATE {outbox.table} SET state = '{DeliveryState.UNKNOWN}', lease_until = NULL, last_error = :died,"
        " updated_at = :now"
        f" WHERE {ran_out} AND state = '{DeliveryState.SENDING}'",
        {**bound, "died": kept(DIED, outbox.details)},
    )
    return claimed.rowcount + sending.rowcount


def list_events(connection: Connection, outbox: Outbox, item_id: str) -> tuple[DeliveryEvent, ...]:
    """What operators did with the delivery, oldest first."""
    found = connection.execute(
        f"SELECT {', '.join((*_EVENT.names, *outbox.noted))} FROM {outbox.table}_event"
        f" WHERE account = :account AND {outbox.table}_id = :item ORDER BY id",
        {"item": item_id},
    )
    return tuple(
        DeliveryEvent(
            **_EVENT.values(row), item_id=item_id, more=dict(zip(outbox.noted, row[len(_EVENT.names) :], strict=True))
        )
        for row in found
    )


def change(
    connection: Connection,
    outbox: Outbox,
    action: DeliveryAction,
    states: Mapping[str, DeliveryState],
    act: Logged,
) -> int:
    """Apply an action to the deliveries that still have the state given, end their leases, log it, record the act."""
    dialect, table = connection.dialect, outbox.table
    wanted = connection.execute(
        f"SELECT id, state FROM {table} WHERE account = :account AND id IN ({dialect.ids('items')})"
        f" ORDER BY id {dialect.lock(table)}",
        {"items": dialect.bind_ids(list(states))},
    ).fetchall()
    same = [item_id for item_id, state in wanted if states[item_id] == state]
    log(connection, outbox, action, same, act)
    changes = "".join(f" {column} = :{column}," for column in act.changes)
    changed = connection.execute(
        f"UPDATE {table} SET state = :to, last_error = :detail, next_attempt_at = :at, token = NULL,{changes}"
        f" lease_until = NULL, updated_at = :at WHERE account = :account AND id IN ({dialect.ids('items')})",
        {
            "items": dialect.bind_ids(same),
            "to": action.to.value,
            "at": dialect.instant(act.at),
            "detail": kept(action.detail, outbox.details),
            **act.changes,
        },
    )
    return changed.rowcount


def log(
    connection: Connection,
    outbox: Outbox,
    action: DeliveryAction,
    ids: Sequence[str],
    act: Logged,
    *,
    stays: bool = False,
) -> None:
    """Write the events of an action on deliveries before it is applied. `stays`: it is only noted, and not applied."""
    dialect, table = connection.dialect, outbox.table
    to = "state" if stays else ":to"
    told = connection.execute(
        f"INSERT INTO {table}_event (account, {table}_id, id, action, from_state, to_state, reason, actor, at"
        f"{''.join(f', {column}' for column in act.noted)})"
        f" SELECT :account, id, :event, :action, state, {to}, :reason, :actor, :at"
        f"{''.join(f', :{column}' for column in act.noted)} FROM {table}"
        f" WHERE account = :account AND id IN ({dialect.ids('items')})"
        f" RETURNING {table}_id, from_state, to_state",
        {
            "items": dialect.bind_ids(ids),
            "event": act.event_id,
            "action": action.name,
            **({} if stays else {"to": action.to.value}),
            "reason": act.reason,
            "actor": act.actor,
            "at": dialect.instant(act.at),
            **act.noted,
        },
    ).fetchall()
    if told:
        kind = f"{table}-{action.name}"
        done = Act(kind=kind, subject=act.event_id, actor=act.actor, at=act.at, detail=act.reason)
        proof = (act.proof,) if act.proof else ()
        record_act(connection, done.told_by((*row, *proof) for row in sorted(told)))


def _among(outbox: Outbox, batch_id: str | None) -> tuple[str, dict[str, object]]:
    """The condition on the rows that a run delivers, with AND before it, and its values."""
    sql, bound = (outbox.only.sql, dict(outbox.only.params)) if outbox.only else ("", {})
    if batch_id is None:
        return sql, bound
    among = of_batch(f"{outbox.table}.id", batch_id)
    return f"{sql} AND {among.sql}", {**bound, **among.params}


def _settled(dialect: Dialect, outbox: Outbox, each: Settlement) -> dict[str, object]:
    return {
        "id": each.item_id,
        "state": each.state.value,
        "detail": kept(each.detail, outbox.details),
        "attempts": each.attempts,
        "due": each.due and dialect.instant(each.due),
    }
