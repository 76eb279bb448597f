"""Whether an order can be rejected, in bulk and on its own, since when, and what to do instead, for people."""

from rich.text import Text

from orderctl.domain.eligibility import Mode, Rule
from orderctl.domain.explanation import Explanation
from orderctl.domain.orders import Order
from orderctl.language import later, say
from orderctl.terminal.layout import Facts
from orderctl.terminal.moments import full_moment
from orderctl.terminal.styles import plain

_WAYS = {Mode.BULK: later("In bulk"), Mode.INDIVIDUAL: later("On its own")}


def explanation_table(order: Order, explanation: Explanation) -> Facts:
    """A line for each way of rejecting the order, and what follows from it."""
    facts = Facts()
    for mode, way in _WAYS.items():
        facts.add(say(way), _verdict(explanation.grounds[mode]))
    if explanation.since and any(explanation.grounds.values()):
        facts.add(say("Since"), _since(order, explanation))
    for advice in explanation.advice(order.id):
        facts.add(say("Instead"), plain(advice))
    return facts


def _verdict(grounds: tuple[Rule, ...]) -> Text:
    if not grounds:
        return Text(say("can be rejected"), style="green")
    return plain(
        say("cannot be rejected: {reasons}", reasons="; ".join(say(rule.reason) for rule in grounds)), "yellow"
    )


def _since(order: Order, explanation: Explanation) -> Text:
    """When it came into its status, by whom, with which batch."""
    parts = [full_moment(explanation.since, seconds=True)] if explanation.since else []
    if explanation.event:
        parts.append(say("{event} by {actor}", event=explanation.event.kind, actor=explanation.event.actor))
    if order.batch_id:
        parts.append(say("batch {id}", id=order.batch_id))
    return plain(", ".join(parts))
