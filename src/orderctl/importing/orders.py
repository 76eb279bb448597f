"""Orders out of the rows of a file: every problem of every row is collected, and nothing is guessed."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from itertools import pairwise, repeat
from math import ceil
from typing import Any, NamedTuple, TypeVar

from orderctl.core.addresses import ascii_address, email_address
from orderctl.core.countries import country_code
from orderctl.core.text import safe
from orderctl.files.cells import (
    LARGEST_NUMBER,
    LONGEST_NAME,
    LONGEST_TEXT,
    Cell,
    is_blank,
    read_amount,
    read_count,
    read_day,
    read_instant,
    read_integer,
    read_quantity,
    read_text,
    read_truth,
)
from orderctl.importing.column_map import ColumnMap
from orderctl.importing.fields import BUYER_FIELDS, KEPT, NESTED_LINES, PROTECTIONS, READ_LINE_FIELDS, REJECTED_MARK
from orderctl.importing.figures import RowProblem
from orderctl.language import _
from orderctl.orders.orders import (
    LONGEST_ID,
    Buyer,
    OrderLine,
    SaidOrder,
    Status,
    forms_of,
    parse_order_id,
    parse_tag,
    pieces,
    refuse_damaged,
)

T = TypeVar("T")
_OF_LINES = frozenset({*READ_LINE_FIELDS, NESTED_LINES})
_SHOWN_VALUE = 200
_INEXACT = 10**15
_CACHED = 10_000
_LONGEST_CACHED = 50
_MOST_CURRENCIES = 20
_LANGUAGE_LETTERS = (2, 8)
_MOST_COPIES = 5
_NO_COPIES = "-"
# What no spreadsheet damages, and what is read as it stands.
_PLAIN_ID = re.compile(rf"[A-Za-z0-9#_/-]{{1,{LONGEST_ID}}}")


class Row(NamedTuple):
    """One row of a file, its cells by the field that they mean; `wrong` is what stands there and means none."""

    number: int
    cells: Mapping[str, Cell]
    wrong: tuple[RowProblem, ...] = ()


class Block(NamedTuple):
    """Rows of a file that have the same fields: their numbers, and for each field a column of cells.

    `wrong` is what stands in a row of JSON and is no cell; that row is alone.
    """

    numbers: Sequence[int]
    columns: dict[str, Sequence[Cell]]
    wrong: tuple[RowProblem, ...] = ()


# How many rows are read together.
TOGETHER = 1_000
# The id of a row's order, its number, the names of its fields, and its cells in that order.
StagedRow = tuple[str, int, tuple[str, ...], tuple[Cell, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRules:
    """How a file is meant: its map, and how its columns are called. `zone` is that of the map.

    `one_line_a_row`: rows are lines. `lines_apart`: the orders stand on one sheet and their lines on another.
    Counted while the file is read: `left_out`, the rows and lines that the map leaves out, and `unknown_statuses`,
    the orders by a word that the map does not name.
    """

    file: str
    read_at: datetime
    map: ColumnMap
    zone: tzinfo | None
    columns: Mapping[str, str]
    one_line_a_row: bool = False
    lines_apart: bool = False
    left_out: Counter[str] = field(default_factory=Counter)
    unknown_statuses: Counter[str] = field(default_factory=Counter)

    def problem(self, row: int, field_name: str, cell: Cell, reason: str) -> RowProblem:
        """A problem in the words of the file: its own name of the column, the cell as it stands there."""
        shown = "" if cell is None else str(cell)[:_SHOWN_VALUE]
        column = self.columns.get(field_name, field_name)
        return RowProblem(
            file=self.file, row=row, column=safe(column), value=safe(shown), reason=reason, field=field_name
        )


def read_order_id(cell: Cell) -> str:
    """The id of an order, its accents composed: however a file writes one that looks the same, it is the same order."""
    if isinstance(cell, str) and _PLAIN_ID.fullmatch(cell):
        return cell
    return forms_of(read_id(cell))[0]


def read_id(cell: Cell) -> str:
    """The id of an order or a buyer; a spreadsheet's number is read as the text that it was."""
    return parse_order_id(_undamaged(cell))


