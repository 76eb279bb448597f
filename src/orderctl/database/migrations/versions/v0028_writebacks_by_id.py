"""Write-backs have two indexes: their ids begin with that of their batch, and those that are due need no id in theirs."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    for name in ("ix_writeback_account_batch_id_order_id", "ix_writeback_account_state_next_attempt_at_id"):
        op.drop_index(name, table_name="writeback")
    columns = ["account", "state", "next_attempt_at"]
    op.create_index(op.f("ix_writeback_account_state_next_attempt_at"), "writeback", columns)
