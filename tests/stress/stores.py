"""Many like stores: a template made once by the real program, and cheap copies of it, on both engines."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg

from orderctl.database.address import parse_address
from orderctl.database.schema import init_store
from orderctl.database.store import Store, make_engine

_numbers = count(1)
_migrating = threading.Lock()  # Alembic has one context a process


class Template:
    """A store that was filled once. `copy` gives one like it; it is gone after the block."""

    def __init__(self, folder: Path, server: str | None, fill: Callable[[Store], None]) -> None:
        self._folder = folder
        self._server = server
        self._name = f"t{next(_numbers)}"
        self.engine = "postgresql" if server else "sqlite"
        if server:
            self._admin(f"CREATE DATABASE {self._name}")
        url = self._url(self._name)
        with _migrating:
            init_store(parse_address(url))
        with Store(make_engine(parse_address(url)), "main") as store:
            fill(store)
        if not server:
            with closing(sqlite3.connect(url)) as settled:
                settled.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def copy(self) -> Iterator[str]:
        name = f"c{next(_numbers)}"
        if self._server:
            self._admin(f"CREATE DATABASE {name} TEMPLATE {self._name} STRATEGY file_copy")
        else:
            shutil.copy(self._url(self._name), self._url(name))
        yield self._url(name)
        if self._server:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            for leftover in self._folder.glob(f"{name}.db*"):
                leftover.unlink()

    def _url(self, name: str) -> str:
        return self._server.format(database=name) if self._server else str(self._folder / f"{name}.db")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self._server.format(database="postgres"), autocommit=True) as admin:
            admin.execute(statement)
