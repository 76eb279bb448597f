"""Creates and upgrades the schema with Alembic. Only `orderctl store` does this, no other command."""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import ModuleType

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script.base import Script
from alembic.script.revision import RevisionMap
from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orderctl.database.address import Address
from orderctl.database.migrations.migrations import MIGRATIONS
from orderctl.database.sqlite import backup_store
from orderctl.database.store import CURRENT, REVISIONS, VERSION_TABLE, Engine, make_engine, stored_revision
from orderctl.errors import CommitUnknownError, OrderctlError, UsageError, os_reason
from orderctl.language import _


def init_store(address: Address) -> bool:
    """Create the store; False if it exists already. Refuses a database that holds other tables."""
    made = address.path is not None and _make_private_file(address.path)
    dangling = address.path is not None and not address.path.is_file()
    if not (made or dangling) and revision_of(address) is not None:
        return False
    if not made and address.path is not None:
        _refuse_planted(address.path)
    with _alone(address) as connection:
        # Another run may have created it in the meantime.
        if _revision(connection) is not None:
            return False
        if inspect(connection).get_table_names():
            raise UsageError(
                _("{shown} holds tables that are not orderctl's", shown=address.shown), hint=_("name an empty database")
            )
        _migrate(connection)
    return True


def upgrade_store(address: Address, *, before: Callable[[], None] = lambda: None) -> str:
    """Upgrade the schema to the current revision in one transaction; returns the revision that it had.

    Of several runs at once, one calls `before` and upgrades; the others wait and find nothing left to do. Raises
    OrderctlError if the store cannot be upgraded.
    """
    found = _upgradable(revision_of(address), address.shown)
    if found == CURRENT:
        return found
    with _alone(address) as connection:
        found = _upgradable(_revision(connection), address.shown)
        if found != CURRENT:
            before()
            _migrate(connection)
    return found


def _upgradable(found: str | None, shown: str) -> str:
    """The revision. Raises OrderctlError if this program cannot upgrade it."""
    if found is None:
        raise OrderctlError(_("{shown} is not an orderctl store", shown=shown), hint=_("make one: orderctl store init"))
    if found not in REVISIONS:
        raise OrderctlError(
            _(
                "the store {shown} is of revision {revision}, newer than this program knows",
                shown=shown,
                revision=found,
            ),
            hint=_("upgrade orderctl to the version that the others use"),
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
    """Create the file for its owner only; False if the name is taken."""
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
            return True
    except OSError as error:
        raise UsageError(
            _("the store {path} cannot be made: {why}", path=path, why=os_reason(error)),
            hint=_("give another name or folder"),
        ) from error
    return False


def _refuse_planted(path: Path) -> None:
    """Refuse to create a store in a file that others put there or may read."""
    if path.is_symlink():
        raise UsageError(
            _("{path} is a link, and not to a store", path=path),
            hint=_("remove it, or name the file that it points to"),
        )
    if path.stat().st_uid != os.geteuid():
        raise UsageError(_("{path} belongs to another user", path=path), hint=_("give another name"))
    path.chmod(0o600)


@contextmanager
def _alone(address: Address) -> Iterator[Connection]:
    """A transaction that changes the schema. Others wait for it as long as for any lock.

    Raises StoreUnavailableError after that time, and CommitUnknownError if the store goes away during the commit.
    """
    engine = make_engine(address)
    sqlite = address.path is not None
    with closing(engine), engine.translating():
        try:
            with _connection(engine, sqlite=sqlite) as connection:
                for statement in engine.begin_alone:
                    connection.exec_driver_sql(statement)
                yield connection
                _commit(connection)
        except DBAPIError as error:
            raise (error.orig or error) from error


def _connection(engine: Engine, *, sqlite: bool) -> Connection:
    """An SQLAlchemy connection over the engine's connection."""
    raw = engine.connect()
    if not sqlite:
        raw.autocommit = False
    url = "sqlite://" if sqlite else "postgresql+psycopg://"
    return create_engine(url, poolclass=NullPool, creator=lambda: raw).connect()


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise CommitUnknownError(hint=_("run it again: it does what is left to do")) from error


def _revision(connection: Connection) -> str | None:
    """The revision as this transaction sees it; None if there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return str(found) if found else None


def _migrate(connection: Connection, target: str = CURRENT) -> None:
    """Let Alembic run the migrations up to a revision, within the open transaction: SQLite's DDL belongs to it too."""
    scripts = {each: _script(each, before) for before, each in zip((None, *REVISIONS), REVISIONS, strict=False)}
    known = RevisionMap(scripts.values)

    def steps(heads: tuple[str, ...], _context: MigrationContext) -> list[RevisionStep]:
        to_do = [scripts[each.revision] for each in known.iterate_revisions(target, heads or "base")]
        return [RevisionStep(known, script, True) for script in to_do[::-1]]

    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "fn": steps})
    with _every_account(connection), Operations.context(context):
        context.run_migrations()


def _script(revision: str, before: str | None) -> Script:
    """A migration for Alembic, which finds each in a module of its own elsewhere."""
    module = ModuleType(revision)
    vars(module).update(down_revision=before, upgrade=MIGRATIONS[revision])
    return Script(module, revision, "")


@contextmanager
def _every_account(connection: Connection) -> Iterator[None]:
    """Let the owner change the rows of all accounts, of whichever it is a member."""
    forced: list[str] = []
    if connection.dialect.name == "postgresql":
        found = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relforcerowsecurity AND relnamespace = current_schema()::regnamespace"
        )
        forced = [str(name) for name in found.scalars()]
    for name in forced:
        connection.exec_driver_sql(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY")
    yield
    for name in forced:
        connection.exec_driver_sql(f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY")


def upgrade_with_copy(address: Address, at: datetime) -> tuple[str, str, Path | None]:
    """Upgrade the store; returns the revision before and after, and the copy made before, if any."""
    path = address.path
    if path is None:
        return upgrade_store(address), CURRENT, None
    copy = path.with_name(f"{path.name}.before-{CURRENT}-{at:%Y%m%dT%H%M%S}")
    before = upgrade_store(address, before=lambda: backup_store(address, copy, force=False))
    return before, CURRENT, None if before == CURRENT else copy
