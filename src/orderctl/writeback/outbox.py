"""Write-backs as values: one row for each rejected order that lives in a system (design.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orderctl.delivery import outbox as delivery
from orderctl.delivery.outbox import DeliveryState, Outbox
from orderctl.systems import systems
from orderctl.systems.systems import Cancellation

DETAILS = delivery.DETAILS | systems.DETAILS
WRITEBACKS = Outbox(table="writeback", details=DETAILS)


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
class WriteBackQuery:
    """Selects write-backs by id, state, batch, order and system."""

    ids: tuple[str, ...] = ()
    states: tuple[DeliveryState, ...] = ()
    batch_id: str | None = None
    order_id: str | None = None
    system: str | None = None
    limit: int | None = None
