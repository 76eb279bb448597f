"""Consoles of Rich's of a size that shows something, and what is printed on them."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import IO

from rich.console import Console, ConsoleDimensions, Group, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

from orderctl.core.text import NARROWEST

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
    if text.count("\n") < console.height or not page(text, console.file):
        console.file.write(text)
        console.file.flush()


def page(text: str, to: IO[str]) -> bool:
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


_WIDEST = 100
# Colours that can be read on a dark and on a light ground.
_STYLES = {"markdown.code": "cyan", "markdown.h1": "bold", "markdown.h2": "bold", "markdown.h3": "bold"}


class _Title(Heading):
    def __rich_console__(self, *__: object) -> RenderResult:
        yield self.text


class _Code(CodeBlock):
    """What is typed or stands in a file, in its own lines: not in a box of spaces that would be copied with it."""

    def __rich_console__(self, *__: object) -> RenderResult:
        yield Padding(Text(self.text.plain.rstrip(), style="markdown.code", overflow="fold"), (0, 0, 0, 2))


class _Page(Markdown):
    elements = {**Markdown.elements, "heading_open": _Title, "fence": _Code, "code_block": _Code}  # noqa: RUF012 - Rich's


def draw_page(page: str, *, above: str, paged: bool) -> None:
    """Print a page on the terminal, below what else there is to say; in the pager if it is long."""
    console = sized_console(theme=Theme(_STYLES))
    console.width = min(console.width, _WIDEST)
    with console.capture() as captured:
        console.print(Group(Text.from_ansi(above), _Page(page)) if above else _Page(page))
    if paged:
        show_paged(captured.get(), console)
    else:
        console.file.write(captured.get())