def _undamaged(cell: Cell) -> str:
    """The text of what is a name to somebody, though it may look like a number."""
    if isinstance(cell, float) and abs(cell) >= _INEXACT:
        raise ValueError(_("lost digits in a spreadsheet, which keeps fifteen: export the file anew, as text"))
    return refuse_damaged(read_text(cell, LONGEST_NAME))


def build_order(order_id: str, rows: Sequence[Row], rules: ReadingRules) -> SaidOrder | list[RowProblem]:
    """The order that these rows of a file describe, or everything that is wrong with them."""
    if rules.lines_apart and (problems := _apart(order_id, rows, rules)):
        return problems
    draft = _Draft(order_id, rows, rules)
    order = draft.order()
    return draft.problems or order


def _apart(order_id: str, rows: Sequence[Row], rules: ReadingRules) -> list[RowProblem]:
    """What is wrong with an order whose lines stand on a sheet of their own: it is told of once on the other one."""
    told = [row for row in rows if "sku" not in row.cells]
    if not told:
        reason = _("is the id of no order on the sheet of orders")
        return [rules.problem(row.number, "sku", order_id, reason) for row in rows]
    reason = _("is in the file twice; first in row {number}", number=told[0].number)
    return [rules.problem(row.number, "id", order_id, reason) for row in told[1:]]


@lru_cache(maxsize=1_000)
def _unsaid(said: frozenset[str], *, lines: bool) -> frozenset[str]:
    """The attributes of an order of which these fields say nothing; `lines` too are said, or not."""
    unsaid = {attribute for name, attribute in KEPT.items() if name not in said}
    return frozenset(unsaid - {"quantity"} if lines else unsaid | {"lines"})


def _unsaid_in(said: frozenset[str], columns: ColumnMap, *, lines: bool) -> frozenset[str]:
    unsaid = _unsaid(said, lines=lines)
    # Otherwise the note would keep the word of an earlier status.
    return unsaid - {"note"} if columns.other_status and "status" in said else unsaid


def _buyer_name(buyer_id: str, columns: ColumnMap) -> str:
    """What a buyer is called whom no row names."""
    return str(columns.defaults.get("buyer_name") or "{buyer_id}").replace("{buyer_id}", buyer_id)


def _read_amount(cell: Cell, currency: str | None, columns: ColumnMap) -> int:
    # An unknown currency is a problem of its own: how fine its amounts may be cannot be said.
    rounded = columns.round_prices or currency is None
    return read_amount(cell, currency or "", decimal_comma=columns.decimal_comma, rounded=rounded)


def _different_cells(rows: Sequence[Row], defaults: Mapping[str, Cell]) -> dict[str, list[tuple[int, Cell]]]:
    """The different values of each field that holds any, each with the first row that has it."""
    first, *others = rows
    found: dict[str, list[tuple[int, Cell]]] = {
        name: [(first.number, cell)]
        for name, cell in first.cells.items()
        if cell is not None and name not in _OF_LINES and not is_blank(cell)
    }
    for row in others:
        for name, cell in row.cells.items():
            if name not in _OF_LINES and not is_blank(cell):
                earlier = found.setdefault(name, [])
                if all(cell != other for __, other in earlier):
                    earlier.append((row.number, cell))
    for name, cell in defaults.items():
        if name not in found and not is_blank(cell):
            found[name] = [(rows[0].number, cell)]
    return found


# What stands for a cell or an order that takes a draft to be read.
_ODD: Any = object()
_NO_BUYER = (None,) * len(BUYER_FIELDS)
_MORE_OF_BUYERS = tuple(name.removeprefix("buyer_") for name in BUYER_FIELDS[2:])
# The texts of a line by the fields of a file.
_LINE_TEXTS = {"sku": "sku", "line_name": "name", "color": "color", "size": "size"}
# The fields of a file that are called otherwise than what they say of an order.
_FIELDS = {"ordered_at": "ordered", "archived_at": "archived"}


