"""Saved filters: expressions with a name, shared by everyone on the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orderctl.database.connection import Connection, Row, read_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedFilter:
    """A filter with a name, shared by everyone on the store: the expression as written, who, when."""

    name: str
    expression: str
    actor: str
    saved_at: datetime


_COLUMNS = "name, expression, actor, saved_at"


def save_filter(connection: Connection, saved: SavedFilter, *, over: str | None) -> bool:
    """Keep it under its name, in place of the expression `over`; False if another one is there, or one at all."""
    values = {
        "name": saved.name,
        "expression": saved.expression,
        "actor": saved.actor,
        "saved_at": connection.dialect.instant(saved.saved_at),
    }
    if over is None:
        kept = connection.execute(
            f"INSERT INTO saved_filter (account, {_COLUMNS})"
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
        f"SELECT {_COLUMNS} FROM saved_filter WHERE account = :account AND name = :name", {"name": name}
    ).fetchone()
    return _saved(row) if row else None


def all_filters(connection: Connection) -> tuple[SavedFilter, ...]:
    """Every saved filter, by name."""
    found = connection.execute(f"SELECT {_COLUMNS} FROM saved_filter WHERE account = :account ORDER BY name")
    return tuple(map(_saved, found))


def delete_filter(connection: Connection, name: str) -> bool:
    """Forget it; False if there is none."""
    gone = connection.execute("DELETE FROM saved_filter WHERE account = :account AND name = :name", {"name": name})
    return gone.rowcount > 0


def _saved(row: Row) -> SavedFilter:
    return SavedFilter(name=row[0], expression=row[1], actor=row[2], saved_at=read_instant(row[3]))
