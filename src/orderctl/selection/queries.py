"""Named selections of each operator in the store, and the condition that finds the orders of a choice."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from orderctl.database.connection import Connection, Dialect, Fragment, Params, read_instant
from orderctl.filters.filters import with_archived
from orderctl.filters.queries import compile_filter, summaries_sql
from orderctl.language import N_, english
from orderctl.orders.orders import Order, OrderSummary, forms_of
from orderctl.orders.queries import read_summary, stream_orders
from orderctl.selection.selection import (
    Choice,
    FilterScope,
    IdScope,
    Origin,
    Scope,
    Selection,
    SelectionItem,
    SelectionScope,
)

_MINE = "account = :account AND actor = :actor AND name = :name"


def add_choice(connection: Connection, actor: str, name: str, choice: Choice, at: datetime) -> int:
    """Add the orders of a choice to a selection, each with where it came from; returns how many were new.

    What is in the selection already keeps its origin.
    """
    limits = _limits(choice, connection.dialect)
    bound = {"actor": actor, "name": name, "at": connection.dialect.instant(at)}
    return sum(_add(connection, scope, limits, bound) for scope in choice.sources)


def _add(connection: Connection, scope: Scope, limits: Fragment, bound: Params) -> int:
    columns = "INSERT INTO selection_item (account, actor, name, order_id, origin, added_at, line)"
    if isinstance(scope, SelectionScope):
        return connection.execute(
            f"{columns} SELECT account, :actor, :name, order_id,"
            " CASE WHEN origin = '' THEN :origin ELSE :within || origin END, :at, line FROM selection_item AS item"
            " WHERE account = :account AND actor = :selected_by AND name = :selection AND EXISTS"
            f" (SELECT 1 FROM orders WHERE account = :account AND id = item.order_id AND {limits.sql})"
            " ON CONFLICT DO NOTHING",
            {
                **limits.params,
                **bound,
                "selected_by": scope.actor,
                "selection": scope.name,
                "origin": english(scope.words),
                "within": _WITHIN.format(name=scope.name, words=""),
            },
        ).rowcount
    condition = _condition(scope, connection.dialect)
    lines = scope.given.lines if isinstance(scope, IdScope) else ""
    # MATERIALIZED: SQLite then builds an index, and does not read all lines for each order.
    with_ = f"WITH line AS MATERIALIZED ({connection.dialect.pairs('lines')}) " if lines else ""
    return connection.execute(
        f"{columns} {with_}"
        f"SELECT account, :actor, :name, id, :origin, :at, {'coalesce(line.value, 0)' if lines else '0'} FROM orders"
        f"{' LEFT JOIN line ON line.key = orders.id' if lines else ''}"
        f" WHERE account = :account AND {condition.sql} AND {limits.sql} ON CONFLICT DO NOTHING",
        {
            **condition.params,
            **limits.params,
            **({"lines": lines} if lines else {}),
            **bound,
            "origin": _origin_words(scope),
        },
    ).rowcount


def keep_within(connection: Connection, actor: str, name: str, choice: Choice) -> int:
    """Remove from a selection what the choice's `only` and `minus` forbid; returns how many."""
    if not (choice.only or choice.minus or choice.excluded.ids):
        return 0
    limits = _limits(choice, connection.dialect)
    return connection.execute(
        f"DELETE FROM selection_item WHERE {_MINE} AND NOT EXISTS"
        f" (SELECT 1 FROM orders WHERE account = :account AND id = selection_item.order_id AND {limits.sql})",
        {**limits.params, "actor": actor, "name": name},
    ).rowcount


def remove_choice(connection: Connection, actor: str, name: str, choice: Choice) -> int:
    """Remove the orders of a choice from a selection; returns how many were in it."""
    condition = choice_condition(choice, connection.dialect)
    return connection.execute(
        f"DELETE FROM selection_item WHERE {_MINE} AND order_id IN"
        f" (SELECT id FROM orders WHERE account = :account AND {condition.sql})",
        {**condition.params, "actor": actor, "name": name},
    ).rowcount


