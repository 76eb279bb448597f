"""The PostgreSQL engine: one connection, explicit transactions, and its errors in words."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime
from itertools import count
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

from orderctl.database.connection import (
    IS_DISTRIBUTED,
    POSTGRESQL,
    CommitLostError,
    Cursor,
    Params,
    Row,
    RowExistsError,
    for_psycopg,
    parted,
)
from orderctl.database.store import APPLICATION_ID
from orderctl.errors import OrderctlError, StoreUnavailableError, UsageError
from orderctl.language import N_, _

T = TypeVar("T")
CONNECT_WAIT_S = 10
SILENCE_S = 30.0
# Another batch took the position in the chain, or has the caller's key. A retry sees it.
# On a distributed table the number of the shard follows, and the name stands in the message alone.
_TAKEN = re.compile(r"\b(ix_batch_account_position|ix_batch_account_request_key|pk_act)(_\d+)?\b")
_FETCH = 2_000
# Creating or upgrading a store locks it until the end. Who waited for the lock must see what was done under it;
# PostgreSQL shows that at this isolation level only.
_BEGIN_ALONE = (
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    f"SELECT pg_advisory_xact_lock({APPLICATION_ID}, hashtext(current_schema()))",
)
_READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The kernel finds out in about a minute that a peer is gone.
_ALIVE = {
    "connect_timeout": CONNECT_WAIT_S,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
_IDLE = (
    "SELECT pg_backend_pid() = %s AND NOT EXISTS"
    " (SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state NOT LIKE 'idle%%')"
)
_AT_REST = (TransactionStatus.IDLE, TransactionStatus.UNKNOWN)
_SILENT = "it does not answer any more"
# Set in each transaction, in the round trip of its BEGIN: a pooler in transaction mode gives the next transaction
# another session, and refuses options at the start. The first hands the others on to the shards of a distributed
# database; elsewhere it means nothing.
_LOCAL = ("SET LOCAL citus.propagate_set_commands = 'local'", "SET LOCAL timezone = 'UTC'")
_LOCK_WAIT = "SET LOCAL lock_timeout = '30s'"
_ASKED_ONCE = f"SELECT pg_backend_pid(), {IS_DISTRIBUTED}"


class _Watched(psycopg.Connection[Row]):
    """A connection whose server may work for any time, but must not be silent while it is idle.

    The kernel does not notice: a proxy that lost its server still answers. So the server of a silent connection is
    looked up on a second connection.
    """

    look: Callable[[int], bool]
    pooled: bool | None = None  # whether another process of the server may answer; None before it was asked
    distributed = False

    def wait(self, gen: PQGen[T], *args: Any, **how: Any) -> T:  # noqa: ANN401 - as psycopg calls it
        return super().wait(self._watching(gen), *args, **how)

    def _watching(self, gen: PQGen[T]) -> PQGen[T]:
        try:
            waits = next(gen)
            since, idle = time.monotonic(), False
            while True:
                ready = yield waits
                if ready:
                    since, idle = time.monotonic(), False
                elif time.monotonic() - since >= SILENCE_S:
                    idle = self._is_idle(before=idle)
                    since = time.monotonic()
                waits = gen.send(ready)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _is_idle(self, *, before: bool) -> bool:
        """Whether the server is idle for this connection. Raises OperationalError if waiting is useless.

        Its answer may be on the way, so the server counts as idle only if it was idle `before` too. A pooler has other
        numbers for the processes, and may let a second connection wait for the end of the first: it is trusted.
        """
        if self.pooled:
            return False
        try:
            idle = self.look(self.info.backend_pid)
        except psycopg.Error as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(_SILENT) from error
        if idle and before:
            self.pgconn.finish()
            raise psycopg.OperationalError(_SILENT)
        return idle


class PostgresConnection:
    """An open transaction as a `Connection`."""

    def __init__(self, raw: psycopg.Connection[Row], account: str, *, distributed: bool = False) -> None:
        self.raw = raw
        self.account = account
        self._distributed = distributed
        self.dialect = POSTGRESQL
        self._cursor_names = count(1)

    def execute(self, sql: str, params: Params | None = None) -> Cursor:
        """Run one statement; `:account` is bound."""
        return self.raw.execute(self._text(sql), {"account": self.account, **(params or {})})

    def _text(self, sql: str) -> str:
        return for_psycopg(sql, account_seen=self._distributed)

    def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Insert rows as an array for each column, in binary: PostgreSQL refuses COPY into a table with policies.

        A value that all rows share is passed once.
        """
        shared, varying = parted(columns)
        casts = {name: _type_of(column) for name, column in columns.items()}
        selected = [
            f"r.{name}" if name in varying else "NULL" if shared[name] is None else f"%({name})b::{casts[name]}"
            for name in columns
        ]
        given = [f"%({name})b::{casts[name]}[]" for name in varying]
        arrays = {name: list(column) for name, column in varying.items()}
        try:
            self.raw.execute(
                f"INSERT INTO {table} (account, {', '.join(columns)}) SELECT %(account)s, {', '.join(selected)}"
                f" FROM unnest({', '.join(given)}) AS r({', '.join(varying)})",
                {"account": self.account, **shared, **arrays},
            )
        except errors.UniqueViolation as error:
            raise RowExistsError from error

    def stream(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """Run a query with a cursor on the server, in constant memory."""
        with self.raw.cursor(name=f"orderctl_{next(self._cursor_names)}") as cursor:
            cursor.itersize = _FETCH
            cursor.execute(self._text(sql), {"account": self.account, **(params or {})})
            yield from cursor


class PostgresEngine:
    """Opens transactions on one PostgreSQL database."""

    def __init__(self, conninfo: str, shown: str) -> None:
        self._conninfo = conninfo
        self.shown = shown
        self._raw: _Watched | None = None
        self._given = _given(conninfo)
        # What the URL sets by itself stays.
        self._settings = _LOCAL if "lock_timeout" in self._given.get("options", "") else (*_LOCAL, _LOCK_WAIT)
        self.begin_alone = (*_BEGIN_ALONE, *self._settings)

    @staticmethod
    def asks_for_retry(error: Exception) -> bool:
        """Serialization failure (40001), deadlock (40P01), or two batches or acts in one place."""
        if isinstance(error, errors.UniqueViolation):
            return _TAKEN.search(error.diag.constraint_name or str(error)) is not None
        return isinstance(error, errors.SerializationFailure | errors.DeadlockDetected)

    @contextmanager
    def reading(self, account: str) -> Iterator[PostgresConnection]:
        """A snapshot: what others write meanwhile is not visible."""
        # A read transaction has nothing to lose, so a failed COMMIT does not matter.
        with suppress(CommitLostError), self._transaction(_READING) as raw:
            yield PostgresConnection(raw, account, distributed=raw.distributed)

    @contextmanager
    def writing(self, account: str) -> Iterator[PostgresConnection]:
        """A transaction at the isolation level of the database, so that a stricter one stays in force."""
        with self._transaction("BEGIN") as raw:
            yield PostgresConnection(raw, account, distributed=raw.distributed)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[_Watched]:
        raw = self._begun(begin)
        try:
            yield raw
        except BaseException:
            self._abandon(raw)
            raise
        try:
            raw.execute("COMMIT")
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._abandon(raw)
            if self.asks_for_retry(error):
                raise
            raise CommitLostError from error

    def _begun(self, begin: str) -> _Watched:
        """Begin a transaction, on a new connection if the server closed the last one since it was used."""
        used = self._raw is not None and not self._raw.closed
        raw = self.connect()
        try:
            self._begin(raw, begin)
        except psycopg.OperationalError:
            if not used:
                raise
            self.close()
            raw = self.connect()
            self._begin(raw, begin)
        return raw

    def _begin(self, raw: _Watched, begin: str) -> None:
        """Begin with the settings of the transaction; the first one of a connection asks what it is connected to."""
        if raw.pooled is not None:
            raw.execute("; ".join((begin, *self._settings)))
            return
        cursor = raw.execute("; ".join((begin, *self._settings, _ASKED_ONCE)))
        while cursor.nextset():
            pass
        pid, raw.distributed = cursor.fetchone() or (0, False)
        raw.pooled = pid != raw.info.backend_pid

    def _abandon(self, raw: psycopg.Connection[Row]) -> None:
        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            self.close()

    def connect(self) -> _Watched:
        """The connection, opened at the first call and again after the server closed it.

        A connection whose last transaction is still open is not used again.
        """
        if self._raw is not None and self._raw.info.transaction_status not in _AT_REST:
            self.close()
        if self._raw is None or self._raw.closed:
            self._raw = self._opened()
        return self._raw

    def _opened(self) -> _Watched:
        """A new connection."""
        raw = _Watched.connect(**self._given)
        raw.prepare_threshold = None  # a pooler in transaction mode loses prepared statements
        raw.look = self._is_idle
        return raw

    def _is_idle(self, pid: int) -> bool:
        """Whether this process of the server is idle. Raises psycopg.Error if the server does not answer."""
        with closing(_Watched.connect(**self._given)) as second:
            second.look = _is_silent
            row = second.execute(_IDLE, [second.info.backend_pid, pid]).fetchone()
        return bool(row and row[0])

    def sweep(self) -> None:
        """Nothing: which old rows may go, the server's VACUUM knows, and its owner decides when (personal-data.md)."""

    def close(self) -> None:
        """Close the connection, if one is open."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Turn the errors of PostgreSQL into errors with one sentence each."""
        try:
            yield
        except psycopg.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: psycopg.Error) -> OrderctlError:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        for kind, (message, hint) in _FAILURES.items():
            if isinstance(error, kind):
                return StoreUnavailableError(_(message, shown=self.shown, why=first_line), hint=_(hint))
        if isinstance(error, psycopg.OperationalError):
            return StoreUnavailableError(
                _("the store {shown} cannot be reached: {first_line}", shown=self.shown, first_line=first_line),
                hint=_("check that the server runs and that the URL, user and password are right"),
            )
        return OrderctlError(
            _("the store {shown} refused: {error}", shown=self.shown, error=first_line),
            hint=_("orderctl store check tells more"),
        )


