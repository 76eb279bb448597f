"""The index of open orders goes by day, and has no buyers: a rejection on SQLite writes half as many pages."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

OPEN = sa.text("status NOT IN ('returned-to-cart', 'rejected')")
CONFIRMED = sa.text("status = 'oc-confirmed'")


def upgrade() -> None:
    op.drop_index("ix_orders_open", table_name="orders")
    for name, columns, rows in (
        ("ix_orders_open", ("season", "currency", "ordered_at", "total"), OPEN),
        ("ix_orders_confirmed", ("season", "buyer_id"), CONFIRMED),
    ):
        op.create_index(op.f(name), "orders", ["account", *columns], sqlite_where=rows, postgresql_where=rows)