class _Known(dict[Cell, Any]):
    """What the cells of a column say, each read once; a blank one says what `blank` says, or `otherwise`.

    `_ODD` stands for what cannot be read. `met_odd` says whether there was any since it was last cleared.
    """

    def __init__(self, read: Callable[[Cell], Any], blank: Cell, otherwise: object) -> None:
        super().__init__()
        self.met_odd = False
        self._read, self._blank, self._otherwise = read, blank, otherwise

    def __missing__(self, cell: Cell) -> object:
        meant = self._blank if is_blank(cell) else cell
        try:
            value = self._otherwise if is_blank(meant) else self._read(meant)
        except ValueError:
            value = _ODD
        if value is _ODD:
            self.met_odd = True
        elif cell is None or isinstance(cell, str):  # as keys, 1 and 1.0 and True are one
            if len(self) >= _CACHED:
                self.clear()
            if cell is None or len(cell) <= _LONGEST_CACHED:
                self[cell] = value
        return value

    def of(self, cells: Sequence[Cell] | None, count: int, odd: set[int]) -> list[Any]:
        """What the cells say, or so many blank ones; the places of those that cannot be read go into `odd`."""
        values = [self[None]] * count if cells is None else [self[cell] for cell in cells]
        if self.met_odd:
            odd.update(place for place, value in enumerate(values) if value is _ODD)
            self.met_odd = False
        return values


class _Buyers(dict[tuple[Any, ...], Any]):
    """The buyers of the values of `BUYER_FIELDS`, one object for equal ones."""

    def __init__(self, columns: ColumnMap) -> None:
        super().__init__()
        self._map = columns

    def __missing__(self, said: tuple[Any, ...]) -> object:
        if len(self) >= _CACHED:
            self.clear()
        buyer_id, name, *others = said
        if said == _NO_BUYER:
            self[said] = None
        elif buyer_id is None or _ODD in said:
            self[said] = _ODD
        else:
            name = name or _buyer_name(buyer_id, self._map)
            more = dict(zip(_MORE_OF_BUYERS, others, strict=True))
            self[said] = Buyer(id=buyer_id, name=name, **more)
        return self[said]


