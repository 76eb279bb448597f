"""When an order may not be rejected: the one table of the program and of the guards (design.md, section 3).

`orders/eligibility.py` reads it with the words for people, `database/guards` turns it into triggers.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """One ground not to reject an order: a status, a count above zero, or a mark that is set.

    `singly`: the ground forbids a rejection in bulk, and not one of the order alone.
    """

    code: str
    status: str | None = None
    counted: Literal["delivery_notes", "invoices", "backlog_skus"] | None = None
    marked: Literal["gone_at"] | None = None
    singly: bool = False

    def sql(self, row: str = "") -> str:
        """A condition over a row of `orders`; `row` is its name and a point."""
        if self.status is not None:
            return f"{row}status = '{self.status}'"
        return f"{row}{self.marked} IS NOT NULL" if self.marked is not None else f"{row}{self.counted} > 0"


# The first one that applies is the reason that is shown, so the final ones come first.
GROUNDS = (
    Ground(code="already-rejected", status="rejected"),
    Ground(code="returned-to-cart", status="returned-to-cart"),
    Ground(code="gone", marked="gone_at"),
    Ground(code="invoiced", counted="invoices"),
    Ground(code="delivered", counted="delivery_notes"),
    Ground(code="backlog", counted="backlog_skus"),
    Ground(code="oc-approved", status="oc-approved", singly=True),
    Ground(code="oc-declined", status="oc-declined", singly=True),
    Ground(code="oc-confirmed", status="oc-confirmed", singly=True),
)
