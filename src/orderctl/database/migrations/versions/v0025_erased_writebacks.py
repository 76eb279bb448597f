"""An erasure takes what the systems were told of a buyer too."""

from alembic import op

from orderctl.database.guards.statements import OF_0027, renew_guards

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0027)
