"""Reason codes of batches and events, messages of single orders, when an order was last changed, open orders by season."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
OPEN = sa.text("status NOT IN ('returned-to-cart', 'rejected')")


def upgrade() -> None:
    op.add_column("batch", sa.Column("reason_code", TEXT, server_default="", nullable=False))
    op.add_column("order_event", sa.Column("reason_code", TEXT, server_default="", nullable=False))
    op.add_column("mail_order", sa.Column("message", TEXT, server_default="", nullable=False))
    op.add_column("orders", sa.Column("changed_at", INSTANT, nullable=True))
    op.create_index(
        "ix_orders_open",
        "orders",
        ["account", "season", "currency", "buyer_id", "status", "total"],
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
