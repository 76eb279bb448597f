"""`orderctl select`, and `--pick`, which lets the operator tick orders in a full-screen list."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated

import typer

from orderctl.cli.apps import App
from orderctl.cli.context import Context
from orderctl.cli.options import (
    AllowEmpty,
    Everything,
    FilterWords,
    IdsFile,
    Pick,
    SavedName,
    SelectionName,
    context_of,
)
from orderctl.cli.sources import Source, choose, filter_text_of, parse_filter
from orderctl.database.store import Store
from orderctl.errors import DeclinedError, UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.language import N_, _, ngettext
from orderctl.selection.picking import PickList, Picks
from orderctl.selection.queries import selected_orders, selection_names, selection_size
from orderctl.selection.selection import DEFAULT_SELECTION, Choice, SelectionReport
from orderctl.selection.service import (
    add_to_selection,
    clear_selection,
    picked,
    read_candidates,
    remove_from_selection,
    save_picks,
    starts_ticked,
)
from orderctl.terminal.prompts import can_ask, open_terminal

app = App()
_SHOWN = 50


@app.command(
    epilog="Examples:\n\norderctl select status:needs-oc tag:late\n\n"
    "orderctl select --pick status:needs-oc country:FR\n\n"
    "orderctl select --ids orders.txt --name friday\n\norderctl select country:JP --remove\n\norderctl select"
)
def select(
    ctx: typer.Context,
    words: FilterWords = None,
    saved: SavedName = None,
    ids_file: IdsFile = None,
    allow_empty: AllowEmpty = False,
    everything: Everything = False,
    name: SelectionName = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the orders out instead of putting them in.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Empty the selection.")] = False,
    pick: Pick = False,
) -> None:
    """Collect orders in a named selection; without arguments, show it."""
    context = context_of(ctx)
    chosen = name or DEFAULT_SELECTION
    asks = bool(words or saved or ids_file is not None or everything)
    with context.open_store() as store:
        if clear:
            if asks or pick:
                raise UsageError(
                    _("--clear empties the selection and takes no orders"), hint=_("run the two one by one")
                )
            _report(context, clear_selection(store, actor=context.actor, name=chosen))
        elif not (asks or pick):
            _show(context, store, chosen)
        else:
            source = _source(store, words, saved, ids_file)
            source = replace(source, everything=everything or pick, allow_empty=allow_empty)
            if pick:
                _pick(context, store, source, chosen)
            else:
                _change(context, store, source, chosen, remove=remove)


def _source(store: Store, words: list[str] | None, saved: str | None, ids_file: str | None) -> Source:
    if ids_file is not None and (words or saved):
        raise UsageError(_("--ids and a filter are two sources of orders"), hint=_("give one of them"))
    if ids_file is not None:
        return Source(ids_file=ids_file)
    return Source(filter_text=filter_text_of(store, words, saved))


def _change(context: Context, store: Store, source: Source, name: str, *, remove: bool) -> None:
    choice = choose(context, store, source)
    if remove:
        _report(context, remove_from_selection(store, choice, actor=context.actor, name=name))
        return
    report = add_to_selection(store, choice, actor=context.actor, name=name, at=context.clock.now())
    _report(context, report)
    if report.unknown:
        raise UsageError(
            ngettext(
                "{number:,} id unknown in this store: {ids}",
                "{number:,} ids unknown in this store: {ids}",
                len(report.unknown),
                ids=", ".join(report.unknown[:10]),
            ),
            hint=_("the others were selected"),
        )


def _pick(context: Context, store: Store, source: Source, name: str) -> None:
    picks = pick_orders(
        context, store, choose(context, store, source), selection=name, done=_("save in {name}", name=name)
    )
    report = save_picks(store, picks, actor=context.actor, name=name, at=context.clock.now())
    _report(context, report)


def _report(context: Context, report: SelectionReport) -> None:
    parts = []
    if report.added:
        parts.append(_("{number:,} added", number=report.added))
    if report.removed:
        parts.append(_("{number:,} removed", number=report.removed))
    if report.duplicates:
        parts.append(_("{number:,} given twice", number=report.duplicates))
    told = ngettext(
        "{changes}; selection {name}: {number:,} order",
        "{changes}; selection {name}: {number:,} orders",
        report.size,
        changes=", ".join(parts) or _("nothing changed"),
        name=report.name,
    )
    context.screen.tell(told)


def _show(context: Context, store: Store, name: str) -> None:
    with store.snapshot() as connection:
        size = selection_size(connection, context.actor, name)
        if not context.output.is_terminal:
            from orderctl.selection.id_file import id_line

            selected = selected_orders(connection, context.actor, name, None)
            context.output.lines(id_line(order.id) for order in selected)
            return
        from orderctl.search.view import order_table

        context.screen.page(order_table(selected_orders(connection, context.actor, name, _SHOWN)))
        others = [
            f"{other} ({number:,})" for other, number in selection_names(connection, context.actor) if other != name
        ]
    if size > _SHOWN:
        context.screen.tell(_("selection {name}: {shown:,} of {number:,} orders", name=name, shown=_SHOWN, number=size))
    else:
        context.screen.tell(
            ngettext("selection {name}: {number:,} order", "selection {name}: {number:,} orders", size, name=name)
        )
    if others:
        context.screen.tell(_("other selections: {names}", names=", ".join(others)))


def pick_orders(
    context: Context, store: Store, choice: Choice, *, selection: str | None, done: str, all_ticked: bool = False
) -> Picks:
    """Let the operator tick orders of the choice; those that the selection holds are ticked from the start.

    Raises UsageError without a terminal, DeclinedError if the operator leaves, KeyboardInterrupt for Ctrl-C.
    """
    if not can_ask():
        raise UsageError(
            _("there is no terminal to tick orders on, and nothing was changed"), hint=_("leave out --pick")
        )
    with context.screen.progress(N_("Reading")) as progress:
        found = read_candidates(store, choice, actor=context.actor, name=selection, progress=progress)
    ticked = {order.id for order in found.orders} if all_ticked else found.ticked
    picks = pick(
        PickList(found.orders, ticked),
        purpose=_("Tick orders in {store}", store=store.label),
        done=done,
        parse=partial(parse_filter, context),
    )
    if picks is None:
        raise DeclinedError(_("left without saving; nothing was changed"))
    return picks


def pick_choice(context: Context, store: Store, choice: Choice) -> Choice:
    """The orders of a choice that the operator ticks. If the choice lists its orders, all of them start ticked."""
    picks = pick_orders(context, store, choice, selection=None, done=_("go on"), all_ticked=starts_ticked(choice))
    if not picks.ticked:
        raise DeclinedError(_("no order is ticked; nothing was changed"))
    return picked(choice, picks)


def pick(picks: PickList, *, purpose: str, done: str, parse: Callable[[str], OrderFilter]) -> Picks | None:
    """Let the operator tick orders in a full-screen list; None if they left it."""
    from orderctl.orders.view import draw_order
    from orderctl.selection.picker import Picker

    with open_terminal() as tty:
        picker = Picker(picks, purpose=purpose, done=done, parse=parse, detail=draw_order)
        picked: Picks | None = tty.run(picker.app(tty.input, tty.output))
        return picked
