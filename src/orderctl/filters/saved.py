"""Saved filters: expressions with a name, shared by everyone on the store."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from orderctl.database.connection import Columns, Connection, read_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    """A filter with a name, shared by everyone on the store: the expression as written, who, when."""

    name: str
    expression: str
    actor: str
    saved_at: datetime


_COLUMNS = Columns("name, expression, actor, saved_at", saved_at=read_instant)


def save_filter(connection: Connection, saved: SavedFilter, *, over: str | None) -> bool:
    """Keep it under its name, in place of the expression `over`; False if another one is there, or one at all."""
    values = asdict(saved) | {"saved_at": connection.dialect.instant(saved.saved_at)}
    if over is None:
        kept = connection.execute(
            f"INSERT INTO saved_filter (account, {_COLUMNS.sql})"
            " VALUES (:account, :name, :expression, :actor, :saved_at) ON CONFLICT (account, name) DO NOTHING",
            values,
        )
    else:
        kept = connection.execute(
            "UPDATE saved_filter SET expression = :expression, actor = :actor, saved_at = :saved_at"
            " WHERE account = :account AND name = :name AND expression = :over",
            values | {"over": over},
        )
    return kept.rowcount > 0


def get_filter(connection: Connection, name: str) -> SavedFilter | None:
    """The filter of that name."""
    row = connection.execute(
        f"SELECT {_COLUMNS.sql} FROM saved_filter WHERE account = :account AND name = :name", {"name": name}
    ).fetchone()
    return SavedFilter(**_COLUMNS.values(row)) if row else None


def all_filters(connection: Connection) -> tuple[SavedFilter, ...]:
    """Every saved filter, by name."""
    found = connection.execute(f"SELECT {_COLUMNS.sql} FROM saved_filter WHERE account = :account ORDER BY name")
    return tuple(SavedFilter(**_COLUMNS.values(row)) for row in found)


def delete_filter(connection: Connection, name: str) -> bool:
    """Forget it; False if there is none."""
    gone = connection.execute("DELETE FROM saved_filter WHERE account = :account AND name = :name", {"name": name})
    return gone.rowcount > 0
