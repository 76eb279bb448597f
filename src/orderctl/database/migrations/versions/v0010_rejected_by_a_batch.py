"""A guard that lets an order become rejected by a batch alone."""

from alembic import op

from orderctl.database.guards.statements import OF_0011, renew_guards

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0011)
