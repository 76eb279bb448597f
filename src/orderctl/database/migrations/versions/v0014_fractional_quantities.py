"""Quantities of lines have up to three decimals: metres and kilograms."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column(
        "order_line",
        sa.Column(
            "quantity_decimals",
            sa.SmallInteger(),
            sa.CheckConstraint(
                "(quantity_decimals & 3) = quantity_decimals", name=op.f("ck_order_line_quantity_decimals")
            ),
            server_default="0",
            nullable=False,
        ),
    )
