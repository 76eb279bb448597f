"""Connections and dialects: SQL text with `:name` parameters, and the differences between the two engines.

Statements are written once. A `Dialect` says what SQLite and PostgreSQL spell differently. A `Connection` runs a
statement in the transaction that `Store` opened. Values are passed as parameters only.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, Protocol

Row = tuple[Any, ...]
Params = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Fragment:
    """A piece of SQL with the parameters it names."""

    sql: str
    params: Mapping[str, object] = field(default_factory=dict)

    def renamed(self, suffix: str) -> "Fragment":
        """The same with a suffix to the names of its parameters, so that several stand in one statement."""
        names = {name: f"{name}_{suffix}" for name in self.params}
        sql = _PARAMETER.sub(lambda found: f":{names.get(found[1], found[1])}", self.sql)
        return Fragment(sql, {names[name]: value for name, value in self.params.items()})


@lru_cache(maxsize=10_000)
def _sqlite_instant(value: datetime) -> str:
    """Of a fixed width, so that text order is time order."""
    return f"{value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


Spelling = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What SQLite and PostgreSQL spell differently: texts, and functions from names of parameters or columns to SQL."""

    name: str
    login: str  # the login as an expression
    accounts: str  # a subquery of the accounts that the login is a member of; empty where there are no logins
    present: str  # the database's clock as an expression; empty where it has none
    small_cache: str  # a statement that limits the memory of what is written from now on; empty where there is none
    bind_ids: Callable[[Sequence[str]], object]  # a list of ids as one parameter
    ids: Spelling  # a subquery that yields the texts of a list bound by `bind_ids`
    among: Spelling  # what follows a column to test whether it is in such a list, which may be long
    pairs: Spelling  # a subquery that yields (key, value), text and integer, of a JSON object given as text
    json_object: Spelling  # an aggregate that packs rows of a key and a value into one JSON object, as text
    json_rows: Spelling  # the end of a SELECT that packs columns of a source into one JSON array of arrays, as text
    instant: Callable[[datetime], object]  # an aware instant as a parameter
    day: Callable[[date], object]  # a day as a parameter
    month: Spelling  # the year and month of an instant or a day column, as `2026-03`
    lock: Spelling  # a suffix of a SELECT that locks the rows of one table
    lock_free: Spelling  # a suffix like that of `lock`, which skips rows that another transaction has locked


# Instants and days are ISO 8601 text, lists are JSON. SQLite locks the file: one transaction writes at a time.
SQLITE = Dialect(
    name="sqlite",
    login="''",
    accounts="",
    present="",
    small_cache="PRAGMA cache_size = -16384",
    bind_ids=lambda ids: json.dumps(list(ids)),
    ids="SELECT value FROM json_each(:{})".format,
    among="IN (SELECT value FROM json_each(:{}))".format,
    pairs="SELECT key, value FROM json_each(:{})".format,
    json_object="json_group_object({}, {})".format,
    json_rows="json_group_array(json_array({})) FROM {}".format,
    instant=_sqlite_instant,
    day=date.isoformat,
    month="substr({}, 1, 7)".format,
    lock="".format,
    lock_free="".format,
)
# Its own types; lists are arrays. The time zone of the session is UTC.
POSTGRESQL = Dialect(
    name="postgresql",
    login="session_user",  # who logged in: neither SET ROLE nor a SECURITY DEFINER function changes it
    accounts=(
        "SELECT m.account FROM member AS m WHERE m.login = session_user::text AND m.action = 'add' AND NOT EXISTS"
        " (SELECT 1 FROM member AS later WHERE later.account = m.account AND later.login = m.login"
        " AND later.number > m.number)"
    ),
    present="clock_timestamp()",  # now() would be the time at which the transaction began, before its locks
    small_cache="",
    bind_ids=list,
    ids="SELECT unnest(:{}::text[]) AS value".format,
    among="= ANY(:{}::text[])".format,  # faster than a subquery: it is scanned in the order of the index
    pairs="SELECT key, value::bigint AS value FROM json_each_text(:{}::json)".format,
    json_object="coalesce(json_object_agg({}, {})::text, '{{}}')".format,
    json_rows="coalesce(json_agg(json_build_array({}))::text, '[]') FROM {}".format,
    instant=lambda instant: instant,
    day=lambda day: day,
    month="to_char({}, 'YYYY-MM')".format,
    lock="FOR UPDATE OF {}".format,
    lock_free="FOR UPDATE OF {} SKIP LOCKED".format,
)
# Citus keeps its tables in this catalogue.
IS_DISTRIBUTED = "to_regclass('pg_dist_partition') IS NOT NULL"


def read_instant(value: Any) -> datetime:  # noqa: ANN401 - a column of either engine
    """An instant column as an aware UTC datetime."""
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return value.astimezone(UTC)  # type: ignore[no-any-return]


