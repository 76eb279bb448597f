"""A database of somebody else's schema as a system: one guarded UPDATE an order, one row or it did not happen.

Its orders are read by one SELECT, as those of `import --from-sql`.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Self

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError, SQLAlchemyError

from orderctl.core.text import nearest, safe
from orderctl.delivery.outbox import DeliveryState, Item, Outcome
from orderctl.delivery.workers import Begin
from orderctl.errors import ServerSetupError, ServerUnavailableError, UsageError
from orderctl.files.csv import Table
from orderctl.files.sql_query import SqlSource, open_engine, read_query, read_url, sql_text, words_of
from orderctl.language import N_, _
from orderctl.systems.pages import KeptPages
from orderctl.systems.systems import (
    CANCELLED_THERE,
    CONFLICT,
    LOGIN_REFUSED,
    NO_ANSWER,
    NOT_NOW,
    NOT_THERE,
    UNREACHABLE,
    WAS_CANCELLED,
    Cancellation,
    Found,
    SystemSettings,
)

_PARAMETERS = ("key", "order", "reason", "reason_code", "batch", "rejected_at")
_AN_UPDATE = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*UPDATE\s", re.IGNORECASE | re.DOTALL)
# Why the row stays as it is, by the state in which the database says that the order is.
_WHY_NOT = {
    Found.OPEN: N_("it is open, but no row is as the statement wants it"),
    Found.CLOSED: N_("it is closed there"),
}
# Codes of PostgreSQL, or their first two letters: what the data or a trigger refuse; what may be other later.
_REFUSED, _LATER = ("22", "23", "27", "44", "P0001"), ("40", "53", "55006", "55P03", "57")
_SQLITE_LATER = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_NEVER_DONE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CONSTRAINT}


def sql_system(settings: SystemSettings) -> "SqlSystem":
    """The system; with a `query` one that can be asked. Raises UsageError."""
    return ReadableSqlSystem(settings) if settings.text("query") else SqlSystem(settings)


class SqlSystem:
    """One connection to the database. Each order is a transaction: one row is changed, or nothing is.

    Its column map is that of the settings, or its columns carry our own names.
    """

    map_name, by_key = "", False

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        key = f"systems.{settings.name}"
        self._settings, self._name = settings, settings.name
        self._timeout_s = settings.number("timeout")
        url = read_url(settings.needed("url", _("such as postgresql://USER@HOST/DATABASE")), f"{key}.url", writes=True)
        if password := settings.secret():
            url = url.set(password=password)
        settings.needed("statement", _("such as: UPDATE sales SET state = 'cancelled' WHERE id = :key"))
        self._statement = _bound(settings, "statement", _PARAMETERS)
        if not _AN_UPDATE.match(self._statement.text):
            raise UsageError(_("{key}.statement is not an UPDATE", key=key), hint=_("write one UPDATE of one row"))
        waits: dict[str, dict[str, object]] = {
            "postgresql": {"tcp_user_timeout": self._timeout_s * 1000},
            "sqlite": {"timeout": self._timeout_s},
        }
        self._engine = open_engine(url, f"{key}.url", **waits.get(url.get_backend_name(), {}))
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        """Connect. Raises ServerUnavailableError."""
        self.connect()
        return self

    def __exit__(self, *exc: object) -> None:
        """Leave the database."""
        self._leave()
        self._engine.dispose()

    @property
    def connected(self) -> bool:
        """Whether there is a connection that is not known to be lost."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect unless connected. Raises ServerUnavailableError."""
        self._connection = self._connection or self._opened()

    def _opened(self) -> Connection:
        try:
            return self._engine.connect()
        except SQLAlchemyError as error:
            hint = _("check systems.{name}.url", name=self._name)
            if _sqlstate(error).startswith("28"):
                raise ServerSetupError(_(LOGIN_REFUSED, system=self._name, why=words_of(error)), hint=hint) from None
            raise ServerUnavailableError(_(UNREACHABLE, system=self._name, why=words_of(error)), hint=hint) from None

    def send(self, _item: Item, cancellation: Cancellation, begin: Begin) -> Outcome | None:
        """Run the statement for one order. Raises ServerSetupError for one that no order can be cancelled with."""
        self._connection = connection = self._connection or self._opened()
        if not begin():
            return None
        try:
            transaction = connection.begin()
            self._limit(connection)
            rows = connection.execute(self._statement, _values(cancellation)).rowcount
            if rows != 1:
                transaction.rollback()
                return self._refused(cancellation, rows)
        except SQLAlchemyError as error:
            return self._not_done(error)
        try:
            transaction.commit()
        except SQLAlchemyError as error:
            if _is_undone(error):
                return self._not_done(error)
            self._leave()
            return self._outcome(DeliveryState.UNKNOWN, NO_ANSWER, words_of(error))
        return Outcome(state=DeliveryState.SENT, detail=_(CANCELLED_THERE, system=self._name))

    def orders(
        self,
        keys: Sequence[str] | None = None,  # noqa: ARG002 - `by_key` says that it is None
        kept: KeptPages | None = None,  # noqa: ARG002 - a cursor cannot be gone on with
    ) -> AbstractContextManager[Table]:
        """The rows of the SELECT, read in one transaction that cannot write. Raises UsageError if there is none."""
        key = f"systems.{self._name}"
        self._settings.needed("orders", _("such as: orders = 'SELECT * FROM open_orders'"))
        url = read_url(self._settings.text("url"), f"{key}.url", writes=False)
        if password := self._settings.secret():
            url = url.set(password=password)
        source = SqlSource(
            key=key,
            option="orders",
            name=self._name,
            url=url,
            query=sql_text(self._settings.settings, f"{key}.orders"),
            timeout=self._timeout_s,
            map="",
        )
        return read_query(source)

    def _limit(self, connection: Connection) -> None:
        """Let the server end a statement that waits for too long. SQLite has its limit from the connection."""
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{self._timeout_s}s'")
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{self._timeout_s}s'")

    def _refused(self, cancellation: Cancellation, rows: int) -> Outcome:  # noqa: ARG002 - who can ask says more
        """What it means that not one row was changed; nothing was."""
        if rows > 1:
            why = _("the statement would change {number:,} rows", number=rows)
        else:
            why = _("no row is as the statement wants it: changed there meanwhile, or not there")
        return self._outcome(DeliveryState.REFUSED, CONFLICT, why)

    def _not_done(self, error: SQLAlchemyError) -> Outcome:
        """How it ended without a change. Raises ServerSetupError if that is so for every order."""
        lost = isinstance(error, DBAPIError) and error.connection_invalidated
        if lost:
            self._leave()
        else:
            self._undo()
        why = words_of(error)
        if lost or _is_for_later(error):
            return self._outcome(DeliveryState.RETRY, NOT_NOW, why)
        if _is_refusal(error):
            return self._outcome(DeliveryState.REFUSED, CONFLICT, why)
        raise ServerSetupError(
            _("systems.{name}.statement cannot be run: {why}", name=self._name, why=why),
            hint=_("correct it, or the rights of its user"),
        )

    def _undo(self) -> None:
        try:
            if self._connection is not None:
                self._connection.rollback()
        except SQLAlchemyError:
            self._leave()

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()

    def _outcome(self, state: DeliveryState, template: str, why: str) -> Outcome:
        return Outcome(state=state, detail=_(template, system=self._name, why=why))


