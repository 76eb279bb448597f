"""Copies a live SQLite store: SQLite's own backup, then checked; other programs may write meanwhile."""

import sqlite3
from contextlib import closing
from pathlib import Path

from orderctl.domain.errors import OrderctlError
from orderctl.language import say
from orderctl.store.sqlite import SqliteEngine


def copy_store(engine: SqliteEngine, target: Path) -> None:
    """Copy the store as it is at one instant into the empty file `target`, and check the copy.

    Raises OrderctlError if the copy is not sound, StoreUnavailableError if the store cannot be read.
    """
    with engine.translating(), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source = engine.connect()
        source.backup(copy)
        # One file, without a log beside it, and nothing left in memory only.
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise OrderctlError(
                say("the copy of {shown} is not sound: {found}", shown=engine.shown, found=found),
                hint=say("the store is damaged: restore a backup"),
            )
