"""The migrations in their order: how the schema of each revision was made from that of the one before.

Each is written once and never changed, or a store of an earlier revision would become another one than a new store.
`database.schema` lets Alembic run them within one transaction.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from alembic import op

from orderctl.database.acts import record_earlier
from orderctl.database.clock import database_time
from orderctl.database.connection import Connection
from orderctl.database.guards import postgresql, statements
from orderctl.database.guards.conditions import FIRST_VERSIONS
from orderctl.database.line_digests import digest_open_orders
from orderctl.database.migrations.rewriting import fold_without_accents, write_codes
from orderctl.database.postgres import PostgresConnection
from orderctl.database.sqlite import SqliteConnection

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
_DAY = sa.Text().with_variant(sa.Date(), "postgresql")
_OPEN = sa.text("status NOT IN ('returned-to-cart', 'rejected')")
_STATUSES = "'needs-oc', 'oc-created', 'oc-approved', 'oc-declined', 'oc-confirmed', 'returned-to-cart', 'rejected'"
_STATES = "'held', 'waiting', 'claimed', 'sending', 'sent', 'refused', 'retry', 'unknown', 'cancelled', 'bounced'"
Columns = list[sa.Column[Any]]


def _first() -> None:
    """Orders and their buyers, selections, saved filters, batches, events, the outbox."""
    _create(
        "batch",
        ["account", "id"],
        [_required("account", "id"), _big("position"), _instants("at"), _texts("actor", "approver", "host", "program")],
        [_required("mode"), _texts("source", "reason", "message")],
        [_counts("mail_per_order", "planned", "rejected", "skipped", "mails"), _texts("digest", "leaves", "previous")],
        checks={"mode": "mode IN ('bulk', 'individual')"},
    )
    _index("batch", "position", unique=True)
    _create(
        "buyer",
        ["account", "id"],
        [_required("account", "id"), _texts("name", "name_folded")],
        [_optional("email", "contact", "country", "language")],
    )
    states = ", ".join(state for state in _STATES.split(", ") if state not in {"'held'", "'bounced'"})
    _create(
        "mail",
        ["account", "id"],
        [_required("account", "id"), _texts("batch_id", "buyer_id", "recipient", "language", "message_id")],
        [_required("state"), _counts("attempts"), _instants("next_attempt_at"), _optional("lease_until", of=_INSTANT)],
        [_optional("token", "subject", "text", "html"), _texts("last_error"), _instants("created_at", "updated_at")],
        checks={"state": f"state IN ({states})"},
    )
    _index("mail", "batch_id")
    _index("mail", "state", "next_attempt_at", "id")
    _create(
        "mail_order", ["account", "mail_id", "order_id"], [_required("account", "mail_id", "order_id")], rowid=False
    )
    _index("mail_order", "order_id")
    _create(
        "order_event",
        ["account", "order_id", "id"],
        [_required("account", "order_id", "id"), _optional("batch_id"), _texts("kind")],
        [_optional("from_status", "to_status"), _texts("detail", "actor"), _instants("at")],
        rowid=False,
    )
    _create(
        "saved_filter",
        ["account", "name"],
        [_required("account", "name"), _texts("expression", "actor"), _instants("saved_at")],
    )
    _first_orders()
    _create(
        "selection_item",
        ["account", "actor", "name", "order_id"],
        [_required("account", "actor", "name", "order_id"), _texts("origin"), _instants("added_at")],
        foreign={"order_id": "orders"},
        rowid=False,
    )
    statements.create_guards(op.get_bind().dialect.name, op.execute)


def _first_orders() -> None:
    """Orders, their lines and tags."""
    _create(
        "orders",
        ["account", "id"],
        [_required("account", "id"), _optional("buyer_id"), _texts("brand"), _required("status")],
        [
            _texts("reference", "season"),
            _instants("ordered_at"),
            _texts("terms", "delivery_address", "billing_address"),
        ],
        [_optional("country"), _optional("delivery_from", "delivery_to", of=_DAY), _required("currency")],
        [_big("total", "quantity"), _counts("delivery_notes", "invoices", "backlog_skus")],
        [_texts("note", "folded", "fingerprint"), _optional("archived_at", "rejected_at", of=_INSTANT)],
        [_optional("batch_id"), [sa.Column("version", sa.Integer(), server_default="1", nullable=False)]],
        checks={
            "rejected_at": "(status = 'rejected') = (rejected_at IS NOT NULL)",
            "status": f"status IN ({_STATUSES})",
            "currency": "length(currency) = 3",
        },
        foreign={"buyer_id": "buyer"},
    )
    _index("orders", "batch_id", where=sa.text("batch_id IS NOT NULL"))
    _index("orders", "buyer_id", "ordered_at")
    _index("orders", "ordered_at", "id")
    _index("orders", "status", "ordered_at", "id")
    _create(
        "order_line",
        ["account", "order_id", "number"],
        [_required("account", "order_id"), _number("number"), _texts("sku", "name", "color", "size")],
        [_big("quantity", "unit_price")],
        foreign={"order_id": "orders"},
    )
    _index("order_line", "sku")
    _create(
        "order_tag",
        ["account", "order_id", "tag"],
        [_required("account", "order_id", "tag")],
        foreign={"order_id": "orders"},
        rowid=False,
    )
    _index("order_tag", "tag", "order_id")


def _plans() -> None:
    """Plans that are kept, and what their orders were like when they were made."""
    _create(
        "plan",
        ["account", "id"],
        [_required("account", "id"), _texts("plan", "plan_digest"), _instants("made_at")],
        [_texts("author", "author_login"), _counts("targets"), _texts("totals", "reason"), _counts("second_operator")],
        [_instants("expires_at"), _required("state"), _optional("approver", "approver_login")],
        [_optional("approved_at", of=_INSTANT), _texts("how"), _optional("due_at", "closed_at", of=_INSTANT)],
        [_optional("closed_by", "closed_by_login"), _texts("digest")],
        checks={"state": "state IN ('saved', 'approved', 'held', 'executed', 'cancelled')"},
    )
    _index("plan", "state", "due_at")
    _create(
        "plan_order",
        ["account", "plan_id", "order_id"],
        [_required("account", "plan_id", "order_id"), _texts("was_status", "was_currency")],
        [_big("was_total", "was_quantity"), _counts("was_delivery_notes", "was_invoices", "was_backlog_skus")],
        foreign={"plan_id": "plan"},
        rowid=False,
    )


def _reasons() -> None:
    """Reason codes of batches and events, messages of single orders, when an order was last changed, open orders."""
    _add("batch", _texts("reason_code"))
    _add("order_event", _texts("reason_code"))
    _add("mail_order", _texts("message"))
    _add("orders", _optional("changed_at", of=_INSTANT))
    _index("orders", "season", "currency", "buyer_id", "status", "total", name="ix_orders_open", where=_OPEN)


def _guards_see_our_tables() -> None:
    """A guard of PostgreSQL looks at the store's own tables, whatever a session puts before them."""
    # A temporary table named `orders` came first until now, and lines of rejected orders could be changed behind it.
    if _on_postgresql():
        op.execute(postgresql.own_tables("orderctl_refuse_line"))


