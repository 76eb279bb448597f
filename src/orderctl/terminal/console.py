"""What people see: results on standard output, talk on standard error; data only as `safe` text."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.text import Text
from rich.theme import Theme

from orderctl.core.text import NARROWEST, safe
from orderctl.core.times import Progress
from orderctl.language import _, in_english
from orderctl.terminal.amounts import in_utc

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from orderctl.terminal.layout import RuledTable
    from orderctl.terminal.run_log import RunLog

NO_WIDTH = 10_000


def sized_console(*, stderr: bool = False, theme: Theme | None = None) -> Console:
    """A console on one of the two standard streams."""
    # A pipe stays a pipe: what makes Rich believe otherwise, such as FORCE_COLOR, would draw and page in it.
    forced = None if (sys.stderr if stderr else sys.stdout).isatty() else False
    # Rich takes COLUMNS and LINES as they come unless it is given a size: 0 hides everything, "\u00b2" raises.
    width, height = terminal_size()
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        emoji=False,
        width=width,
        height=height,
        force_terminal=forced,
        theme=theme,
    )


def terminal_size() -> ConsoleDimensions:
    """The columns and lines to draw for. A size that shows nothing is none, whether it is set or the terminal's."""
    columns, lines = shutil.get_terminal_size(fallback=_asked())
    return ConsoleDimensions(min(max(columns, NARROWEST), NO_WIDTH), lines)


def draw(console: Console, what: RenderableType) -> None:
    """Print it. A sentence, and a word that is longer than a line, are the terminal's to break: they can be copied."""
    console.print(what, overflow="ignore", crop=False, soft_wrap=isinstance(what, str))


def drawn(console: Console, what: RenderableType) -> str:
    """What `draw` would print."""
    with console.capture() as captured:
        draw(console, what)
    return captured.get()


def _asked() -> tuple[int, int]:
    """The size of the first terminal among the standard streams; shutil asks standard output alone."""
    for descriptor in (2, 0):
        with suppress(OSError):
            columns, lines = os.get_terminal_size(descriptor)
            return columns or 80, lines or 25
    return 80, 25


_DEFAULT = "less -FIRX"


def show_paged(text: str, console: Console) -> None:
    """Show what was drawn for the terminal: in the pager if it does not fit."""
    if text.count("\n") < console.height or not in_pager(text, console.file):
        console.file.write(text)
        console.file.flush()


def in_pager(text: str, to: IO[str]) -> bool:
    """Show the text in the pager that `PAGER` names, or less; False if there is none, or none is wanted.

    `to` is the terminal: what else goes to standard output may be redirected.
    """
    command = shlex.split(os.environ.get("PAGER", _DEFAULT))
    if not command or command[0] == "cat":
        return False
    # Ctrl-C belongs to the pager while it runs.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        subprocess.run(command, input=text.encode("utf-8", "surrogateescape"), stdout=to, check=False)  # noqa: S603 - the user's own
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True


class Screen:
    """Where things are printed. `quiet` leaves out everything but results and errors."""

    def __init__(self, *, run_log: "RunLog", quiet: bool = False, paged: bool = True) -> None:
        self.quiet = quiet
        self._paged = paged
        self._run_log = run_log

    @property
    def _results(self) -> Console:
        # Nothing is cut or broken for a pipe: it has no width.
        if self._out.is_terminal:
            self._out.size = terminal_size()
        else:
            self._out.width = NO_WIDTH
        return self._out

    @property
    def _talk(self) -> Console:
        self._err.size = terminal_size()
        return self._err

    @cached_property
    def _out(self) -> Console:
        return sized_console()

    @cached_property
    def _err(self) -> Console:
        return sized_console(stderr=True)

    def show(self, *what: RenderableType) -> None:
        """Print a result; in a pipe without the spaces that fill lines up."""
        for each in what:
            if self._results.is_terminal:
                draw(self._results, each)
            else:
                sys.stdout.writelines(f"{line.rstrip()}\n" for line in drawn(self._results, each).splitlines())

    def table(self, made: "Callable[[], RuledTable]") -> None:
        """Print what `made` gives: on a terminal in the pager if it is long, in a pipe as tabbed rows in English."""
        if self._results.is_terminal:
            self.page(made())
            return
        with in_english(), in_utc():
            rows = made().rows
        sys.stdout.writelines(f"{line}\n" for line in map("\t".join, rows))
        sys.stdout.flush()

    def page(self, what: RenderableType) -> None:
        """Print what may be long: on a terminal that it does not fit, in the pager."""
        if self._results.is_terminal and self._paged:
            show_paged(drawn(self._results, what), self._results)
        else:
            self.show(what)

    def tell(self, *what: RenderableType) -> None:
        """Say something about the run, unless it is to be quiet."""
        if not self.quiet:
            self.insist(*what)

    def insist(self, *what: RenderableType, long: bool = False) -> None:
        """Say something that is never left out, in the pager if it may be `long`: a warning, or what is asked about."""
        for each in what:
            if long and self._talk.is_terminal and self._paged:
                show_paged(drawn(self._talk, each), self._talk)
            else:
                draw(self._talk, each)

    def warn(self, *messages: str) -> None:
        """Say what went less than well."""
        self.insist(*(Text.assemble((_("warning: "), "yellow"), safe(message)) for message in messages))

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Show how far a long step is, where somebody looks; note it, by its English name, when it is done."""
        with self._run_log.timing(label) as note, self._bar(label) as draw:

            def report(done: int, total: int | None, /) -> None:
                note(done, total)
                draw(done, total)

            yield report

    @contextmanager
    def _bar(self, label: str) -> Iterator[Progress]:
        """A bar that is shown after the patience is over. Call it with the units done and the total, if known."""
        if self.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
            yield lambda _done, _total: None
            return
        bar = _LazyBar(_(label), self._talk)
        try:
            yield bar.report
        finally:
            bar.end()


# For work that ends sooner, a bar would only flicker.
_PATIENCE_S = 0.4


class _LazyBar:
    """Shows a bar after the patience is over."""

    def __init__(self, label: str, console: Console) -> None:
        self._label = label
        self._console = console
        self._started = time.monotonic()
        self._bar: Bar | None = None
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(_PATIENCE_S, self._start)
        self._timer.daemon = True
        self._timer.start()

    def report(self, done: int, total: int | None, /) -> None:
        """Update the bar."""
        if self._bar is not None:
            rate = f"{done / max(time.monotonic() - self._started, 0.001):,.0f}/s"
            self._bar.update(self._bar.task_ids[0], completed=done, total=total, rate=rate)

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
            bar.add_task(self._label, total=None, rate="")
            bar.start()
            self._bar = bar
