"""Tables of orders, sized to the terminal: ids, dates and amounts are shown whole or not at all."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from orderctl.domain.order_columns import DEFAULT_COLUMNS, Column, columns_of
from orderctl.domain.orders import OrderSummary
from orderctl.domain.text import safe
from orderctl.language import say
from orderctl.terminal.amounts import localized
from orderctl.terminal.styles import STATUS_STYLES, RuledTable

# What is left out on a narrow terminal, first things first.
_DISPENSABLE = ("country", "ref", "quantity", "delivery", "season", "ordered")
_GAP = 2
# Columns whose texts may be longer: a buyer's name gets what is left, an id is folded.
_BOUNDS = {"buyer": 16, "id": 24, "ref": 20, "season": 20}


def order_table(orders: Iterable[OrderSummary], *, width: int, columns: Sequence[Column] = ()) -> Table:
    """A table of orders; without `columns`, those that fit the width. Only names and references are cut."""
    listed = tuple(orders)
    shown = tuple(columns) or _fitting(listed, width)
    needed = {column.name: _needed(column, listed) for column in shown}
    spare = max(0, width - sum(needed.values()) - _GAP * (len(shown) - 1))
    table = RuledTable()
    for column in shown:
        more = min(spare, _natural(column, listed) - needed[column.name]) if column.name == "buyer" else 0
        table.add_column(
            _title(column),
            justify="right" if column.is_number else "left",
            no_wrap=column.name != "id",
            overflow="fold" if column.name == "id" else "ellipsis",
            width=needed[column.name] + max(0, more),
        )
    for order in listed:
        table.add_row(*(_cell(column, order) for column in shown))
    return table


def _fitting(orders: Sequence[OrderSummary], width: int) -> tuple[Column, ...]:
    """The default columns, less those for which there is no room."""
    widths = {column.name: _needed(column, orders) + _GAP for column in columns_of(DEFAULT_COLUMNS)}
    for name in _DISPENSABLE:
        if sum(widths.values()) - _GAP <= width:
            break
        del widths[name]
    return columns_of(tuple(widths))


def _needed(column: Column, orders: Sequence[OrderSummary]) -> int:
    """The width below which a column says too little."""
    natural = _natural(column, orders)
    return max(cell_len(_title(column)), min(natural, _BOUNDS.get(column.name, natural)))


def _natural(column: Column, orders: Sequence[OrderSummary]) -> int:
    return max((cell_len(_shown(column, order)) for order in orders), default=0)


def _title(column: Column) -> str:
    return say(column.header) if column.header else ""


def _shown(column: Column, order: OrderSummary) -> str:
    """What a cell says: numbers as the locale writes them."""
    text = safe(column.shown(order))
    return localized(text) if column.is_number else text


def _cell(column: Column, order: OrderSummary) -> Text:
    style = STATUS_STYLES[order.status] if column.name == "status" else ("dim" if order.archived else "")
    return Text(_shown(column, order), style=style)