class PlainOrders:
    """Reads orders many together, a column at a time: in a tenth of the time of a draft for each.

    Where a cell cannot be read, where rows of an order say more of it than its first one, or where there is more to an
    order than its cells, it is left to `build_order`, which gives the same for the others.
    """

    def __init__(self, rules: ReadingRules) -> None:
        self._rules, self._map = rules, rules.map
        self._columns, self._lines = (
            {
                name: _Known(read, None if name == "buyer_name" else self._default(name), blank)
                for name, (read, blank) in readers.items()
            }
            for readers in (_column_readers(rules), _line_readers(rules.map))
        )
        self._amounts: dict[tuple[str, Any], _Known] = {}
        self._buyers = _Buyers(rules.map)

    def _default(self, name: str) -> Cell:
        return self._map.defaults.get(_FIELDS.get(name, name))

    def read(self, rows: Sequence[StagedRow]) -> Iterator[tuple[SaidOrder | None, Sequence[StagedRow]]]:
        """Each order with its rows, which stand together; None where it is not plain."""
        ends = [place for place in range(1, len(rows)) if rows[place][0] != rows[place - 1][0]]
        parts = [rows[start:end] for start, end in pairwise([0, *ends, len(rows)])]
        alike: dict[tuple[str, ...], list[int]] = {}
        for place, part in enumerate(parts):
            if self._may_be_plain(part):
                alike.setdefault(part[0][2], []).append(place)
        found: list[SaidOrder | None] = [None] * len(parts)
        for fields, places in alike.items():
            for place, order in zip(places, self._alike(fields, [parts[place] for place in places]), strict=True):
                found[place] = order
        return zip(found, parts, strict=True)

    def _may_be_plain(self, rows: Sequence[StagedRow]) -> bool:
        first, *others = rows
        if self._rules.lines_apart or NESTED_LINES in first[2]:
            return False
        return not others or (self._rules.one_line_a_row and all(_repeats(first, other) for other in others))

    def _alike(self, fields: tuple[str, ...], parts: list[Sequence[StagedRow]]) -> Iterator[SaidOrder | None]:
        """The orders of rows that have the same fields."""
        count, ids = len(parts), [rows[0][0] for rows in parts]
        cells: dict[str, Sequence[Cell]] = dict(
            zip(fields, zip(*(rows[0][3] for rows in parts), strict=True), strict=True)
        )
        odd = {place for place, cell in enumerate(cells.get("tags", ())) if isinstance(cell, list)}
        if odd:
            cells["tags"] = [None if place in odd else cell for place, cell in enumerate(cells["tags"])]
        found = {
            name: known.of(cells.get(_FIELDS.get(name, name)), count, odd) for name, known in self._columns.items()
        }
        found["total"] = self._amounts_of("total", found["currency"], cells.get("total"))
        found["lines"] = [()] * count
        if self._rules.one_line_a_row:
            self._add_lines(fields, parts, found, odd)
        found["buyer"] = [self._buyers[said] for said in zip(*(found[name] for name in BUYER_FIELDS), strict=True)]
        for name, lacking in (("total", None), ("buyer", _ODD)):
            odd.update(place for place, value in enumerate(found[name]) if value is _ODD or value is lacking)
        days = enumerate(zip(found["delivery_from"], found["delivery_to"], strict=True))
        odd |= {place for place, (first, last) in days if first and last and place not in odd and first > last}
        if prefix := self._map.rejected_id_prefix:
            odd.update(place for place, order_id in enumerate(ids) if order_id.startswith(prefix))
        if self._map.file:
            pairs = zip(found["country"], found["buyer"], strict=True)
            found["country"] = [
                buyer.country if not country and isinstance(buyer, Buyer) else country for country, buyer in pairs
            ]
        unsaid = _unsaid_in(frozenset(fields), self._map, lines=self._rules.one_line_a_row)
        found |= {"id": ids, "unsaid": [unsaid] * count}
        orders = map(SaidOrder._make, zip(*(found[name] for name in SaidOrder._fields), strict=True))
        return (None if place in odd else order for place, order in enumerate(orders)) if odd else orders

    def _amounts_of(self, name: str, currencies: Sequence[Any], cells: Sequence[Cell] | None) -> list[Any]:
        """The amounts of a column, None where there is none."""
        if len(self._amounts) > _MOST_CURRENCIES:
            self._amounts.clear()
        for currency in set(currencies):
            if (name, currency) not in self._amounts:
                read = partial(_read_amount, currency=None if currency is _ODD else currency, columns=self._map)
                self._amounts[name, currency] = _Known(read, self._default(name), None)
        pairs = zip(currencies, repeat(None) if cells is None else cells, strict=False)
        return [self._amounts[name, currency][cell] for currency, cell in pairs]

    def _add_lines(
        self, fields: tuple[str, ...], parts: list[Sequence[StagedRow]], found: dict[str, list[Any]], odd: set[int]
    ) -> None:
        """Put in the lines, and what they add up to where a file does not say it."""
        names = [name for name in READ_LINE_FIELDS if name in fields]
        places = [fields.index(name) for name in names]
        rows = [(place, [row[3][at] for at in places]) for place, part in enumerate(parts) for row in part]
        rows = [(place, cells) for place, cells in rows if not all(map(is_blank, cells))]
        cells = dict(zip(names, zip(*(cells for __, cells in rows), strict=True), strict=False))
        currencies, wrong = [found["currency"][place] for place, __ in rows], set[int]()
        said = [known.of(cells.get(name), len(rows), wrong) for name, known in self._lines.items()]
        said += [self._amounts_of(name, currencies, cells.get(name)) for name in ("unit_price", "line_total")]
        lines: list[list[OrderLine]] = [[] for __ in parts]
        sums = [0] * len(parts)
        for number, ((place, __), *values, price, total) in enumerate(zip(rows, *said, strict=True)):
            if number in wrong or price is None or price is _ODD or total is _ODD:
                odd.add(place)
                continue
            (quantity, decimals), *texts = values
            said_of = dict(zip(_LINE_TEXTS.values(), texts, strict=True))
            at = len(lines[place]) + 1
            line = OrderLine(number=at, quantity=quantity, unit_price=price, quantity_decimals=decimals, **said_of)
            lines[place].append(line)
            sums[place] += line.total if total is None else total
        found["lines"] = list(map(tuple, lines))
        for place, (total, quantity) in enumerate(zip(found["total"], found["quantity"], strict=True)):
            if total is None and lines[place]:
                found["total"][place] = sums[place] if abs(sums[place]) <= LARGEST_NUMBER else _ODD
            if quantity is None and place not in odd:
                found["quantity"][place] = number = ceil(sum(line.pieces for line in lines[place]))
                if abs(number) > LARGEST_NUMBER:
                    odd.add(place)


