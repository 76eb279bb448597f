"""The clock that decides: the database's where it has one, else the computer's (design.md, section 5b)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from orderctl.core.ids import short_id
from orderctl.database.connection import Connection, Row, read_instant, readable_instant
from orderctl.errors import OrderctlError
from orderctl.language import _


class Clock(Protocol):
    """The time as aware UTC instants. `now` is the computer's clock: for display only, it decides nothing."""

    def now(self) -> datetime: ...
    def of(self, connection: Connection) -> datetime:
        """The time that decides in a transaction: the database's clock, or the computer's where there is none."""

    def for_record(self, connection: Connection) -> datetime:
        """The time to write to the log, from the same clock. Raises OrderctlError if it is behind the newest record."""


# Time synchronisation moves clocks in small steps, also backwards. Within this slack the newest record's time is used.
SLACK = timedelta(seconds=5)
_SHOWN = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A record and its time: a batch, or a plan that is still open."""

    id: str
    at: datetime
    is_plan: bool = False

    @property
    def name(self) -> str:
        """The record as messages call it. A batch has its full id, because a setting may have to name it."""
        return _("plan {id}", id=short_id(self.id)) if self.is_plan else _("batch {batch}", batch=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReading:
    """The time in a transaction, and the newest record. `of_database`: the time is the database's own."""

    now: datetime
    newest: Recorded | None = None
    of_database: bool = False

    def to_record(self) -> datetime:
        """The time to record and to decide by. Raises OrderctlError if the clock is behind the newest record."""
        newest = self.newest
        if newest is None or self.now >= newest.at:
            return self.now
        if newest.at - self.now <= SLACK:
            return newest.at
        raise OrderctlError(self._problem(newest), hint=_way_out(newest))

    def _problem(self, newest: Recorded) -> str:
        times = {"now": f"{self.now:{_SHOWN}}", "record": newest.name, "at": f"{newest.at:{_SHOWN}}"}
        if self.of_database:
            return _(
                "the database's clock ({now} UTC) is behind the newest record, {record} ({at} UTC);"
                " nothing was changed",
                **times,
            )
        return _(
            "this computer's clock ({now} UTC) is behind the newest record, {record} ({at} UTC); nothing was changed",
            **times,
        )


def _way_out(newest: Recorded) -> str:
    if newest.is_plan:
        return _(
            "set the clock right; if the plan's time is the wrong one: orderctl plan cancel {id}",
            id=short_id(newest.id),
        )
    return _("set the clock right; if the batch's time is the wrong one, name it in the setting wrong_time_of")


# The states of open plans, as in `plans.plans.OPEN`, which this room may not import.
_OPEN = "'approved', 'held', 'saved'"
# Each record is read from the end of an index. Only the newest plan is read: plan rows are long. Cancelled plans do not
# count.
_READ = (
    "SELECT {present}, batch.id, batch.at, plan.id, plan.made_at, plan.approved_at FROM (SELECT 1 AS one) AS present"
    " LEFT JOIN (SELECT id, at FROM batch WHERE account = :account AND id <> :wrong ORDER BY position DESC LIMIT 1)"
    " AS batch ON 1 = 1"
    " LEFT JOIN (SELECT id, made_at, approved_at, state FROM plan WHERE account = :account ORDER BY id DESC LIMIT 1)"
    f" AS plan ON plan.state IN ({_OPEN})"
)


def database_time(connection: Connection, local: datetime) -> datetime:
    """The database's clock, or `local` where it has none."""
    if not connection.dialect.present:
        return local
    row = connection.execute(f"SELECT {connection.dialect.present}").fetchone()
    return read_instant(row[0]) if row else local


def read_clock(connection: Connection, local: datetime, wrong: str) -> ClockReading:
    """The time and the newest record. The batch with the id `wrong` does not count as a record."""
    clock = connection.dialect.present
    row = connection.execute(_READ.format(present=clock or "NULL"), {"wrong": wrong}).fetchone()
    if row is None:
        return ClockReading(now=local)
    newest = max(_records(row), key=lambda record: record.at, default=None)
    return ClockReading(now=read_instant(row[0]) if clock else local, newest=newest, of_database=bool(clock))


def _records(row: Row) -> list[Recorded]:
    __, batch, batch_at, plan, *plan_times = row
    found = [(batch, batch_at, False), *((plan, at, True) for at in plan_times)]
    # A plan that somebody edited is refused anyway.
    return [
        Recorded(id=own_id, at=at, is_plan=is_plan)
        for own_id, value, is_plan in found
        if own_id is not None and (at := readable_instant(value)) is not None
    ]


class SystemClock:
    """The database's clock where it has one, else the computer's.

    `wrong_time_of` returns the id of a batch that was made while the clock was wrong.
    """

    def __init__(self, wrong_time_of: Callable[[], str] = lambda: "") -> None:
        self._wrong_time_of = wrong_time_of

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)

    def of(self, connection: Connection) -> datetime:
        return database_time(connection, self.now())

    def for_record(self, connection: Connection) -> datetime:
        return read_clock(connection, self.now(), wrong=self._wrong_time_of()).to_record()
