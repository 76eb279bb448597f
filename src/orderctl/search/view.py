"""The table of orders, fitted to the terminal. Ids, dates and amounts are shown whole or not at all."""

from collections.abc import Iterable, Sequence

from rich.text import Text

from orderctl.language import _
from orderctl.orders.orders import OrderSummary
from orderctl.orders.view import STATUS_STYLES
from orderctl.search.columns import DEFAULT_COLUMNS, Column, columns_of
from orderctl.terminal.amounts import localized
from orderctl.terminal.layout import RuledTable, TableColumn
from orderctl.terminal.styles import plain

# The columns that a narrow terminal omits, the first one first.
_DISPENSABLE = ("country", "ref", "quantity", "delivery", "season", "ordered", "status")
# The columns whose texts may be cut, and their least width in cells.
_CUT = {"buyer": 12, "ref": 20, "season": 20}
_LEAST_ID = 24
_AMPLE = 16


def order_table(orders: Iterable[OrderSummary], *, columns: Sequence[Column] = (), indent: int = 0) -> RuledTable:
    """A table of orders; without `columns`, those that fit. Only names, references and seasons are cut."""
    shown = tuple(columns) or columns_of(DEFAULT_COLUMNS)
    table = RuledTable([_shape(column, spare=not columns) for column in shown], indent=indent)
    for order in orders:
        table.add_row(*(_cell(column, order) for column in shown))
    return table


def _shape(column: Column, *, spare: bool) -> TableColumn:
    """How a column becomes narrower; with `spare`, it may be omitted."""
    leaving = _DISPENSABLE[::-1].index(column.name) + 1 if spare and column.name in _DISPENSABLE else 0
    return TableColumn(
        title=_(column.header) if column.header else "",
        right=column.is_number,
        whole=column.name not in _CUT,
        cut=column.name in _CUT,
        least=_LEAST_ID if column.name == "id" else _CUT.get(column.name, 0),
        ample=_AMPLE if column.name == "buyer" else 0,
        gives_way=leaving,
        joined=column.name == "currency",
    )


def _cell(column: Column, order: OrderSummary) -> Text:
    text = column.shown(order)
    style = STATUS_STYLES[order.status] if column.name == "status" else ("dim" if order.archived else "")
    return plain(localized(text) if column.is_number else text, style)
