"""Somebody else's database: its URL and SQL in the settings, and one query read once through a cursor of the server."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, CursorResult, Engine, NullPool, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from orderctl.core.text import nearest, safe
from orderctl.errors import OrderctlError, UsageError, os_reason
from orderctl.files.cells import Cell
from orderctl.files.csv import Table, header_of
from orderctl.language import _
from orderctl.settings import Settings

_FETCH = 2_000
_LONGEST_REASON = 300
_LARGEST_QUERY = 1_000_000
_CONNECT_WAIT_S = 10
_SQLITE_STEPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlSource:
    """A database with orders, as the settings `sources.NAME` or `systems.NAME` describe it. `timeout` is in seconds.

    `map` is the name or the file of a column map; empty where the columns carry our own names. `key` is that of these
    settings, and `option` the one below it that holds the query.
    """

    key: str
    option: str
    name: str
    url: URL
    query: str
    timeout: int
    map: str


def sql_source(settings: Settings, name: str) -> SqlSource:
    """The source of that name. Raises UsageError for one that is not set, and for settings that cannot be used."""
    known = settings.names("sources")
    if name not in known:
        raise UsageError(
            _("there is no source {name!r} in the settings", name=safe(name)),
            hint=nearest(name, known, _("write [profile.NAME.sources.{name}] with url and query", name=safe(name))),
        )
    key = f"sources.{name}"
    url = read_url(settings.text(f"{key}.url"), f"{key}.url", writes=False)
    user = url.render_as_string(hide_password=True).partition("://")[2]
    if password := settings.secret(file=f"{key}.password_file", keyring=f"{key}.keyring", user=user):
        url = url.set(password=password)
    return SqlSource(
        key=key,
        option="query",
        name=name,
        url=url,
        query=sql_text(settings, f"{key}.query"),
        timeout=settings.number(f"{key}.timeout") or 0,
        map=settings.text(f"{key}.map"),
    )


def read_url(written: str, key: str, *, writes: bool) -> URL:
    """The URL, with the driver that is in the box; `writes` says whether a file of SQLite may be written.

    Such a file is never made. UsageError does not repeat the URL: it may hold a password.
    """
    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise UsageError(
            _("{key} is not the URL of a database", key=key), hint=_("such as postgresql://USER@HOST/DATABASE")
        ) from None
    if url.drivername in {"postgresql", "postgres"}:
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite":
        return url
    if not url.database or url.query or not Path(url.database).expanduser().is_file():
        raise UsageError(_("{key}: there is no such file of SQLite", key=key), hint=_("write sqlite:///PATH"))
    mode = "rw" if writes else "ro"
    return url.set(
        database=f"{Path(url.database).expanduser().resolve().as_uri()}", query={"mode": mode, "uri": "true"}
    )


def sql_text(settings: Settings, key: str) -> str:
    """The SQL of a setting, from its file where the setting names one. Raises UsageError."""
    written = settings.text(key)
    if not written.startswith("@"):
        return written
    path = Path(written[1:]).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_LARGEST_QUERY)
    except (OSError, UnicodeDecodeError) as error:
        why = os_reason(error) if isinstance(error, OSError) else _("it is not UTF-8")
        raise UsageError(
            _("{key}: {path} cannot be read: {why}", key=key, path=path, why=why), hint=_("check the path")
        ) from None


@contextmanager
def read_query(source: SqlSource) -> Iterator[Table]:
    """The rows of the query as a table, numbered from 1, in constant memory; nothing is written in the database.

    Raises UsageError for a query that cannot be run, and OrderctlError for a database that does not answer in time.
    Both name the source, and hold the database's own words, never its password.
    """
    engine = open_engine(source.url, f"{source.key}.url")
    until = time.monotonic() + source.timeout
    try:
        with engine.connect() as connection:
            _limit(source, connection, until)
            streamed = connection.execution_options(yield_per=_FETCH, no_parameters=True)
            result = streamed.exec_driver_sql(source.query)
            if not result.returns_rows:
                key = f"{source.key}.{source.option}"
                raise UsageError(_("{key} gives no rows", key=key), hint=_("write one SELECT"))
            yield Table(header=header_of(list(result.keys()), source.name), rows=_rows(source, result, until))
    except SQLAlchemyError as error:
        raise _failed(source, error, until) from None
    finally:
        engine.dispose()


def open_engine(url: URL, key: str, **connect_args: object) -> Engine:
    """An engine that keeps no connection; `connect_args` are the driver's. UsageError if there is no such driver."""
    wait = {"connect_timeout": _CONNECT_WAIT_S} if url.get_backend_name() == "postgresql" else {}
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=wait | connect_args)
    except (NoSuchModuleError, ImportError) as error:
        module = error.name if isinstance(error, ImportError) else url.drivername
        raise UsageError(
            _("{key} needs a driver that is not installed: {module}", key=key, module=module),
            hint=_("install it beside orderctl, and name it in the URL, as in mysql+pymysql://"),
        ) from None


def _limit(source: SqlSource, connection: Connection, until: float) -> None:
    """Let the database itself refuse writes, and end a query that takes too long, where it can."""
    backend = connection.dialect.name
    if backend == "postgresql":
        connection.execution_options(postgresql_readonly=True, isolation_level="REPEATABLE READ")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{source.timeout}s'")
    elif backend == "sqlite":
        raw = connection.connection.driver_connection
        if isinstance(raw, sqlite3.Connection):
            raw.set_progress_handler(lambda: time.monotonic() > until, _SQLITE_STEPS)


def _rows(source: SqlSource, result: CursorResult[Any], until: float) -> Iterator[tuple[int, Sequence[Cell]]]:
    for number, row in enumerate(result, start=1):
        if number % _FETCH == 0 and time.monotonic() > until:
            raise _too_long(source)
        yield number, [_cell(value) for value in row]


def _cell(value: object) -> Cell:
    """A value as a cell; what is neither text, number, truth nor day is text."""
    return value if value is None or isinstance(value, str | int | float | Decimal | date) else str(value)


def _too_long(source: SqlSource) -> OrderctlError:
    return OrderctlError(
        _("the query of the source {name} took more than {number} s", name=source.name, number=source.timeout),
        hint=_("make it faster, or raise {key}.timeout", key=source.key),
    )


def _failed(source: SqlSource, error: SQLAlchemyError, until: float) -> OrderctlError:
    if time.monotonic() > until:
        return _too_long(source)
    why = words_of(error)
    if isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        return UsageError(
            _("the query of the source {name} cannot be run: {why}", name=source.name, why=why),
            hint=_("correct {key}", key=f"{source.key}.{source.option}"),
        )
    return OrderctlError(
        _("the source {name} does not answer: {why}", name=source.name, why=why),
        hint=_("check {key}.url", key=source.key),
    )


def words_of(error: SQLAlchemyError) -> str:
    """The first line of a database's own words."""
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip() or type(error).__name__
    return safe(said.splitlines()[0])[:_LONGEST_REASON]
