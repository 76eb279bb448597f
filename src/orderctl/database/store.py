"""The store of one account: its transactions, and the revision of its schema."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Protocol, Self, TypeVar

from orderctl.database.address import Address
from orderctl.database.connection import CommitLostError, Connection
from orderctl.errors import CommitUnknownError, OrderctlError, StoreUnavailableError
from orderctl.language import N_, _

VERSION_TABLE = "orderctl_version"
REVISIONS = tuple(f"{number:04}" for number in range(1, 31))
CURRENT = REVISIONS[-1]
# "ordc": marks a SQLite file as a store. On PostgreSQL it is the number of the schema's lock.
APPLICATION_ID = 0x6F726463

T = TypeVar("T")
ATTEMPTS = 8
_FIRST_PAUSE_S = 0.02
_LATER = N_("orderctl log tells, once the store is back")


class Engine(Protocol):
    """What `Store` needs of an engine."""

    shown: str
    begin_alone: tuple[str, ...]  # begins a transaction that changes the schema, and keeps others out of it

    def asks_for_retry(self, error: Exception) -> bool: ...  # noqa: D102 - see the engines
    def reading(self, account: str) -> AbstractContextManager[Connection]: ...  # noqa: D102
    def writing(self, account: str) -> AbstractContextManager[Connection]: ...  # noqa: D102
    def connect(self) -> Any: ...  # noqa: ANN401, D102
    def sweep(self) -> None: ...  # noqa: D102
    def translating(self) -> AbstractContextManager[None]: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class _UndoneError(Exception):
    """Rolls a transaction back."""


class Store:
    """One account of one database."""

    def __init__(
        self,
        engine: Engine,
        account: str,
        label: str = "",
        *,
        watch: Callable[[Connection], Connection] | None = None,
        committed: Callable[[], None] | None = None,
        members_only: bool = True,
    ) -> None:
        """`members_only`: on PostgreSQL, raise for a login that is no member of the account, and would see nothing."""
        self._engine = engine
        self.account = account
        self.label = label or engine.shown
        self._watch = watch or (lambda connection: connection)
        self._committed = committed or (lambda: None)
        self._members_only = members_only
        self._checked = False

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One consistent view for reading. Raises StoreUnavailableError if the store cannot be used."""
        with self._engine.translating(), self._engine.reading(self.account) as connection:
            self._check(connection)
            yield self._watch(connection)

    @contextmanager
    def foreseen(self, change: Callable[[Connection], object]) -> Iterator[Connection]:
        """A view for reading as the store would be after `change`, which is rolled back at the end."""
        with suppress(_UndoneError), self._engine.translating(), self._engine.writing(self.account) as connection:
            self._check(connection)
            work = self._watch(connection)
            change(work)
            yield work
            raise _UndoneError

    def write(self, work: Callable[[Connection], T], *, landed: Callable[[Connection], T | None] | None = None) -> T:
        """Run `work` in one transaction and commit; run it again if the engine asks for a retry.

        If the connection is lost during the commit, `landed` runs on a new connection and returns the result if the
        commit holds. Raises CommitUnknownError if that cannot be found out.
        """
        lost: CommitLostError | None = None
        with self._engine.translating():
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    result = self._once(work)
                except CommitLostError as error:
                    lost = error
                    found = self._ask(landed, lost)
                    if found is not None:
                        return found
                except Exception as error:
                    # The lost commit may have taken effect after `landed` was asked, and made this try fail.
                    found = self._ask(landed, lost) if lost else None
                    if found is not None:
                        return found
                    if attempt == ATTEMPTS or not self._engine.asks_for_retry(error):
                        if lost is None:
                            raise
                        break
                    time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
                else:
                    self._committed()
                    return result
        raise CommitUnknownError(hint=_(_LATER)) from lost

    def sweep(self) -> None:
        """On SQLite, take out of the file what was deleted in it. Raises StoreUnavailableError if it is in use."""
        self._engine.sweep()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._engine.close()

    def _once(self, work: Callable[[Connection], T]) -> T:
        with self._engine.writing(self.account) as connection:
            self._check(connection)
            return work(self._watch(connection))

    def _ask(self, landed: Callable[[Connection], T | None] | None, lost: CommitLostError) -> T | None:
        self._engine.close()
        if landed is None:
            raise CommitUnknownError(hint=_("look whether the change is there before you run it again")) from lost
        try:
            with self._engine.reading(self.account) as connection:
                found = landed(self._watch(connection))
        except Exception as error:
            raise CommitUnknownError(hint=_(_LATER)) from error
        if found is not None:
            self._committed()
        return found

    def _check(self, connection: Connection) -> None:
        """Check the revision of the schema, once for each `Store`."""
        if not self._checked:
            check_revision(connection, self._engine.shown, members_only=self._members_only)
            self._checked = True


