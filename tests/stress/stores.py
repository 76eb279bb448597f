"""Many like stores: a template made once by the real program, and cheap copies of it, on both engines."""

import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from orderctl.database.address import parse_address
from orderctl.database.schema import init_store
from orderctl.database.store import Store, make_engine

_numbers = count(1)
_migrating = threading.Lock()  # Alembic has one context a process


def sqlite_template() -> Path:
    """A store without orders as the migrations make it, made once a process or named by TEST_SQLITE_TEMPLATE."""
    with _migrating:
        return _migrated_file()


@cache
def _migrated_file() -> Path:
    if made := os.environ.get("TEST_SQLITE_TEMPLATE"):
        return Path(made)
    path = Path(_folder().name) / "template.db"
    init_store(parse_address(str(path)))
    _settle(path)
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """It goes with the process."""
    return tempfile.TemporaryDirectory(prefix="orderctl-template-")


def postgres_template(server: str) -> str:
    """The same as a database of a server: its name."""
    name = "template_store"
    with _migrating, psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            admin.execute(f"CREATE DATABASE {name}")
            init_store(parse_address(server.format(database=name)))
            _compact(server.format(database=name))
    return name


def _compact(url: str) -> None:
    """Rewrite the catalogs without the triggers that later migrations replaced, which each copy would drag along."""
    with psycopg.connect(url, autocommit=True) as store:
        catalogs = store.execute(
            "SELECT string_agg(relname, ', ') FROM pg_class"
            " WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r' AND NOT relisshared"
        ).fetchone()
        store.execute(f"VACUUM FULL {catalogs[0]}")
        store.execute("CHECKPOINT")  # their old files go
    psycopg.connect(url).close()  # writes anew what connections read the catalogs' shapes from


def _settle(path: Path) -> None:
    """Let the file alone be the whole store."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")


class Template:
    """A store that was filled once. `copy` gives one like it; it is gone after the block."""

    def __init__(self, folder: Path, server: str | None, fill: Callable[[Store], None]) -> None:
        self._folder = folder
        self._server = server
        self._name = f"t{next(_numbers)}"
        self.engine = "postgresql" if server else "sqlite"
        url = self._url(self._name)
        if server:
            self._admin(f"CREATE DATABASE {self._name} TEMPLATE {postgres_template(server)} STRATEGY file_copy")
        else:
            shutil.copy(sqlite_template(), url)
        with Store(make_engine(parse_address(url)), "main") as store:
            fill(store)
        if not server:
            _settle(Path(url))

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
