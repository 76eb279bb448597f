"""The check of a batch looks its events up by their keys, whatever the planner thinks of what was just written."""

from alembic import op

from orderctl.database.guards.statements import renew_guards

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    renew_guards(op.get_bind().dialect.name, op.execute)
