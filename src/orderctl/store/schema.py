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
from orderctl.domain.os_errors import os_reason
from orderctl.language import say
from orderctl.store.address import Address
from orderctl.store.database import make_engine, stored_revision
from orderctl.store.revisions import REVISIONS, SQLITE_APPLICATION_ID


def init_store(address: Address) -> bool:
    """Make the store; False if it is there already. Refuses a database that holds other tables."""
    made = address.path is not None and _make_private_file(address.path)
    dangling = address.path is not None and not address.path.is_file()
    if not (made or dangling) and revision_of(address) is not None:
        return False
    if not made and address.path is not None:
        _refuse_planted(address.path)
    if _holds_tables(address):
        raise UsageError(
            say("{shown} holds tables that are not orderctl's", shown=address.shown), hint=say("name an empty database")
        )
    _migrate(address)
    return True


def upgrade_store(address: Address) -> None:
    """Bring the schema to the current revision, wholly or not at all."""
    _migrate(address)


def upgradable_revision(address: Address) -> str:
    """The revision of a store that this program can upgrade. Raises OrderctlError if it is none."""
    found = revision_of(address)
    if found is None:
        raise OrderctlError(
            say("{shown} is not an orderctl store", shown=address.shown), hint=say("make one: orderctl store init")
        )
    if found not in REVISIONS:
        raise OrderctlError(
            say(
                "the store {shown} is of revision {revision}, newer than this program knows",
                shown=address.shown,
                revision=found,
            ),
            hint=say("upgrade orderctl to the version that the others use"),
        )
    return found


def revision_of(address: Address) -> str | None:
    """The revision of the store's schema; None if there is none."""
    engine = make_engine(address)
    try:
        with engine.translating(), engine.reading("") as connection:
            return stored_revision(connection)
    finally:
        engine.close()


def _make_private_file(path: Path) -> bool:
    """Make the file, for its owner only; False if something of that name is there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise UsageError(
            say("the store {path} cannot be made: {why}", path=path, why=os_reason(error)),
            hint=say("give another name or folder"),
        ) from error
    return True


def _refuse_planted(path: Path) -> None:
    """A store is made only in a file of our own: others must not have put it there, nor may they read it."""
    if path.is_symlink():
        raise UsageError(
            say("{path} is a link, and not to a store", path=path),
            hint=say("remove it, or name the file that it points to"),
        )
    if path.stat().st_uid != os.geteuid():
        raise UsageError(say("{path} belongs to another user", path=path), hint=say("give another name"))
    path.chmod(0o600)


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


def _migrate(address: Address, target: str = "head") -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    engine = make_engine(address)
    with engine.translating(), _connect(address) as connection:
        if address.path is not None:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            connection.exec_driver_sql(f"PRAGMA application_id = {SQLITE_APPLICATION_ID}")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, target)
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
