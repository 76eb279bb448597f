"""A guard of PostgreSQL looks at the store's own tables, whatever a session puts before them."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    # A temporary table named `orders` came first until now, and lines of rejected orders could be changed behind it.
    op.execute(
        "DO $do$ BEGIN EXECUTE format("
        "'ALTER FUNCTION orderctl_refuse_line() SET search_path = %I, pg_temp', current_schema()); END $do$"
    )