class ReadableSqlSystem(SqlSystem):
    """A database that says with `query` how an order stands: one row with `open`, `cancelled` or `closed`."""

    def __init__(self, settings: SystemSettings) -> None:
        """Raises UsageError for settings that cannot be used."""
        super().__init__(settings)
        self._query = _bound(settings, "query", ("key",))

    def look(self, keys: Sequence[str]) -> Mapping[str, Found]:
        """How these orders stand there, by key. Raises ServerUnavailableError."""
        self._connection = connection = self._connection or self._opened()
        try:
            with connection.begin():
                self._limit(connection)
                return {key: self._found(connection.execute(self._query, {"key": key}).fetchmany(2)) for key in keys}
        except SQLAlchemyError as error:
            self._leave()
            raise ServerUnavailableError(
                _(UNREACHABLE, system=self._name, why=words_of(error)),
                hint=_("check systems.{name}.query", name=self._name),
            ) from None

    def _found(self, rows: Sequence[Sequence[Any]]) -> Found:
        if not rows:
            return Found.MISSING
        said = str(rows[0][0])
        if len(rows) > 1 or said not in tuple(Found):
            raise ServerSetupError(
                _("systems.{name}.query says {said!r} of an order", name=self._name, said=safe(said)),
                hint=_("let it give one row with open, cancelled or closed"),
            )
        return Found(said)

    def _refused(self, cancellation: Cancellation, rows: int) -> Outcome:
        """Where no row was changed, what the database says of the order."""
        if rows:
            return super()._refused(cancellation, rows)
        found = self.look([cancellation.key])[cancellation.key]
        if found is Found.CANCELLED:
            return Outcome(state=DeliveryState.SENT, detail=_(WAS_CANCELLED, system=self._name))
        if found is Found.MISSING:
            words = _(NOT_THERE, system=self._name, key=cancellation.key)
            return Outcome(state=DeliveryState.REFUSED, detail=words)
        return self._outcome(DeliveryState.REFUSED, CONFLICT, _(_WHY_NOT[found]))