def _repeats(first: StagedRow, other: StagedRow) -> bool:
    """Whether a row says nothing of its order that the first one does not."""
    return other[2] == first[2] and all(
        cell is None or cell in ("", there) or name in _OF_LINES
        for name, cell, there in zip(first[2], other[3], first[3], strict=True)
    )


def _column_readers(rules: ReadingRules) -> dict[str, tuple[Callable[[Cell], Any], object]]:
    """How each field of an order is read where its cell is all that is to be known, and what is said by none."""
    day = partial(read_day, formats=rules.map.date_formats)

    def tags(cell: Cell) -> object:
        if isinstance(cell, list):  # the default of a map
            return _ODD
        return frozenset(parse_tag(part) for part in _text(cell).split(rules.map.tag_separator) if part.strip())

    return {
        **{name: (read, "") for name, read in _TEXTS.items()},
        **dict.fromkeys(PROTECTIONS, (read_count, 0)),
        **{name: (read, None) for name, read in _BUYERS.items()},
        "status": (rules.map.read_status, rules.map.other_status or _ODD),
        "ordered_at": (partial(read_instant, formats=rules.map.date_formats, zone=rules.zone), _ODD),
        "country": (_country, None),
        "delivery_from": (day, None),
        "delivery_to": (day, None),
        "currency": (_currency, _ODD),
        "quantity": (partial(read_integer, decimal_comma=rules.map.decimal_comma), None if rules.one_line_a_row else 0),
        "archived_at": (lambda cell: rules.read_at if read_truth(cell) else None, None),
        "tags": (tags, frozenset()),
        REJECTED_MARK: (lambda cell: _ODD if cell == "1" else None, None),
    }


def _line_readers(columns: ColumnMap) -> dict[str, tuple[Callable[[Cell], Any], object]]:
    """The same of a line, but for its amounts."""
    quantity = partial(read_quantity, decimal_comma=columns.decimal_comma)
    return {"line_quantity": (quantity, _ODD), **dict.fromkeys(_LINE_TEXTS, (_name, "")), "sku": (_name, _ODD)}


