"""The guard of a batch looks up the event of each of its orders."""

from alembic import op

from orderctl.database.guards.statements import renew_guards

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "postgresql":
        renew_guards(dialect, op.execute)
