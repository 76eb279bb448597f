"""Which logins of PostgreSQL are members of which account, and policies that hold every table to it."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.postgresql import member_security, row_security
from orderctl.database.guards.statements import OF_0019, renew_guards

revision = "0018"
down_revision = "0017"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
# Every table with an account, but `member`.
TABLES = (
    "buyer",
    "orders",
    "order_line",
    "order_tag",
    "order_source",
    "selection_item",
    "saved_filter",
    "batch",
    "batch_begun",
    "batch_verdict",
    "batch_origin",
    "order_event",
    "policy",
    "mail",
    "mail_order",
    "mail_event",
    "plan",
    "plan_order",
)
# The owner goes on to work on every account that is there; of the others each has to be added.
OWNERS = (
    "INSERT INTO member (account, login, number, action, at, actor, actor_login)"
    " SELECT account, login, 1, 'add', clock_timestamp(), 'store upgrade', session_user::text FROM ("
    + " UNION ".join(f"SELECT account FROM {table}" for table in TABLES)
    + ") AS accounts, (SELECT session_user::text AS login UNION SELECT pg_get_userbyid(relowner)::text FROM pg_class"
    " WHERE oid = 'orders'::regclass) AS owners"
)


def upgrade() -> None:
    op.create_table(
        "member",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("login", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor", TEXT, server_default="", nullable=False),
        sa.Column("actor_login", TEXT, server_default="", nullable=False),
        sa.CheckConstraint("action IN ('add', 'remove')", name=op.f("ck_member_action")),
        sa.PrimaryKeyConstraint("account", "login", "number", name=op.f("pk_member")),
        sqlite_with_rowid=False,
    )
    dialect = op.get_bind().dialect.name
    renew_guards(dialect, op.execute, without=OF_0019)
    if dialect != "postgresql":
        return
    op.execute(OWNERS)
    for table in TABLES:
        for statement in row_security(table):
            op.execute(statement)
    for statement in member_security():
        op.execute(statement)
