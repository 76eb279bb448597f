"""A progress bar that appears only on a terminal, and only if the work takes long enough."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from orderctl.core.times import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

# For work that ends sooner, a bar would only flicker.
_PATIENCE_S = 0.4


class _LazyBar:
    """Shows a bar after the patience is over. Earlier reports count too."""

    def __init__(self, label: str, console: Console) -> None:
        self._label = label
        self._console = console
        self._started = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(_PATIENCE_S, self._start)
        self._timer.daemon = True
        self._timer.start()

    def report(self, done: int, total: int | None, /) -> None:
        """Update the bar."""
        if self._bar is not None and self._task is not None:
            rate = f"{done / max(time.monotonic() - self._started, 0.001):,.0f}/s"
            self._bar.update(self._task, completed=done, total=total, rate=rate)

    def end(self) -> None:
        """Remove the bar."""
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._bar is not None:
                self._bar.stop()

    def _start(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Bar  # noqa: PLC0415 - costs start-up, and most runs show no bar

        with self._lock:
            if self._ended:
                return
            rate = TextColumn("{task.fields[rate]}")
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
            bar = Bar(*columns, console=self._console, transient=True)
            self._task = bar.add_task(self._label, total=None, rate="")
            bar.start()
            self._bar = bar


@contextmanager
def lazy_bar(label: str, console: Console) -> Iterator[Progress]:
    """A bar on the console for the time of a block. Call it with the units done and the total, if known."""
    bar = _LazyBar(label, console)
    try:
        yield bar.report
    finally:
        bar.end()
