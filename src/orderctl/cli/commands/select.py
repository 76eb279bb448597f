"""`orderctl select`, and `--pick`, which lets the operator tick orders in a full-screen list."""

from dataclasses import asdict, replace
from functools import partial
from typing import Annotated

import typer

from orderctl.cli.apps import single
from orderctl.cli.context import Context
from orderctl.cli.options import (
    AllowEmpty,
    AsOrders,
    Everything,
    FilterWords,
    IdsFile,
    Minus,
    Only,
    OrderFormat,
    Pick,
    Plus,
    SavedName,
    SelectionName,
    order_format,
)
from orderctl.cli.sources import Source, choose, filter_text_of, parse_filter, read_choice, refuse_empty_selection
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.errors import DeclinedError, UsageError
from orderctl.language import N_, _, ngettext
from orderctl.selection.picking import PickList, Picks
from orderctl.selection.queries import (
    selected_orders,
    selection_items,
    selection_size,
    selection_sources,
    selections_of,
)
from orderctl.selection.selection import DEFAULT_SELECTION, Choice, SelectionReport, SelectionScope, source_in_words
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

_SHOWN = 50
_SHOWN_SOURCES = 10


@single(
    "orderctl select status:needs-oc tag:late",
    "orderctl select --pick status:needs-oc country:FR",
    "orderctl select --ids orders.txt --name friday",
    "orderctl select country:JP --remove",
    "orderctl select --name monday --plus friday --plus tag:late --minus vip",
    "orderctl select list",
    "orderctl select",
)
def select(
    context: Context,
    words: FilterWords = None,
    saved: SavedName = None,
    ids_file: IdsFile = None,
    allow_empty: AllowEmpty = False,
    everything: Everything = False,
    plus: Plus = None,
    only: Only = None,
    minus: Minus = None,
    name: SelectionName = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the orders out instead of putting them in.")] = False,
    clear: Annotated[bool, typer.Option("--clear", help="Empty the selection.")] = False,
    pick: Pick = False,
    as_: AsOrders = None,
) -> None:
    """Collect orders in a named selection; without arguments, show it. `select list` lists the selections."""
    chosen = name or DEFAULT_SELECTION
    sets = Source(plus=plus, only=only, minus=minus, allow_empty=allow_empty)
    asks = bool(words or saved or ids_file is not None or everything or sets.sets)
    _refuse_together(sets, asks=asks and words != ["list"], remove=remove, clear=clear, pick=pick, as_=as_)
    with context.open_store() as store:
        if clear:
            _report(context, clear_selection(store, actor=context.actor, name=chosen))
        elif words == ["list"]:
            list_selections(context, store, as_)
        elif not (asks or pick):
            show_selection(context, store, chosen, as_)
        else:
            # Without a source of its own, the sets are about what the selection holds.
            source = replace(sets, name=chosen)
            if words or saved or ids_file is not None or everything or not sets.sets:
                source = replace(_source(store, sets, words, saved, ids_file), everything=everything or pick)
            if pick:
                _pick(context, store, source, chosen)
            else:
                _change(context, store, source, chosen, remove=remove)


def _refuse_together(
    sets: Source, *, asks: bool, remove: bool, clear: bool, pick: bool, as_: OrderFormat | None
) -> None:
    """Raise UsageError for options of which each wants something else."""
    if clear and (asks or pick):
        raise UsageError(_("--clear empties the selection and takes no orders"), hint=_("run the two one by one"))
    if remove and sets.sets:
        raise UsageError(
            _("--remove takes orders out, and {option} makes a set to keep", option=sets.sets[0]),
            hint=_("--minus SET takes a set out of the selection"),
        )
    if as_ and (asks or clear or pick):
        raise UsageError(
            _("--format is about what a selection holds, and this call changes it"), hint=_("run the two one by one")
        )


def _source(store: Store, sets: Source, words: list[str] | None, saved: str | None, ids_file: str | None) -> Source:
    if ids_file is not None and (words or saved):
        raise UsageError(
            _("--ids and a filter are two sources of orders"),
            hint=_("--plus SET joins a second one, --only SET keeps what is in both; see orderctl help reject"),
        )
    if ids_file is not None:
        return replace(sets, ids_file=ids_file)
    return replace(sets, filter_text=filter_text_of(store, words, saved))


