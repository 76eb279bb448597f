"""Buyers can be erased: the record of it, and batches whose texts are digested with a salt."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.postgresql import row_security
from orderctl.database.guards.statements import OF_0021, renew_guards

revision = "0020"
down_revision = "0019"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        *(sa.Column(name, TEXT, server_default="", nullable=False) for name in ("actor", "actor_login", "buyer_id")),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in ("orders", "mails", "plans")),
        *(sa.Column(name, TEXT, server_default="", nullable=False) for name in ("batches", "previous", "digest")),
        sa.PrimaryKeyConstraint("account", "position", name=op.f("pk_erasure")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_erasure_account_buyer_id"), "erasure", ["account", "buyer_id"], unique=True)
    for name in ("salt", "texts_digest"):
        op.add_column("batch", sa.Column(name, TEXT, server_default="", nullable=False))
    dialect = op.get_bind().dialect.name
    renew_guards(dialect, op.execute, without=OF_0021)
    if dialect == "postgresql":
        for statement in row_security("erasure"):
            op.execute(statement)
