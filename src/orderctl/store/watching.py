"""Counts statements and the time they take, for who wants to see it. Nothing of a statement is kept."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orderctl.store.sql import Connection, Cursor, Dialect, Params, Row


@dataclass(slots=True)
class Statements:
    """How many statements were run, and for how many seconds."""

    count: int = 0
    seconds: float = 0.0


class WatchedConnection:
    """A connection that counts; see `sql.Connection`."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    @property
    def dialect(self) -> Dialect:
        """See `sql.Connection`."""
        return self._connection.dialect

    @property
    def account(self) -> str:
        """See `sql.Connection`."""
        return self._connection.account

    def execute(self, sql: str, params: Params | None = None) -> Cursor:
        """See `sql.Connection`."""
        started = time.perf_counter()
        try:
            return self._connection.execute(sql, params or {})
        finally:
            self._count(started)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """See `sql.Connection`."""
        started = time.perf_counter()
        try:
            self._connection.insert(table, columns, rows)
        finally:
            self._count(started)

    def stream(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """See `sql.Connection`. The time is that until the first row; the rest is its reader's."""
        started = time.perf_counter()
        rows = self._connection.stream(sql, params or {})
        self._count(started)
        return rows

    def alongside(self, sql: str, params: Params | None = None) -> Callable[[], list[Row]]:
        """See `sql.Connection`. The time is that of waiting for the rows."""
        rows = self._connection.alongside(sql, params or {})

        def waited() -> list[Row]:
            started = time.perf_counter()
            try:
                return rows()
            finally:
                self._count(started)

        return waited

    def _count(self, started: float) -> None:
        self._statements.count += 1
        self._statements.seconds += time.perf_counter() - started
