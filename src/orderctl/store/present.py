"""What time it is in a transaction, and the newest record of its account; see `ports.UnitOfWork`."""

from datetime import UTC, datetime

from orderctl.domain.clocks import Reading, Recorded
from orderctl.domain.saved_plans import OPEN
from orderctl.store.sql import Connection, Row, read_instant

_OPEN = ", ".join(f"'{state}'" for state in sorted(OPEN))
# Each by the end of an index. Of the plans the newest alone: their rows are long, and a cancelled one counts no more.
_READ = (
    "SELECT {present}, batch.id, batch.at, plan.id, plan.made_at, plan.approved_at FROM (SELECT 1 AS one) AS present"
    " LEFT JOIN (SELECT id, at FROM batch WHERE account = :account AND id <> :wrong ORDER BY position DESC LIMIT 1)"
    " AS batch ON 1 = 1"
    " LEFT JOIN (SELECT id, made_at, approved_at, state FROM plan WHERE account = :account ORDER BY id DESC LIMIT 1)"
    f" AS plan ON plan.state IN ({_OPEN})"
)


def present(connection: Connection, local: datetime) -> datetime:
    """The database's clock where it has one, and else `local`."""
    if not connection.dialect.present:
        return local
    row = connection.execute(f"SELECT {connection.dialect.present}").fetchone()
    return read_instant(row[0]) if row else local


def reading(connection: Connection, local: datetime, wrong: str) -> Reading:
    """The same with the newest record; the batch `wrong` is none."""
    clock = connection.dialect.present
    row = connection.execute(_READ.format(present=clock or "NULL"), {"wrong": wrong}).fetchone()
    if row is None:
        return Reading(now=local)
    newest = max(_records(row), key=lambda record: record.at, default=None)
    return Reading(now=read_instant(row[0]) if clock else local, newest=newest, of_database=bool(clock))


def _records(row: Row) -> list[Recorded]:
    _, batch, batch_at, plan, *plan_times = row
    found = [(batch, batch_at, False), *((plan, at, True) for at in plan_times)]
    return [
        Recorded(id=own_id, at=at, is_plan=is_plan)
        for own_id, value, is_plan in found
        if own_id is not None and (at := _instant(value)) is not None
    ]


def _instant(value: object) -> datetime | None:
    """A time; None for none, and for what somebody made unreadable: running such a plan is refused anyway."""
    try:
        return read_instant(value).astimezone(UTC) if value is not None else None
    except (ValueError, OverflowError):
        return None
