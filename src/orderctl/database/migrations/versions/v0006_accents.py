"""Folded texts without the accents of Latin and Greek letters, so that a search finds them either way."""

import sqlalchemy as sa
from alembic import op

from orderctl.core.text import fold

revision = "0006"
down_revision = "0005"

_BATCH = 20_000
# Rejected orders are folded anew too; it is the one thing about them that changes.
_GUARD = "orders_final_update"


def upgrade() -> None:
    connection = op.get_bind()
    _fold_anew(connection, "buyer", "name_folded")
    if connection.dialect.name == "sqlite":
        guard = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (_GUARD,)).scalar_one()
        op.execute(f"DROP TRIGGER {_GUARD}")
        _fold_anew(connection, "orders", "folded")
        connection.exec_driver_sql(guard)
    else:
        op.execute(f"ALTER TABLE orders DISABLE TRIGGER {_GUARD}")
        _fold_anew(connection, "orders", "folded")
        op.execute(f"ALTER TABLE orders ENABLE ALWAYS TRIGGER {_GUARD}")


def _fold_anew(connection: sa.Connection, table: str, column: str) -> None:
    """Fold what was folded: texts of ASCII stay as they are, and are not even read."""
    bytes_of = f"CAST({column} AS BLOB)" if connection.dialect.name == "sqlite" else f"convert_to({column}, 'UTF8')"
    after = sa.text(
        f"SELECT account, id, {column} FROM {table} WHERE (account, id) > (:account, :id)"
        f" AND length({column}) <> length({bytes_of}) ORDER BY account, id LIMIT {_BATCH}"
    )
    change = sa.text(f"UPDATE {table} SET {column} = :folded WHERE account = :account AND id = :id")
    account, last = "", ""
    while rows := connection.execute(after, {"account": account, "id": last}).all():
        changed = [
            {"account": row[0], "id": row[1], "folded": folded} for row in rows if (folded := fold(row[2])) != row[2]
        ]
        if changed:
            connection.execute(change, changed)
        account, last = rows[-1][:2]