def _mail_events() -> None:
    """What operators did with mails: an append-only log beside that of the orders."""
    _create_delivery_events("mail")
    statements.create_log_guards(op.get_bind().dialect.name, "mail_event", op.execute, 5)


def _guards_of_every_key() -> None:
    """Guards against what takes a row's place by any of its keys, and against values that end later runs."""
    # Such an order ended every rejection that it was among: its version could not go up any more.
    op.execute(f"UPDATE orders SET version = {FIRST_VERSIONS} WHERE version NOT BETWEEN 1 AND {FIRST_VERSIONS}")
    _renew_guards(7)


def _mails_are_kept() -> None:
    """A queued mail keeps its recipient, its orders and its text, and a sent one is final."""
    # Such a mail ended every delivery that it was among: its attempts could not go up any more.
    op.execute("UPDATE mail SET attempts = 0 WHERE attempts NOT BETWEEN 0 AND 1000000 AND state <> 'sent'")
    _renew_guards(8)


def _request_keys() -> None:
    """The caller's own key of a batch, what was asked for under it, and the plan that ran."""
    _add("batch", _optional("request_key"), _texts("request_digest", "request_plan"))
    _index("batch", "request_key", unique=True)
    _renew_guards(9)


def _rejected_by_a_batch() -> None:
    """A guard that lets an order become rejected by a batch alone."""
    _renew_guards(10)


