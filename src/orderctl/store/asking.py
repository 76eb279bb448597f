"""A question asked in a thread of its own, on a second connection, while the first one goes on."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from orderctl.store.sql import Row


class Asked:
    """A question under way; `ask` calls what it is given as soon as its connection has the snapshot.

    Until then the first connection may answer instead: a pool may have no second one to give.
    """

    def __init__(self, ask: Callable[[Callable[[], None]], list[Row]], instead: Callable[[], list[Row]]) -> None:
        self._begun = Event()
        self._instead = instead
        thread = ThreadPoolExecutor(1)
        self._answer = thread.submit(ask, self._begun.set)
        thread.shutdown(wait=False)

    def rows(self, refusals: type[Exception]) -> list[Row]:
        """The answer, waited for; `refusals` is what the second connection may raise."""
        if not (self._begun.is_set() or self._answer.done()):
            return self._instead()
        try:
            return self._answer.result()
        except refusals:
            return self._instead()
