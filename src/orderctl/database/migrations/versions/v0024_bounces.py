"""Mails that came back: their state, the report that said so, and addresses that an operator mends."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0027, renew_guards

revision = "0024"
down_revision = "0023"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    for column in ("from_recipient", "to_recipient", "report"):
        op.add_column("mail_event", sa.Column(column, TEXT, server_default="", nullable=False))
    renew_guards(dialect, op.execute, without=OF_0027)
