"""Tables of orders, sized to the terminal."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from orderctl.domain.order_columns import DEFAULT_COLUMNS, Column, columns_of
from orderctl.domain.orders import OrderSummary
from orderctl.terminal.styles import HEADING, STATUS_STYLES, plain

# What is left out on a narrow terminal, first things first, and the width from which all of it fits.
_DISPENSABLE = ("country", "ref", "quantity", "delivery", "season")
_WIDE = 118
_WIDTHS = {"country": 9, "ref": 13, "quantity": 8, "delivery": 12, "season": 8}
_SHORTEST_BUYER = 12


def order_table(
    orders: Iterable[OrderSummary], *, width: int, columns: Sequence[Column] = (), extra: Sequence[Sequence[str]] = ()
) -> Table:
    """A table of orders; without `columns`, those that fit the width. `extra` rows stand below, faint."""
    shown = tuple(columns) or _fitting(width)
    table = Table(box=box.SIMPLE_HEAD, header_style=HEADING, pad_edge=False, show_edge=False)
    for column in shown:
        table.add_column(
            column.header or column.name.title() * (column.name != "currency"),
            justify="right" if column.is_number else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=_SHORTEST_BUYER if column.name == "buyer" else None,
            ratio=1 if column.name == "buyer" else None,
        )
    for order in orders:
        table.add_row(*(_cell(column, order) for column in shown))
    for row in extra:
        table.add_row(*(Text(text, style="dim") for text in row))
    return table


def _fitting(width: int) -> tuple[Column, ...]:
    names = list(DEFAULT_COLUMNS)
    missing = _WIDE - width
    for name in _DISPENSABLE:
        if missing <= 0:
            break
        names.remove(name)
        missing -= _WIDTHS[name]
    return columns_of(names)


def _cell(column: Column, order: OrderSummary) -> Text:
    style = STATUS_STYLES[order.status] if column.name == "status" else ("dim" if order.archived else "")
    return plain(column.shown(order), style)
