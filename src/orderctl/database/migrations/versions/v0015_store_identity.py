"""A store has an id of its own: copies of it have the same one, another store has another."""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    made = op.create_table(
        "store_identity",
        sa.Column("id", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_store_identity")),
        sqlite_with_rowid=False,
    )
    op.bulk_insert(made, [{"id": uuid4().hex}])