def _digests_of_lines() -> None:
    """A digest of an order's lines, covered by the digest of its rejection."""
    _add("orders", _texts("lines_digest"))
    _add("order_event", _texts("lines_digest"))
    # Open orders alone: what a rejected one was like when it was rejected, nobody can tell any more. Were they left for
    # the next import, an order that no file brings again would be rejected without a digest.
    for connection in _of_each_account("orders"):
        digest_open_orders(connection, quantity_decimals="0")
    _renew_guards(11)


def _sources() -> None:
    """What the source of an order last said of it and when, and since when its source has it no longer."""
    _add("orders", _optional("gone_at", of=_INSTANT))
    _create(
        "order_source",
        ["account", "order_id"],
        [_required("account", "order_id"), _texts("source"), _instants("seen_at"), _optional("status")],
        [_optional("delivery_notes", "invoices", of=sa.Integer()), _texts("import_id")],
        checks={"seen_at": _readable("seen_at"), "status": f"status IN ({_STATUSES})"},
        rowid=False,
    )
    _renew_guards(13)


def _fractional_quantities() -> None:
    """Quantities of lines have up to three decimals: metres and kilograms."""
    few = sa.CheckConstraint(
        "(quantity_decimals & 3) = quantity_decimals", name=op.f("ck_order_line_quantity_decimals")
    )
    _add("order_line", [sa.Column("quantity_decimals", sa.SmallInteger(), few, server_default="0", nullable=False)])


def _store_identity() -> None:
    """A store has an id of its own: copies of it have the same one, another store has another."""
    made = _create("store_identity", ["id"], [_required("id")], rowid=False)
    op.bulk_insert(made, [{"id": uuid4().hex}])


def _verdicts() -> None:
    """What became of each id that a batch was asked about, and where the ids came from."""
    _create(
        "batch_verdict",
        ["account", "batch_id", "order_id"],
        [_required("account", "batch_id", "order_id", "verdict"), _texts("code")],
        checks={"verdict": "verdict IN ('skipped', 'unknown', 'taken-out', 'changed')"},
        rowid=False,
    )
    _create(
        "batch_origin",
        ["account", "batch_id", "number"],
        [_required("account", "batch_id"), _number("number"), _texts("source", "lines")],
        rowid=False,
    )
    _add("selection_item", _counts("line"))
    _renew_guards(16)


def _policy() -> None:
    """What batches may be, whatever program writes them: the policy of each account, and the rules of rejecting."""
    _create(
        "policy",
        ["account", "position"],
        [_required("account"), _number("position"), _instants("at")],
        [_texts("actor", "actor_login", "rules", "previous", "digest")],
        rowid=False,
    )
    _create(
        "batch_begun",
        ["account", "id"],
        [_required("account", "id")],
        foreign={"id": "batch"},
        rowid=False,
        deferred=True,
    )
    singly = sa.text("from_status IN ('oc-approved', 'oc-declined', 'oc-confirmed')")
    _index("order_event", "batch_id", name="ix_order_event_singly", where=singly)
    _renew_guards(17)


# Every table with an account in revision 0018, but `member`.
_HELD_TO_MEMBERS = (
    *("buyer", "orders", "order_line", "order_tag", "order_source", "selection_item", "saved_filter", "batch"),
    *("batch_begun", "batch_verdict", "batch_origin", "order_event", "policy", "mail", "mail_order", "mail_event"),
    *("plan", "plan_order"),
)


