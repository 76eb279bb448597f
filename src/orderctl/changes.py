"""Changes that every order allows, a rejected one too: archiving and tags (design.md, section 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from orderctl.database.acts import Act, record_act
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.orders.document import SCHEMA, Document
from orderctl.selection.queries import choice_condition
from orderctl.selection.selection import Choice
from orderctl.selection.service import refuse_unknown


class ChangeKind(StrEnum):
    """The kinds of change, named as the log names them."""

    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    TAGGED = "tagged"
    UNTAGGED = "untagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of orders; `tag` is the tag that is added or removed."""

    kind: ChangeKind
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """A change and its orders. Unknown ids are an error, unless they are to be ignored."""

    choice: Choice
    change: Change
    ignore_unknown: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What a change did or would do: the words and the JSON document are made from it.

    `chosen` and `changing` count orders. `unknown` are ids that the store has no order of.
    """

    request: ChangeRequest
    chosen: int
    changing: int
    unknown: tuple[str, ...] = ()
    duplicates: int = 0

    @property
    def unchanged(self) -> int:
        """How many chosen orders already were as the change makes them."""
        return self.chosen - self.changing


_TAGGED = "EXISTS (SELECT 1 FROM order_tag AS t WHERE t.account = o.account AND t.order_id = o.id AND t.tag = :tag)"
# The condition for an order that the change would change.
_CHANGES = {
    ChangeKind.ARCHIVED: "o.archived_at IS NULL",
    ChangeKind.UNARCHIVED: "o.archived_at IS NOT NULL",
    ChangeKind.TAGGED: f"NOT {_TAGGED}",
    ChangeKind.UNTAGGED: _TAGGED,
}


def apply_change(
    connection: Connection, choice: Choice, change: Change, *, event_id: str, actor: str, at: datetime
) -> int:
    """Change the chosen orders, and record the act; returns how many changed."""
    ids = _log_change(connection, choice, change, event_id, actor, at)
    changed = {"changed": connection.dialect.bind_ids(ids)}
    among = f"id IN ({connection.dialect.ids('changed')})"
    archived = ""
    match change.kind:
        case ChangeKind.ARCHIVED:
            archived = "archived_at = :at, version = version + 1, "
        case ChangeKind.UNARCHIVED:
            archived = "archived_at = NULL, version = version + 1, "
        case ChangeKind.TAGGED:
            connection.execute(
                "INSERT INTO order_tag (account, order_id, tag) SELECT account, id, :tag FROM orders"
                f" WHERE account = :account AND {among} ON CONFLICT DO NOTHING",
                {"tag": change.tag, **changed},
            )
        case ChangeKind.UNTAGGED:
            connection.execute(
                f"DELETE FROM order_tag WHERE account = :account AND tag = :tag AND order_{among}",
                {"tag": change.tag, **changed},
            )
    connection.execute(
        f"UPDATE orders SET {archived}changed_at = :at WHERE account = :account AND {among}",
        {**changed, "at": connection.dialect.instant(at)},
    )
    if ids:
        record_act(
            connection, Act(kind=change.kind, subject=event_id, actor=actor, at=at, detail=change.tag).of_keys(ids)
        )
    return len(ids)


def _log_change(
    connection: Connection, choice: Choice, change: Change, event_id: str, actor: str, at: datetime
) -> list[str]:
    """Lock the chosen orders, and write the events of those that change; returns their ids."""
    dialect = connection.dialect
    chosen = choice_condition(choice, dialect)
    among = f"FROM orders AS o WHERE o.account = :account AND {chosen.sql}"
    lock = dialect.lock("o")
    if lock:
        # A separate statement: the next one then sees the tags that a former holder of the locks wrote.
        connection.execute(f"SELECT 1 {among} ORDER BY o.id {lock}", chosen.params)
    written = connection.execute(
        "INSERT INTO order_event (account, order_id, id, kind, detail, actor, at)"
        f" SELECT o.account, o.id, :event, '{change.kind}', :tag, :actor, :at {among}"
        f" AND {_CHANGES[change.kind]} ORDER BY o.id RETURNING order_id",
        {**chosen.params, "event": event_id, "tag": change.tag, "actor": actor, "at": dialect.instant(at)},
    )
    return [order_id for (order_id,) in written.fetchall()]


def preview_change(store: Store, request: ChangeRequest) -> ChangeReport:
    """What the change would do. Changes nothing. Raises UsageError for unknown ids."""
    with store.snapshot() as connection:
        return _report(connection, request)


def change_orders(
    store: Store, request: ChangeRequest, *, actor: str, clock: Clock, new_id: Callable[[], str]
) -> ChangeReport:
    """Make the change, with one event for each changed order. Raises UsageError for unknown ids."""
    event_id = new_id()

    def work_on(connection: Connection) -> ChangeReport:
        found = _report(connection, request)
        changed = apply_change(
            connection, request.choice, request.change, event_id=event_id, actor=actor, at=clock.of(connection)
        )
        return replace(found, changing=changed)

    return store.write(work_on)


def _report(connection: Connection, request: ChangeRequest) -> ChangeReport:
    """How many orders are chosen, and how many of them the change would change."""
    change = request.change
    unknown = refuse_unknown(connection, request.choice, ignore=request.ignore_unknown)
    condition = choice_condition(request.choice, connection.dialect)
    [(chosen, changing)] = connection.execute(
        f"SELECT count(*), count(CASE WHEN {_CHANGES[change.kind]} THEN 1 END) FROM orders AS o"
        f" WHERE o.account = :account AND {condition.sql}",
        {**condition.params, "tag": change.tag},
    )
    return ChangeReport(
        request=request, chosen=chosen, changing=changing, unknown=unknown, duplicates=request.choice.given.duplicates
    )


def change_document(report: ChangeReport) -> Document:
    """The result of archiving or tagging, or of a dry run of it (design.md, section 8)."""
    change = report.request.change
    return {
        "schema": SCHEMA,
        "outcome": "dry-run" if report.request.dry_run else "done",
        "change": change.kind.value,
        "tag": change.tag or None,
        "changed": report.changing,
        "unchanged": report.unchanged,
        "unknown": list(report.unknown),
        "duplicates": report.duplicates,
    }
