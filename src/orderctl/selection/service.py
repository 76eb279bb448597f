"""Named selections: add, remove, clear, and pick by hand (design.md, section 2)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from orderctl.core.times import Progress
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.errors import UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.language import _, ngettext
from orderctl.orders.orders import Order
from orderctl.selection.picking import Picks
from orderctl.selection.queries import (
    add_choice,
    chosen_orders,
    delete_selection,
    keep_within,
    remove_choice,
    selected_orders,
    selection_size,
    unknown_ids,
)
from orderctl.selection.selection import Choice, FilterScope, IdList, IdScope, SelectionReport

_SHOWN_IDS = 10


def add_to_selection(store: Store, choice: Choice, *, actor: str, name: str, at: datetime) -> SelectionReport:
    """Add the orders of a choice to a selection, and keep its limits. Unknown ids are reported, not added.

    What the choice says with `only` and `minus` holds for what was in the selection before, too.
    """
    return _change(
        store,
        choice,
        actor,
        name,
        lambda connection: (
            add_choice(connection, actor, name, choice, at),
            keep_within(connection, actor, name, choice),
        ),
    )


def remove_from_selection(store: Store, choice: Choice, *, actor: str, name: str) -> SelectionReport:
    """Remove the orders of a choice from a selection."""
    return _change(store, choice, actor, name, lambda connection: (0, remove_choice(connection, actor, name, choice)))


def clear_selection(store: Store, *, actor: str, name: str) -> SelectionReport:
    """Empty a selection."""
    return store.write(
        lambda connection: SelectionReport(name=name, size=0, removed=delete_selection(connection, actor, name))
    )


def refuse_everything(wanted: OrderFilter, *, everything: bool) -> None:
    """Raise UsageError for an empty filter without `--all`: it would find every order (design.md, section 3)."""
    if wanted.is_empty and not everything:
        raise UsageError(_("an empty filter would take every order"), hint=_("say which orders, or spell out --all"))


def refuse_unknown(connection: Connection, choice: Choice, *, ignore: bool) -> tuple[str, ...]:
    """The ids of the choice that are unknown. Raises UsageError if there are any, unless `ignore` is set."""
    unknown = unknown_ids(connection, given) if (given := choice.given.ids) else ()
    if unknown and not ignore:
        shown = unknown[:_SHOWN_IDS]
        raise UsageError(
            say_unknown(len(unknown), ", ".join(shown), len(unknown) - len(shown)),
            hint=_("mend the list, or leave them out with --ignore-unknown"),
        )
    return unknown


def say_unknown(number: int, listed: str, more: int) -> str:
    """How many ids are unknown, the first of them, and how many more."""
    if more:
        return ngettext(
            "{number:,} id unknown in this store: {ids} and {more:,} more",
            "{number:,} ids unknown in this store: {ids} and {more:,} more",
            number,
            ids=listed,
            more=more,
        )
    return ngettext(
        "{number:,} id unknown in this store: {ids}", "{number:,} ids unknown in this store: {ids}", number, ids=listed
    )


def _change(
    store: Store, choice: Choice, actor: str, name: str, change: Callable[[Connection], tuple[int, int]]
) -> SelectionReport:
    def work_on(connection: Connection) -> SelectionReport:
        given = choice.given
        added, removed = change(connection)
        return SelectionReport(
            name=name,
            size=selection_size(connection, actor, name),
            added=added,
            removed=removed,
            unknown=unknown_ids(connection, given.ids) if given.ids else (),
            duplicates=given.duplicates,
        )

    return store.write(work_on)


MOST = 20_000
_REPORT_EVERY = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Orders to tick, newest first, and the ids that are ticked from the start."""

    orders: tuple[Order, ...]
    ticked: Collection[str]


def read_candidates(store: Store, choice: Choice, *, actor: str, name: str | None, progress: Progress) -> Candidates:
    """The orders of a choice in full, and which of them are in the selection.

    Raises UsageError if there are none, or too many to go through.
    """
    found: list[Order] = []
    with store.snapshot() as connection:
        ticked = {order.id for order in selected_orders(connection, actor, name, None)} if name else set[str]()
        for order in chosen_orders(connection, choice):
            found.append(order)
            if len(found) > MOST:
                raise UsageError(
                    _("there are more than {most:,} orders to pick from", most=MOST),
                    hint=_("narrow them with a filter, then pick"),
                )
            if not len(found) % _REPORT_EVERY:
                progress(len(found), None)
    if not found:
        raise UsageError(_("there is no order to pick from"), hint=_("search with another filter"))
    found.sort(key=lambda order: (order.ordered_at, order.id), reverse=True)
    return Candidates(orders=tuple(found), ticked=ticked)


def save_picks(store: Store, picks: Picks, *, actor: str, name: str, at: datetime) -> SelectionReport:
    """Add the newly ticked orders to the selection and remove the unticked ones, in one transaction."""

    def change(connection: Connection) -> SelectionReport:
        added = add_choice(connection, actor, name, _of(picks.added), at)
        removed = remove_choice(connection, actor, name, _of(picks.removed))
        return SelectionReport(name=name, size=selection_size(connection, actor, name), added=added, removed=removed)

    return store.write(change)


def picked(choice: Choice, picks: Picks) -> Choice:
    """The ticked orders of a choice, as a choice; ids of a file keep their lines."""
    return Choice(
        scope=IdScope(
            given=IdList(ids=picks.ticked, lines=choice.given.lines),
            words=_("picked by hand from {words}", words=choice.words),
        )
    )


def starts_ticked(choice: Choice) -> bool:
    """Whether the choice lists single orders, so that picking starts with all of them ticked."""
    return not any(isinstance(scope, FilterScope) for scope in choice.sources)


def _of(ids: tuple[str, ...]) -> Choice:
    return Choice(scope=IdScope(given=IdList(ids=ids), words="picked by hand"))
