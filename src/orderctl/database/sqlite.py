"""The SQLite engine: connections, transactions, and copies of a store."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

from orderctl.database.address import Address
from orderctl.database.connection import SQLITE, Cursor, Params, Row, RowExistsError, parted
from orderctl.database.store import APPLICATION_ID
from orderctl.errors import CommitUnknownError, OrderctlError, StoreUnavailableError, UsageError
from orderctl.language import N_, _

LOCK_WAIT_S = 10.0
_FETCH = 2_000
_VALUES_A_STATEMENT = 30_000  # SQLite takes 32,766
_EXISTS = ("SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE")
# FULL costs nothing measurable in one big transaction. Recursive triggers make REPLACE fire the guards. Some systems
# build SQLite with secure_delete on: overwriting old index entries costs a tenth of an update's time.
_PRAGMAS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA synchronous = FULL",
    "PRAGMA secure_delete = OFF",
)
_REPLACED = N_("the file of the store {shown} was replaced or removed while this run wrote to it")
_REPLACED_HINT = N_("find out which program replaced it, and look into both files before you run it again")
_CACHE = "PRAGMA cache_size = -65536"


class SqliteConnection:
    """An open transaction as a `Connection`."""

    def __init__(self, raw: sqlite3.Connection, account: str) -> None:
        self.raw = raw
        self.account = account
        self.dialect = SQLITE

    def execute(self, sql: str, params: Params | None = None) -> Cursor:
        """Run one statement; `:account` is bound."""
        return self.raw.execute(sql, {"account": self.account, **(params or {})})

    def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Insert many rows in one statement: SQLite saves a state for each, since a guard may abort it.

        What all rows share is bound once, and numbered; a bare question mark is the parameter after the last one.
        """
        shared, varying = parted(columns)
        places = {name: f"?{number}" for number, name in enumerate(("account", *shared), start=1)}
        later = f"({', '.join(places.get(name, '?') for name in ('account', *columns))})"
        places |= {name: f"?{number}" for number, name in enumerate(varying, start=len(places) + 1)}
        first = f"({', '.join(places[name] for name in ('account', *columns))})"
        rows = list(zip(*varying.values(), strict=True))
        together = (_VALUES_A_STATEMENT - len(shared)) // len(varying)
        for start in range(0, len(rows), together):
            part = rows[start : start + together]
            given = ", ".join([first, *[later] * (len(part) - 1)])
            try:
                self.raw.execute(
                    f"INSERT INTO {table} (account, {', '.join(columns)}) VALUES {given}",
                    (self.account, *shared.values(), *chain.from_iterable(part)),
                )
            except sqlite3.IntegrityError as error:
                if error.sqlite_errorname in _EXISTS:
                    raise RowExistsError from error
                raise

    def stream(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """Run a query and fetch its rows in blocks, in constant memory."""
        cursor = self.raw.execute(sql, {"account": self.account, **(params or {})})
        while rows := cursor.fetchmany(_FETCH):
            yield from rows


class SqliteEngine:
    """Opens transactions on one SQLite file."""

    begin_alone: tuple[str, ...] = (
        "PRAGMA foreign_keys = OFF",  # a migration may recreate a table
        "PRAGMA journal_mode = WAL",
        "BEGIN IMMEDIATE",
        f"PRAGMA application_id = {APPLICATION_ID}",
    )

    def __init__(self, path: Path, shown: str) -> None:
        self.path = path
        self.shown = shown
        self._raw: sqlite3.Connection | None = None

    @staticmethod
    def asks_for_retry(error: Exception) -> bool:  # noqa: ARG004 - the same question as on PostgreSQL
        """Never: one transaction writes at a time, and SQLite waits for the lock itself."""
        return False

    @contextmanager
    def reading(self, account: str) -> Iterator[SqliteConnection]:
        """A snapshot: what others write meanwhile is not visible."""
        with self._transaction("BEGIN") as raw:
            yield SqliteConnection(raw, account)

    @contextmanager
    def writing(self, account: str) -> Iterator[SqliteConnection]:
        """The one writing transaction. IMMEDIATE, because a reader that starts to write may fail at once."""
        with self._transaction("BEGIN IMMEDIATE") as raw:
            yield SqliteConnection(raw, account)
            self._check_in_place(StoreUnavailableError)
        self._check_in_place(CommitUnknownError)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self.translating():
            raw = self.connect()
            raw.execute(begin)
            try:
                yield raw
                raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                # A failed statement that was not read to its end would make every later commit fail.
                self.close()
                raise

    def _check_in_place(self, error: type[OrderctlError]) -> None:
        """Raise the error if the path leads to another file now: nobody would read what is written here.

        A file that cannot be looked at counts as the same one.
        """
        try:
            if os.path.samestat(self.path.stat(), self._opened_file):
                return
        except FileNotFoundError:
            pass
        except OSError:
            return
        raise error(_(_REPLACED, shown=self.shown), hint=_(_REPLACED_HINT))

    def connect(self) -> sqlite3.Connection:
        """The connection, opened at the first call. It never creates the file.

        A connection whose last transaction is still open is not used again.
        """
        if self._raw is not None and self._raw.in_transaction:
            self.close()
        if self._raw is None:
            if not self.path.is_file():
                raise StoreUnavailableError(
                    _("there is no store at {shown}", shown=self.shown), hint=_("orderctl store init makes one")
                )
            self._opened_file = self.path.stat()
            self._raw = self._opened()
            self._raw.execute(_CACHE)
        return self._raw

    def _opened(self) -> sqlite3.Connection:
        """A new connection with a small cache. Another thread may use it."""
        raw = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=LOCK_WAIT_S,
            check_same_thread=False,
        )
        for pragma in _PRAGMAS:
            raw.execute(pragma)
        return raw

    def sweep(self) -> None:
        """Write the file anew without what was deleted in it, and empty the write-ahead log beside it.

        Raises StoreUnavailableError if another program keeps old pages in use.
        """
        with self.translating():
            raw = self.connect()
            raw.execute("VACUUM")
            busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            message, hint = _FAILURES["SQLITE_BUSY"]
            raise StoreUnavailableError(_(message, shown=self.shown, wait=LOCK_WAIT_S), hint=_(hint))

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn the errors of SQLite into errors with one sentence each."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> OrderctlError:
        code = getattr(error, "sqlite_errorname", "")
        for prefix, (message, hint) in _FAILURES.items():
            if code.startswith(prefix):
                return StoreUnavailableError(_(message, shown=self.shown, wait=LOCK_WAIT_S), hint=_(hint))
        return OrderctlError(
            _("the store {shown} refused: {error}", shown=self.shown, error=error),
            hint=_("orderctl store check tells more"),
        )


