"""What an import found and did: figures, and the rows that are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from orderctl.core.money import plain_amount
from orderctl.mail.outbox import Misdirected
from orderctl.orders.orders import Order, SaidOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """How a file is meant: by a map's file or name, and what stands in for missing columns.

    `kept_maps` is the folder of the user's own maps, beside the shipped ones. `encoding`, `header_row` and `sheet` say
    where a table stands in it; what is empty or 0 is found out. `decimal_comma` is None where the file has to tell.
    """

    map_file: str | None = None
    map_name: str | None = None
    kept_maps: Path | None = None
    time_zone: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    header_row: int = 0
    sheet: str = ""
    decimal_comma: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """One thing that is wrong with one row of a file; `column` is the file's own name of the field.

    `left_out`: nothing is wrong with the row itself, but with another one of its order.
    """

    file: str
    row: int
    column: str
    value: str
    reason: str
    field: str = ""
    left_out: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemGroup:
    """The same thing wrong with the same value of a column, in so many rows."""

    file: str
    field: str
    column: str
    value: str
    reason: str
    rows: int
    first_row: int


@dataclass(frozen=True, slots=True)
class TotalDifference:
    """An order whose total is not the sum of its lines; `row` is where it begins."""

    row: int
    order_id: str
    currency: str
    total: str
    lines: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    """What a file holds: rows read, orders that are good and bad, rows and cells with a problem.

    `rows_without_order` are those whose id cannot be read, or that are no rows at all; `rows_of_bad_orders` those that
    are only left out with their order. `different_problems` counts equal ones once, without these. `rows_left_out` and
    `lines_left_out` are what the map leaves out; `unknown_statuses` counts orders by a word that the map does not name.
    `line_total_suspected` is the column of prices that looks as if it held the amounts of lines.
    """

    rows: int = 0
    orders: int = 0
    bad_orders: int = 0
    rows_without_order: int = 0
    bad_rows: int = 0
    problems: int = 0
    different_problems: int = 0
    rows_of_bad_orders: int = 0
    differing_totals: int = 0
    first_differences: tuple[TotalDifference, ...] = ()
    line_total_suspected: str = ""
    rows_left_out: int = 0
    lines_left_out: int = 0
    unknown_statuses: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaid:
    """Of how many orders a file does not say a thing: those in the store keep theirs, new ones have none."""

    kept: int = 0
    new: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """What an import did, in orders; a check says what it would do.

    `counts_kept` are those that stay protected though their file says less than the store; `rejected_at_source` those
    that the file rejects and the store does not: they keep their status. `unsaid` holds by field what protects an order
    and is not said. `gone` are those that a complete file of their source has no longer, `seen_again` those that were.
    Of `older` the store has later word than the file. `against_us` holds by contradiction the orders that are rejected
    here, and not in the file. `erased` are the ids of erased buyers of whom the file still says something.
    `misdirected` are the mails that did not arrive, of buyers whose address the file mends.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected_left_alone: int = 0
    counts_kept: int = 0
    rejected_at_source: tuple[str, ...] = ()
    unsaid: Mapping[str, Unsaid] = field(default_factory=dict)
    gone: tuple[str, ...] = ()
    seen_again: tuple[str, ...] = ()
    older: int = 0
    against_us: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    erased: tuple[str, ...] = ()
    misdirected: tuple[Misdirected, ...] = ()

    def __add__(self, other: ImportCounts) -> ImportCounts:
        unsaid = dict(self.unsaid)
        for name, more in other.unsaid.items():
            known = unsaid.get(name, Unsaid())
            unsaid[name] = Unsaid(kept=known.kept + more.kept, new=known.new + more.new)
        against_us = dict(self.against_us)
        for kind, ids in other.against_us.items():
            against_us[kind] = against_us.get(kind, ()) + ids
        erased = tuple(sorted({*self.erased, *other.erased}))
        apart: dict[str, Any] = {"unsaid": unsaid, "against_us": against_us, "erased": erased}
        names = [each.name for each in fields(self) if each.name not in apart]
        return ImportCounts(**{name: getattr(self, name) + getattr(other, name) for name in names}, **apart)


_SHOWN = 3
_MOST_ARTICLES = 10_000
_ENOUGH = 5


class TotalChecks:
    """Sees each order of a file once. With `other_charges` a total holds more than lines: shipping, taxes."""

    def __init__(self, *, other_charges: bool) -> None:
        self._other_charges = other_charges
        self._differing = 0
        self._first: list[TotalDifference] = []
        self._several = self._sums_of_prices = 0
        self._articles: dict[str, tuple[int | Decimal, int]] = {}
        self._same_price = self._price_by_quantity = 0

    def see(self, order: SaidOrder, row: int) -> None:
        """Hold an order's total against its lines; `row` is where the order begins."""
        if not order.lines:
            return
        total, several = 0, False
        for line in order.lines:
            total += line.total
            pieces = line.pieces
            several = several or pieces != 1
            if line.unit_price and pieces > 0:
                self._see_price(line.sku, pieces, line.unit_price)
        self._several += several
        if total == order.total:
            return
        if sum(line.unit_price for line in order.lines) == order.total:
            self._sums_of_prices += 1
        elif self._other_charges:
            return
        self._differing += 1
        if len(self._first) < _SHOWN:
            amounts = (plain_amount(minor, order.currency) for minor in (order.total, total))
            self._first.append(TotalDifference(row, order.id, order.currency, *amounts))

    def _see_price(self, sku: str, quantity: int | Decimal, price: int) -> None:
        """An article that costs in proportion to how many are bought: then the price is that of the whole line."""
        known = self._articles.get(sku)
        if known is None:
            if len(self._articles) < _MOST_ARTICLES:
                self._articles[sku] = quantity, price
            return
        if known[0] != quantity:
            self._same_price += known[1] == price
            self._price_by_quantity += known[1] * quantity == price * known[0]

    def noted(self, figures: SourceFigures, columns: Mapping[str, str]) -> SourceFigures:
        """The figures of the file with what was found; `columns` says how a field is called in it."""
        suspected = self._sums_of_prices * 2 > self._several or self._price_by_quantity > max(
            _ENOUGH - 1, self._same_price
        )
        return replace(
            figures,
            differing_totals=self._differing,
            first_differences=tuple(self._first),
            line_total_suspected=columns.get("unit_price", "unit_price") if suspected else "",
        )


class OrderSource(Protocol):
    """A file of orders, read and checked. `orders`, `said` and `problems` start anew at every call."""

    @property
    def figures(self) -> SourceFigures: ...
    def orders(self) -> Iterator[Order]: ...
    def said(self) -> Iterator[SaidOrder]: ...
    def problems(self) -> Iterator[RowProblem]: ...
    def problem_groups(self, most: int) -> tuple[ProblemGroup, ...]: ...