def delete_selection(connection: Connection, actor: str, name: str) -> int:
    """Empty a selection; returns how many orders it held."""
    return connection.execute(f"DELETE FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name}).rowcount


def selection_size(connection: Connection, actor: str, name: str) -> int:
    """How many orders a selection holds."""
    row = connection.execute(
        f"SELECT count(*) FROM selection_item WHERE {_MINE}", {"actor": actor, "name": name}
    ).fetchone()
    return row[0] if row else 0


def selections_of(connection: Connection, actor: str) -> tuple[Selection, ...]:
    """The operator's selections, by name."""
    found = connection.execute(
        "SELECT name, count(*), count(DISTINCT origin), max(added_at) FROM selection_item"
        " WHERE account = :account AND actor = :actor GROUP BY name ORDER BY name",
        {"actor": actor},
    )
    return tuple(Selection(name, orders, sources, read_instant(at)) for name, orders, sources, at in found)


def selection_sources(connection: Connection, actor: str, name: str) -> tuple[tuple[str, int], ...]:
    """Where the orders of a selection came from, in English words, and how many; the most first."""
    found = connection.execute(
        f"SELECT origin, count(*) AS orders FROM selection_item WHERE {_MINE} GROUP BY origin"
        " ORDER BY orders DESC, origin",
        {"actor": actor, "name": name},
    )
    return tuple((origin, orders) for origin, orders in found)


def selection_items(connection: Connection, actor: str, name: str) -> Iterator[SelectionItem]:
    """The orders of a selection with where each came from, sorted by id."""
    found = connection.stream(
        f"SELECT order_id, origin, line, added_at FROM selection_item WHERE {_MINE} ORDER BY order_id",
        {"actor": actor, "name": name},
    )
    return (SelectionItem(order_id, source, line, read_instant(at)) for order_id, source, line, at in found)


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
    """A condition over a row of `orders` that holds for the orders of the choice."""
    joined = _joined(choice.sources, dialect)
    if not (choice.only or choice.minus or choice.excluded.ids):
        return joined
    return _all_of(joined, _limits(choice, dialect))


def _all_of(*fragments: Fragment) -> Fragment:
    return Fragment(" AND ".join(f"({each.sql})" for each in fragments), _params(fragments))


def _params(fragments: Iterable[Fragment]) -> dict[str, object]:
    return {name: value for each in fragments for name, value in each.params.items()}


def _joined(sources: Sequence[Scope], dialect: Dialect) -> Fragment:
    """A condition that holds for the orders of each source."""
    if len(sources) == 1:
        return _condition(sources[0], dialect)
    # One list of ids, and not OR: the orders are then looked up by their ids, and not all of them read.
    ids = [_ids(scope, dialect).renamed(f"plus{number}") for number, scope in enumerate(sources)]
    return Fragment(f"id IN ({' UNION ALL '.join(each.sql for each in ids)})", _params(ids))


def _limits(choice: Choice, dialect: Dialect) -> Fragment:
    """A condition that holds for orders that are in each of `only`, and that nothing takes out."""
    only = [_condition(scope, dialect).renamed(f"only{number}") for number, scope in enumerate(choice.only)]
    minus = [_outside(scope, dialect).renamed(f"minus{number}") for number, scope in enumerate(choice.minus)]
    taken = Fragment(f"NOT id {dialect.among('excluded')}", {"excluded": dialect.bind_ids(choice.excluded.ids)})
    limits = [*only, *minus, *([taken] if choice.excluded.ids else [])]
    return _all_of(*limits) if limits else Fragment("1 = 1")


def _outside(scope: FilterScope | SelectionScope, dialect: Dialect) -> Fragment:
    """A condition that holds for orders that are not in the scope. A filter takes archived orders out too."""
    if isinstance(scope, FilterScope):
        found = compile_filter(with_archived(scope.filter), dialect)
        return Fragment(f"NOT ({found.sql})", found.params)
    # Not IN: PostgreSQL would read a long list anew for each order.
    return Fragment(
        f"NOT EXISTS ({_SELECTED} AND order_id = id)", {"selected_by": scope.actor, "selection": scope.name}
    )


_SELECTED = (
    "SELECT order_id FROM selection_item WHERE account = :account AND actor = :selected_by AND name = :selection"
)


def _condition(scope: Scope, dialect: Dialect) -> Fragment:
    if isinstance(scope, FilterScope):
        return compile_filter(scope.filter, dialect)
    if isinstance(scope, IdScope):
        return Fragment(f"id {dialect.among('given')}", {"given": dialect.bind_ids(scope.given.ids)})
    return Fragment(f"id IN ({_SELECTED})", {"selected_by": scope.actor, "selection": scope.name})


def _ids(scope: Scope, dialect: Dialect) -> Fragment:
    """A query for the ids of a scope."""
    if isinstance(scope, FilterScope):
        found = compile_filter(scope.filter, dialect)
        return Fragment(f"SELECT id FROM orders WHERE account = :account AND {found.sql}", found.params)
    if isinstance(scope, IdScope):
        return Fragment(dialect.ids("given"), {"given": dialect.bind_ids(scope.given.ids)})
    return Fragment(_SELECTED, {"selected_by": scope.actor, "selection": scope.name})


_WITHIN = N_("selection {name}: {words}")


def _origin_words(scope: FilterScope | IdScope) -> str:
    return english(scope.origin or scope.words) if isinstance(scope, IdScope) else english(scope.words)


def origins_of(connection: Connection, choice: Choice) -> tuple[Origin, ...]:
    """Where the ids of a choice came from; those of a selection from what each order was added by.

    Each id has one origin: that of the first of the choice's sources that has it.
    """
    sources = choice.sources
    if len(sources) == 1 and not isinstance(sources[0], SelectionScope):
        return (Origin(_origin_words(sources[0]), sources[0].given.lines if isinstance(sources[0], IdScope) else ""),)
    # The last filter has what no other source has, and is not asked.
    asked = sources[:-1] if isinstance(sources[-1], FilterScope) else sources
    rows = [_with_lines(scope, connection.dialect).renamed(f"of{number}") for number, scope in enumerate(asked)]
    every = " UNION ALL ".join(
        f"SELECT id, {number} AS source, origin, line FROM ({each.sql}) AS source_{number}"
        for number, each in enumerate(rows)
    )
    found = connection.execute(
        # Sorted by a window, and not joined: without fresh statistics PostgreSQL would compare each id with each other.
        f"SELECT source, origin, {connection.dialect.json_object('id', 'line')} FROM (SELECT id, source, origin, line,"
        f" row_number() OVER (PARTITION BY id ORDER BY source) AS place FROM ({every}) AS every_id) AS first_id"
        " WHERE place = 1 GROUP BY source, origin ORDER BY source, origin",
        _params(rows),
    )
    lines: dict[int, list[tuple[str, str]]] = {}
    for number, origin, packed in found:
        lines.setdefault(number, []).append((origin, packed))
    origins: list[Origin] = []
    for number, scope in enumerate(sources):
        if isinstance(scope, SelectionScope):
            origins += [Origin(_within(scope, origin), packed) for origin, packed in lines.get(number, ())]
        else:
            packed = lines.get(number, [("", "{}")])[0][1] if number < len(asked) else ""
            origins.append(Origin(_origin_words(scope), packed))
    return tuple(origins)


def _within(scope: SelectionScope, origin: str) -> str:
    return _WITHIN.format(name=scope.name, words=origin) if origin else english(scope.words)


def _with_lines(scope: Scope, dialect: Dialect) -> Fragment:
    """A query for the ids of a scope, what each was added by, and its line; 0 where it has none."""
    if isinstance(scope, SelectionScope):
        selected = _SELECTED.replace("SELECT order_id", "SELECT order_id AS id, origin, line")
        return Fragment(selected, {"selected_by": scope.actor, "selection": scope.name})
    if isinstance(scope, IdScope):
        lines = json.loads(scope.given.lines or "{}")
        own = json.dumps({order_id: lines.get(order_id, 0) for order_id in scope.given.ids})
        return Fragment(
            f"SELECT key AS id, '' AS origin, value AS line FROM ({dialect.pairs('lines')}) AS pair", {"lines": own}
        )
    found = _ids(scope, dialect)
    return Fragment(f"SELECT id, '' AS origin, 0 AS line FROM ({found.sql}) AS found", found.params)


def taken_out(connection: Connection, choice: Choice) -> tuple[str, ...]:
    """The ids that the sources of a choice have, and that it takes out again; sorted."""
    listed = {*choice.excluded.ids} & {*choice.given.ids} if choice.excluded.ids else set[str]()
    dialect, orders = connection.dialect, "SELECT id FROM orders WHERE account = :account AND"
    joined = _joined(choice.sources, dialect)
    if choice.only or choice.minus:
        # EXCEPT, and not NOT: PostgreSQL would read a long list anew for each order.
        kept = choice_condition(choice, dialect)
        taken = Fragment(f"{orders} {joined.sql} EXCEPT {orders} {kept.sql}", {**joined.params, **kept.params})
    elif choice.excluded.ids and not choice.is_listed:
        bound = {"taken_out": dialect.bind_ids(choice.excluded.ids)}
        taken = Fragment(f"{orders} ({joined.sql}) AND id IN ({dialect.ids('taken_out')})", {**joined.params, **bound})
    else:
        return tuple(sorted(listed))
    found = connection.execute(taken.sql, taken.params)
    return tuple(sorted({str(order_id) for (order_id,) in found} | listed))


def chosen_orders(connection: Connection, choice: Choice) -> Iterator[Order]:
    """Stream the orders of a choice with their lines and tags, sorted by id."""
    return stream_orders(connection, choice_condition(choice, connection.dialect))
