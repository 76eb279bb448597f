"""Filters with names; see `ports.SavedFilters`."""

from orderctl.ports import SavedFilter
from orderctl.store.sql import Connection, Row, read_instant

_COLUMNS = "name, expression, actor, saved_at"


class SqlSavedFilters:
    """Saved filters of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, saved: SavedFilter, *, over: str | None) -> bool:
        """Keep it under its name, in place of the expression `over`; False if another one is there, or one at all."""
        values = {
            "name": saved.name,
            "expression": saved.expression,
            "actor": saved.actor,
            "saved_at": self._connection.dialect.instant(saved.saved_at),
        }
        if over is None:
            kept = self._connection.execute(
                f"INSERT INTO saved_filter (account, {_COLUMNS})"
                " VALUES (:account, :name, :expression, :actor, :saved_at) ON CONFLICT (account, name) DO NOTHING",
                values,
            )
        else:
            kept = self._connection.execute(
                "UPDATE saved_filter SET expression = :expression, actor = :actor, saved_at = :saved_at"
                " WHERE account = :account AND name = :name AND expression = :over",
                values | {"over": over},
            )
        return kept.rowcount > 0

    def get(self, name: str) -> SavedFilter | None:
        """The filter of that name."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM saved_filter WHERE account = :account AND name = :name", {"name": name}
        ).fetchone()
        return _saved(row) if row else None

    def all(self) -> tuple[SavedFilter, ...]:
        """Every saved filter, by name."""
        found = self._connection.execute(f"SELECT {_COLUMNS} FROM saved_filter WHERE account = :account ORDER BY name")
        return tuple(map(_saved, found))

    def delete(self, name: str) -> bool:
        """Forget it; False if there is none."""
        gone = self._connection.execute(
            "DELETE FROM saved_filter WHERE account = :account AND name = :name", {"name": name}
        )
        return gone.rowcount > 0


def _saved(row: Row) -> SavedFilter:
    return SavedFilter(name=row[0], expression=row[1], actor=row[2], saved_at=read_instant(row[3]))