_FAILURES = {
    "SQLITE_BUSY": (
        N_("the store {shown} was locked by another program for {wait:.0f} seconds"),
        N_("try again when the other run has ended"),
    ),
    "SQLITE_LOCKED": (N_("the store {shown} is locked"), N_("try again when the other run has ended")),
    "SQLITE_READONLY": (N_("the store {shown} is read-only"), N_("check the rights of the file and of its folder")),
    "SQLITE_CANTOPEN": (N_("the store {shown} cannot be opened"), N_("check the rights of the file and of its folder")),
    "SQLITE_NOTADB": (
        N_("{shown} is not an orderctl store"),
        N_("check the path, or make a store: orderctl store init"),
    ),
    "SQLITE_CORRUPT": (N_("the store {shown} is damaged"), N_("restore a backup; orderctl store check tells more")),
    "SQLITE_FULL": (N_("the disk of the store {shown} is full"), N_("free some space, then run it again")),
    "SQLITE_IOERR": (N_("the disk of the store {shown} failed or is full"), N_("free some space or check the disk")),
}


def copy_store(engine: SqliteEngine, target: Path) -> None:
    """Copy the store as of one instant into the empty file `target`, and check the copy.

    Raises OrderctlError if the copy is damaged, StoreUnavailableError if the store cannot be read.
    """
    with engine.translating(), closing(sqlite3.connect(target, isolation_level=None)) as copy:
        source = engine.connect()
        source.backup(copy)
        # The copy is to be one file, without a write-ahead log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
        found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise OrderctlError(
                _("the copy of {shown} is not sound: {found}", shown=engine.shown, found=found),
                hint=_("the store is damaged: restore a backup"),
            )


def backup_store(address: Address, file: Path, *, force: bool) -> None:
    """Copy a SQLite store to a private file while others use it. Raises UsageError for PostgreSQL."""
    from orderctl.files.safe import create_path  # noqa: PLC0415 - shutil and tempfile, which no other run needs

    if address.path is None:
        raise UsageError(
            _("a PostgreSQL store is copied by PostgreSQL's own tools"),
            hint=_(
                "pg_dump --format=custom --file {file} {shown!r}; see orderctl help backup",
                file=file,
                shown=address.shown,
            ),
        )
    engine = SqliteEngine(address.path, address.shown)
    try:
        with create_path(file, force=force) as unfinished:
            copy_store(engine, unfinished)
    finally:
        engine.close()
