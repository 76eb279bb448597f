"""The settings that saved plans live under, read once (design.md, section 6, step 4)."""

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from orderctl.domain.durations import parse_duration
from orderctl.domain.errors import UsageError
from orderctl.domain.second_operator import SecondOperatorRule
from orderctl.language import say

_AMOUNT = re.compile(r"[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTerms:
    """How long a saved plan may run, and which plans need a second operator."""

    lifetime: timedelta
    rule: SecondOperatorRule


def read_terms(*, lifetime: str, always: bool, above_orders: int | None, above_amount: str) -> PlanTerms:
    """Read the settings as they are written. Raises UsageError naming the one that is wrong."""
    try:
        length = parse_duration(lifetime, bare_hours=True)
    except ValueError as error:
        raise UsageError(
            say("the setting plan_expires, {lifetime!r}, {problem}", lifetime=lifetime, problem=error),
            hint=say("36h, 90m, 3d, or hours"),
        ) from None
    rule = SecondOperatorRule(always=always, above_orders=above_orders, above_amount=_amount(above_amount))
    return PlanTerms(lifetime=length, rule=rule)


def _amount(text: str) -> Decimal | None:
    """An amount in major units; none if nothing is set."""
    if not text.strip():
        return None
    if not _AMOUNT.fullmatch(text.strip()):
        raise UsageError(
            say("the setting second_operator_above_amount, {text!r}, is no amount", text=text), hint=say("write 10000")
        )
    return Decimal(text.strip())
