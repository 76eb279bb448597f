"""The fields of a file of orders, and which of them the name of a column means."""

from collections.abc import Iterable, Sequence

from orderctl.core.text import nearest, plain_name, safe
from orderctl.errors import UsageError
from orderctl.filters.filters import field_named
from orderctl.language import _

# The fields of an order, as an export writes them, each with the attribute that a stored order keeps if its file does
# not have the field. The currency has none: a file always has it.
_OF_ORDERS = {
    "id": "",
    "buyer_id": "buyer",
    "buyer_name": "",
    "buyer_email": "",
    "buyer_contact": "",
    "buyer_country": "",
    "buyer_language": "",
    "buyer_cc": "",
    "buyer_bcc": "",
    "brand": "brand",
    "reference": "reference",
    "season": "season",
    "terms": "terms",
    "delivery_address": "delivery_address",
    "billing_address": "billing_address",
    "note": "note",
    "delivery_notes": "delivery_notes",
    "invoices": "invoices",
    "backlog_skus": "backlog_skus",
    "status": "status",
    "ordered": "ordered_at",
    "country": "country",
    "delivery_from": "delivery_from",
    "delivery_to": "delivery_to",
    "currency": "",
    "total": "",
    "quantity": "quantity",
    "tags": "",
    "archived": "",
}
ORDER_FIELDS = tuple(_OF_ORDERS)
BUYER_FIELDS = tuple(name for name in ORDER_FIELDS if name.startswith("buyer_"))
KEPT = {name: attribute for name, attribute in _OF_ORDERS.items() if attribute}
LINE_FIELDS = ("sku", "line_name", "color", "size", "line_quantity", "unit_price")
# The amount of a line is read from files that have no price. It is not stored.
READ_LINE_FIELDS = (*LINE_FIELDS, "line_total")
FIELDS = (*ORDER_FIELDS, *READ_LINE_FIELDS)
# Counts that protect an order from rejection while they are above zero.
PROTECTIONS = ("invoices", "delivery_notes", "backlog_skus")
NEEDED = ("id", "status", "ordered", "currency")
NEEDED_OF_LINES = ("sku", "line_quantity", "unit_price")
# Fields whose values may have a decimal mark.
AMOUNTS = ("total", "unit_price", "line_total", "quantity", "line_quantity")
# Not fields: the lines within a JSON object, and the mark of an order that was cancelled at the source.
NESTED_LINES = "lines"
REJECTED_MARK = "rejected"
# Separates two possible values in a drafted map.
UNDECIDED = " or "
_BY_NAME = {name: name for name in FIELDS} | {
    "buyer": "buyer_name",
    "colour": "color",
    "delivery": "delivery_from",
    "ref": "reference",
    "tag": "tags",
}
# So many columns of an unknown table are named.
_NAMED = 5
_BY_NAME_IN_LINES = {"name": "line_name", "quantity": "line_quantity"}


def field_of(column: str) -> str | None:
    """The field that a column's name means, whatever its case, spaces and hyphens."""
    found = _BY_NAME.get(plain_name(column))
    if found is None and (field := field_named(plain_name(column))):
        found = _BY_NAME.get(field.name)
    return found


def line_field_of(key: str) -> str | None:
    """The field of a line that a key means within the lines of a JSON object."""
    name = _BY_NAME_IN_LINES.get(key) or field_of(key)
    return name if name in READ_LINE_FIELDS else None


class UnknownTableError(UsageError):
    """A table without a map whose columns do not carry our names."""


def fields_by_name(header: Iterable[str], file: str) -> dict[str, str]:
    """Field to column for a file that uses our own names; UnknownTableError for any other column."""
    columns = [column for column in header if column]
    found: dict[str, str] = {}
    for column in columns:
        name = field_of(column)
        if name is None:
            raise _unknown_table(file, columns)
        if name in found:
            raise UsageError(
                _(
                    "{file}: the columns {other!r} and {column!r} both mean {name}",
                    file=file,
                    other=safe(found[name]),
                    column=safe(column),
                    name=name,
                ),
                hint=_("leave one of them out"),
            )
        found[name] = column
    return found


def _unknown_table(file: str, columns: Sequence[str]) -> UnknownTableError:
    """The error of a table with a misspelt column, or of one whose columns are mostly not ours."""
    unknown = [column for column in columns if field_of(column) is None]
    if len(unknown) > 1 and len(unknown) * 2 > len(columns):
        names = ", ".join(map(safe, unknown[:_NAMED])) + (" …" if len(unknown) > _NAMED else "")
        return UnknownTableError(
            _("{file}: no column map knows its columns: {names}", file=file, names=names),
            hint=_("--make-map drafts a column map for --map; at a terminal, import asks what the columns mean"),
        )
    hint = nearest(unknown[0], FIELDS, _("known are: {known}", known=", ".join(FIELDS)))
    return UnknownTableError(
        _("{file}: unknown column {name!r}", file=file, name=safe(unknown[0])),
        hint=_("{hint}; or give a column map with --map: --make-map drafts one", hint=hint),
    )


def how_to_say_currency(map_name: str) -> str:
    """What to do about a file without a currency; `map_name` is empty if no map reads it."""
    if map_name:
        return _("read by the column map {name}; say --default currency=EUR", name=map_name)
    return _("say --default currency=EUR, or write it under [defaults] into a column map")
