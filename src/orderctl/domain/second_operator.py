"""When a plan needs a second pair of eyes (design.md, section 6, step 4)."""

from dataclasses import dataclass
from decimal import Decimal

from orderctl.domain.money import Money, decimals
from orderctl.domain.rejection import RejectionPlan
from orderctl.language import say, say_count


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondOperatorRule:
    """Which plans run only when somebody else approved them.

    `above_amount` is in major units of any currency, and is held against the orders above zero: credits lower nothing.
    """

    always: bool = False
    above_orders: int | None = None
    above_amount: Decimal | None = None

    def why(self, plan: RejectionPlan) -> str:
        """Why the plan needs a second operator, in words; empty if it needs none."""
        targets = plan.targets.count
        if not targets:
            return ""
        if self.always:
            return say("require_second_operator is set")
        if self.above_orders is not None and targets > self.above_orders:
            return say_count(
                "{number:,} order, more than {most:,}",
                "{number:,} orders, more than {most:,}",
                targets,
                most=self.above_orders,
            )
        for total in plan.before_credits:
            if self.above_amount is None or _major(total) <= self.above_amount:
                continue
            if total in plan.totals:
                return say("{total}, more than {most:,f}", total=total, most=self.above_amount)
            return say("{total} before credits, more than {most:,f}", total=total, most=self.above_amount)
        return ""


def _major(money: Money) -> Decimal:
    return Decimal(money.minor).scaleb(-decimals(money.currency))
