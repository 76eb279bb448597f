"""Why an order can or cannot be rejected, in full: every ground in either way, since when, and what to do instead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orderctl.domain.eligibility import Mode, Rule, rules_for
from orderctl.domain.orders import Order, OrderEvent
from orderctl.language import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The grounds against rejecting an order, for each way of doing it; without grounds it can be rejected.

    `since` is when the order came into its status, by `event` where the log has it; None where nothing says so.
    """

    grounds: dict[Mode, tuple[Rule, ...]]
    since: datetime | None
    event: OrderEvent | None

    def advice(self, order_id: str) -> tuple[str, ...]:
        """What can be done instead, each once."""
        rules = [rule for mode in Mode for rule in self.grounds[mode]]
        return tuple(dict.fromkeys(say(rule.advice, id=order_id) for rule in rules if rule in self._decisive))

    @property
    def _decisive(self) -> tuple[Rule, ...]:
        """Grounds that hold either way decide alone: what helps against the others would not help."""
        return self.grounds[Mode.INDIVIDUAL] or self.grounds[Mode.BULK]


def explain(order: Order, events: Sequence[OrderEvent]) -> Explanation:
    """Explain an order by the rules and its log."""
    event = next((each for each in reversed(events) if each.to_status == order.status), None)
    return Explanation(
        grounds={mode: tuple(rule for rule in rules_for(mode) if rule.applies_to(order)) for mode in Mode},
        since=event.at if event else order.rejected_at,
        event=event,
    )
