"""Consoles of Rich's of a size that shows something, and what is printed on them."""

import os
import shutil
import sys
from contextlib import suppress

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.theme import Theme

from orderctl.domain.text_width import NARROWEST

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
