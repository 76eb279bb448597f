"""Mails as rows of the outbox (design.md, section 7)."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial

from orderctl.core.text import fold, lower_ascii
from orderctl.database.connection import Columns, Connection, Dialect, Fragment, Row, read_instant
from orderctl.delivery.outbox import DeliveryState
from orderctl.language.stored import told
from orderctl.mail.outbox import DETAILS, Letter, Mail, MailQuery

_MAIL = Columns(
    "id, batch_id, buyer_id, recipient, language, message_id, state, attempts, next_attempt_at, created_at, updated_at,"
    " last_error, subject, text, html",
    state=DeliveryState,
    last_error=partial(told, templates=DETAILS),
    **dict.fromkeys(("next_attempt_at", "created_at", "updated_at"), read_instant),
)
_COLUMNS = (
    f"{_MAIL.sql}, (SELECT count(*) FROM mail_order WHERE mail_order.account = :account"
    " AND mail_order.mail_id = mail.id)"
)
# The ids of a batch's mails differ only in their number, so the longer id has the greater number.
_NEWEST_FIRST = "created_at DESC, batch_id DESC, length(id) DESC, id DESC"


def claimed_mails(connection: Connection, mail_ids: Sequence[str]) -> tuple[Mail, ...]:
    """The mails of these ids, longest due first."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account AND id IN ({connection.dialect.ids('wanted')})"
        " ORDER BY next_attempt_at, id",
        {"wanted": connection.dialect.bind_ids(mail_ids)},
    )
    return tuple(map(_mail, found))


def release_held(connection: Connection, now: datetime) -> int:
    """Make the held mails due whose orders are all cancelled in their systems; returns how many."""
    released = connection.execute(
        f"UPDATE mail SET state = '{DeliveryState.WAITING}', updated_at = :now WHERE account = :account"
        f" AND state = '{DeliveryState.HELD}' AND NOT EXISTS (SELECT 1 FROM mail_order AS spoken JOIN writeback AS w"
        " ON w.account = :account AND w.batch_id = mail.batch_id AND w.order_id = spoken.order_id"
        f" WHERE spoken.account = :account AND spoken.mail_id = mail.id AND w.state <> '{DeliveryState.SENT}')",
        {"now": connection.dialect.instant(now)},
    )
    return released.rowcount


def list_mails(connection: Connection, query: MailQuery) -> Iterator[Mail]:
    """The mails, newest first; those of one batch by descending number."""
    where = matching(connection.dialect, query)
    limit = "" if query.limit is None else " LIMIT :most"
    found = connection.stream(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account{where.sql} ORDER BY {_NEWEST_FIRST}{limit}",
        {**where.params, "most": query.limit} if limit else where.params,
    )
    return map(_mail, found)


def count_mails(connection: Connection, query: MailQuery) -> dict[DeliveryState, int]:
    """How many of the mails are in each state."""
    where = matching(connection.dialect, query)
    found = connection.execute(
        f"SELECT state, count(*) FROM mail WHERE account = :account{where.sql} GROUP BY state", where.params
    )
    counted = {DeliveryState(state): int(number) for state, number in found}
    return {state: counted.get(state, 0) for state in DeliveryState}


def mail_states(connection: Connection, query: MailQuery) -> dict[str, DeliveryState]:
    """The state of each of the mails."""
    where = matching(connection.dialect, query)
    found = connection.execute(
        f"SELECT id, state FROM mail WHERE account = :account{where.sql} ORDER BY id", where.params
    )
    return {mail_id: DeliveryState(state) for mail_id, state in found}


def mail_order_ids(connection: Connection, mail_id: str) -> tuple[str, ...]:
    """The ids of the orders that the mail is about, sorted."""
    found = connection.execute(
        "SELECT order_id FROM mail_order WHERE account = :account AND mail_id = :mail ORDER BY order_id",
        {"mail": mail_id},
    )
    return tuple(str(order_id) for (order_id,) in found)


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