def readable_instant(value: Any) -> datetime | None:  # noqa: ANN401 - a column of either engine
    """The same of a column that somebody may have edited; None if it is NULL or holds no instant."""
    try:
        return None if value is None else read_instant(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def read_day(value: Any) -> date:  # noqa: ANN401 - a column of either engine
    """A day column as a date."""
    return date.fromisoformat(value) if isinstance(value, str) else value


class Columns:
    """The columns of a value, and the functions that convert them; rows are read and written by their names.

    `names` are the fields of the value, in the order of its rows. `readers` convert the columns that the driver does
    not return as they are needed. NULL becomes None and is not converted.
    """

    def __init__(self, names: str, **readers: Callable[[Any], Any]) -> None:
        self.names = tuple(names.split(", "))
        self._readers = [(self.names.index(name), name, read) for name, read in readers.items()]

    @property
    def sql(self) -> str:
        """The columns for a SELECT."""
        return ", ".join(self.names)

    def of(self, table: str) -> str:
        """The columns for a SELECT, each with the name of its table."""
        return ", ".join(f"{table}.{name}" for name in self.names)

    def values(self, row: Row) -> dict[str, Any]:
        """The fields of a row by name. Further columns of the row are ignored."""
        found = dict(zip(self.names, row, strict=False))
        for at, name, read in self._readers:
            if row[at] is not None:
                found[name] = read(row[at])
        return found

    def insert(self, connection: "Connection", table: str, value: object, **other: object) -> None:
        """Insert a value as a row of the account. `other` are columns that hold something else than its field."""
        values = {name: getattr(value, name, None) for name in self.names} | other
        instant = connection.dialect.instant
        connection.execute(
            f"INSERT INTO {table} (account, {', '.join(values)}) VALUES (:account, :{', :'.join(values)})",
            {name: instant(each) if isinstance(each, datetime) else each for name, each in values.items()},
        )


def ids_ending(connection: "Connection", table: str, ending: str) -> tuple[str, ...]:
    """The last few ids of the account with this ending, newest first; `ending` is checked by `read_ending`."""
    found = connection.execute(
        f"SELECT id FROM {table} WHERE account = :account AND id LIKE :ending ORDER BY id DESC LIMIT 5",
        {"ending": f"%{ending}"},
    )
    return tuple(own_id for (own_id,) in found)


def recordset(dialect: Dialect, columns: Mapping[str, str], parameter: str = "rows") -> str:
    """A subquery that yields the objects of a JSON array as rows; `columns` gives PostgreSQL's types."""
    if dialect.name == "sqlite":
        values = ", ".join(f"value ->> '$.{column}' AS {column}" for column in columns)
        return f"SELECT {values} FROM json_each(:{parameter})"
    typed = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    return f"SELECT * FROM json_to_recordset(CAST(:{parameter} AS json)) AS r({typed})"


def packed(rows: Sequence[Mapping[str, object] | Row]) -> str:
    """Rows as a JSON array, as `recordset` reads them if they are mappings; days and instants are ISO 8601 text."""
    return json.dumps(rows, default=lambda value: value.isoformat())


class Cursor(Protocol):
    """The part of a DB-API cursor that is used."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> list[Row]: ...
    def __iter__(self) -> Iterator[Row]: ...


class Connection(Protocol):
    """One open transaction, scoped to one account: `:account` is bound in every statement."""

    @property
    def dialect(self) -> Dialect: ...
    @property
    def account(self) -> str: ...

    def execute(self, sql: str, params: Params = ...) -> Cursor:
        """Run one statement; `:account` need not be given."""

    def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        """Insert rows of the account, a column of values at a time. Raises RowExistsError if a row exists.

        The values of a column are of one type, or None; those of the first one differ.
        """

    def stream(self, sql: str, params: Params = ...) -> Iterator[Row]:
        """Run a query and fetch its rows as they are used, in constant memory."""


def parted(columns: Mapping[str, Sequence[object]]) -> tuple[dict[str, object], dict[str, Sequence[object]]]:
    """The values that all rows share, by their columns, and the other columns: the first is one of them."""
    __, *others = columns
    shared = {name: columns[name][0] for name in others if columns[name].count(columns[name][0]) == len(columns[name])}
    return shared, {name: column for name, column in columns.items() if name not in shared}


# A parameter is a colon and a name; `::type` is a cast. The literals in our SQL contain no colons.
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")


@lru_cache(maxsize=512)
def for_psycopg(sql: str, *, account_seen: bool) -> str:
    """The statement with psycopg's placeholders.

    Unless the planner needs to see the account, as a distributed database does to find its shard, it is hidden in a
    subquery. Of an account that the statistics do not know yet the planner expects one row, and then reads all orders
    of the account again for each order; of one that it does not see, its share of all accounts.
    """
    text = _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
    return text if account_seen else text.replace("account = %(account)s", "account = (SELECT %(account)s)")


class RowExistsError(Exception):
    """A row that was to be inserted exists already."""


class CommitLostError(Exception):
    """The connection was lost during COMMIT: the transaction may be committed or not."""


@dataclass(slots=True)
class Statements:
    """How many statements were run, and how many seconds they took."""

    count: int = 0
    seconds: float = 0.0


class CountingConnection:
    """A `Connection` that counts its statements and their time."""

    def __init__(self, connection: Connection, statements: Statements) -> None:
        self._connection = connection
        self._statements = statements

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    @property
    def account(self) -> str:
        return self._connection.account

    def execute(self, sql: str, params: Params | None = None) -> Cursor:
        with self._counted():
            return self._connection.execute(sql, params or {})

    def insert(self, table: str, columns: Mapping[str, Sequence[object]]) -> None:
        with self._counted():
            self._connection.insert(table, columns)

    def stream(self, sql: str, params: Params | None = None) -> Iterator[Row]:
        """Only the time to the first row counts; the rest is spent by the caller."""
        with self._counted():
            return self._connection.stream(sql, params or {})

    @contextmanager
    def _counted(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._statements.count += 1
            self._statements.seconds += time.perf_counter() - started
