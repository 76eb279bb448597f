"""Ticking orders by hand: what there is to tick, and what the ticks change in a selection."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from orderctl.domain.errors import UsageError
from orderctl.domain.orders import Order
from orderctl.domain.picking import Picks
from orderctl.domain.selection import Choice, IdList, IdScope, SelectionReport, SelectionScope
from orderctl.language import say
from orderctl.ports import Progress, Store, UnitOfWork

MOST = 20_000
_REPORT_EVERY = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Orders to tick, newest first, and the ids of those that are ticked from the start."""

    orders: tuple[Order, ...]
    ticked: Collection[str]


def read_candidates(store: Store, choice: Choice, *, actor: str, name: str | None, progress: Progress) -> Candidates:
    """The orders of a choice in full, and which of them the selection holds.

    Raises UsageError if there are none, or more than a person can go through.
    """
    found: list[Order] = []
    with store.snapshot() as work:
        ticked = {order.id for order in work.selections.page(actor, name, None)} if name else set[str]()
        for order in work.orders.chosen(choice):
            found.append(order)
            if len(found) > MOST:
                raise UsageError(
                    say("there are more than {most:,} orders to pick from", most=MOST),
                    hint=say("narrow them with a filter, then pick"),
                )
            if not len(found) % _REPORT_EVERY:
                progress(len(found), None)
    if not found:
        raise UsageError(say("there is no order to pick from"), hint=say("search with another filter"))
    found.sort(key=lambda order: (order.ordered_at, order.id), reverse=True)
    return Candidates(orders=tuple(found), ticked=ticked)


def save_picks(store: Store, picks: Picks, *, actor: str, name: str, at: datetime) -> SelectionReport:
    """Put what was ticked into the selection and take out what was unticked, in one transaction."""

    def change(work: UnitOfWork) -> SelectionReport:
        added = work.selections.add(actor, name, _of(picks.added), "picked by hand", at)
        removed = work.selections.remove(actor, name, _of(picks.removed))
        return SelectionReport(name=name, size=work.selections.size(actor, name), added=added, removed=removed)

    return store.write(change)


def picked(choice: Choice, picks: Picks) -> Choice:
    """The ticked orders of a choice, as a choice."""
    return Choice(
        scope=IdScope(given=IdList(ids=picks.ticked), words=say("picked by hand from {words}", words=choice.words))
    )


def starts_ticked(choice: Choice) -> bool:
    """Whether a choice lists orders one by one, so that picking from it means taking some away."""
    return isinstance(choice.scope, IdScope | SelectionScope)


def _of(ids: tuple[str, ...]) -> Choice:
    return Choice(scope=IdScope(given=IdList(ids=ids), words="picked by hand"))
