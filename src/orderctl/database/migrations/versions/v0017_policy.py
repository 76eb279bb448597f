"""What batches may be, whatever program writes them: the policy of each account, and the rules of rejecting."""

import sqlalchemy as sa
from alembic import op

from orderctl.database.guards.statements import OF_0018, renew_guards

revision = "0017"
down_revision = "0016"

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INSTANT = sa.Text().with_variant(sa.DateTime(timezone=True), "postgresql")
SINGLY = sa.text("from_status IN ('oc-approved', 'oc-declined', 'oc-confirmed')")


def upgrade() -> None:
    op.create_table(
        "policy",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        *(
            sa.Column(name, TEXT, server_default="", nullable=False)
            for name in ("actor", "actor_login", "rules", "previous", "digest")
        ),
        sa.PrimaryKeyConstraint("account", "position", name=op.f("pk_policy")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "batch_begun",
        sa.Column("account", TEXT, nullable=False),
        sa.Column("id", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "id"],
            ["batch.account", "batch.id"],
            name=op.f("fk_batch_begun_batch"),
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_batch_begun")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_order_event_singly", "order_event", ["account", "batch_id"], sqlite_where=SINGLY, postgresql_where=SINGLY
    )
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0018)