def _members() -> None:
    """Which logins of PostgreSQL are members of which account, and policies that hold every table to it."""
    _create(
        "member",
        ["account", "login", "number"],
        [_required("account", "login"), _number("number"), _required("action"), _instants("at")],
        [_texts("actor", "actor_login")],
        checks={"action": "action IN ('add', 'remove')"},
        rowid=False,
    )
    _renew_guards(18)
    if not _on_postgresql():
        return
    accounts = " UNION ".join(f"SELECT account FROM {table}" for table in _HELD_TO_MEMBERS)
    op.execute(
        # The owner goes on to work on every account that is there; of the others each has to be added.
        "INSERT INTO member (account, login, number, action, at, actor, actor_login)"
        " SELECT account, login, 1, 'add', clock_timestamp(), 'store upgrade', session_user::text FROM ("
        f"{accounts}) AS accounts, (SELECT session_user::text AS login UNION SELECT pg_get_userbyid(relowner)::text"
        " FROM pg_class WHERE oid = 'orders'::regclass) AS owners"
    )
    _hold_to_members(*_HELD_TO_MEMBERS)
    for statement in postgresql.member_security():
        op.execute(statement)


def _acts() -> None:
    """What operators do besides rejecting is a chain too; what was logged of it before is covered by its first act."""
    _create(
        "act",
        ["account", "position"],
        [_required("account"), _number("position"), _instants("at"), _texts("actor", "login"), _required("kind")],
        [
            _texts("subject", "detail", "salt", "detail_digest"),
            _counts("number"),
            _texts("content", "previous", "digest"),
        ],
        checks={"at": _readable("at")},
        rowid=False,
    )
    _renew_guards(19)
    _hold_to_members("act")
    for connection in _of_each_account("order_event", "mail_event", "policy"):
        record_earlier(connection, database_time(connection, datetime.now(UTC)))
    # From now on the digest of an order covers its total. Those that are rejected keep the one in their log.
    for connection in _of_each_account("orders"):
        digest_open_orders(connection)


def _erasures() -> None:
    """Buyers can be erased: the record of it, and batches whose texts are digested with a salt."""
    _create(
        "erasure",
        ["account", "position"],
        [_required("account"), _number("position"), _instants("at"), _texts("actor", "actor_login", "buyer_id")],
        [_counts("orders", "mails", "plans"), _texts("batches", "previous", "digest")],
        rowid=False,
    )
    _index("erasure", "buyer_id", unique=True)
    _add("batch", _texts("salt", "texts_digest"))
    _renew_guards(20)
    _hold_to_members("erasure")


def _logins() -> None:
    """Who wrote what, as the database knows it: a login for each batch and event, and a digest that it can check."""
    for table in ("batch", "order_event", "mail_event"):
        _add(table, _texts("actor_login"))
    _add("batch", _texts("events_digest"))
    _add("batch_begun", _counts("events"))
    # Only now: the rows that are there already would get the login of whoever upgrades.
    _name_logins("order_event", "mail_event")
    _renew_guards(21)


def _writebacks() -> None:
    """What a system is to be told of a rejected order, and mails that wait until it was told, or came back."""
    _create(
        "writeback",
        ["account", "id"],
        [_required("account", "id"), _texts("batch_id", "order_id", "system", "system_key"), _required("state")],
        [_counts("attempts"), _instants("next_attempt_at"), _optional("lease_until", of=_INSTANT), _optional("token")],
        [_texts("last_error"), _instants("created_at", "updated_at")],
        checks={"state": f"state IN ({_STATES})"},
    )
    _index("writeback", "state", "next_attempt_at", "id")
    _index("writeback", "batch_id", "order_id")
    _index("writeback", "order_id")
    _create_delivery_events("writeback", _texts("actor_login"))
    if not _on_postgresql():
        # SQLite makes the table of mails anew, which triggers that name it would not allow: they come after.
        there = op.get_bind().exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for name in there.scalars().all():
            op.execute(f"DROP TRIGGER {name}")
    with op.batch_alter_table("mail") as mail:
        mail.drop_constraint(op.f("ck_mail_state"), type_="check")
        mail.create_check_constraint(op.f("ck_mail_state"), f"state IN ({_STATES})")
    _renew_guards(22)
    _hold_to_members("writeback", "writeback_event")
    _name_logins("writeback_event")