def _given(conninfo: str) -> dict[str, Any]:
    """The arguments of a connection. Raises UsageError if the URL is none."""
    try:
        given = psycopg.conninfo.conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        # libpq repeats the URL, with the password.
        raise UsageError(
            _("the store URL is not a valid PostgreSQL URL"), hint=_("write postgresql://USER@HOST/DATABASE")
        ) from None
    return {"application_name": "orderctl", **_ALIVE, **given, "autocommit": True}


_TYPES = {int: "bigint", datetime: "timestamptz", date: "date"}


def _type_of(column: Iterable[object]) -> str:
    """The type of what Python has in a column."""
    known = next((value for value in column if value is not None), None)
    return next((found for kind, found in _TYPES.items() if isinstance(known, kind)), "text")


def _is_silent(_pid: int) -> bool:
    raise psycopg.OperationalError(_SILENT)


_FAILURES: dict[type[Exception], tuple[str, str]] = {
    errors.LockNotAvailable: (
        N_("the store {shown} is locked by another program"),
        N_("try again when the other run has ended"),
    ),
    errors.SerializationFailure: (N_("the store {shown} stayed busy beyond the retries"), N_("try again in a moment")),
    errors.DeadlockDetected: (N_("the store {shown} stayed busy beyond the retries"), N_("try again in a moment")),
    errors.QueryCanceled: (
        N_("the store {shown} ended a statement that took too long"),
        N_("raise its statement_timeout"),
    ),
    errors.ReadOnlySqlTransaction: (N_("the store {shown} is read-only"), N_("use the primary server, not a standby")),
    errors.InsufficientPrivilege: (
        N_("the database user may not do this on {shown}: {why}"),
        N_("its owner may, or grants the right: see orderctl help postgresql"),
    ),
    errors.InvalidSchemaName: (
        N_("the database {shown} has no schema for the tables: {why}"),
        N_("make one: CREATE SCHEMA public"),
    ),
}