class _Draft:
    """An order in the making. Where rows of it differ, the first value counts, unless they have to agree."""

    def __init__(self, order_id: str, rows: Sequence[Row], rules: ReadingRules) -> None:
        self.problems: list[RowProblem] = []
        self._line_totals: list[int] = []
        self._unknown_status = ""
        self._id = order_id
        self._rows = rows
        self._rules = rules
        self._found = _different_cells(rows if rules.one_line_a_row else rows[:1], rules.map.defaults)

    def order(self) -> SaidOrder:
        """The order; not to be used if there are problems."""
        currency = self._currency()
        lines = self._lines(currency)
        instant = partial(read_instant, formats=self._rules.map.date_formats, zone=self._rules.zone)
        ordered = self._all("ordered", instant, needed=True)
        archived = self._first("archived", read_truth)
        first, last = self._delivery()
        self._refuse_repetition()
        status, buyer = self._status(), self._buyer()
        return SaidOrder(
            id=self._id,
            buyer=buyer,
            status=status,
            ordered_at=min(ordered, default=self._rules.read_at),
            currency=currency or "",
            country=self._country(buyer),
            delivery_from=first,
            delivery_to=last,
            total=self._total(currency),
            quantity=self._quantity(lines),
            archived_at=self._rules.read_at if archived else None,
            lines=lines,
            tags=self._tags(),
            unsaid=self._unsaid(),
            **self._texts_and_counts(),
        )

    def _texts_and_counts(self) -> dict[str, Any]:
        """The fields that are read alike, by their names, which are those of the attributes."""
        texts = {name: self._first(name, read) or "" for name, read in _TEXTS.items()}
        if self._unknown_status:
            texts["note"] = "\n".join(filter(None, (texts["note"], f"Status: {self._unknown_status}")))
        return {**texts, **{name: self._highest(name) for name in PROTECTIONS}}

    def _country(self, buyer: Buyer | None) -> str | None:
        """The order's country; in a file of another system the buyer's, where the order has none."""
        found = self._first("country", _country)
        return buyer.country if not found and buyer and self._rules.map.file else found

    def _unsaid(self) -> frozenset[str]:
        first, *others = self._rows
        said = frozenset(first.cells).union(*(row.cells for row in others)) if others else frozenset(first.cells)
        unsaid = _unsaid_in(said, self._rules.map, lines=self._rules.one_line_a_row or NESTED_LINES in said)
        return unsaid - {"status"} if self._is_marked else unsaid

    def _highest(self, name: str) -> int:
        """A count: where rows of the order differ, one line that was delivered protects the whole."""
        return max(self._all(name, read_count), default=0) if name in self._found else 0

    def _delivery(self) -> tuple[date | None, date | None]:
        day = partial(read_day, formats=self._rules.map.date_formats)
        first, last = self._first("delivery_from", day), self._first("delivery_to", day)
        if first and last and first > last:
            reason = _("is after the last day, {last}", last=last)
            self._complain(self._rows[0].number, "delivery_from", str(first), reason)
        return first, last

    def _refuse_repetition(self) -> None:
        if not self._rules.one_line_a_row:
            for row in self._rows[1:]:
                reason = _("is in the file twice; first in row {number}", number=self._rows[0].number)
                self._complain(row.number, "id", self._id, reason)

    def _all(self, name: str, read: Callable[[Cell], T], *, needed: bool = False) -> list[T]:
        if needed and name not in self._found:
            self._complain(self._rows[0].number, name, None, _("is missing"))
        values = []
        for row, cell in self._found.get(name, ()):
            try:
                values.append(read(cell))
            except ValueError as error:
                self._complain(row, name, cell, error.args[0])
        return values

    def _first(self, name: str, read: Callable[[Cell], T]) -> T | None:
        values = self._all(name, read) if name in self._found else ()
        return values[0] if values else None

    def _agreed(self, name: str, read: Callable[[Cell], T], *, needed: bool = False) -> T | None:
        """The one value of a field on which all rows of the order have to agree."""
        values = self._all(name, read, needed=needed)
        if len(values) > 1 and len(values := list(dict.fromkeys(values))) > 1:
            shown = ", ".join(str(value) for value in values)
            self._complain(self._rows[0].number, name, shown, _("differs among the rows of the order"))
        return values[0] if values else None

    def _complain(self, row: int, name: str, cell: Cell, reason: str) -> None:
        self.problems.append(self._rules.problem(row, name, cell, reason))

    def _currency(self) -> str | None:
        return self._agreed("currency", _currency, needed=True)

    @property
    def _is_marked(self) -> bool:
        """Whether the file says apart from its status that the order was cancelled."""
        prefix = self._rules.map.rejected_id_prefix
        marks = self._found.get(REJECTED_MARK, ())
        return any(cell == "1" for __, cell in marks) or bool(prefix and self._id.startswith(prefix))

    def _status(self) -> Status:
        if self._is_marked:
            return Status.REJECTED
        other = self._rules.map.other_status
        found = self._agreed("status", self._read_status, needed=other is None)
        if self._unknown_status:
            self._rules.unknown_statuses[self._unknown_status] += 1
        return found or other or Status.NEEDS_OC

    def _read_status(self, cell: Cell) -> Status:
        try:
            return self._rules.map.read_status(cell)
        except ValueError:
            if (other := self._rules.map.other_status) is None:
                raise
            self._unknown_status = safe(read_text(cell, LONGEST_NAME))
            return other

    def _buyer(self) -> Buyer | None:
        buyer_id = self._agreed("buyer_id", _BUYERS["buyer_id"])
        if buyer_id is None:
            row = self._rows[0]
            if any(not is_blank(row.cells.get(name)) for name in ("buyer_name", "buyer_email")):
                self._complain(row.number, "buyer_id", None, _("is missing, but the buyer has a name or an address"))
            return None
        return Buyer(
            id=buyer_id,
            name=self._buyer_name(buyer_id),
            **{more: self._first(f"buyer_{more}", _BUYERS[f"buyer_{more}"]) for more in _MORE_OF_BUYERS},
        )

    def _buyer_name(self, buyer_id: str) -> str:
        if all(is_blank(row.cells.get("buyer_name")) for row in self._rows):
            return _buyer_name(buyer_id, self._rules.map)
        return self._first("buyer_name", _BUYERS["buyer_name"]) or buyer_id

    def _total(self, currency: str | None) -> int:
        read = partial(_read_amount, currency=currency, columns=self._rules.map)
        total = self._agreed("total", read, needed=not self._has_lines)
        if total is None:
            total = sum(self._line_totals)
            if abs(total) > LARGEST_NUMBER:
                self._complain(self._rows[0].number, "total", str(total), _("is too large a number"))
        return total

    def _quantity(self, lines: tuple[OrderLine, ...]) -> int:
        quantity = self._agreed("quantity", partial(read_integer, decimal_comma=self._rules.map.decimal_comma))
        if quantity is None:
            quantity = ceil(sum(line.pieces for line in lines))
            if abs(quantity) > LARGEST_NUMBER:
                self._complain(self._rows[0].number, "quantity", str(quantity), _("is too large a number"))
        return quantity

    def _tags(self) -> frozenset[str]:
        return frozenset(tag for row, cell in self._found.get("tags", ()) for tag in self._tags_of(row, cell))

    def _tags_of(self, row: int, cell: Cell) -> Iterator[str]:
        try:
            parts = cell if isinstance(cell, list) else _text(cell).split(self._rules.map.tag_separator)
        except ValueError as error:
            self._complain(row, "tags", cell, error.args[0])
            return
        for part in map(str, parts):
            try:
                if part.strip():
                    yield parse_tag(part)
            except ValueError as error:
                self._complain(row, "tags", cell, _("{part!r} {problem}", part=safe(part), problem=error))

    @property
    def _has_lines(self) -> bool:
        if self._rules.one_line_a_row:
            return any(map(_has_line, self._rows))
        return NESTED_LINES in self._rows[0].cells

    def _lines(self, currency: str | None) -> tuple[OrderLine, ...]:
        sources: list[tuple[int, Mapping[str, Cell]]] = []
        nested = self._rows[0].cells.get(NESTED_LINES)
        if self._rules.one_line_a_row:
            sources = [(row.number, row.cells) for row in self._rows if _has_line(row)]
        elif isinstance(nested, list):
            sources = [(self._rows[0].number, cells) for cells in nested if isinstance(cells, dict)]
        return tuple(self._line(number, row, cells, currency) for number, (row, cells) in enumerate(sources, start=1))

    def _line(self, number: int, row: int, cells: Mapping[str, Cell], currency: str | None) -> OrderLine:
        def read(name: str, reader: Callable[[Cell], T], otherwise: T, *, needed: bool = False) -> T:
            cell = cells.get(name)
            if is_blank(cell):
                cell = self._rules.map.defaults.get(name)
            if is_blank(cell):
                if needed:
                    self._complain(row, name, None, _("is missing"))
                return otherwise
            try:
                return reader(cell)
            except ValueError as error:
                self._complain(row, name, cell, error.args[0])
                return otherwise

        def amount(cell: Cell) -> int:
            return _read_amount(cell, currency, self._rules.map)

        in_parts = partial(read_quantity, decimal_comma=self._rules.map.decimal_comma)
        quantity, places = read("line_quantity", in_parts, (0, 0), needed=True)
        line_total = read("line_total", amount, None)
        price = read("unit_price", amount, None, needed=line_total is None)
        if price is None:
            price = self._price(row, line_total or 0, pieces(quantity, places))
        line = OrderLine(
            number=number,
            quantity=quantity,
            unit_price=price,
            quantity_decimals=places,
            **{of_line: read(name, _name, "", needed=name == "sku") for name, of_line in _LINE_TEXTS.items()},
        )
        self._line_totals.append(line.total if line_total is None else line_total)
        return line

    def _price(self, row: int, line_total: int, quantity: int | Decimal) -> int:
        """The price of a piece, of a line of which only the amount is said."""
        if line_total == 0:
            return 0
        price = Fraction(line_total) / Fraction(quantity) if quantity else None
        if price is not None and (price.denominator == 1 or self._rules.map.round_prices):
            return round(price)
        cell = next(row_.cells.get("line_total") for row_ in self._rows if row_.number == row)
        reason = _("gives no whole price for {number} pieces (round_prices = true rounds it)", number=quantity)
        self._complain(row, "line_total", cell, reason)
        return 0


