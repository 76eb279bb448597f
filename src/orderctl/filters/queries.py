"""Filters as SQL: one condition over a row of `orders`, every value a bound parameter; and how lists are sorted.

Each part is true or false and never NULL, so that `NOT` means the same as in memory. `LIKE` is asked only of
texts that are folded or in lower case, where both engines agree.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from orderctl.core.money import CURRENCIES_BY_DECIMALS, USUAL_DECIMALS
from orderctl.core.text import nearest
from orderctl.database.connection import Dialect, Fragment
from orderctl.errors import UsageError
from orderctl.filters.filters import (
    All,
    AnyOf,
    Condition,
    DayRange,
    Empty,
    Flag,
    Not,
    NumberRange,
    OrderFilter,
    Pattern,
    Present,
    Term,
    Test,
    Word,
    field_named,
)
from orderctl.language import _
from orderctl.orders.queries import SUMMARY_COLUMNS

# The columns of `orders` that hold a field's text, and the query that looks it up elsewhere.
_OWN = {
    "status": "status",
    "id": "id",
    "ref": "lower(reference)",
    "currency": "lower(currency)",
    "brand": "lower(brand)",
    "season": "lower(season)",
    "country": "lower(country)",
    "batch": "batch_id",
}
_NULLABLE = {
    "country": "country",
    "batch": "batch_id",
    "buyer": "buyer_id",
    "delivery": "delivery_from",
    "rejected": "rejected_at",
    "gone": "gone_at",
}
_BLANK = {"ref": "reference", "brand": "brand", "season": "season"}
_ELSEWHERE = {
    "buyer": ("buyer_id", "SELECT id FROM buyer WHERE account = :account", "name_folded"),
    "tag": ("id", "SELECT order_id FROM order_tag WHERE account = :account", "lower(tag)"),
    "sku": ("id", "SELECT order_id FROM order_line WHERE account = :account AND sku <> ''", "lower(sku)"),
    "source": ("id", "SELECT order_id FROM order_source WHERE account = :account AND source <> ''", "lower(source)"),
    "seen": ("id", "SELECT order_id FROM order_source WHERE account = :account", "seen_at"),
}
_INSTANTS = {"ordered": "ordered_at", "rejected": "rejected_at", "gone": "gone_at", "seen": "seen_at"}


def compile_filter(wanted: OrderFilter, dialect: Dialect) -> Fragment:
    """The condition of a filter, in parentheses where it needs them."""
    compiler = _Compiler(dialect)
    parts = ["archived_at IS NULL"] if wanted.leaves_out_archived else []
    if wanted.condition is not None:
        parts.append(compiler.condition(wanted.condition))
    return Fragment(" AND ".join(parts) or "1 = 1", compiler.params)


class _Compiler:
    """Writes SQL and collects the parameters."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.params: dict[str, object] = {}

    def condition(self, condition: Condition) -> str:
        match condition:
            case Term(field, tests):
                return self._any(self._test(field, test) for test in tests)
            case Word(pattern):
                text = self._bind(_like(pattern))
                buyers = f"SELECT id FROM buyer WHERE account = :account AND name_folded LIKE {text} ESCAPE '\\'"
                return f"(folded LIKE {text} ESCAPE '\\' OR (buyer_id IS NOT NULL AND buyer_id IN ({buyers})))"
            case Not(of):
                return f"NOT ({self.condition(of)})"
            case All(of):
                return "(" + " AND ".join(map(self.condition, of)) + ")"
            case AnyOf(of):
                return self._any(map(self.condition, of))

    @staticmethod
    def _any(parts: Iterable[str]) -> str:
        return "(" + " OR ".join(parts) + ")"

    def _bind(self, value: object) -> str:
        name = f"f{len(self.params)}"
        self.params[name] = value
        return f":{name}"

    def _test(self, field: str, test: Test) -> str:
        match test:
            case Empty():
                return f"NOT ({_present(field)})"
            case Present():
                return _present(field)
            case Flag(value):
                return f"archived_at IS {'NOT ' if value else ''}NULL"
            case DayRange():
                return self._days(field, test)
            case NumberRange():
                return self._between(field, test)
            case Pattern():
                return self._text(field, test)

    def _text(self, field: str, pattern: Pattern) -> str:
        if field in _ELSEWHERE:
            column, lookup, text = _ELSEWHERE[field]
            guard = "buyer_id IS NOT NULL AND " if field == "buyer" else ""
            return f"({guard}{column} IN ({lookup} AND {self._compared(text, pattern)}))"
        compared = self._compared(_OWN[field], pattern)
        if field in _NULLABLE:
            return f"({_NULLABLE[field]} IS NOT NULL AND {compared})"
        # A pattern of stars alone would match an empty text, which is no value.
        return f"({_BLANK[field]} <> '' AND {compared})" if field in _BLANK else compared

    def _compared(self, column: str, pattern: Pattern) -> str:
        if pattern.is_literal:
            return f"{column} = {self._bind(pattern.pieces[0])}"
        return f"{column} LIKE {self._bind(_like(pattern))} ESCAPE '\\'"

    def _days(self, field: str, days: DayRange) -> str:
        if field == "delivery":
            parts = ["delivery_from IS NOT NULL"]
            if days.last is not None:
                parts.append(f"delivery_from <= {self._bind(self._dialect.day(days.last))}")
            if days.first is not None:
                parts.append(f"coalesce(delivery_to, delivery_from) >= {self._bind(self._dialect.day(days.first))}")
            return f"({' AND '.join(parts)})"
        column = _INSTANTS[field]
        parts = [f"{column} IS NOT NULL"] if field in _NULLABLE else []
        if days.first is not None:
            parts.append(f"{column} >= {self._bind(self._dialect.instant(_midnight(days.first)))}")
        if days.last is not None and days.last < date.max:
            parts.append(f"{column} < {self._bind(self._dialect.instant(_midnight(days.last + timedelta(days=1))))}")
        if field in _ELSEWHERE:
            own, lookup, __ = _ELSEWHERE[field]
            return f"({own} IN ({' AND '.join([lookup, *parts])}))"
        return f"({' AND '.join(parts) or '1 = 1'})"

    def _between(self, field: str, numbers: NumberRange) -> str:
        bound = self._in_pieces if field == "quantity" else self._per_currency
        parts = []
        if numbers.low is not None:
            parts.append(f"{field} >= {bound(numbers.low, ROUND_CEILING)}")
        if numbers.high is not None:
            parts.append(f"{field} <= {bound(numbers.high, ROUND_FLOOR)}")
        return f"({' AND '.join(parts)})"

    def _in_pieces(self, bound: Decimal, rounding: str) -> str:
        return self._bind(_minor(bound, 0, rounding))

    def _per_currency(self, bound: Decimal, rounding: str) -> str:
        """The bound in minor units of the order's own currency."""
        cases = " ".join(
            f"WHEN currency IN ({', '.join(map(repr, sorted(codes)))})"
            f" THEN {self._bind(_minor(bound, places, rounding))}"
            for places, codes in CURRENCIES_BY_DECIMALS.items()
        )
        return f"CASE {cases} ELSE {self._bind(_minor(bound, USUAL_DECIMALS, rounding))} END"


