"""A queued mail keeps its recipient, its orders and its text, and a sent one is final."""

from alembic import op

from orderctl.database.guards.statements import OF_0011, renew_guards

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # Such a mail ended every delivery that it was among: its attempts could not go up any more.
    op.execute("UPDATE mail SET attempts = 0 WHERE attempts NOT BETWEEN 0 AND 1000000 AND state <> 'sent'")
    renew_guards(op.get_bind().dialect.name, op.execute, without=OF_0011)