def _has_line(row: Row) -> bool:
    """Whether the row holds a line, and not only what belongs to the order."""
    return any(not is_blank(row.cells.get(name)) for name in READ_LINE_FIELDS)


def _name(cell: Cell) -> str:
    return read_text(cell, LONGEST_NAME)


def _text(cell: Cell) -> str:
    return read_text(cell, LONGEST_TEXT)


def _country(cell: Cell) -> str:
    return country_code(_name(cell))


def _email(cell: Cell) -> str:
    return email_address(_name(cell))


def _copies(cell: Cell) -> str:
    """Addresses with commas or semicolons between them, as a mail server takes them; empty for the sign of none."""
    text = _text(cell).strip()
    given = [part.strip() for part in text.replace(";", ",").split(",") if text != _NO_COPIES]
    found = dict.fromkeys(email_address(part) for part in given if part)
    if len(found) > _MOST_COPIES:
        raise ValueError(_("are more than {most} addresses", most=_MOST_COPIES))
    return ", ".join(map(_sendable, found))


def _sendable(address: str) -> str:
    """In ASCII. Raises ValueError for what not every server takes: a copy must not keep a mail from its buyer."""
    if not address.rpartition("@")[0].isascii():
        raise ValueError(_("has letters before the @ that not every mail server takes"))
    return ascii_address(address)


