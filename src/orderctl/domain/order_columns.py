"""The columns of a list of orders: their names on the command line, and what they hold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orderctl.domain.errors import UsageError
from orderctl.domain.money import format_amount, plain_amount
from orderctl.domain.orders import OrderSummary
from orderctl.domain.text import nearest
from orderctl.language import later, say


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `plain` for machines (text or a number), `shown` for people."""

    name: str
    header: str
    plain: Callable[[OrderSummary], str | int]
    shown: Callable[[OrderSummary], str]
    is_number: bool = False


def _text(name: str, header: str, value: Callable[[OrderSummary], str]) -> Column:
    return Column(name=name, header=header, plain=value, shown=value)


_ALL = (
    _text("id", later("Order"), lambda order: order.id),
    _text("buyer", later("Buyer"), lambda order: order.buyer_name),
    _text("status", later("Status"), lambda order: order.status.value),
    _text("ref", later("Reference"), lambda order: order.reference),
    _text("season", later("Season"), lambda order: order.season),
    Column(
        name="ordered",
        header=later("Ordered"),
        plain=lambda order: order.ordered_at.isoformat(),
        shown=lambda order: order.ordered_at.date().isoformat(),
    ),
    _text("delivery", later("Delivery"), lambda order: order.delivery_from.isoformat() if order.delivery_from else ""),
    _text("country", later("Country"), lambda order: order.country or ""),
    Column(
        name="quantity",
        header=later("Pieces"),
        plain=lambda order: order.quantity,
        shown=lambda order: f"{order.quantity:,}",
        is_number=True,
    ),
    Column(
        name="total",
        header=later("Total"),
        plain=lambda order: plain_amount(order.total, order.currency),
        shown=lambda order: format_amount(order.total, order.currency),
        is_number=True,
    ),
    _text("currency", "", lambda order: order.currency),
    _text("archived", later("Archived"), lambda order: "archived" if order.archived else ""),
)
COLUMNS = {column.name: column for column in _ALL}
DEFAULT_COLUMNS = tuple(name for name in COLUMNS if name != "archived")


def parse_columns(text: str) -> tuple[Column, ...]:
    """Read `id,buyer,total`. Raises UsageError naming the column that there is not."""
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or not names:
        raise UsageError(
            say("there is no column {name!r}", name=unknown[0]) if unknown else say("--columns names no column"),
            hint=nearest(
                unknown[0] if unknown else "", tuple(COLUMNS), say("the columns: {known}", known=", ".join(COLUMNS))
            ),
        )
    return tuple(COLUMNS[name] for name in names)


def columns_of(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns of those names."""
    return tuple(COLUMNS[name] for name in names)
