"""Write-backs as values: one row for each rejected order that lives in a system (design.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orderctl.delivery import outbox as delivery
from orderctl.delivery.outbox import DeliveryQuery, DeliveryState, Outbox
from orderctl.systems import systems
from orderctl.systems.systems import Cancellation

DETAILS = delivery.DETAILS | systems.DETAILS
WRITEBACKS = Outbox(
    table="writeback",
    details=DETAILS,
    conditions={"order_id": "writeback.order_id = :order_id", "system": "writeback.system = :system"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBack:
    """The cancellation of one order in its system, and how far it got. `last_error` is what the system last said."""

    id: str
    system: str
    state: DeliveryState
    attempts: int
    next_attempt_at: datetime
    created_at: datetime
    updated_at: datetime
    last_error: str
    cancellation: Cancellation

    @property
    def order_id(self) -> str:
        """The order."""
        return self.cancellation.order_id

    @property
    def batch_id(self) -> str:
        """The batch that rejected it."""
        return self.cancellation.batch_id


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBackQuery(DeliveryQuery):
    """Selects write-backs by their system too."""

    system: str | None = None
