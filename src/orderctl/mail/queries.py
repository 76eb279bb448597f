"""The outbox: mails as rows that runs lease, send and settle (design.md, section 7)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from orderctl.core.text import fold, lower_ascii
from orderctl.database.connection import Columns, Connection, Dialect, Fragment, Row, packed, read_instant, recordset
from orderctl.language.stored import kept, told
from orderctl.mail.outbox import (
    DETAILS,
    DIED,
    LONGEST_LEASE,
    Letter,
    Mail,
    MailAction,
    MailEvent,
    MailQuery,
    MailState,
    PutOff,
    Settlement,
)

_MAIL = Columns(
    "id, batch_id, buyer_id, recipient, language, message_id, state, attempts, next_attempt_at, created_at, updated_at,"
    " last_error, subject, text, html",
    state=MailState,
    last_error=partial(told, templates=DETAILS),
    **dict.fromkeys(("next_attempt_at", "created_at", "updated_at"), read_instant),
)
_COLUMNS = (
    f"{_MAIL.sql}, (SELECT count(*) FROM mail_order WHERE mail_order.account = :account"
    " AND mail_order.mail_id = mail.id)"
)
_DUE_STATES = (MailState.WAITING, MailState.RETRY)
_DUE = f"state IN ('{MailState.WAITING}', '{MailState.RETRY}') AND next_attempt_at <= :now"
_HELD = f"state IN ('{MailState.CLAIMED}', '{MailState.SENDING}')"
_BACK = f"CASE WHEN attempts > 0 THEN '{MailState.RETRY}' ELSE '{MailState.WAITING}' END"
_INSTANT = "timestamptz"
# The ids of a batch's mails differ only in their number, so the longer id has the greater number.
_NEWEST_FIRST = "created_at DESC, batch_id DESC, length(id) DESC, id DESC"


def claim_mails(
    connection: Connection, *, token: str, until: datetime, now: datetime, limit: int, batch_id: str | None
) -> tuple[Mail, ...]:
    """Lease the mails that are due, longest due first. Two runs never get the same mail."""
    dialect = connection.dialect
    of_batch, bound = _of_batch(batch_id)
    # One subquery for each state: each reads the index in the order wanted, and nothing is sorted.
    by_state = " UNION ALL ".join(
        f"SELECT * FROM (SELECT id, next_attempt_at FROM mail WHERE account = :account AND state = '{state}'"
        f" AND next_attempt_at <= :now{of_batch} ORDER BY next_attempt_at, id LIMIT :most"
        f" {dialect.lock_free('mail')}) AS {state}_mail"
        for state in _DUE_STATES
    )
    due = connection.execute(
        f"SELECT id FROM ({by_state}) AS due ORDER BY next_attempt_at, id LIMIT :most",
        {"now": dialect.instant(now), "most": limit, **bound},
    ).fetchall()
    claimed = [str(mail_id) for (mail_id,) in due]
    if not claimed:
        return ()
    connection.execute(
        f"UPDATE mail SET state = '{MailState.CLAIMED}', token = :token, lease_until = :until, updated_at = :now"
        f" WHERE account = :account AND id IN ({dialect.ids('claimed')})",
        {
            "token": token,
            "until": dialect.instant(until),
            "now": dialect.instant(now),
            "claimed": dialect.bind_ids(claimed),
        },
    )
    return _in_order(connection, claimed)


def count_due(connection: Connection, now: datetime, batch_id: str | None) -> int:
    """How many mails are due and not leased."""
    of_batch, bound = _of_batch(batch_id)
    row = connection.execute(
        f"SELECT count(*) FROM mail WHERE account = :account AND {_DUE}{of_batch}",
        {"now": connection.dialect.instant(now), **bound},
    ).fetchone()
    return int(row[0]) if row else 0


def find_put_off(connection: Connection, now: datetime, batch_id: str | None) -> PutOff | None:
    """The mails that are due only after `now`; None if there are none."""
    of_batch, bound = _of_batch(batch_id)
    states = ", ".join(f"'{state}'" for state in _DUE_STATES)
    row = connection.execute(
        "SELECT count(*), min(next_attempt_at), max(next_attempt_at) FROM mail WHERE account = :account"
        f" AND state IN ({states}) AND next_attempt_at > :now{of_batch}",
        {"now": connection.dialect.instant(now), **bound},
    ).fetchone()
    if not row or not row[0]:
        return None
    return PutOff(mails=int(row[0]), first=read_instant(row[1]), last=read_instant(row[2]))


def start_sending(
    connection: Connection, token: str, begun: Mapping[str, Letter], *, until: datetime, now: datetime
) -> frozenset[str]:
    """Record, before a server can take them, that these mails are being sent; returns those still leased."""
    dialect = connection.dialect
    columns = {"id": "text", "subject": "text", "text": "text", "html": "text"}
    started = connection.execute(
        f"UPDATE mail SET state = '{MailState.SENDING}', attempts = attempts + 1, subject = begun.subject,"
        " text = begun.text, html = begun.html, lease_until = :until, updated_at = :now"
        f" FROM ({recordset(dialect, columns)}) AS begun WHERE mail.account = :account AND mail.id = begun.id"
        f" AND mail.id IN ({dialect.ids('few')})"
        f" AND mail.token = :token AND mail.state = '{MailState.CLAIMED}' RETURNING mail.id",
        {
            "rows": packed([_composed(mail_id, letter) for mail_id, letter in begun.items()]),
            "few": dialect.bind_ids(list(begun)),
            "token": token,
            "until": dialect.instant(until),
            "now": dialect.instant(now),
        },
    ).fetchall()
    return frozenset(mail_id for (mail_id,) in started)


def mails_in_sending(connection: Connection, token: str) -> frozenset[str]:
    """The mails that the holder of the token is sending."""
    found = connection.execute(
        f"SELECT id FROM mail WHERE account = :account AND state = '{MailState.SENDING}' AND token = :token",
        {"token": token},
    )
    return frozenset(mail_id for (mail_id,) in found)


def settle_mails(connection: Connection, token: str, settled: Sequence[Settlement], now: datetime) -> frozenset[str]:
    """Record how attempts ended; returns the mails that the token held.

    A worker whose lease ran out may still report; until then its mail is `unknown`. A mail that was never begun cannot
    become `sent`.
    """
    dialect = connection.dialect
    columns = {"id": "text", "state": "text", "detail": "text", "attempts": "integer", "due": _INSTANT}
    found = connection.execute(
        "UPDATE mail SET state = done.state, last_error = done.detail, attempts = done.attempts,"
        " next_attempt_at = coalesce(done.due, mail.next_attempt_at), token = NULL, lease_until = NULL,"
        f" updated_at = :now FROM ({recordset(dialect, columns)}) AS done"
        f" WHERE mail.account = :account AND mail.id = done.id AND mail.id IN ({dialect.ids('few')})"
        " AND mail.token = :token"
        f" AND (mail.state IN ('{MailState.SENDING}', '{MailState.UNKNOWN}')"
        f" OR mail.state = '{MailState.CLAIMED}' AND done.state <> '{MailState.SENT}')"
        " RETURNING mail.id",
        {
            "rows": packed([_settled(dialect, each) for each in settled]),
            "few": dialect.bind_ids([each.mail_id for each in settled]),
            "token": token,
            "now": dialect.instant(now),
        },
    ).fetchall()
    return frozenset(mail_id for (mail_id,) in found)


def renew_lease(connection: Connection, token: str, until: datetime) -> int:
    """Extend the leases of the token; returns how many."""
    renewed = connection.execute(
        f"UPDATE mail SET lease_until = :until WHERE account = :account AND {_HELD} AND token = :token",
        {"token": token, "until": connection.dialect.instant(until)},
    )
    return renewed.rowcount


def release_lease(connection: Connection, token: str, now: datetime) -> int:
    """Give back the mails that the token claimed and did not begin to send; returns how many."""
    released = connection.execute(
        f"UPDATE mail SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
        f" WHERE account = :account AND token = :token AND state = '{MailState.CLAIMED}'",
        {"token": token, "now": connection.dialect.instant(now)},
    )
    return released.rowcount


def expire_leases(connection: Connection, now: datetime) -> int:
    """End the leases that ran out: claimed mails are due again, mails in `sending` become `unknown`.

    A lease that ends far in the future was taken by a wrong clock, and is ended too.
    """
    instant = connection.dialect.instant
    bound = {"now": instant(now), "far": instant(now + LONGEST_LEASE)}
    ran_out = "account = :account AND (lease_until < :now OR lease_until > :far)"
    claimed = connection.execute(
        f"UPDATE mail SET state = {_BACK}, token = NULL, lease_until = NULL, updated_at = :now"
        f" WHERE {ran_out} AND state = '{MailState.CLAIMED}'",
        bound,
    )
    sending = connection.execute(
        f"UPDATE mail SET state = '{MailState.UNKNOWN}', lease_until = NULL, last_error = :died, updated_at = :now"
        f" WHERE {ran_out} AND state = '{MailState.SENDING}'",
        {**bound, "died": kept(DIED, DETAILS)},
    )
    return claimed.rowcount + sending.rowcount


def list_mails(connection: Connection, query: MailQuery) -> Iterator[Mail]:
    """The mails, newest first; those of one batch by descending number."""
    where = matching(connection.dialect, query)
    limit = "" if query.limit is None else " LIMIT :most"
    found = connection.stream(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account{where.sql} ORDER BY {_NEWEST_FIRST}{limit}",
        {**where.params, "most": query.limit} if limit else where.params,
    )
    return map(_mail, found)


def count_mails(connection: Connection, query: MailQuery) -> dict[MailState, int]:
    """How many of the mails are in each state."""
    where = matching(connection.dialect, query)
    found = connection.execute(
        f"SELECT state, count(*) FROM mail WHERE account = :account{where.sql} GROUP BY state", where.params
    )
    counted = {MailState(state): int(number) for state, number in found}
    return {state: counted.get(state, 0) for state in MailState}


def mail_states(connection: Connection, query: MailQuery) -> dict[str, MailState]:
    """The state of each of the mails."""
    where = matching(connection.dialect, query)
    found = connection.execute(
        f"SELECT id, state FROM mail WHERE account = :account{where.sql} ORDER BY id", where.params
    )
    return {mail_id: MailState(state) for mail_id, state in found}


def mail_order_ids(connection: Connection, mail_id: str) -> tuple[str, ...]:
    """The ids of the orders that the mail is about, sorted."""
    found = connection.execute(
        "SELECT order_id FROM mail_order WHERE account = :account AND mail_id = :mail ORDER BY order_id",
        {"mail": mail_id},
    )
    return tuple(str(order_id) for (order_id,) in found)


def mail_events(connection: Connection, mail_id: str) -> tuple[MailEvent, ...]:
    """What operators did with the mail, oldest first."""
    found = connection.execute(
        "SELECT mail_id, id, action, from_state, to_state, reason, actor, at FROM mail_event"
        " WHERE account = :account AND mail_id = :mail ORDER BY id",
        {"mail": mail_id},
    )
    return tuple(
        MailEvent(
            mail_id=row[0],
            id=row[1],
            action=row[2],
            from_state=MailState(row[3]),
            to_state=MailState(row[4]),
            reason=row[5],
            actor=row[6],
            at=read_instant(row[7]),
        )
        for row in found
    )


def change_mails(
    connection: Connection,
    action: MailAction,
    mails: Mapping[str, MailState],
    *,
    event_id: str,
    actor: str,
    reason: str,
    at: datetime,
) -> int:
    """Apply an action to the mails that still have the state given, end their leases, and log it."""
    dialect = connection.dialect
    wanted = connection.execute(
        f"SELECT id, state FROM mail WHERE account = :account AND id IN ({dialect.ids('mails')})"
        f" ORDER BY id {dialect.lock('mail')}",
        {"mails": dialect.bind_ids(list(mails))},
    ).fetchall()
    same = [mail_id for mail_id, state in wanted if mails[mail_id] == state]
    bound = {"mails": dialect.bind_ids(same), "to": action.to.value, "at": dialect.instant(at)}
    which = f"account = :account AND id IN ({dialect.ids('mails')})"
    connection.execute(
        "INSERT INTO mail_event (account, mail_id, id, action, from_state, to_state, reason, actor, at)"
        f" SELECT :account, id, :event, :action, state, :to, :reason, :actor, :at FROM mail WHERE {which}",
        {**bound, "event": event_id, "action": action.name, "reason": reason, "actor": actor},
    )
    changed = connection.execute(
        "UPDATE mail SET state = :to, last_error = :detail, next_attempt_at = :at, token = NULL,"
        f" lease_until = NULL, updated_at = :at WHERE {which}",
        {**bound, "detail": kept(action.detail, DETAILS)},
    )
    return changed.rowcount


def _in_order(connection: Connection, mail_ids: Sequence[str]) -> tuple[Mail, ...]:
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account AND id IN ({dialect.ids('wanted')})"
        " ORDER BY next_attempt_at, id",
        {"wanted": dialect.bind_ids(mail_ids)},
    )
    return tuple(map(_mail, found))


def _of_batch(batch_id: str | None) -> tuple[str, dict[str, object]]:
    return ("", {}) if batch_id is None else (" AND batch_id = :batch", {"batch": batch_id})


def _composed(mail_id: str, letter: Letter) -> dict[str, object]:
    return {"id": mail_id, "subject": letter.subject, "text": letter.text, "html": letter.html}


def _settled(dialect: Dialect, each: Settlement) -> dict[str, object]:
    return {
        "id": each.mail_id,
        "state": each.state.value,
        "detail": kept(each.detail, DETAILS),
        "attempts": each.attempts,
        "due": each.due and dialect.instant(each.due),
    }


def _mail(row: Row) -> Mail:
    values = _MAIL.values(row)
    letter = {name: values.pop(name) for name in ("subject", "text", "html")}
    composed = letter["subject"] is not None
    return Mail(**values, letter=Letter(**letter) if composed else None, orders=row[-1])


# Whether a text contains another, alike on both engines and without patterns to escape.
_HOLDS = "replace({column}, :{text}, '') <> {column}"


def matching(dialect: Dialect, query: MailQuery) -> Fragment:
    """The conditions on a row of `mail`, each with AND before it."""
    conditions: list[str] = []
    bound: dict[str, object] = {}
    if query.ids:
        conditions.append(f"id IN ({dialect.ids('ids')})")
        bound["ids"] = dialect.bind_ids(query.ids)
    if query.states:
        conditions.append(f"state IN ({dialect.ids('states')})")
        bound["states"] = dialect.bind_ids([state.value for state in query.states])
    if query.batch_id is not None:
        conditions.append("batch_id = :batch")
        bound["batch"] = query.batch_id
    if query.buyer is not None:
        holds = _HOLDS.format(column="name_folded", text="in_name")
        conditions.append(
            f"buyer_id IN (SELECT buyer.id FROM buyer WHERE account = :account AND (buyer.id = :buyer OR {holds}))"
        )
        bound |= {"buyer": query.buyer, "in_name": fold(query.buyer)}
    if query.order_id is not None:
        conditions.append("id IN (SELECT mail_id FROM mail_order WHERE account = :account AND order_id = :order)")
        bound["order"] = query.order_id
    if query.recipient is not None:
        conditions.append(_HOLDS.format(column="lower(recipient)", text="in_address"))
        bound["in_address"] = lower_ascii(query.recipient)
    if query.queued_before is not None:
        conditions.append("created_at < :before")
        bound["before"] = dialect.instant(query.queued_before)
    return Fragment("".join(f" AND {condition}" for condition in conditions), bound)
