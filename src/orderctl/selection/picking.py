"""The state of the picker without a terminal: the shown orders, the cursor and the ticks."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from orderctl.core.money import Money, add_up
from orderctl.filters.filters import OrderFilter
from orderctl.filters.matching import holds
from orderctl.orders.eligibility import Mode, Rule, refusal
from orderctl.orders.orders import Order


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """The result: the ticked ids, those that are newly ticked, and those that are no longer ticked."""

    ticked: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Sums of the ticked orders. `refused` cannot be rejected in bulk; `hidden` are not shown at present."""

    count: int
    totals: tuple[Money, ...]
    refused: int
    hidden: int


class PickList:
    """Orders to tick, each known by its index in the list. Actions on shown orders leave hidden ones alone."""

    def __init__(self, orders: Sequence[Order], ticked: Collection[str] = ()) -> None:
        self.orders = tuple(orders)
        self._refusals = tuple(refusal(order, Mode.BULK) for order in self.orders)
        self._ticked_before = frozenset(place for place, order in enumerate(self.orders) if order.id in ticked)
        self._ticks = set(self._ticked_before)
        self._matching: Sequence[int] = range(len(self.orders))
        self.shown: Sequence[int] = self._matching
        self.only_ticked = False
        self.row = 0
        self.mark: int | None = None
        self.figures = self._add_up()

    @property
    def current(self) -> Order | None:
        """The order under the cursor; None if none is shown."""
        return self.orders[self.shown[self.row]] if self.shown else None

    def order(self, row: int) -> Order:
        """The order of a row."""
        return self.orders[self.shown[row]]

    def refused(self, row: int) -> Rule | None:
        """The rule that forbids rejecting the order of a row in bulk; None if it is allowed."""
        return self._refusals[self.shown[row]]

    def is_ticked(self, row: int) -> bool:
        """Whether the order of a row is ticked."""
        return self.shown[row] in self._ticks

    def is_marked(self, row: int) -> bool:
        """Whether a row lies between the mark and the cursor."""
        return self.mark is not None and min(self.mark, self.row) <= row <= max(self.mark, self.row)

    def move_to(self, row: int) -> None:
        """Move the cursor to a row, or to the nearest one."""
        self.row = max(0, min(row, len(self.shown) - 1))

    def narrow(self, wanted: OrderFilter) -> None:
        """Show the orders that the filter finds. Archived orders are found too: the list was chosen with them."""
        condition = wanted.condition
        if condition is None:
            self._matching = range(len(self.orders))
        else:
            self._matching = [place for place, order in enumerate(self.orders) if holds(condition, order)]
        self._show()

    def show_only_ticked(self, *, only: bool) -> None:
        """Show only the ticked orders that the filter finds, or all that it finds."""
        self.only_ticked = only
        self._show()

    def toggle(self) -> None:
        """Tick or untick the order under the cursor; with a mark, tick the whole range."""
        if not self.shown:
            return
        if self.mark is not None:
            first, last = sorted((self.mark, self.row))
            self._ticks.update(self.shown[first : last + 1])
            self.mark = None
        else:
            self._ticks ^= {self.shown[self.row]}
        self.figures = self._add_up()

    def tick_shown(self, *, but_refused: bool = False) -> None:
        """Tick every shown order; with `but_refused`, only those that can be rejected."""
        self._ticks.update(place for place in self.shown if not (but_refused and self._refusals[place]))
        self._counted()

    def clear_shown(self) -> None:
        """Untick every shown order."""
        self._ticks.difference_update(self.shown)
        self._counted()

    def invert_shown(self) -> None:
        """Tick the shown orders that are not ticked, and untick the others."""
        self._ticks.symmetric_difference_update(self.shown)
        self._counted()

    def picks(self) -> Picks:
        """The ticks and how they changed."""
        return Picks(
            ticked=self._ids(self._ticks),
            added=self._ids(self._ticks - self._ticked_before),
            removed=self._ids(self._ticked_before - self._ticks),
        )

    def _show(self) -> None:
        """Compute the rows again; the cursor stays on its order if it is still shown."""
        place = self.shown[self.row] if self.shown else None
        shown = [each for each in self._matching if each in self._ticks] if self.only_ticked else self._matching
        self.shown = shown
        self.mark = None
        self.move_to(shown.index(place) if place is not None and place in shown else 0)
        self.figures = self._add_up()

    def _counted(self) -> None:
        self.mark = None
        self.figures = self._add_up()

    def _add_up(self) -> Figures:
        return Figures(
            count=len(self._ticks),
            totals=add_up(self.orders[place].amount for place in self._ticks),
            refused=sum(1 for place in self._ticks if self._refusals[place]),
            hidden=len(self._ticks.difference(self.shown)),
        )

    def _ids(self, places: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.orders[place].id for place in sorted(places))
