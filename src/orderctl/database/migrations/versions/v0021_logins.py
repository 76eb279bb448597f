"""Who wrote what, as the database knows it: a login for each batch and event, and a digest that it can check."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0022, renew_guards

revision = "0021"
down_revision = "0020"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for table in ("batch", "order_event", "mail_event"):
        op.add_column(table, sa.Column("actor_login", TEXT, server_default="", nullable=False))
    op.add_column("batch", sa.Column("events_digest", TEXT, server_default="", nullable=False))
    op.add_column("batch_begun", sa.Column("events", sa.Integer(), server_default="0", nullable=False))
    if op.get_bind().dialect.name != "sqlite":
        # Only now: the rows that are there already would get the login of whoever upgrades.
        for table in ("order_event", "mail_event"):
            op.execute(f"ALTER TABLE {table} ALTER COLUMN actor_login SET DEFAULT session_user")
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0022)
