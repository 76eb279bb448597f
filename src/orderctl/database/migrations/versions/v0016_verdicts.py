"""What became of each id that a batch was asked about, and where the ids came from."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0017, renew_guards

revision = "0016"
down_revision = "0015"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "batch_verdict",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("code", TEXT, server_default="", nullable=False),
        sa.CheckConstraint(
            "verdict IN ('skipped', 'unknown', 'taken-out', 'changed')", name=op.f("ck_batch_verdict_verdict")
        ),
        sa.PrimaryKeyConstraint("account", "batch_id", "order_id", name=op.f("pk_batch_verdict")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "batch_origin",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("batch_id", TEXT, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("source", TEXT, server_default="", nullable=False),
        sa.Column("lines", TEXT, server_default="", nullable=False),
        sa.PrimaryKeyConstraint("account", "batch_id", "number", name=op.f("pk_batch_origin")),
        sqlite_with_rowid=False,
    )
    op.add_column("selection_item", sa.Column("line", sa.Integer(), server_default="0", nullable=False))
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0017)
