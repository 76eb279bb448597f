"""What a whole file tells of how its days, decimals and currencies are written: found out, and never guessed."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from itertools import combinations, zip_longest

from orderctl.errors import UsageError
from orderctl.files.cells import Cell, decimal_readings, written_currency
from orderctl.importing.column_map import ColumnMap
from orderctl.importing.fields import AMOUNTS, UNDECIDED
from orderctl.language import _

_PRICES = ("total", "unit_price", "line_total")
_DAYS = ("ordered", "delivery_from", "delivery_to")
_NUMBERS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?:([ T])\d{1,2}:\d{2}(:\d{2})?)?")
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
_ORDERS = ("%d", "%m")  # what stands first
_MOST_COMPARED = 8


class Evidence:
    """Looks at the cells of each row. What the map says is not looked for."""

    def __init__(self, columns: ColumnMap, names: Iterable[str], today: date) -> None:
        names = set(names)
        self._map = columns
        self._amounts = [name for name in AMOUNTS if name in names] if columns.decimal_comma is None else []
        self._days = [] if columns.date_formats else [name for name in _DAYS if name in names]
        self._prices = [name for name in _PRICES if name in names]
        if "currency" in names or columns.defaults.get("currency"):
            self._prices = []
        self.seeks_currency = bool(self._prices)
        self._formats = DayFormats(today)
        self._point = self._comma = ""
        self.currencies: dict[str, str] = {}

    def see(self, columns: Mapping[str, Sequence[Cell]]) -> None:
        """Look at rows, a column of cells for each field."""
        for name in self._amounts:
            for cell in dict.fromkeys(columns.get(name, ())):
                if isinstance(cell, str) and not cell.isdigit():
                    self._see_amount(cell)
        days = [list(map(_day, columns.get(name, ()))) for name in self._days]
        if any(map(any, days)):
            for texts in zip_longest(*days, fillvalue=""):
                self._formats.see(texts)

    def currency(self, columns: Mapping[str, Sequence[Cell]]) -> list[Cell]:
        """The currency that the amounts of each row are written with, in a file that has no column for it."""
        return [self._currency(cells) for cells in zip_longest(*(columns.get(name, ()) for name in self._prices))]

    def _currency(self, amounts: Iterable[Cell]) -> str | None:
        found = {code: cell for cell in amounts if (code := written_currency(cell))}
        for code, cell in found.items():
            self.currencies.setdefault(code, str(cell))
        return next(iter(found)) if len(found) == 1 else None

    def _see_amount(self, cell: str) -> None:
        # Once the decimal mark is known, only a cell that contradicts it matters.
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


# --- days


@dataclass(frozen=True, slots=True)
class _Day:
    """A cell that may be a day: its mark, its time, and the day that it is by what stands first."""

    mark: str
    time: str
    by_first: tuple[date | None, date | None]


@dataclass(slots=True)
class _Column:
    """What the cells of a column have in common."""

    mark: str
    times: dict[str, None] = field(default_factory=dict)
    possible: list[bool] = field(default_factory=lambda: [True, True])
    ahead: list[bool] = field(default_factory=lambda: [False, False])
    example: str = ""


class DayFormats:
    """How a table writes its days. Looks at the rows of a table one after the other, in constant memory."""

    def __init__(self, today: date) -> None:
        self._today = today
        self._columns: dict[int, _Column | None] = {}
        self._year_first: dict[int, bool] = {}
        # By two columns and what stands first in dates: whether the one day is before the other in a row, and after it.
        self._pairs: dict[tuple[int, int, int], list[bool]] = {}

    def see(self, texts: Sequence[str]) -> None:
        """Look at a row; what is empty in it says nothing."""
        days: dict[int, _Day] = {}
        for place, text in enumerate(texts):
            if text:
                self._year_first[place] = self._year_first.get(place, True) and _is_year_first(text)
                if day := self._day(place, text):
                    days[place] = day
        for one, other in combinations(list(days)[:_MOST_COMPARED], 2):
            for first in range(len(_ORDERS)):
                a, b = days[one].by_first[first], days[other].by_first[first]
                if a and b and a != b:
                    self._pairs.setdefault((one, other, first), [False, False])[a > b] = True

    def _day(self, place: int, text: str) -> _Day | None:
        column = self._columns.get(place)
        if column is None and place in self._columns:
            return None
        day = _read(text)
        if day is None or (column and column.mark != day.mark):
            self._columns[place] = None
            return None
        if column is None:
            column = self._columns[place] = _Column(day.mark, example=text)
        column.times[day.time] = None
        for first, read in enumerate(day.by_first):
            column.possible[first] = column.possible[first] and read is not None
            column.ahead[first] = column.ahead[first] or (read is not None and read > self._today)
        return day

    def formats(self, ordered: int | None) -> Iterator[tuple[str, str]]:
        """Each format with a cell as an example; two between `UNDECIDED` where nothing says which of them it is.

        `ordered` is the place of the column that says when an order came, where that is known.
        """
        if any(self._year_first.values()):
            yield "%Y/%m/%d", ""
        found = {place: column for place, column in self._columns.items() if column}
        for mark in dict.fromkeys(column.mark for column in found.values()):
            alike = {place: column for place, column in found.items() if column.mark == mark}
            orders = self._orders(mark, alike, ordered)
            example = next(iter(alike.values())).example
            for time in dict.fromkeys(time for column in alike.values() for time in column.times):
                forms = [f"{first}{mark}{second}{mark}%Y{time}" for first, second in _written(orders)]
                yield UNDECIDED.join(forms), example

    def _orders(self, mark: str, alike: dict[int, _Column], ordered: int | None) -> list[int]:
        """What may stand first, in all columns that are written alike: one, or both where it cannot be said."""
        both = list(range(len(_ORDERS)))
        possible = [first for first in both if all(column.possible[first] for column in alike.values())]
        if len(possible) == 1:
            return possible
        if not possible:
            return both
        # Delivery follows the order in every row; a wrong reading of the days breaks that.
        in_order = [first for first in both if self._is_in_order(alike, first)]
        if len(in_order) == 1:
            return in_order
        came = alike.get(ordered) if ordered is not None else None
        if came is None and len(alike) == 1:
            [came] = alike.values()
        past = [first for first in both if came and not came.ahead[first]]
        if len(past) == 1:
            return past
        # Nobody writes the month first with points.
        return [0] if mark == "." else both

    def _is_in_order(self, alike: dict[int, _Column], first: int) -> bool:
        return not any(
            before and after
            for (one, other, read), (before, after) in self._pairs.items()
            if read == first and one in alike and other in alike
        )


def _written(orders: Sequence[int]) -> list[tuple[str, str]]:
    return [(_ORDERS[first], _ORDERS[1 - first]) for first in orders]


@lru_cache(maxsize=10_000)
def _read(text: str) -> _Day | None:
    found = _NUMBERS.fullmatch(text.strip())
    if not found:
        return None
    one, other, year = int(found[1]), int(found[3]), int(found[4])
    days = (_date(year, other, one), _date(year, one, other))
    time = f"{found[5]}%H:%M{':%S' if found[6] else ''}" if found[5] else ""
    return _Day(found[2], time, days) if any(days) else None


def _is_year_first(text: str) -> bool:
    found = _YEAR_FIRST.fullmatch(text.strip())
    return bool(found and _date(*map(int, found.groups())))


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
