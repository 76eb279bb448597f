"""Workers: each has one connection and a thread, and hands over the deliveries that it is given.

A worker never uses the store. It has one delivery at a time. Just before the server could take it, the worker asks
`Job.begin`; the run answers once the store has recorded that.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Protocol, Self, TypeVar

from orderctl.core.text import safe
from orderctl.delivery.outbox import INTERRUPTED, NO_MESSAGE, DeliveryState, Item, Outcome
from orderctl.errors import OrderctlError, ServerUnavailableError, UnsendableError, UsageError
from orderctl.language import _

# After a temporary refusal a worker waits this long, doubled with each one in a row, or as long as the server says.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.25, 30.0
_LONGEST_REASON = 500
_TROUBLE = frozenset({DeliveryState.RETRY, DeliveryState.UNKNOWN})


ItemT_contra = TypeVar("ItemT_contra", contravariant=True)
MessageT_contra = TypeVar("MessageT_contra", contravariant=True)
# Called once for each delivery, just before the server could take it: whether the store recorded the start and this run
# still holds it.
Begin = Callable[[], bool]


class Sender(Protocol[ItemT_contra, MessageT_contra]):
    """One connection to a server, as a context manager that opens and closes it.

    `connect` and `send` may raise ServerUnavailableError: then nothing was handed over.
    """

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

    @property
    def connected(self) -> bool:
        """Whether the next delivery can use the connection."""

    def connect(self) -> None:
        """Connect again if needed."""

    def send(self, item: ItemT_contra, message: MessageT_contra, begin: Begin, /) -> Outcome | None:
        """Hand one over and return how that ended; None if `begin` returned false and nothing was sent."""


@dataclass(slots=True, kw_only=True)
class Job:
    """One delivery on its way through a worker: what is handed over, and what is recorded of it when it begins."""

    item: Item
    message: object
    recorded: Mapping[str, str]
    answer: SimpleQueue[bool] = field(default_factory=SimpleQueue)
    begun: bool | None = None

    def begin(self) -> bool:
        """Whether it may be handed over. The first call waits for the answer."""
        if self.begun is None:
            self.begun = self.answer.get()
        return self.begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a worker reports: a finished job, that it is free, or that it ended, perhaps with an error."""

    worker: "Worker"
    job: Job | None = None
    outcome: Outcome | None = None
    free: bool = False
    ended: bool = False
    error: BaseException | None = None


class Worker:
    """One connection and its thread. It reports to `notices`, which all workers share."""

    def __init__(self, sender: Sender[Any, Any], notices: SimpleQueue[Notice]) -> None:
        self._sender = sender
        self._notices = notices
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Event()
        self._in_a_row, self._asked_s = 0, 0.0
        self.job: Job | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def troubles(self) -> int:
        """How many in a row the server refused for now."""
        return self._in_a_row

    @property
    def alive(self) -> bool:
        """Whether its thread runs. After its end there are no more notices."""
        return self._thread.is_alive()

    def give(self, job: Job) -> None:
        """Hand this over. Only for a worker that reported that it is free."""
        self.job = job
        self._jobs.put(job)

    def close(self) -> None:
        """End the worker after what it has in hand."""
        self._closing.set()
        self._jobs.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait until the worker has left its server, at most `timeout_s` seconds."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        job = None
        try:
            with self._sender as sender:
                self._notices.put(Notice(worker=self, free=True))
                while (job := self._jobs.get()) is not None:
                    outcome = self._attempt(sender, job)
                    self._in_a_row = self._in_a_row + 1 if outcome and outcome.state in _TROUBLE else 0
                    self._asked_s = outcome.not_before_s if outcome else 0.0
                    free = sender.connected and not self._in_a_row
                    self._notices.put(Notice(worker=self, job=job, outcome=outcome, free=free))
                    job = None
                    if not free:
                        self._recover(sender)
                        self._notices.put(Notice(worker=self, free=True))
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - reported to the run
            self._notices.put(Notice(worker=self, job=job, ended=True, error=error))
        else:
            self._notices.put(Notice(worker=self, ended=True))

    def _attempt(self, sender: Sender[Any, Any], job: Job) -> Outcome | None:
        """Hand one over. An unexpected error says nothing about those after it."""
        try:
            return sender.send(job.item, job.message, job.begin)
        except ServerUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - settles this one
            if job.begun:
                return Outcome(state=DeliveryState.UNKNOWN, detail=INTERRUPTED)
            return unsendable(error)

    def _recover(self, sender: Sender[Any, Any]) -> None:
        """Wait after trouble, then connect again if needed."""
        if self._in_a_row:
            pause_s = max(_FIRST_PAUSE_S * 2 ** (self._in_a_row - 1), self._asked_s)
            self._closing.wait(min(pause_s, _LONGEST_PAUSE_S))
        if not self._closing.is_set():
            sender.connect()


def unsendable(error: Exception) -> Outcome:
    """The outcome of a delivery that did not get to a server.

    A lack of files or memory is not its fault, so it is tried again.
    """
    known = error if isinstance(error, OrderctlError) else None
    why = known or UnsendableError(_(NO_MESSAGE, why=safe(f"{type(error).__name__}: {error}")[:_LONGEST_REASON]))
    lacking = isinstance(error, OSError | MemoryError)
    return Outcome(state=DeliveryState.RETRY if lacking else DeliveryState.REFUSED, detail=why.message)


_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])", re.ASCII)


@dataclass(slots=True)
class Pace:
    """The time between two deliveries; without an interval they are sent at once."""

    interval_s: float = 0.0
    _next_s: float = 0.0

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Pace":
        """Read a rate such as `30/m`: per second, minute or hour; empty is no limit. Raises UsageError."""
        if not text:
            return cls()
        found = _RATE.fullmatch(text)
        if found is None:
            raise UsageError(
                _("{where}: {text!r} is not a rate", where=where, text=text), hint=_("write 5/s, 30/m or 1000/h")
            )
        return cls(_SECONDS[found[2]] / int(found[1]))

    def wait_s(self) -> float:
        """Seconds until the next one may be sent; 0 for now."""
        return max(0.0, self._next_s - time.monotonic()) if self.interval_s else 0.0

    def count(self) -> None:
        """Count one that is sent now."""
        self._next_s = time.monotonic() + self.interval_s
