"""What a file tells about itself while its rows are set aside: the mark before decimals, how days are written."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from orderctl.errors import UsageError
from orderctl.files.cells import Cell, decimal_readings, written_currency
from orderctl.importing.column_map import ColumnMap
from orderctl.importing.day_formats import UNDECIDED, DayFormats
from orderctl.language import _

_AMOUNTS = ("total", "unit_price", "line_total", "quantity", "line_quantity")
_PRICES = ("total", "unit_price", "line_total")
_DAYS = ("ordered", "delivery_from", "delivery_to")


class Evidence:
    """Looks at the cells of each row. What the map says is not looked for."""

    def __init__(self, columns: ColumnMap, names: Iterable[str], today: date) -> None:
        names = set(names)
        self._map = columns
        self._amounts = [name for name in _AMOUNTS if name in names] if columns.decimal_comma is None else []
        self._days = [] if columns.date_formats else [name for name in _DAYS if name in names]
        self._prices = [name for name in _PRICES if name in names]
        if "currency" in names or columns.defaults.get("currency"):
            self._prices = []
        self.seeks_currency = bool(self._prices)
        self._formats = DayFormats(today)
        self._point = self._comma = ""
        self.currencies: dict[str, str] = {}

    def see(self, cells: Mapping[str, Cell]) -> None:
        """Look at a row."""
        for name in self._amounts:
            cell = cells.get(name)
            if isinstance(cell, str) and not cell.isdigit():
                self._see_amount(cell)
        days = [_day(cells.get(name)) for name in self._days]
        if any(days):
            self._formats.see(days)

    def currency(self, cells: Mapping[str, Cell]) -> str:
        """The currency that the amounts of a row are written with, in a file that has no column for it."""
        found = {code: cell for name in self._prices if (code := written_currency(cell := cells.get(name)))}
        for code, cell in found.items():
            self.currencies.setdefault(code, str(cell))
        return next(iter(found)) if len(found) == 1 else ""

    def _see_amount(self, cell: str) -> None:
        # Once one mark is known to be that of decimals, only a cell that contradicts it is of interest.
        if (self._point and "," not in cell and cell.count(".") <= 1) or (
            self._comma and "." not in cell and cell.count(",") <= 1
        ):
            return
        point, comma = decimal_readings(cell.strip())
        if point is not None and comma is None:
            self._point = self._point or cell
        elif comma is not None and point is None:
            self._comma = self._comma or cell

    def complete(self, file: str, remarks: list[str]) -> ColumnMap:
        """The map with what was found out, which is said in `remarks`. Raises UsageError for days with two readings."""
        columns = self._map
        if self._amounts and bool(self._point) != bool(self._comma):
            columns = replace(columns, decimal_comma=bool(self._comma))
            if self._comma:
                remarks.append(
                    _("amounts are read with a decimal comma, as in {cell}; --decimal says otherwise", cell=self._comma)
                )
        if self.currencies:
            shown = ", ".join(f"{code} ({cell})" for code, cell in self.currencies.items())
            remarks.append(_("the currency is read from the amounts: {currencies}", currencies=shown))
        found = list(self._formats.formats(0)) if self._days else []
        for form, example in found:
            if UNDECIDED in form:
                one, other = form.split(UNDECIDED)
                raise UsageError(
                    _(
                        "{file}: {day} may be read as {one} or as {other}, and nothing in the file says which",
                        file=file,
                        day=example,
                        one=one,
                        other=other,
                    ),
                    hint=_('give a column map with --map in which stands: date_formats = ["{form}"]', form=one),
                )
        if found:
            forms = tuple(dict.fromkeys(form for form, __ in found))
            columns = replace(columns, date_formats=forms)
            remarks.append(
                _("days are read as {formats}; date_formats in a column map says otherwise", formats=", ".join(forms))
            )
        return columns


def _day(cell: Cell) -> str:
    """A cell that may be a day, but for those that begin with a year and a hyphen, which are plain."""
    return cell if isinstance(cell, str) and cell[4:5] != "-" else ""