def _bound(settings: SystemSettings, option: str, parameters: tuple[str, ...]) -> TextClause:
    """The SQL of a setting with its parameters. Raises UsageError for one that there is not, or without the order."""
    key = f"systems.{settings.name}.{option}"
    statement = text(sql_text(settings.settings, key).rstrip().rstrip(";"))
    named = set(statement.compile().params)
    for wrong in sorted(named.difference(parameters)):
        raise UsageError(
            _("{key}: there is no parameter :{name}", key=key, name=safe(wrong)),
            hint=nearest(wrong, parameters, _("one of: {known}", known=", ".join(parameters))),
        )
    if not named & {"key", "order"}:
        raise UsageError(_("{key} does not say which order", key=key), hint=_("write WHERE … = :key"))
    return statement


def _values(cancellation: Cancellation) -> dict[str, str]:
    """The values of the parameters: all are texts, of which each database makes what its columns are."""
    return {
        "key": cancellation.key,
        "order": cancellation.order_id,
        "reason": cancellation.reason,
        "reason_code": cancellation.reason_code,
        "batch": cancellation.batch_id,
        "rejected_at": cancellation.rejected_at.isoformat(),
    }


def _sqlstate(error: SQLAlchemyError) -> str:
    """The code of PostgreSQL; empty if there is none."""
    return str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")


def _sqlite_code(error: SQLAlchemyError) -> int:
    """The primary code of SQLite; 0 if there is none."""
    return int(getattr(getattr(error, "orig", None), "sqlite_errorcode", 0)) & 0xFF


def _is_refusal(error: SQLAlchemyError) -> bool:
    """Whether the data, a constraint or a trigger refuses this order."""
    return _sqlstate(error).startswith(_REFUSED) or isinstance(error, IntegrityError | DataError)


def _is_for_later(error: SQLAlchemyError) -> bool:
    """Whether it may go well later: a lock, a deadlock, a full disk, a server that ends."""
    if state := _sqlstate(error):
        return state.startswith(_LATER)
    if code := _sqlite_code(error):
        return code in _SQLITE_LATER
    # Of other databases only the kind of error is known.
    return not isinstance(error, IntegrityError | DataError | ProgrammingError | NotSupportedError)


def _is_undone(error: SQLAlchemyError) -> bool:
    """Whether it is certain that a commit that failed was rolled back."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return False
    state = _sqlstate(error)
    certain = state.startswith(_REFUSED) or (state.startswith("40") and state != "40003")
    return certain or _sqlite_code(error) in _NEVER_DONE or isinstance(error, IntegrityError)
