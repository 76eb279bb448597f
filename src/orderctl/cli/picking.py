"""`--pick`: the orders of a choice, ticked by hand in a full-screen list."""

from orderctl.bootstrap.program import Program
from orderctl.domain.errors import DeclinedError, UsageError
from orderctl.domain.picking import PickList, Picks
from orderctl.domain.selection import Choice
from orderctl.language import later, say
from orderctl.ports import Store
from orderctl.services.picking import picked, read_candidates, starts_ticked


def pick_orders(
    program: Program, store: Store, choice: Choice, *, selection: str | None, done: str, all_ticked: bool = False
) -> Picks:
    """Let the operator tick orders of the choice; those that the selection holds are ticked from the start.

    Raises UsageError without a terminal, DeclinedError if the operator leaves, KeyboardInterrupt for Ctrl-C.
    """
    if not program.prompts.can_ask():
        raise UsageError(
            say("there is no terminal to tick orders on, and nothing was changed"), hint=say("leave out --pick")
        )
    with program.screen.progress(later("Reading")) as progress:
        found = read_candidates(store, choice, actor=program.actor, name=selection, progress=progress)
    ticked = {order.id for order in found.orders} if all_ticked else found.ticked
    picks = program.prompts.pick(
        PickList(found.orders, ticked),
        purpose=say("Tick orders in {store}", store=store.label),
        done=done,
        parse=program.parse_filter,
    )
    if picks is None:
        raise DeclinedError(say("left without saving; nothing was changed"))
    return picks


def pick_choice(program: Program, store: Store, choice: Choice) -> Choice:
    """What the operator ticks of a choice. One that lists its orders starts with all of them ticked."""
    picks = pick_orders(program, store, choice, selection=None, done=say("go on"), all_ticked=starts_ticked(choice))
    if not picks.ticked:
        raise DeclinedError(say("no order is ticked; nothing was changed"))
    return picked(choice, picks)
