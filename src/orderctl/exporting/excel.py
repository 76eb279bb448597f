"""Writes orders to an Excel workbook, row by row in constant memory: values are typed, and nothing is a formula."""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import BinaryIO

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from orderctl.core.money import CURRENCIES_BY_DECIMALS, USUAL_DECIMALS, Money, decimals
from orderctl.exporting.rows import Value, line_values, order_values, plain
from orderctl.files.safe import scratch_folder
from orderctl.importing.fields import LINE_FIELDS, ORDER_FIELDS
from orderctl.orders.orders import Order

_MOST_ROWS = 1_048_576
_DIGITS = 15
_EXACT_DIGITS = 10**_DIGITS
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
_WIDTHS = {
    **dict.fromkeys(("id", "order", "buyer_id", "status", "sku", "ordered"), 18),
    **dict.fromkeys(("buyer_name", "buyer_email", "buyer_contact", "reference", "line_name", "note"), 30),
    **dict.fromkeys(("terms", "delivery_address", "billing_address"), 36),
    **dict.fromkeys(("total", "unit_price", "line_total"), 14),
}
_USUAL_WIDTH = 12
_ACRONYMS = {"Id": "ID", "Sku": "SKU"}
# What XML cannot hold is written as `_xHHHH_`, and so is the `_` of a text that would be read as such an escape, also
# together with the one of the character behind it. No reader takes back those of U+FFFE and U+FFFF.
_CONTROL = r"[\x00-\x08\x0b-\x1f]"
_ESCAPED = re.compile(rf"{_CONTROL}|[\ufffe\uffff]|_(?=x[0-9A-Fa-f]{{4}}(?:_|{_CONTROL}))")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def write_workbook(orders: Iterable[Order], out: BinaryIO, *, most_rows: int = _MOST_ROWS) -> None:
    """A sheet of orders and a sheet of their lines; as many more as the rows need, `most_rows` to a sheet."""
    with scratch_folder() as scratch:
        book = xlsxwriter.Workbook(out, {**_OPTIONS, "tmpdir": str(scratch)})
        styles = _Styles(book)
        order_rows = _Sheets(book, "Orders", ORDER_FIELDS, styles, most_rows)
        line_rows = _Sheets(book, "Lines", ("order", "line", *LINE_FIELDS, "line_total", "currency"), styles, most_rows)
        for order in orders:
            order_rows.write(order_values(order).values())
            for line in order.lines:
                total = Money(order.currency, line.total)
                line_rows.write(
                    (order.id, line.number, *line_values(line, order.currency).values(), total, order.currency)
                )
        book.close()


class _Sheet(Worksheet):  # type: ignore[misc]  # xlsxwriter has no types
    """A sheet whose texts are read back as they are: xlsxwriter overlooks an escape that begins where another ends."""

    @staticmethod
    def _escape_control_characters(data: object) -> str:
        return _ESCAPED.sub(_escape, str(data))


def _escape(found: re.Match[str]) -> str:
    return _REPLACEMENT if found[0] > _REPLACEMENT else f"_x{ord(found[0]):04X}_"


class _Styles:
    """The formats of cells; a format belongs to one workbook."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self.header: Format = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        self.day: Format = book.add_format({"num_format": "yyyy-mm-dd"})
        self.instant: Format = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self.amounts: Mapping[int, Format] = {
            places: book.add_format({"num_format": "#,##0" + ("." + "0" * places if places else "")})
            for places in (*CURRENCIES_BY_DECIMALS, USUAL_DECIMALS)
        }


class _Sheets:
    """The sheets that hold one kind of row; the next one begins when one is full."""

    def __init__(
        self, book: xlsxwriter.Workbook, name: str, fields: Sequence[str], styles: _Styles, most_rows: int
    ) -> None:
        self._book = book
        self._name = name
        self._fields = fields
        self._styles = styles
        self._most_rows = most_rows
        self._count = 0
        self._begin()

    def write(self, values: Iterable[Value]) -> None:
        """Write one row."""
        if self._row == self._most_rows:
            self._begin()
        for column, value in enumerate(values):
            if value is not None and value != "":
                _write(self._sheet, self._row, column, value, self._styles)
        self._row += 1

    def _begin(self) -> None:
        self._count += 1
        name = self._name if self._count == 1 else f"{self._name} {self._count}"
        self._sheet: Worksheet = self._book.add_worksheet(name, _Sheet)
        for column, field in enumerate(self._fields):
            self._sheet.set_column(column, column, _WIDTHS.get(field, _USUAL_WIDTH))
            self._sheet.write_string(0, column, _header(field), self._styles.header)
        self._sheet.freeze_panes(1, 1)
        self._row = 1


def _header(field: str) -> str:
    """The field's name for people; an import knows it again."""
    words = field.replace("_", " ").capitalize()
    return " ".join(_ACRONYMS.get(word.capitalize(), word) for word in words.split())


def _write(sheet: Worksheet, row: int, column: int, value: Value, styles: _Styles) -> None:
    """Write a cell. What Excel would not keep as it is, is written as text."""
    match value:
        case str():
            _write_text(sheet, row, column, value)
        case bool():
            sheet.write_boolean(row, column, value)
        case int() if abs(value) < _EXACT_DIGITS:
            sheet.write_number(row, column, value)
        case Decimal() if len(value.as_tuple().digits) <= _DIGITS:
            sheet.write_number(row, column, float(value))
        case Money() if abs(value.minor) < _EXACT_DIGITS:
            places = decimals(value.currency)
            sheet.write_number(row, column, value.minor / 10**places, styles.amounts[places])
        case datetime(microsecond=0):
            sheet.write_datetime(row, column, value.replace(tzinfo=None), styles.instant)
        case date() if not isinstance(value, datetime):
            sheet.write_datetime(row, column, value, styles.day)
        case _:
            # Excel keeps fifteen digits, and of a time a part of a day, which is too coarse for a microsecond.
            _write_text(sheet, row, column, str(plain(value)))


def _write_text(sheet: Worksheet, row: int, column: int, text: str) -> None:
    # xlsxwriter takes a text that begins and ends so for markup of its own, and would write it unescaped.
    sheet.write_string(row, column, f"{text} " if text.startswith("<r>") and text.endswith("</r>") else text)
