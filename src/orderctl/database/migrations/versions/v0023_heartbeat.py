"""When something last looked for held plans that are due, so that a store can say that nothing does."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.postgresql import row_security

revision = "0023"
down_revision = "0022"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
AT = {
    "sqlite": "typeof(at) = 'text' AND length(at) = 27 AND at BETWEEN '0001-01-02' AND '9999-12-30'"
    " AND strftime('%Y-%m-%dT%H:%M:%S', substr(at, 1, 19), '+0 days') IS substr(at, 1, 19)"
    " AND at GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'",
    "postgresql": "at BETWEEN '0001-01-02' AND '9999-12-30'",
}


def upgrade() -> None:
    op.create_table(
        "heartbeat",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("host", TEXT, server_default="", nullable=False),
        sa.CheckConstraint(AT[op.get_bind().dialect.name], name=op.f("ck_heartbeat_at")),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_heartbeat")),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        for statement in row_security("heartbeat"):
            op.execute(statement)