def check_revision(connection: Connection, shown: str, *, members_only: bool = True) -> None:
    """Raise OrderctlError unless this is an orderctl store of the current revision.

    Raises StoreUnavailableError, with `members_only`, for a login that is no member of the account.
    """
    revision, stranger = _stored(connection)
    if revision is None:
        raise OrderctlError(
            _("{shown} is not an orderctl store: it has no {table} table", shown=shown, table=VERSION_TABLE),
            hint=_("check the address, or make a store: orderctl store init"),
        )
    if revision in REVISIONS[:-1]:
        raise OrderctlError(
            _(
                "the store {shown} is of revision {revision}, older than {current}",
                shown=shown,
                revision=revision,
                current=CURRENT,
            ),
            hint=_("run: orderctl store upgrade"),
        )
    if revision != CURRENT:
        raise OrderctlError(
            _(
                "the store {shown} is of revision {revision}, newer than this program knows",
                shown=shown,
                revision=revision,
            ),
            hint=_("upgrade orderctl to the version that the others use"),
        )
    if stranger and members_only:
        raise StoreUnavailableError(
            _(
                "the login {login!r} is no member of the account {account!r} of the store {shown}",
                login=stranger,
                account=connection.account,
                shown=shown,
            ),
            hint=_("its owner adds it: orderctl member add {login}", login=stranger),
        )


def stored_revision(connection: Connection) -> str | None:
    """The revision of the schema; None if this database holds no store."""
    return _stored(connection)[0]


def _stored(connection: Connection) -> tuple[str | None, str]:
    """The revision of the schema, None without a store; and the login, if the policies of the account shut it out."""
    dialect = connection.dialect
    if dialect.name == "sqlite":
        found = connection.execute(f"SELECT 0 FROM sqlite_master WHERE name = '{VERSION_TABLE}'").fetchone()
    else:
        found = connection.execute(
            f"SELECT to_regclass('member') IS NOT NULL WHERE to_regclass('{VERSION_TABLE}') IS NOT NULL"
        ).fetchone()
    if found is None:
        return None, ""
    # In the same statement: to ask for it costs a run nothing.
    shut_out = f"row_security_active('orders') AND NOT :account IN ({dialect.accounts})"
    stranger = f"CASE WHEN {shut_out} THEN {dialect.login} ELSE '' END" if found[0] else "''"
    row = connection.execute(f"SELECT version_num, {stranger} FROM {VERSION_TABLE}").fetchone()
    return (row[0], row[1]) if row else (None, "")


def make_engine(address: Address) -> Engine:
    """The engine for an address. PostgreSQL's driver is imported only if it is needed."""
    if address.path is not None:
        from orderctl.database.sqlite import SqliteEngine  # noqa: PLC0415 - one engine is imported, not both

        return SqliteEngine(address.path, address.shown)
    from orderctl.database.postgres import PostgresEngine  # noqa: PLC0415

    return PostgresEngine(address.conninfo or "", address.shown)


def login(connection: Connection) -> str:
    """The database's name for the connected user; empty on SQLite."""
    row = connection.execute(f"SELECT {connection.dialect.login}").fetchone()
    return str(row[0]) if row else ""
