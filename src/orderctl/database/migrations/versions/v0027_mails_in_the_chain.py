"""The digest of a batch covers its mails, and an act the addresses to which mails go instead."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import renew_guards

revision = "0027"
down_revision = "0026"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ADDED = {"batch": ("mails_digest", "mail_leaves"), "mail": ("salt", "digest"), "mail_event": ("salt", "digest")}


def upgrade() -> None:
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, sa.Column(column, TEXT, server_default="", nullable=False))
    renew_guards(op.get_bind().dialect.name, op.execute)
