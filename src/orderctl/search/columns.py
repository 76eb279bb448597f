"""The columns of a list of orders: their names on the command line, and how their cells are written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from orderctl.core.money import format_amount, plain_amount
from orderctl.core.text import nearest
from orderctl.errors import UsageError
from orderctl.filters.filters import field_named
from orderctl.language import N_, _
from orderctl.orders.orders import OrderSummary


@dataclass(frozen=True, slots=True)
class Column:
    """One column, made of some fields of a summary. `plain` writes it for programs, `write` for people.

    If `plain` is None, programs get the value of the field as it is.
    """

    name: str
    header: str
    fields: tuple[str, ...]
    plain: Callable[..., str] | None = None
    write: Callable[..., str] = str
    is_number: bool = False

    def shown(self, order: OrderSummary) -> str:
        """The cell of one order for people."""
        return self.write(*(getattr(order, name) for name in self.fields))


def _or_nothing(value: str | date | None) -> str:
    return value.isoformat() if isinstance(value, date) else value or ""


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _archived(archived: bool) -> str:
    return "archived" if archived else ""


_ALL = (
    Column("id", N_("Order"), ("id",)),
    Column("buyer", N_("Buyer"), ("buyer_name",)),
    Column("status", N_("Status"), ("status",)),
    Column("ref", N_("Reference"), ("reference",)),
    Column("season", N_("Season"), ("season",)),
    Column("ordered", N_("Ordered"), ("ordered_at",), datetime.isoformat, lambda at: at.date().isoformat()),
    Column("delivery", N_("Delivery"), ("delivery_from",), _or_nothing, _or_nothing),
    Column("country", N_("Country"), ("country",), _or_nothing, _or_nothing),
    Column("quantity", N_("Pieces"), ("quantity",), None, "{:,}".format, is_number=True),
    Column("total", N_("Total"), ("total", "currency"), plain_amount, format_amount, is_number=True),
    Column("currency", "", ("currency",)),
    Column("archived", N_("Archived"), ("archived",), _archived, _archived),
    Column("source", N_("Source"), ("source",)),
    Column("seen", N_("Seen (UTC)"), ("seen_at",), _or_nothing, _minute),
)
COLUMNS = {column.name: column for column in _ALL}
DEFAULT_COLUMNS = tuple(name for name in COLUMNS if name not in {"archived", "source", "seen"})


def parse_columns(text: str) -> tuple[Column, ...]:
    """Read `id,buyer,total`. Raises UsageError that names an unknown column."""
    names = [_column_name(name.strip()) for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or not names:
        raise UsageError(
            _("there is no column {name!r}", name=unknown[0]) if unknown else _("--columns names no column"),
            hint=nearest(
                unknown[0] if unknown else "", tuple(COLUMNS), _("the columns: {known}", known=", ".join(COLUMNS))
            ),
        )
    return tuple(COLUMNS[name] for name in names)


def _column_name(text: str) -> str:
    field = field_named(text)
    return field.name if field else text


def fields_of(columns: Sequence[Column]) -> tuple[str, ...]:
    """The fields of a summary that these columns need, each once."""
    return tuple(dict.fromkeys(name for column in columns for name in column.fields))


def columns_of(names: Sequence[str]) -> tuple[Column, ...]:
    """The columns with these names."""
    return tuple(COLUMNS[name] for name in names)
