"""Queues the mails of a batch: one mail a buyer with an address, or one an order; composed when they are sent."""

from datetime import datetime

from orderctl.domain.outbox import MailState
from orderctl.domain.rejection import RejectionPlan
from orderctl.store.notes import notes_sql
from orderctl.store.sql import Connection, Params

_MAIL = (
    "mail (account, id, batch_id, buyer_id, recipient, language, message_id, state, next_attempt_at, created_at,"
    " updated_at)"
)
_MAIL_ORDER = "mail_order (account, mail_id, order_id, message)"
_MAIL_ID = "CAST(:batch || '.' || number AS TEXT)"
_QUEUED = f"'{MailState.WAITING}', :at, :at, :at"


def queue_mails(connection: Connection, plan: RejectionPlan, at: datetime, message_domain: str) -> int:
    """Queue the mails of the orders that the plan's batch rejected; gives how many there are."""
    bound = {"batch": plan.id, "domain": message_domain, "at": connection.dialect.instant(at)}
    run = _in_two_statements if connection.dialect.name == "sqlite" else _in_one_statement
    return run(connection, plan, bound)


def _numbered(plan: RejectionPlan, columns: str) -> str:
    """The rejected orders whose buyer has an address, with the number of the mail that speaks of each."""
    one_each = "orders.id" if plan.mail.per_order else "orders.buyer_id"
    return (
        # Ordered by an expression: by the column itself, SQLite walks an index over all orders of the account.
        f"SELECT {columns}, dense_rank() OVER (ORDER BY {one_each} || '') AS number"
        " FROM orders JOIN buyer ON buyer.account = orders.account AND buyer.id = orders.buyer_id"
        " WHERE orders.account = :account AND orders.batch_id = :batch AND buyer.email IS NOT NULL"
    )


def _in_two_statements(connection: Connection, plan: RejectionPlan, bound: Params) -> int:
    """SQLite: first which order is told in which mail; the mails are read off that, in the order of their ids."""
    note = notes_sql(plan.notes, connection.dialect, "told.id")
    connection.execute(
        f"INSERT INTO {_MAIL_ORDER} {note.with_}SELECT :account, {_MAIL_ID}, told.id, {note.message}"
        f" FROM ({_numbered(plan, 'orders.id')}) AS told{note.join}",
        {**bound, **note.params},
    )
    queued = connection.execute(
        f"INSERT INTO {_MAIL} SELECT :account, told.mail_id, :batch, min(orders.buyer_id), min(buyer.email),"
        f" coalesce(min(buyer.language), ''), '<orderctl.' || told.mail_id || '@' || :domain || '>', {_QUEUED}"
        # The ids of the batch's mails begin with it and a point, after which comes a slash.
        " FROM mail_order AS told CROSS JOIN orders CROSS JOIN buyer WHERE told.account = :account"
        " AND told.mail_id > :batch || '.' AND told.mail_id < :batch || '/' AND orders.account = :account"
        " AND orders.id = told.order_id AND buyer.account = :account AND buyer.id = orders.buyer_id"
        " GROUP BY told.mail_id",
        bound,
    )
    return queued.rowcount


def _in_one_statement(connection: Connection, plan: RejectionPlan, bound: Params) -> int:
    """PostgreSQL: the orders are numbered once."""
    note = notes_sql(plan.notes, connection.dialect, "told.id")
    columns = "orders.id, orders.buyer_id, buyer.email, buyer.language"
    queued = connection.execute(
        f"{note.with_.rstrip() + ',' if note.with_ else 'WITH'} told AS MATERIALIZED ({_numbered(plan, columns)}),"
        f" spoken_of AS (INSERT INTO {_MAIL_ORDER} SELECT :account, {_MAIL_ID}, told.id, {note.message}"
        f" FROM told{note.join})"
        f" INSERT INTO {_MAIL} SELECT :account, {_MAIL_ID}, :batch, min(buyer_id), min(email),"
        f" coalesce(min(language), ''), '<orderctl.' || :batch || '.' || number || '@' || :domain || '>', {_QUEUED}"
        " FROM told GROUP BY number",
        {**bound, **note.params},
    )
    return queued.rowcount
