"""Styles and texts for the terminal. A colour only repeats what the words say."""

from string import Formatter

from rich.console import Console, ConsoleOptions, JustifyMethod, OverflowMethod, RenderResult
from rich.containers import Lines
from rich.panel import Panel
from rich.text import Text

from orderctl.core.text import breaks, safe, words

HEADING = "bold"
DANGER = "bold red"
FAINT = "dim"


class Sentence(Text):
    """A text that is broken between words only. Rich breaks at no-break spaces too, as in `1 234,50`."""

    @classmethod
    def of(cls, text: Text) -> "Sentence":
        """The text as a sentence."""
        if isinstance(text, Sentence):
            return text
        made = cls()
        made.append_text(text)
        return made

    def blank_copy(self, plain: str = "") -> "Sentence":
        """An empty copy with the same style."""
        return Sentence(plain, style=self.style, justify=self.justify, overflow=self.overflow, no_wrap=self.no_wrap)

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 8,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Break it into lines; a word that is longer than a line stays whole with `ignore`."""
        if no_wrap or overflow not in {"fold", "ignore"}:
            return super().wrap(console, width, justify=justify, overflow=overflow, tab_size=tab_size, no_wrap=no_wrap)
        lines = Lines()
        for line in self.split(allow_blank=True):
            line.expand_tabs(tab_size)
            for part in line.divide(breaks(line.plain, width)):
                part.rstrip()
                fits = overflow == "ignore" or part.cell_len <= width
                lines.extend([part] if fits else part.wrap(console, width, overflow="fold"))
        if justify == "right":
            lines.justify(console, width, justify=justify)
        return lines


def filled(template: str, /, style: str = "", **values: object) -> Text:
    """A template with its values: a `Text` keeps its style, other values are made safe."""
    text = Sentence(style=style)
    for before, name, form, __ in Formatter().parse(template):
        text.append(before)
        if name is not None:
            value = values[name]
            text.append_text(value if isinstance(value, Text) else plain(format(value, form or "")))
    return text


def plain(text: str, style: str = "") -> Text:
    """Text from outside, made safe."""
    return Sentence(safe(text), style=style)


class Framed:
    """A text in a box on a terminal. Elsewhere it follows its title, after an empty line if `apart` is set."""

    def __init__(self, text: Text, title: Text | None = None, *, apart: bool = True) -> None:
        self._text = text
        self._title = title
        self._apart = apart

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if console.is_terminal and self._fits(options.max_width - 4):
            yield Panel(self._text, title=self._title, title_align="left", border_style=FAINT)
            return
        if self._apart:
            yield Text()
        if self._title is not None:
            yield self._title
        yield self._text

    def _fits(self, width: int) -> bool:
        """Whether every word fits into a line of the box."""
        return all(Text(word.rstrip()).cell_len <= width for word in words(self._text.plain))
