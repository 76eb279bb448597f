"""Values of the store that begin with what was typed, for completion: few rows, read along an index."""

from collections.abc import Callable

from orderctl.core.ids import short_id
from orderctl.core.text import fold
from orderctl.database.connection import Connection
from orderctl.filters.suggestions import Suggestion

# Seasons, brands, countries and currencies are offered from so many of the newest orders.
_NEWEST = 2_000


def suggest(connection: Connection, kind: Suggestion, prefix: str, *, actor: str, limit: int) -> tuple[str, ...]:
    """Values of that kind that begin with the prefix; upper and lower case are one where a filter takes them so."""
    found = _READERS[kind](connection, prefix, actor, limit)
    return tuple(value for value in found if fold(value).startswith(fold(prefix)))[:limit]


_Reader = Callable[[Connection, str, str, int], list[str]]


def _key(table: str, column: str = "id", *, newest: bool = False) -> _Reader:
    """Keys of a table: along the primary key, whose first column is the account."""
    order = "DESC" if newest else "ASC"

    def read(connection: Connection, prefix: str, _actor: str, limit: int) -> list[str]:
        found = connection.execute(
            f"SELECT {column} FROM {table} WHERE account = :account AND {column} >= :low AND {column} < :high"
            f" ORDER BY {column} {order} LIMIT :most",
            {"low": prefix, "high": prefix + "\U0010ffff", "most": limit},
        )
        return [value for (value,) in found]

    return read


def _plans(connection: Connection, _prefix: str, _actor: str, limit: int) -> list[str]:
    """The short ids of the newest plans, as lists show them."""
    found = connection.execute(
        "SELECT id FROM plan WHERE account = :account ORDER BY id DESC LIMIT :most", {"most": limit}
    )
    return [short_id(plan_id) for (plan_id,) in found]


def _recent(column: str) -> _Reader:
    def read(connection: Connection, _prefix: str, _actor: str, _limit: int) -> list[str]:
        found = connection.execute(
            f"SELECT DISTINCT value FROM (SELECT {column} AS value FROM orders WHERE account = :account"
            " ORDER BY ordered_at DESC, id DESC LIMIT :newest) AS recent WHERE value IS NOT NULL ORDER BY value",
            {"newest": _NEWEST},
        )
        return [value for (value,) in found]

    return read


def _indexed(table: str, column: str) -> _Reader:
    """Different values of an indexed column: from one to the next, whatever the number of rows."""

    def read(connection: Connection, prefix: str, _actor: str, limit: int) -> list[str]:
        found = connection.execute(
            "WITH RECURSIVE found(value) AS ("
            f"SELECT min({column}) FROM {table} WHERE account = :account AND {column} >= :low"
            f" UNION ALL SELECT (SELECT min({column}) FROM {table} WHERE account = :account AND {column} > found.value)"
            " FROM found WHERE found.value IS NOT NULL)"
            " SELECT value FROM found WHERE value IS NOT NULL LIMIT :most",
            {"low": prefix, "most": limit},
        )
        return [value for (value,) in found]

    return read


def _buyers(connection: Connection, prefix: str, _actor: str, limit: int) -> list[str]:
    low = fold(prefix)
    found = connection.execute(
        "SELECT DISTINCT name FROM buyer WHERE account = :account AND name_folded >= :low AND name_folded < :high"
        " ORDER BY name LIMIT :most",
        {"low": low, "high": low + "\U0010ffff", "most": limit},
    )
    return [name for (name,) in found]


def _selections(connection: Connection, _prefix: str, actor: str, _limit: int) -> list[str]:
    found = connection.execute(
        "SELECT DISTINCT name FROM selection_item WHERE account = :account AND actor = :actor ORDER BY name",
        {"actor": actor},
    )
    return [name for (name,) in found]


_READERS: dict[Suggestion, _Reader] = {
    Suggestion.ORDER: _key("orders"),
    Suggestion.BATCH: _key("batch", newest=True),
    Suggestion.PLAN: _plans,
    Suggestion.MAIL: _key("mail", newest=True),
    Suggestion.SAVED_FILTER: _key("saved_filter", "name"),
    Suggestion.SELECTION: _selections,
    Suggestion.BUYER: _buyers,
    Suggestion.TAG: _indexed("order_tag", "tag"),
    Suggestion.SKU: _indexed("order_line", "sku"),
    Suggestion.SEASON: _recent("season"),
    Suggestion.BRAND: _recent("brand"),
    Suggestion.COUNTRY: _recent("country"),
    Suggestion.CURRENCY: _recent("currency"),
}
