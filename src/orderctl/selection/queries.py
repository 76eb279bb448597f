"""Named selections of each operator in the store, and the condition that finds the orders of a choice."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from orderctl.database.connection import Connection, Dialect, Fragment
from orderctl.filters.queries import compile_filter, summaries_sql
from orderctl.language import N_, english
from orderctl.orders.orders import Order, OrderSummary, forms_of
from orderctl.orders.queries import read_summary, stream_orders
from orderctl.selection.selection import Choice, FilterScope, IdList, IdScope, InputSummary, Origin

_MINE = "account = :account AND actor = :actor AND name = :name"


def add_choice(connection: Connection, actor: str, name: str, choice: Choice, origin: str, at: datetime) -> int:
    """Add the orders of a choice to a selection, each with its line in a file; returns how many were new."""
    condition = choice_condition(choice, connection.dialect)
    lines = choice.scope.given.lines if isinstance(choice.scope, IdScope) else ""
    # MATERIALIZED: SQLite then builds an index, and does not read all lines for each order.
    with_ = f"WITH line AS MATERIALIZED ({connection.dialect.pairs('lines')}) " if lines else ""
    added = connection.execute(
        f"INSERT INTO selection_item (account, actor, name, order_id, origin, added_at, line) {with_}"
        f"SELECT account, :actor, :name, id, :origin, :at, {'coalesce(line.value, 0)' if lines else '0'} FROM orders"
        f"{' LEFT JOIN line ON line.key = orders.id' if lines else ''}"
        f" WHERE account = :account AND {condition.sql} ON CONFLICT DO NOTHING",
        {
            **condition.params,
            **({"lines": lines} if lines else {}),
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


def origins_of(connection: Connection, choice: Choice) -> tuple[Origin, ...]:
    """Where the ids of a choice came from; those of a selection from what each order was added by."""
    scope = choice.scope
    if isinstance(scope, IdScope):
        return (Origin(english(scope.origin or scope.words), scope.given.lines),)
    if isinstance(scope, FilterScope):
        return (Origin(english(scope.words)),)
    found = connection.execute(
        f"SELECT origin, {connection.dialect.json_object('order_id', 'line')} FROM selection_item"
        " WHERE account = :account AND actor = :actor AND name = :name GROUP BY origin ORDER BY origin",
        {"actor": scope.actor, "name": scope.name},
    )
    within = N_("selection {name}: {words}")
    return tuple(
        Origin(within.format(name=scope.name, words=source) if source else english(scope.words), lines)
        for source, lines in found
    )


def with_exclusions(connection: Connection, given: InputSummary, choice: Choice) -> InputSummary:
    """The summary, with the ids that `--except` took out, and how many it named in vain."""
    excluded = choice.excluded.ids
    if not excluded:
        return given
    taken_out = _taken_out(connection, choice)
    return replace(
        given,
        excluded=taken_out,
        excluded_count=len(taken_out),
        excluded_elsewhere=len(excluded) - len(taken_out),
    )


def _taken_out(connection: Connection, choice: Choice) -> tuple[str, ...]:
    if isinstance(choice.scope, IdScope):
        excluded = set(choice.excluded.ids)
        return tuple(sorted(order_id for order_id in choice.scope.given.ids if order_id in excluded))
    scope = choice_condition(replace(choice, excluded=IdList(ids=())), connection.dialect)
    found = connection.execute(
        f"SELECT id FROM orders WHERE account = :account AND ({scope.sql})"
        f" AND id IN ({connection.dialect.ids('taken_out')}) ORDER BY id",
        {**scope.params, "taken_out": connection.dialect.bind_ids(choice.excluded.ids)},
    )
    return tuple(str(order_id) for (order_id,) in found)


def chosen_orders(connection: Connection, choice: Choice) -> Iterator[Order]:
    """Stream the orders of a choice with their lines and tags, sorted by id."""
    return stream_orders(connection, choice_condition(choice, connection.dialect))
