"""How a list of orders is sorted: the columns a user may name, and their ORDER BY."""

from orderctl.domain.errors import UsageError
from orderctl.domain.text import nearest

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
    name = sort.removeprefix("-")
    if name not in SORTS:
        raise UsageError(
            f"cannot sort by {name!r}", hint=nearest(name, tuple(SORTS), f"sort by one of: {', '.join(SORTS)}")
        )
    direction = "DESC" if sort.startswith("-") else "ASC"
    nulls = " NULLS LAST" if name in _MAY_BE_NULL else ""
    prefix = f"{table}." if table else ""
    first = f"{prefix}{SORTS[name]} {direction}{nulls}"
    return first if name == "id" else f"{first}, {prefix}id {direction}"
