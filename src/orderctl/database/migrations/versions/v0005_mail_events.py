"""What operators did with mails: an append-only log beside that of the orders."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import create_log_guards

revision = "0005"
down_revision = "0004"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mail_event",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("mail_id", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("from_state", TEXT, nullable=False),
        sa.Column("to_state", TEXT, nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("account", "mail_id", "id", name=op.f("pk_mail_event")),
        sqlite_with_rowid=False,
    )
    create_log_guards(op.get_bind().dialect.name, "mail_event", op.execute)
