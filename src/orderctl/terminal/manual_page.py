"""Prints pages of the documentation from their Markdown. In its own module: Rich's Markdown takes long to load."""

from rich.console import Group, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.text import Text
from rich.theme import Theme

from orderctl.terminal.console import show_paged, sized_console

_WIDEST = 100
# Colours that are readable on dark and light backgrounds.
_STYLES = {"markdown.code": "cyan", "markdown.h1": "bold", "markdown.h2": "bold", "markdown.h3": "bold"}


class _Title(Heading):
    def __rich_console__(self, *__: object) -> RenderResult:
        yield self.text


class _Code(CodeBlock):
    """A code block without the box of spaces that would be copied with it."""

    def __rich_console__(self, *__: object) -> RenderResult:
        yield Padding(Text(self.text.plain.rstrip(), style="markdown.code", overflow="fold"), (0, 0, 0, 2))


class _Page(Markdown):
    elements = {**Markdown.elements, "heading_open": _Title, "fence": _Code, "code_block": _Code}  # noqa: RUF012 - Rich's


def draw_page(page: str, *, above: str, paged: bool) -> None:
    """Print a page on the terminal, after the text `above`; in the pager if it is long."""
    console = sized_console(theme=Theme(_STYLES))
    console.width = min(console.width, _WIDEST)
    with console.capture() as captured:
        console.print(Group(Text.from_ansi(above), _Page(page)) if above else _Page(page))
    if paged:
        show_paged(captured.get(), console)
    else:
        console.file.write(captured.get())
