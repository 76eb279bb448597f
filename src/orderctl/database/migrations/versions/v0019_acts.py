"""What operators do besides rejecting is a chain too; what was logged of it before is covered by its first act."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

from orderctl.database.acts import record_earlier
from orderctl.database.clock import database_time
from orderctl.database.connection import Connection
from orderctl.database.guards.postgresql import row_security
from orderctl.database.guards.statements import OF_0020, renew_guards
from orderctl.database.line_digests import digest_open_orders
from orderctl.database.postgres import PostgresConnection
from orderctl.database.sqlite import SqliteConnection

revision = "0019"
down_revision = "0018"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
READABLE = {
    "sqlite": "typeof(at) = 'text' AND length(at) = 27 AND at BETWEEN '0001-01-02' AND '9999-12-30'"
    " AND strftime('%Y-%m-%dT%H:%M:%S', substr(at, 1, 19), '+0 days') IS substr(at, 1, 19)"
    " AND at GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'",
    "postgresql": "at BETWEEN '0001-01-02' AND '9999-12-30'",
}


def upgrade() -> None:
    bound = op.get_bind()
    dialect = bound.dialect.name
    op.create_table(
        "act",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", TEXT, server_default="", nullable=False),
        sa.Column("login", TEXT, server_default="", nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("subject", TEXT, server_default="", nullable=False),
        *(sa.Column(name, TEXT, server_default="", nullable=False) for name in ("detail", "salt", "detail_digest")),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        *(sa.Column(name, TEXT, server_default="", nullable=False) for name in ("content", "previous", "digest")),
        sa.CheckConstraint(READABLE[dialect], name=op.f("ck_act_at")),
        sa.PrimaryKeyConstraint("account", "position", name=op.f("pk_act")),
        sqlite_with_rowid=False,
    )
    renew_guards(dialect, op.execute, without=OF_0020)
    if dialect == "postgresql":
        for statement in row_security("act"):
            op.execute(statement)
    accounts = " UNION ".join(f"SELECT account FROM {log}" for log in ("order_event", "mail_event", "policy"))
    for account in sorted(bound.exec_driver_sql(accounts).scalars().all()):
        connection = _of_account(bound, account)
        record_earlier(connection, database_time(connection, datetime.now(UTC)))
    # From now on the digest of an order covers its total. Those that are rejected keep the one in their log.
    for account in bound.exec_driver_sql("SELECT DISTINCT account FROM orders").scalars().all():
        digest_open_orders(_of_account(bound, account))


def _of_account(bound: sa.Connection, account: str) -> Connection:
    """The program's own connection over the one that migrates."""
    raw: Any = bound.connection.driver_connection
    return (SqliteConnection if bound.dialect.name == "sqlite" else PostgresConnection)(raw, account)
