"""The caller's own key of a batch, what was asked for under it, and the plan that ran."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0011, renew_guards

revision = "0009"
down_revision = "0008"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("batch", sa.Column("request_key", TEXT, nullable=True))
    op.add_column("batch", sa.Column("request_digest", TEXT, server_default="", nullable=False))
    op.add_column("batch", sa.Column("request_plan", TEXT, server_default="", nullable=False))
    op.create_index(op.f("ix_batch_account_request_key"), "batch", ["account", "request_key"], unique=True)
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0011)
