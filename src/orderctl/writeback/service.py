"""Write-backs as deliveries: how each reaches its system (design.md, section 7)."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic

from orderctl.core.ids import new_id
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection, Fragment
from orderctl.database.store import Store
from orderctl.delivery.outbox import DeliveryAction, DeliveryState, Logged, Outbox
from orderctl.delivery.queries import change
from orderctl.delivery.workers import Job
from orderctl.errors import ServerUnavailableError, StoreUnavailableError
from orderctl.language import N_, _
from orderctl.systems.systems import ASKED_CANCELLED, ASKED_OPEN, Found, Readable, System, SystemSettings
from orderctl.writeback.outbox import WRITEBACKS, WriteBack, WriteBackQuery
from orderctl.writeback.queries import claimed_writebacks, list_writebacks

_ASKED_AT_ONCE, _ASKED_EVERY_S = 100, 600.0

_CANCELLED = DeliveryAction(
    name=N_("asked: cancelled"),
    allowed=(DeliveryState.UNKNOWN,),
    unasked=(DeliveryState.UNKNOWN,),
    to=DeliveryState.SENT,
    detail=ASKED_CANCELLED,
)
_STILL_OPEN = DeliveryAction(
    name=N_("asked: open"),
    allowed=(DeliveryState.UNKNOWN,),
    unasked=(DeliveryState.UNKNOWN,),
    to=DeliveryState.WAITING,
    detail=ASKED_OPEN,
)
_FOUND = {Found.CANCELLED: _CANCELLED, Found.OPEN: _STILL_OPEN}


@dataclass(slots=True, kw_only=True)
class WritebackKind:
    """The write-backs of one system as a kind of deliveries."""

    system: SystemSettings
    actor: str
    clock: Clock
    outbox: Outbox = field(init=False)
    _asked: dict[str, float] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        only = Fragment(" AND system = :system", {"system": self.system.name})
        self.outbox = replace(WRITEBACKS, only=only)

    def ready(self) -> None:
        """Raise UsageError if its settings cannot be used."""
        self.system.connect()

    def before(self, store: Store) -> None:
        """Ask the system about write-backs of unknown fate, about each at most every ten minutes."""
        # The round finds out itself what is away; and a role with the grants of before may not settle.
        with suppress(ServerUnavailableError, StoreUnavailableError):
            self._ask_about_unknown(store)

    def wake(self, connection: Connection, now: datetime) -> None:
        """Nothing waits for something else."""

    @staticmethod
    def read(connection: Connection, ids: Sequence[str]) -> tuple[WriteBack, ...]:
        """The write-backs of these ids, longest due first."""
        return claimed_writebacks(connection, ids)

    @staticmethod
    def facts(_connection: Connection, _items: Sequence[WriteBack]) -> Mapping[str, None]:
        """They carry all that a system is told."""
        return {}

    @staticmethod
    def prepare(item: WriteBack, _facts: None, _now: datetime) -> Job:
        """The cancellation as it is handed over."""
        return Job(item=item, message=item.cancellation, recorded={})

    def sender(self) -> System:
        """A new connection, not opened yet. Raises UsageError."""
        return self.system.connect()

    def _ask_about_unknown(self, store: Store) -> None:
        """Settle what the system says of them: what is cancelled there is sent, what is open there is due again.

        What was shipped there, or is not there, stays unknown: an operator decides. Raises ServerUnavailableError.
        """
        query = WriteBackQuery(states=(DeliveryState.UNKNOWN,), system=self.system.name, limit=_ASKED_AT_ONCE)
        now = monotonic()
        with store.snapshot() as connection:
            unknown = [
                each
                for each in list_writebacks(connection, query)
                if now - self._asked.get(each.id, -_ASKED_EVERY_S) >= _ASKED_EVERY_S
            ]
        if not unknown:
            return
        with self.system.connect() as connected:
            if not isinstance(connected, Readable):
                return
            answers = connected.look([each.cancellation.key for each in unknown])
        self._asked |= {each.id: now for each in unknown}
        for found, action in _FOUND.items():
            self._settle(
                store, action, {each.id: each.state for each in unknown if answers.get(each.cancellation.key) is found}
            )

    def _settle(self, store: Store, action: DeliveryAction, states: Mapping[str, DeliveryState]) -> None:
        if not states:
            return
        event_id, said = new_id(), replace(action, detail=_(action.detail, system=self.system.name))
        store.write(
            lambda connection: change(
                connection,
                WRITEBACKS,
                said,
                states,
                Logged(event_id=event_id, actor=self.actor, reason="", at=self.clock.of(connection)),
            )
        )
