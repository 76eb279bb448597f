"""What may be changed on any order, a rejected one included: archiving and tags; see `ports.Changes`."""

from datetime import datetime

from orderctl.domain.changes import Change, ChangeKind, Reach
from orderctl.domain.selection import Choice
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection

_TAGGED = "EXISTS (SELECT 1 FROM order_tag AS t WHERE t.account = o.account AND t.order_id = o.id AND t.tag = :tag)"
# What holds for an order that a change changes.
_CHANGES = {
    ChangeKind.ARCHIVED: "o.archived_at IS NULL",
    ChangeKind.UNARCHIVED: "o.archived_at IS NOT NULL",
    ChangeKind.TAGGED: f"NOT {_TAGGED}",
    ChangeKind.UNTAGGED: _TAGGED,
}


class SqlChanges:
    """Changes to orders of the connection's account. Each writes one event an order that really changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def reach(self, choice: Choice, change: Change) -> Reach:
        """How many orders are chosen, and how many of them the change would change."""
        chosen = choice_condition(choice, self._connection.dialect)
        row = self._connection.execute(
            f"SELECT count(*), count(CASE WHEN {_CHANGES[change.kind]} THEN 1 END) FROM orders AS o"
            f" WHERE o.account = :account AND {chosen.sql}",
            {**chosen.params, "tag": change.tag},
        ).fetchone()
        return Reach(chosen=row[0], changing=row[1]) if row else Reach(chosen=0, changing=0)

    def apply(self, choice: Choice, change: Change, *, event_id: str, actor: str, at: datetime) -> int:
        """Change the chosen orders; gives how many were not so already."""
        ids = self._log(choice, change, event_id, actor, at)
        changed = {"changed": self._connection.dialect.bind_ids(ids)}
        among = f"id IN ({self._connection.dialect.ids('changed')})"
        match change.kind:
            case ChangeKind.ARCHIVED:
                self._set_archived(among, ":at", at, changed)
            case ChangeKind.UNARCHIVED:
                self._set_archived(among, "NULL", at, changed)
            case ChangeKind.TAGGED:
                self._connection.execute(
                    "INSERT INTO order_tag (account, order_id, tag) SELECT account, id, :tag FROM orders"
                    f" WHERE account = :account AND {among} ON CONFLICT DO NOTHING",
                    {"tag": change.tag, **changed},
                )
                self._touch(among, at, changed)
            case ChangeKind.UNTAGGED:
                self._connection.execute(
                    f"DELETE FROM order_tag WHERE account = :account AND tag = :tag AND order_{among}",
                    {"tag": change.tag, **changed},
                )
                self._touch(among, at, changed)
        return len(ids)

    def _log(self, choice: Choice, change: Change, event_id: str, actor: str, at: datetime) -> list[str]:
        """Lock the chosen orders and write the events of those that will change; gives their ids."""
        dialect = self._connection.dialect
        chosen = choice_condition(choice, dialect)
        among = f"FROM orders AS o WHERE o.account = :account AND {chosen.sql}"
        lock = dialect.lock("o")
        if lock:
            # A statement of its own: the next one then sees the tags of whoever held the locks before.
            self._connection.execute(f"SELECT 1 {among} ORDER BY o.id {lock}", chosen.params)
        written = self._connection.execute(
            "INSERT INTO order_event (account, order_id, id, kind, detail, actor, at)"
            f" SELECT o.account, o.id, :event, '{change.kind}', :tag, :actor, :at {among}"
            f" AND {_CHANGES[change.kind]} ORDER BY o.id RETURNING order_id",
            {**chosen.params, "event": event_id, "tag": change.tag, "actor": actor, "at": dialect.instant(at)},
        )
        return [order_id for (order_id,) in written.fetchall()]

    def _set_archived(self, among: str, value: str, at: datetime, changed: dict[str, object]) -> None:
        self._connection.execute(
            f"UPDATE orders SET archived_at = {value}, changed_at = :at, version = version + 1"
            f" WHERE account = :account AND {among}",
            {**changed, "at": self._connection.dialect.instant(at)},
        )

    def _touch(self, among: str, at: datetime, changed: dict[str, object]) -> None:
        self._connection.execute(
            f"UPDATE orders SET changed_at = :at WHERE account = :account AND {among}",
            {**changed, "at": self._connection.dialect.instant(at)},
        )