def _present(field: str) -> str:
    if field in _NULLABLE:
        return f"{_NULLABLE[field]} IS NOT NULL"
    if field in _ELSEWHERE:
        column, lookup, __ = _ELSEWHERE[field]
        return f"{column} IN ({lookup})"
    return f"{_BLANK[field]} <> ''"


def _like(pattern: Pattern) -> str:
    escaped = (piece.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for piece in pattern.pieces)
    return "%".join(escaped)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _minor(bound: Decimal, places: int, rounding: str) -> int:
    return int(bound.scaleb(places).to_integral_value(rounding))


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
            _("cannot sort by {name!r}", name=name),
            hint=nearest(name, tuple(SORTS), _("sort by one of: {names}", names=", ".join(SORTS))),
        )
    return name


def summaries_sql(where: str, sort: str, limit: str = "", *, seen: bool = False) -> str:
    """A query for summaries; buyers are looked up for the rows that are left after the limit.

    With `seen`, what their sources last said too.
    """
    said = " LEFT JOIN order_source AS said ON said.account = :account AND said.order_id = page.id" if seen else ""
    return (
        f"SELECT page.*, buyer.name{', said.source, said.seen_at' if seen else ''}"
        f" FROM (SELECT {SUMMARY_COLUMNS} FROM orders WHERE account = :account AND {where} "
        f"ORDER BY {order_by(sort)} {limit}) page "
        f"LEFT JOIN buyer ON buyer.account = :account AND buyer.id = page.buyer_id{said}"
        f" ORDER BY {order_by(sort, 'page')}"
    )
