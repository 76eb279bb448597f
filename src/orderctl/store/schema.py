"""Making and upgrading the store's schema with Alembic. Never done by the way: only by `orderctl store`."""

import os
import sqlite3
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from orderctl.domain.errors import OrderctlError, UsageError
from orderctl.store.address import Address
from orderctl.store.database import make_engine, stored_revision
from orderctl.store.revisions import CURRENT, SQLITE_APPLICATION_ID


def init_store(address: Address) -> bool:
    """Make the store; False if it is there already. Refuses a database that holds other tables."""
    if address.path is not None:
        _make_private_file(address.path)
    if revision_of(address) is not None:
        return False
    if _holds_tables(address):
        raise UsageError(f"{address.shown} holds tables that are not orderctl's", hint="name an empty database")
    _migrate(address)
    return True


def upgrade_store(address: Address) -> tuple[str, str]:
    """Bring the schema to the current revision; gives the revision before and after."""
    before = revision_of(address)
    if before is None:
        raise OrderctlError(f"{address.shown} is not an orderctl store", hint="make one: orderctl store init")
    if before != CURRENT:
        _migrate(address)
    return before, CURRENT


def revision_of(address: Address) -> str | None:
    """The revision of the store's schema; None if there is none."""
    engine = make_engine(address)
    try:
        with engine.translating(), engine.reading("") as connection:
            return stored_revision(connection)
    finally:
        engine.close()


def _make_private_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise UsageError(f"the store {path} cannot be made: {error.strerror}") from error


def _holds_tables(address: Address) -> bool:
    query = (
        "SELECT count(*) FROM sqlite_master WHERE type = 'table'"
        if address.path is not None
        else "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()"
    )
    engine = make_engine(address)
    try:
        with engine.translating(), engine.reading("") as connection:
            row = connection.execute(query).fetchone()
            return bool(row and row[0])
    finally:
        engine.close()


def _migrate(address: Address) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = make_engine(address)
    with engine.translating(), _connect(address) as connection:
        if address.path is not None:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql(f"PRAGMA application_id = {SQLITE_APPLICATION_ID}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()


def _connect(address: Address) -> Connection:
    if address.path is not None:
        path = address.path
        return create_engine(
            "sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(path, isolation_level=None)
        ).connect()
    conninfo = address.conninfo or ""
    connection = create_engine(
        "postgresql+psycopg://", poolclass=NullPool, creator=lambda: psycopg.connect(conninfo)
    ).connect()
    connection.execute(text("SELECT 1"))
    return connection
