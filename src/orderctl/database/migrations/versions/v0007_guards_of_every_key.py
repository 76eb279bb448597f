"""Guards against what takes a row's place by any of its keys, and against values that end later runs."""

from alembic import op

from orderctl.database.guards.conditions import FIRST_VERSIONS
from orderctl.database.guards.statements import OF_0011, renew_guards

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # Such an order ended every rejection that it was among: its version could not go up any more.
    op.execute(f"UPDATE orders SET version = {FIRST_VERSIONS} WHERE version NOT BETWEEN 1 AND {FIRST_VERSIONS}")
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0011)
