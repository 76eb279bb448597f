"""`--pick`: the orders of a choice, ticked by hand in a full-screen list."""

from collections.abc import Callable
from functools import partial

from orderctl.cli.context import Context
from orderctl.cli.sources import parse_filter
from orderctl.database.store import Store
from orderctl.errors import DeclinedError, UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.language import N_, _
from orderctl.selection.picking import PickList, Picks
from orderctl.selection.selection import Choice
from orderctl.selection.service import picked, read_candidates, starts_ticked
from orderctl.terminal.prompts import can_ask, open_terminal


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
    """What the operator ticks of a choice. One that lists its orders starts with all of them ticked."""
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
