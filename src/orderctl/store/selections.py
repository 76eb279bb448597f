"""Named sets of order ids, per operator; see `ports.Selections`."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from orderctl.domain.order_ids import forms_of
from orderctl.domain.orders import OrderSummary
from orderctl.domain.selection import Choice
from orderctl.store import rows
from orderctl.store.scopes import choice_condition
from orderctl.store.sql import Connection

_MINE = "account = :account AND actor = :actor AND name = :name"


class SqlSelections:
    """Selections of the connection's account."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, actor: str, name: str, choice: Choice, origin: str, at: datetime) -> int:
        """Add the orders of a choice; gives how many were new."""
        condition = choice_condition(choice, self._connection.dialect)
        added = self._connection.execute(
            "INSERT INTO selection_item (account, actor, name, order_id, origin, added_at)"
            " SELECT account, :actor, :name, id, :origin, :at FROM orders"
            f" WHERE account = :account AND {condition.sql} ON CONFLICT DO NOTHING",
            {
                **condition.params,
                "actor": actor,
                "name": name,
                "origin": origin,
                "at": self._connection.dialect.instant(at),
            },
        )
        return added.rowcount

    def remove(self, actor: str, name: str, choice: Choice) -> int:
        """Take the orders of a choice out; gives how many were in."""
        condition = choice_condition(choice, self._connection.dialect)
        removed = self._connection.execute(
            f"DELETE FROM selection_item WHERE {_MINE} AND order_id IN"
            f" (SELECT id FROM orders WHERE account = :account AND {condition.sql})",
            {**condition.params, "actor": actor, "name": name},
        )
        return removed.rowcount

    def clear(self, actor: str, name: str) -> int:
        """Empty a selection; gives how many orders it held."""
        cleared = self._connection.execute(f"DELETE FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name})
        return cleared.rowcount

    def size(self, actor: str, name: str) -> int:
        """How many orders a selection holds."""
        row = self._connection.execute(
            f"SELECT count(*) FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name}
        ).fetchone()
        return row[0] if row else 0

    def names(self, actor: str) -> tuple[tuple[str, int], ...]:
        """The operator's selections with their sizes."""
        found = self._connection.execute(
            "SELECT name, count(*) FROM selection_item WHERE account = :account AND actor = :actor"
            " GROUP BY name ORDER BY name",
            {"actor": actor},
        )
        return tuple((name, size) for name, size in found)

    def page(self, actor: str, name: str, limit: int | None) -> Iterator[OrderSummary]:
        """The summaries of the selected orders, newest first."""
        where = f"id IN (SELECT order_id FROM selection_item WHERE {_MINE})"
        bound = {"actor": actor, "name": name} | ({} if limit is None else {"page_limit": limit})
        sql = rows.summaries_sql(where, "-ordered", "" if limit is None else "LIMIT :page_limit")
        return map(rows.summary, self._connection.execute(sql, bound))

    def unknown(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Which of these ids the account has no order of, in their order."""
        known = self._known(ids)
        return tuple(order_id for order_id in ids if order_id not in known)

    def as_stored(self, ids: Sequence[str]) -> dict[str, str]:
        """Of the ids that the account has with their accents written the other way: each with how it is stored."""
        forms = {order_id: forms_of(order_id) for order_id in ids if not order_id.isascii()}
        if not forms:
            return {}
        known = self._known([*forms, *(form for same in forms.values() for form in same)])
        return {
            order_id: form
            for order_id, same in forms.items()
            if order_id not in known
            for form in same
            if form in known
        }

    def _known(self, ids: Sequence[str]) -> set[str]:
        dialect = self._connection.dialect
        found = self._connection.execute(
            f"SELECT id FROM orders WHERE account = :account AND id IN ({dialect.ids('ids')})",
            {"ids": dialect.bind_ids(ids)},
        )
        return {order_id for (order_id,) in found}