def _heartbeat() -> None:
    """When something last looked for held plans that are due, so that a store can say that nothing does."""
    _create(
        "heartbeat",
        ["account", "name"],
        [_required("account", "name"), _instants("at"), _texts("host")],
        checks={"at": _readable("at")},
        rowid=False,
    )
    _hold_to_members("heartbeat")


def _bounces() -> None:
    """Mails that came back: their state, the report that said so, and addresses that an operator mends."""
    _add("mail_event", _texts("from_recipient", "to_recipient", "report"))
    _renew_guards(24)


def _erased_writebacks() -> None:
    """An erasure takes what the systems were told of a buyer too."""
    _renew_guards(25)


def _smaller_indexes() -> None:
    """The index of open orders goes by day, and has no buyers: a rejection on SQLite writes half as many pages."""
    op.drop_index("ix_orders_open", table_name="orders")
    _index("orders", "season", "currency", "ordered_at", "total", name="ix_orders_open", where=_OPEN)
    confirmed = sa.text("status = 'oc-confirmed'")
    _index("orders", "season", "buyer_id", name="ix_orders_confirmed", where=confirmed)


def _mails_in_the_chain() -> None:
    """The digest of a batch covers its mails, and an act the addresses to which mails go instead."""
    _add("batch", _texts("mails_digest", "mail_leaves"))
    _add("mail", _texts("salt", "digest"))
    _add("mail_event", _texts("salt", "digest"))
    _renew_guards(27)


def _writebacks_by_id() -> None:
    """Write-backs have two indexes: their ids begin with that of their batch, and those that are due need no id."""
    for name in ("ix_writeback_account_batch_id_order_id", "ix_writeback_account_state_next_attempt_at_id"):
        op.drop_index(name, table_name="writeback")
    _index("writeback", "state", "next_attempt_at")


def _letters_as_sent() -> None:
    """The digest of each message as it was handed over; mails with checkpoints, of no batch and no buyer."""
    _add("mail", _texts("sent_digest"))
    _renew_guards(29)


def _copies_of_buyers() -> None:
    """Buyers have addresses that get a copy of each of their mails, for all to see or unseen."""
    _add("buyer", _optional("cc", "bcc"))
    _renew_guards(30)


MIGRATIONS: dict[str, Callable[[], None]] = {
    "0001": _first,
    "0002": _plans,
    "0003": _reasons,
    "0004": _guards_see_our_tables,
    "0005": _mail_events,
    "0006": fold_without_accents,
    "0007": _guards_of_every_key,
    "0008": _mails_are_kept,
    "0009": _request_keys,
    "0010": _rejected_by_a_batch,
    "0011": _digests_of_lines,
    "0012": write_codes,
    "0013": _sources,
    "0014": _fractional_quantities,
    "0015": _store_identity,
    "0016": _verdicts,
    "0017": _policy,
    "0018": _members,
    "0019": _acts,
    "0020": _erasures,
    "0021": _logins,
    "0022": _writebacks,
    "0023": _heartbeat,
    "0024": _bounces,
    "0025": _erased_writebacks,
    "0026": _smaller_indexes,
    "0027": _mails_in_the_chain,
    "0028": _writebacks_by_id,
    "0029": _letters_as_sent,
    "0030": _copies_of_buyers,
}


