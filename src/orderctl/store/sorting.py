"""How a list of orders is sorted: the columns a user may name, and their ORDER BY."""

from orderctl.domain.errors import UsageError
from orderctl.domain.filters import field_named
from orderctl.domain.text import nearest
from orderctl.language import say
from orderctl.store.sql import Fragment

# What a list can be sorted by. Columns that may be NULL sort last either way.
SORTS = {
    "ordered": "ordered_at",
    "id": "id",
    "ref": "reference",
    "status": "status",
    "season": "season",
    "total": "total",
    "quantity": "quantity",
    "currency": "currency",
    "delivery": "delivery_from",
    "country": "country",
}
_MAY_BE_NULL = {"delivery", "country"}


def order_by(sort: str, table: str = "") -> str:
    """ORDER BY for a sort as the user writes it: a column of `SORTS`, `-` before it for descending."""
    name, direction = _name(sort), "DESC" if sort.startswith("-") else "ASC"
    nulls = " NULLS LAST" if name in _MAY_BE_NULL else ""
    prefix = f"{table}." if table else ""
    first = f"{prefix}{SORTS[name]} {direction}{nulls}"
    return first if name == "id" else f"{first}, {prefix}id {direction}"


def sorted_by(sort: str) -> str:
    """The column that a sort goes by, before the id."""
    return SORTS[_name(sort)]


def after(sort: str, value: object, order_id: str) -> Fragment:
    """The condition of the orders that come after one, whose sorted column holds `value` (a page by its key).

    Compared as a row, so that both engines go straight to the place in an index of (column, id).
    """
    column, sign = sorted_by(sort), "<" if sort.startswith("-") else ">"
    params = {"after_value": value, "after_id": order_id}
    if column == "id":
        return Fragment(f"id {sign} :after_id", {"after_id": order_id})
    if _name(sort) not in _MAY_BE_NULL:
        return Fragment(f"({column}, id) {sign} (:after_value, :after_id)", params)
    if value is None:
        return Fragment(f"({column} IS NULL AND id {sign} :after_id)", {"after_id": order_id})
    return Fragment(f"(({column}, id) {sign} (:after_value, :after_id) OR {column} IS NULL)", params)


def _name(sort: str) -> str:
    given = sort.removeprefix("-")
    field = field_named(given)
    name = field.name if field else given
    if name not in SORTS:
        raise UsageError(
            say("cannot sort by {name!r}", name=name),
            hint=nearest(name, tuple(SORTS), say("sort by one of: {names}", names=", ".join(SORTS))),
        )
    return name
