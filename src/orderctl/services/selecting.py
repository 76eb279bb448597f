"""Named selections: what comes in, what goes out, what is in (design.md, section 2)."""

from collections.abc import Callable
from datetime import datetime

from orderctl.domain.errors import UsageError
from orderctl.domain.filters import OrderFilter
from orderctl.domain.selection import Choice, IdScope, SelectionReport
from orderctl.language import english, say, say_count
from orderctl.ports import Store, UnitOfWork

_SHOWN_IDS = 10


def add_to_selection(store: Store, choice: Choice, *, actor: str, name: str, at: datetime) -> SelectionReport:
    """Add the orders of a choice to a selection. Unknown ids are reported, not added."""
    return _change(
        store,
        choice,
        actor,
        name,
        lambda work: (work.selections.add(actor, name, choice, english(choice.words), at), 0),
    )


def remove_from_selection(store: Store, choice: Choice, *, actor: str, name: str) -> SelectionReport:
    """Take the orders of a choice out of a selection."""
    return _change(store, choice, actor, name, lambda work: (0, work.selections.remove(actor, name, choice)))


def clear_selection(store: Store, *, actor: str, name: str) -> SelectionReport:
    """Empty a selection."""
    return store.write(lambda work: SelectionReport(name=name, size=0, removed=work.selections.clear(actor, name)))


def refuse_everything(wanted: OrderFilter, *, everything: bool) -> None:
    """An empty filter means every order, so it wants `--all` spelled out (design.md, section 3)."""
    if wanted.is_empty and not everything:
        raise UsageError(
            say("an empty filter would take every order"), hint=say("say which orders, or spell out --all")
        )


def refuse_unknown(work: UnitOfWork, choice: Choice, *, ignore: bool) -> tuple[str, ...]:
    """The ids of the choice that the store has no order of. Raises UsageError if there are, unless they are ignored."""
    unknown = work.selections.unknown(choice.scope.given.ids) if isinstance(choice.scope, IdScope) else ()
    if unknown and not ignore:
        shown = unknown[:_SHOWN_IDS]
        raise UsageError(
            say_unknown(len(unknown), ", ".join(shown), len(unknown) - len(shown)),
            hint=say("mend the list, or leave them out with --ignore-unknown"),
        )
    return unknown


def say_unknown(number: int, listed: str, more: int) -> str:
    """So many ids are unknown: the first of them, and how many more."""
    if more:
        return say_count(
            "{number:,} id unknown in this store: {ids} and {more:,} more",
            "{number:,} ids unknown in this store: {ids} and {more:,} more",
            number,
            ids=listed,
            more=more,
        )
    return say_count(
        "{number:,} id unknown in this store: {ids}", "{number:,} ids unknown in this store: {ids}", number, ids=listed
    )


def _change(
    store: Store, choice: Choice, actor: str, name: str, change: Callable[[UnitOfWork], tuple[int, int]]
) -> SelectionReport:
    def work_on(work: UnitOfWork) -> SelectionReport:
        given = choice.scope.given if isinstance(choice.scope, IdScope) else None
        added, removed = change(work)
        return SelectionReport(
            name=name,
            size=work.selections.size(actor, name),
            added=added,
            removed=removed,
            unknown=work.selections.unknown(given.ids) if given else (),
            duplicates=given.duplicates if given else 0,
        )

    return store.write(work_on)