def _currency(cell: Cell) -> str:
    code = _name(cell)
    if len(code) != 3 or not (code.isascii() and code.isalpha() and code.isupper()):  # noqa: PLR2004 - ISO 4217
        raise ValueError(_("is not a currency code of three capital letters (ISO 4217)"))
    return code


def _language(cell: Cell) -> str:
    tag = _name(cell)
    shortest, longest = _LANGUAGE_LETTERS
    first, *others = tag.split("-")
    plain = tag.isascii() and first.isalpha() and all(part.isalnum() and len(part) <= longest for part in others)
    if not plain or not shortest <= len(first) <= longest:
        raise ValueError(_("is not a language tag such as en or pt-BR (BCP 47)"))
    return tag


_TEXTS: dict[str, Callable[[Cell], str]] = {
    "brand": _name,
    "reference": _undamaged,
    "season": _name,
    "terms": _text,
    "delivery_address": _text,
    "billing_address": _text,
    "note": _text,
}
_BUYERS: dict[str, Callable[[Cell], str]] = {
    "buyer_id": read_id,
    "buyer_name": _name,
    "buyer_email": _email,
    "buyer_contact": _name,
    "buyer_country": _country,
    "buyer_language": _language,
    "buyer_cc": _copies,
    "buyer_bcc": _copies,
}
