"""Named selections of each operator in the store, and the condition that finds the orders of a choice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from orderctl.database.connection import Connection, Dialect, Fragment
from orderctl.filters.queries import compile_filter, summaries_sql
from orderctl.orders.orders import Order, OrderSummary, forms_of
from orderctl.orders.queries import read_summary, stream_orders
from orderctl.selection.selection import Choice, FilterScope, IdList, IdScope, InputSummary

_MINE = "account = :account AND actor = :actor AND name = :name"


def add_choice(connection: Connection, actor: str, name: str, choice: Choice, origin: str, at: datetime) -> int:
    """Add the orders of a choice to a selection; returns how many were new."""
    condition = choice_condition(choice, connection.dialect)
    added = connection.execute(
        "INSERT INTO selection_item (account, actor, name, order_id, origin, added_at)"
        " SELECT account, :actor, :name, id, :origin, :at FROM orders"
        f" WHERE account = :account AND {condition.sql} ON CONFLICT DO NOTHING",
        {
            **condition.params,
            "actor": actor,
            "name": name,
            "origin": origin,
            "at": connection.dialect.instant(at),
        },
    )
    return added.rowcount


def remove_choice(connection: Connection, actor: str, name: str, choice: Choice) -> int:
    """Remove the orders of a choice from a selection; returns how many were in it."""
    condition = choice_condition(choice, connection.dialect)
    removed = connection.execute(
        f"DELETE FROM selection_item WHERE {_MINE} AND order_id IN"
        f" (SELECT id FROM orders WHERE account = :account AND {condition.sql})",
        {**condition.params, "actor": actor, "name": name},
    )
    return removed.rowcount


def delete_selection(connection: Connection, actor: str, name: str) -> int:
    """Empty a selection; returns how many orders it held."""
    cleared = connection.execute(f"DELETE FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name})
    return cleared.rowcount


def selection_size(connection: Connection, actor: str, name: str) -> int:
    """How many orders a selection holds."""
    row = connection.execute(
        f"SELECT count(*) FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name}
    ).fetchone()
    return row[0] if row else 0


def selection_names(connection: Connection, actor: str) -> tuple[tuple[str, int], ...]:
    """The operator's selections with their sizes."""
    found = connection.execute(
        "SELECT name, count(*) FROM selection_item WHERE account = :account AND actor = :actor"
        " GROUP BY name ORDER BY name",
        {"actor": actor},
    )
    return tuple((name, size) for name, size in found)


def selected_orders(connection: Connection, actor: str, name: str, limit: int | None) -> Iterator[OrderSummary]:
    """The summaries of the selected orders, newest first."""
    where = f"id IN (SELECT order_id FROM selection_item WHERE {_MINE})"
    bound = {"actor": actor, "name": name} | ({} if limit is None else {"page_limit": limit})
    sql = summaries_sql(where, "-ordered", "" if limit is None else "LIMIT :page_limit")
    return map(read_summary, connection.execute(sql, bound))


def unknown_ids(connection: Connection, ids: Sequence[str]) -> tuple[str, ...]:
    """The ids that the account has no order of, in their order."""
    known = _known_ids(connection, ids)
    return tuple(order_id for order_id in ids if order_id not in known)


def ids_as_stored(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The stored form of each id that is known only with its accents composed the other way."""
    forms = {order_id: forms_of(order_id) for order_id in ids if not order_id.isascii()}
    if not forms:
        return {}
    known = _known_ids(connection, [*forms, *(form for same in forms.values() for form in same)])
    return {
        order_id: form for order_id, same in forms.items() if order_id not in known for form in same if form in known
    }


def _known_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT id FROM orders WHERE account = :account AND id IN ({dialect.ids('ids')})",
        {"ids": dialect.bind_ids(ids)},
    )
    return {order_id for (order_id,) in found}


def choice_condition(choice: Choice, dialect: Dialect) -> Fragment:
    """A condition that holds for the orders of the choice, without the excluded ones."""
    chosen = _scope_condition(choice, dialect)
    if not choice.excluded.ids:
        return chosen
    return Fragment(
        f"({chosen.sql}) AND NOT id {dialect.among('excluded')}",
        {**chosen.params, "excluded": dialect.bind_ids(choice.excluded.ids)},
    )


def _scope_condition(choice: Choice, dialect: Dialect) -> Fragment:
    scope = choice.scope
    if isinstance(scope, FilterScope):
        return compile_filter(scope.filter, dialect)
    if isinstance(scope, IdScope):
        return Fragment(f"id {dialect.among('given')}", {"given": dialect.bind_ids(scope.given.ids)})
    return Fragment(
        "id IN (SELECT order_id FROM selection_item"
        " WHERE account = :account AND actor = :selected_by AND name = :selection)",
        {"selected_by": scope.actor, "selection": scope.name},
    )


_SHOWN = 20


def with_exclusions(connection: Connection, given: InputSummary, choice: Choice) -> InputSummary:
    """The summary, with the orders that `--except` took out, and the ids that it named in vain."""
    if not choice.excluded.ids:
        return given
    scope = choice_condition(replace(choice, excluded=IdList(ids=())), connection.dialect)
    found = connection.execute(
        f"SELECT id FROM orders WHERE account = :account AND ({scope.sql})"
        f" AND id IN ({connection.dialect.ids('taken_out')}) ORDER BY id",
        {**scope.params, "taken_out": connection.dialect.bind_ids(choice.excluded.ids)},
    )
    taken_out = [str(order_id) for (order_id,) in found]
    return replace(
        given,
        excluded=tuple(taken_out[:_SHOWN]),
        excluded_count=len(taken_out),
        excluded_elsewhere=len(choice.excluded.ids) - len(taken_out),
    )


def chosen_orders(connection: Connection, choice: Choice) -> Iterator[Order]:
    """Stream the orders of a choice with their lines and tags, sorted by id."""
    return stream_orders(connection, choice_condition(choice, connection.dialect))
