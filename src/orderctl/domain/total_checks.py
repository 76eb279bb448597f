"""Whether the totals of a file's orders are those of their lines, and whether its prices are prices."""

from collections.abc import Mapping
from dataclasses import replace

from orderctl.domain.import_figures import SourceFigures, TotalDifference
from orderctl.domain.money import plain_amount
from orderctl.domain.orders import Order

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
        self._articles: dict[str, tuple[int, int]] = {}
        self._same_price = self._price_by_quantity = 0

    def see(self, order: Order, row: int) -> None:
        """Hold an order's total against its lines; `row` is where the order begins."""
        if not order.lines:
            return
        total = 0
        for line in order.lines:
            total += line.quantity * line.unit_price
            if line.unit_price and line.quantity > 0:
                self._see_price(line.sku, line.quantity, line.unit_price)
        self._several += any(line.quantity != 1 for line in order.lines)
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

    def _see_price(self, sku: str, quantity: int, price: int) -> None:
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