def _change(context: Context, store: Store, source: Source, name: str, *, remove: bool) -> None:
    choice = read_choice(context, store, source)
    refuse_empty_selection(store, choice, but=name)
    if any(isinstance(scope, SelectionScope) and scope.name == name for scope in choice.minus):
        raise UsageError(
            _("the selection {name!r} cannot be taken out of itself", name=name),
            hint=_("empty it: orderctl select --clear"),
        )
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


def list_selections(context: Context, store: Store, as_: OrderFormat | None) -> None:
    """List the operator's selections: a table on a terminal, names and numbers of orders in a pipe."""
    format_ = order_format(context, as_)
    with store.snapshot() as connection:
        found = selections_of(connection, context.actor)
    if format_ == "ids":
        context.output.lines(f"{each.name}\t{each.orders}" for each in found)
    elif format_ != "table":
        from orderctl.search.writers import write_rows

        rows = ({**asdict(each), "added_at": each.added_at.isoformat()} for each in found)
        write_rows(format_, ("name", "orders", "sources", "added_at"), rows, context.output.stream)
    elif not found:
        context.screen.tell(_("no selections; orderctl select FILTER --name NAME makes one"))
    else:
        from orderctl.terminal.amounts import timestamp
        from orderctl.terminal.layout import text_table

        titles = (N_("Selection"), N_("Orders"), N_("Sources"), N_("Added to"))
        shown = [(each.name, f"{each.orders:,}", f"{each.sources:,}", timestamp(each.added_at)) for each in found]
        context.screen.table(lambda: text_table(titles, shown))


def show_selection(context: Context, store: Store, name: str, as_: OrderFormat | None) -> None:
    """What a selection holds, and where each order came from."""
    format_ = order_format(context, as_)
    with store.snapshot() as connection:
        if format_ == "table":
            _show(context, connection, name)
        elif format_ == "ids":
            from orderctl.selection.id_file import id_line

            selected = selected_orders(connection, context.actor, name, None)
            context.output.lines(id_line(order.id) for order in selected)
        else:
            from orderctl.search.writers import write_rows

            rows = (
                {**asdict(item), "line": item.line or None, "added_at": item.added_at.isoformat()}
                for item in selection_items(connection, context.actor, name)
            )
            write_rows(format_, ("order_id", "source", "line", "added_at"), rows, context.output.stream)


def _show(context: Context, connection: Connection, name: str) -> None:
    from orderctl.search.view import order_table

    size = selection_size(connection, context.actor, name)
    context.screen.page(order_table(selected_orders(connection, context.actor, name, _SHOWN)))
    if size > _SHOWN:
        context.screen.tell(_("selection {name}: {shown:,} of {number:,} orders", name=name, shown=_SHOWN, number=size))
    else:
        context.screen.tell(
            ngettext("selection {name}: {number:,} order", "selection {name}: {number:,} orders", size, name=name)
        )
    for source, orders in selection_sources(connection, context.actor, name)[:_SHOWN_SOURCES]:
        words = ngettext(
            "{number:,} order: {source}", "{number:,} orders: {source}", orders, source=source_in_words(source)
        )
        context.screen.tell(words)
    others = [
        f"{each.name} ({each.orders:,})" for each in selections_of(connection, context.actor) if each.name != name
    ]
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
    from orderctl.orders.view import draw_order
    from orderctl.selection.picker import Picker

    picker = Picker(
        PickList(found.orders, ticked),
        purpose=_("Tick orders in {store}", store=store.label),
        done=done,
        parse=partial(parse_filter, context),
        detail=draw_order,
    )
    with open_terminal() as tty:
        picks: Picks | None = tty.run(picker.app(tty.input, tty.output))
    if picks is None:
        raise DeclinedError(_("left without saving; nothing was changed"))
    return picks


def pick_choice(context: Context, store: Store, choice: Choice) -> Choice:
    """The orders of a choice that the operator ticks. If the choice lists its orders, all of them start ticked."""
    picks = pick_orders(context, store, choice, selection=None, done=_("go on"), all_ticked=starts_ticked(choice))
    if not picks.ticked:
        raise DeclinedError(_("no order is ticked; nothing was changed"))
    return picked(choice, picks)
