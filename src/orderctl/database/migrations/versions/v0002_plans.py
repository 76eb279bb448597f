"""Plans that are kept, and what their orders were like when they were made."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    _create_plan()
    _create_plan_order()


def _create_plan() -> None:
    op.create_table(
        "plan",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.Column("plan", TEXT, server_default="", nullable=False),
        sa.Column("plan_digest", TEXT, server_default="", nullable=False),
        sa.Column("made_at", INSTANT, nullable=False),
        sa.Column("author", TEXT, server_default="", nullable=False),
        sa.Column("author_login", TEXT, server_default="", nullable=False),
        sa.Column("targets", sa.Integer(), server_default="0", nullable=False),
        sa.Column("totals", TEXT, server_default="", nullable=False),
        sa.Column("reason", TEXT, server_default="", nullable=False),
        sa.Column("second_operator", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expires_at", INSTANT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("approver", TEXT, nullable=True),
        sa.Column("approver_login", TEXT, nullable=True),
        sa.Column("approved_at", INSTANT, nullable=True),
        sa.Column("how", TEXT, server_default="", nullable=False),
        sa.Column("due_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.Column("closed_by", TEXT, nullable=True),
        sa.Column("closed_by_login", TEXT, nullable=True),
        sa.Column("digest", TEXT, server_default="", nullable=False),
        sa.CheckConstraint(
            "state IN ('saved', 'approved', 'held', 'executed', 'cancelled')", name=op.f("ck_plan_state")
        ),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_plan")),
    )
    op.create_index(op.f("ix_plan_account_state_due_at"), "plan", ["account", "state", "due_at"], unique=False)


def _create_plan_order() -> None:
    op.create_table(
        "plan_order",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("plan_id", TEXT, nullable=False),
        sa.Column("order_id", TEXT, nullable=False),
        sa.Column("was_status", TEXT, server_default="", nullable=False),
        sa.Column("was_currency", TEXT, server_default="", nullable=False),
        sa.Column("was_total", sa.BigInteger(), nullable=False),
        sa.Column("was_quantity", sa.BigInteger(), nullable=False),
        sa.Column("was_delivery_notes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("was_invoices", sa.Integer(), server_default="0", nullable=False),
        sa.Column("was_backlog_skus", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["account", "plan_id"], ["plan.account", "plan.id"], name=op.f("fk_plan_order_plan")),
        sa.PrimaryKeyConstraint("account", "plan_id", "order_id", name=op.f("pk_plan_order")),
        sqlite_with_rowid=False,
    )
