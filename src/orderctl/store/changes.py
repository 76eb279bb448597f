"""What may be changed on any order, a rejected one included: archiving and tags; see `ports.Changes`."""

from datetime import datetime

from orderctl.domain.selection import Choice
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection

_TAGGED = "EXISTS (SELECT 1 FROM order_tag AS t WHERE t.account = o.account AND t.order_id = o.id AND t.tag = :tag)"


class SqlChanges:
    """Changes to orders of the connection's account. Each writes one event an order that really changed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def archive(self, choice: Choice, *, event_id: str, actor: str, at: datetime) -> int:
        """Take orders out of the default view; gives how many were not archived before."""
        changed = self._log(choice, "o.archived_at IS NULL", "archived", "", event_id, actor, at)
        self._set_archived(changed, ":at", at)
        return len(changed)

    def unarchive(self, choice: Choice, *, event_id: str, actor: str, at: datetime) -> int:
        """Put orders back into the default view; gives how many were archived."""
        changed = self._log(choice, "o.archived_at IS NOT NULL", "unarchived", "", event_id, actor, at)
        self._set_archived(changed, "NULL", at)
        return len(changed)

    def tag(self, choice: Choice, tag: str, *, event_id: str, actor: str, at: datetime) -> int:
        """Add a tag; gives how many orders did not have it."""
        changed = self._log(choice, f"NOT {_TAGGED}", "tagged", tag, event_id, actor, at)
        self._connection.execute(
            "INSERT INTO order_tag (account, order_id, tag) SELECT account, id, :tag FROM orders"
            f" WHERE account = :account AND {self._among} ON CONFLICT DO NOTHING",
            {"tag": tag, **self._bound(changed)},
        )
        return len(changed)

    def untag(self, choice: Choice, tag: str, *, event_id: str, actor: str, at: datetime) -> int:
        """Take a tag away; gives how many orders had it."""
        changed = self._log(choice, _TAGGED, "untagged", tag, event_id, actor, at)
        self._connection.execute(
            "DELETE FROM order_tag WHERE account = :account AND tag = :tag AND order_id IN"
            f" (SELECT id FROM orders WHERE account = :account AND {self._among})",
            {"tag": tag, **self._bound(changed)},
        )
        return len(changed)

    def _log(
        self, choice: Choice, needed: str, kind: str, detail: str, event_id: str, actor: str, at: datetime
    ) -> list[str]:
        """Lock the orders that will change and write their events; gives their ids."""
        chosen = choice_condition(choice, self._connection.dialect)
        written = self._connection.execute(
            "INSERT INTO order_event (account, order_id, id, kind, detail, actor, at)"
            f" SELECT o.account, o.id, :event, '{kind}', :detail, :actor, :at FROM orders AS o"
            f" WHERE o.account = :account AND {chosen.sql} AND {needed}"
            f" ORDER BY o.id {self._connection.dialect.lock('o')} RETURNING order_id",
            {
                **chosen.params,
                "event": event_id,
                "tag": detail,
                "detail": detail,
                "actor": actor,
                "at": self._connection.dialect.instant(at),
            },
        )
        return [order_id for (order_id,) in written.fetchall()]

    @property
    def _among(self) -> str:
        return f"id IN ({self._connection.dialect.ids('changed')})"

    def _bound(self, ids: list[str]) -> dict[str, object]:
        return {"changed": self._connection.dialect.bind_ids(ids)}

    def _set_archived(self, ids: list[str], value: str, at: datetime) -> None:
        self._connection.execute(
            f"UPDATE orders SET archived_at = {value}, version = version + 1"
            f" WHERE account = :account AND {self._among}",
            {"at": self._connection.dialect.instant(at), **self._bound(ids)},
        )