def _create(
    table: str,
    key: list[str],
    *columns: Iterable[Columns],
    checks: dict[str, str] | None = None,
    foreign: dict[str, str] | None = None,
    rowid: bool = True,
    deferred: bool = False,
) -> sa.Table:
    """Create a table with its primary key. `checks` are conditions by name, `foreign` tables by the column of an id."""
    return op.create_table(
        table,
        *chain.from_iterable(chain.from_iterable(columns)),
        *(sa.CheckConstraint(each, name=op.f(f"ck_{table}_{name}")) for name, each in (checks or {}).items()),
        *(
            sa.ForeignKeyConstraint(
                ["account", column],
                [f"{other}.account", f"{other}.id"],
                name=op.f(f"fk_{table}_{other}"),
                deferrable=deferred or None,
                initially="DEFERRED" if deferred else None,
            )
            for column, other in (foreign or {}).items()
        ),
        sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")),
        **({} if rowid else {"sqlite_with_rowid": False}),
    )


def _create_delivery_events(kind: str, *more: Columns) -> None:
    """Create the log of what operators do with the deliveries of a kind."""
    _create(
        f"{kind}_event",
        ["account", f"{kind}_id", "id"],
        [_required("account", f"{kind}_id", "id", "action", "from_state", "to_state"), _texts("reason")],
        [_required("actor"), _instants("at"), *more],
        rowid=False,
    )


def _add(table: str, *columns: Columns) -> None:
    for column in chain.from_iterable(columns):
        op.add_column(table, column)


def _index(table: str, *columns: str, name: str = "", unique: bool = False, where: Any = None) -> None:  # noqa: ANN401
    """Create an index over the account and these columns, of the rows that meet a condition."""
    partial = {} if where is None else {"sqlite_where": where, "postgresql_where": where}
    of_account = ["account", *columns]
    op.create_index(op.f(name or f"ix_{table}_{'_'.join(of_account)}"), table, of_account, unique=unique, **partial)


def _required(*names: str) -> Columns:
    """Texts that have to be given."""
    return [sa.Column(name, _TEXT, nullable=False) for name in names]


def _texts(*names: str) -> Columns:
    """Texts that may be empty."""
    return [sa.Column(name, _TEXT, server_default="", nullable=False) for name in names]


def _optional(*names: str, of: Any = _TEXT) -> Columns:  # noqa: ANN401
    """Values that may be NULL."""
    return [sa.Column(name, of, nullable=True) for name in names]


def _instants(*names: str) -> Columns:
    return [sa.Column(name, _INSTANT, nullable=False) for name in names]


def _counts(*names: str) -> Columns:
    return [sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in names]


def _big(*names: str) -> Columns:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def _number(name: str) -> Columns:
    """A number that is part of the primary key."""
    return [sa.Column(name, sa.Integer(), autoincrement=False, nullable=False)]


def _readable(column: str) -> str:
    """The condition that an instant can be read."""
    if _on_postgresql():
        return f"{column} BETWEEN '0001-01-02' AND '9999-12-30'"
    return (
        f"typeof({column}) = 'text' AND length({column}) = 27 AND {column} BETWEEN '0001-01-02' AND '9999-12-30'"
        f" AND strftime('%Y-%m-%dT%H:%M:%S', substr({column}, 1, 19), '+0 days') IS substr({column}, 1, 19)"
        f" AND {column} GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'"
    )


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _renew_guards(revision: int) -> None:
    statements.renew_guards(op.get_bind().dialect.name, op.execute, revision)


def _hold_to_members(*tables: str) -> None:
    """Let logins of PostgreSQL see the rows of their accounts only."""
    if _on_postgresql():
        for statement in chain.from_iterable(map(postgresql.row_security, tables)):
            op.execute(statement)


def _name_logins(*tables: str) -> None:
    """Let PostgreSQL write in each new row of a log which login wrote it."""
    if _on_postgresql():
        for table in tables:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN actor_login SET DEFAULT session_user")


def _of_each_account(*tables: str) -> list[Connection]:
    """The program's own connections over the one that migrates, of every account with rows in these tables."""
    bound = op.get_bind()
    raw: Any = bound.connection.driver_connection
    own = PostgresConnection if _on_postgresql() else SqliteConnection
    accounts = " UNION ".join(f"SELECT account FROM {table}" for table in tables)
    return [own(raw, account) for account in sorted(bound.exec_driver_sql(accounts).scalars())]
