"""What the source of an order last said of it and when, and since when its source has it no longer."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0016, renew_guards

revision = "0013"
down_revision = "0012"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
STATUSES = "'needs-oc', 'oc-created', 'oc-approved', 'oc-declined', 'oc-confirmed', 'returned-to-cart', 'rejected'"


SEEN = {
    "sqlite": "typeof(seen_at) = 'text' AND length(seen_at) = 27 AND seen_at BETWEEN '0001-01-02' AND '9999-12-30'"
    " AND strftime('%Y-%m-%dT%H:%M:%S', substr(seen_at, 1, 19), '+0 days') IS substr(seen_at, 1, 19)"
    " AND seen_at GLOB '*.[0-9][0-9][0-9][0-9][0-9][0-9]Z'",
    "postgresql": "seen_at BETWEEN '0001-01-02' AND '9999-12-30'",
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    op.add_column("orders", sa.Column("gone_at", INSTANT, nullable=True))
    op.create_table(
        "order_source",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("source", TEXT, server_default="", nullable=False),
        sa.Column("seen_at", INSTANT, nullable=False),
        sa.Column("status", TEXT, nullable=True),
        sa.Column("delivery_notes", sa.Integer(), nullable=True),
        sa.Column("invoices", sa.Integer(), nullable=True),
        sa.Column("import_id", TEXT, server_default="", nullable=False),
        sa.CheckConstraint(SEEN[dialect], name=op.f("ck_order_source_seen_at")),
        sa.CheckConstraint(f"status IN ({STATUSES})", name=op.f("ck_order_source_status")),
        sa.PrimaryKeyConstraint("account", "order_id", name=op.f("pk_order_source")),
        sqlite_with_rowid=False,
    )
    renew_guards(dialect, op.execute, without=OF_0016)
