"""Orders out of somebody else's database: one query, read once, through a cursor of the server."""

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
    """A database with orders, as the settings `sources.NAME` describe it. `timeout` is in seconds.

    `map` is the name or the file of a column map; empty where the columns carry our own names.
    """

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
    url = _url(settings.text(f"{key}.url"), f"{key}.url")
    user = url.render_as_string(hide_password=True).partition("://")[2]
    if password := settings.secret(file=f"{key}.password_file", keyring=f"{key}.keyring", user=user):
        url = url.set(password=password)
    return SqlSource(
        name=name,
        url=url,
        query=_query(settings, f"{key}.query"),
        timeout=settings.number(f"{key}.timeout") or 0,
        map=settings.text(f"{key}.map"),
    )


def _url(written: str, key: str) -> URL:
    """The URL, with the driver that is in the box. UsageError does not repeat it: it may hold a password."""
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
    # Never made where it is not there, never written.
    return url.set(
        database=f"{Path(url.database).expanduser().resolve().as_uri()}", query={"mode": "ro", "uri": "true"}
    )


def _query(settings: Settings, key: str) -> str:
    """The query, from its file where the setting names one."""
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
    engine = _engine(source)
    until = time.monotonic() + source.timeout
    try:
        with engine.connect() as connection:
            _limit(source, connection, until)
            streamed = connection.execution_options(yield_per=_FETCH, no_parameters=True)
            result = streamed.exec_driver_sql(source.query)
            if not result.returns_rows:
                raise UsageError(_("sources.{name}.query gives no rows", name=source.name), hint=_("write one SELECT"))
            yield Table(header=header_of(list(result.keys()), source.name), rows=_rows(source, result, until))
    except SQLAlchemyError as error:
        raise _failed(source, error, until) from None
    finally:
        engine.dispose()


def _engine(source: SqlSource) -> Engine:
    wait = {"connect_timeout": _CONNECT_WAIT_S} if source.url.get_backend_name() == "postgresql" else {}
    try:
        return create_engine(source.url, poolclass=NullPool, hide_parameters=True, connect_args=wait)
    except (NoSuchModuleError, ImportError) as error:
        module = error.name if isinstance(error, ImportError) else source.url.drivername
        raise UsageError(
            _("sources.{name}.url needs a driver that is not installed: {module}", name=source.name, module=module),
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
        hint=_("make it faster, or raise sources.{name}.timeout", name=source.name),
    )


def _failed(source: SqlSource, error: SQLAlchemyError, until: float) -> OrderctlError:
    """The error in the database's own words: the first line of them."""
    if time.monotonic() > until:
        return _too_long(source)
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip() or type(error).__name__
    why = safe(said.splitlines()[0])[:_LONGEST_REASON]
    if isinstance(error, DBAPIError) and not isinstance(error, OperationalError):
        return UsageError(
            _("the query of the source {name} cannot be run: {why}", name=source.name, why=why),
            hint=_("correct sources.{name}.query", name=source.name),
        )
    return OrderctlError(
        _("the source {name} does not answer: {why}", name=source.name, why=why),
        hint=_("check sources.{name}.url", name=source.name),
    )
