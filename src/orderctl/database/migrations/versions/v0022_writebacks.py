"""What a system is to be told of a rejected order, and mails that wait until it was told."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.postgresql import row_security
from orderctl.database.guards.statements import OF_0024, renew_guards

revision = "0022"
down_revision = "0021"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
STATES = (
    "state IN ('held', 'waiting', 'claimed', 'sending', 'sent', 'refused', 'retry', 'unknown', 'cancelled', 'bounced')"
)


def upgrade() -> None:
    op.create_table(
        "writeback",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, server_default="", nullable=False),
        sa.Column("order_id", TEXT, server_default="", nullable=False),
        sa.Column("system", TEXT, server_default="", nullable=False),
        sa.Column("system_key", TEXT, server_default="", nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", INSTANT, nullable=False),
        sa.Column("lease_until", INSTANT, nullable=True),
        sa.Column("token", TEXT, nullable=True),
        sa.Column("last_error", TEXT, server_default="", nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.CheckConstraint(STATES, name=op.f("ck_writeback_state")),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_writeback")),
    )
    for columns in (
        ["account", "state", "next_attempt_at", "id"],
        ["account", "batch_id", "order_id"],
        ["account", "order_id"],
    ):
        op.create_index(op.f(f"ix_writeback_{'_'.join(columns)}"), "writeback", columns, unique=False)
    op.create_table(
        "writeback_event",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("writeback_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("from_state", TEXT, nullable=False),
        sa.Column("to_state", TEXT, nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("actor_login", TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account", "writeback_id", "id", name=op.f("pk_writeback_event")),
        sqlite_with_rowid=False,
    )
    _widen_states()
    dialect = op.get_bind().dialect.name
    renew_guards(dialect, op.execute, without=OF_0024)
    if dialect == "postgresql":
        for table in ("writeback", "writeback_event"):
            for statement in row_security(table):
                op.execute(statement)
        op.execute("ALTER TABLE writeback_event ALTER COLUMN actor_login SET DEFAULT session_user")


def _widen_states() -> None:
    """A mail may be held, or have come back. SQLite makes the table anew, which triggers that name it would not allow: they come after."""
    if op.get_bind().dialect.name == "sqlite":
        for (name,) in (
            op.get_bind().exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        ):
            op.execute(f"DROP TRIGGER {name}")
    with op.batch_alter_table("mail") as mail:
        mail.drop_constraint(op.f("ck_mail_state"), type_="check")
        mail.create_check_constraint(op.f("ck_mail_state"), STATES)
