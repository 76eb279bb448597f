"""Seals a batch while the database is at work: encoding and hashing a million events takes seconds."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from orderctl.domain.log import AlikeLines, Batch, Seal, Sealing
from orderctl.domain.orders import OrderEvent
from orderctl.store.sql import Row


class SealingThread:
    """A seal in the making, in a thread of its own; `event` makes an event of a row that was written."""

    def __init__(self, event: Callable[..., OrderEvent]) -> None:
        self._lines = AlikeLines(event)
        self._sealing = Sealing()
        self._thread = ThreadPoolExecutor(1)
        self._block: Future[None] | None = None

    def add(self, events: list[Row]) -> None:
        """Take the events that follow; waits for those before, so that two blocks at most are in memory."""
        self._wait()
        self._block = self._thread.submit(self._add, events)

    def seal(self, batch: Batch) -> Seal:
        """The seal of the batch whose events these are."""
        self._wait()
        return self._sealing.seal(batch)

    def __enter__(self) -> Self:
        """The thread ends with the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _add(self, events: list[Row]) -> None:
        self._sealing.add(self._lines.of(events))

    def _wait(self) -> None:
        if self._block is not None:
            self._block.result()
