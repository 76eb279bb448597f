"""Colours, each of which says again what the words beside it say; and lines, which are drawn on terminals only."""

from string import Formatter

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orderctl.domain.orders import Status
from orderctl.domain.outbox import Letter, MailState
from orderctl.domain.text import safe

STATUS_STYLES = {
    Status.NEEDS_OC: "yellow",
    Status.OC_CREATED: "cyan",
    Status.OC_APPROVED: "green",
    Status.OC_DECLINED: "magenta",
    Status.OC_CONFIRMED: "green",
    Status.RETURNED_TO_CART: "dim",
    Status.REJECTED: "red",
}
MAIL_STYLES = {
    MailState.SENT: "green",
    MailState.REFUSED: "red",
    MailState.UNKNOWN: "bold red",
    MailState.RETRY: "yellow",
    MailState.CANCELLED: "dim",
}
HEADING = "bold"
DANGER = "bold red"
FAINT = "dim"


def status_text(status: Status) -> Text:
    """A status in its colour."""
    return Text(status.value, style=STATUS_STYLES[status])


def state_text(state: MailState) -> Text:
    """A mail's state in its colour."""
    return Text(state.value, style=MAIL_STYLES.get(state, ""))


def letter_text(letter: Letter) -> Text:
    """What a buyer reads, line by line."""
    lines = [plain(letter.subject, HEADING), Text(), *map(plain, letter.text.strip().splitlines())]
    return Text("\n").join(lines)


def filled(template: str, /, style: str = "", **values: object) -> Text:
    """A template of `say` with its values: a `Text` keeps its own style in the sentence, all else is made safe."""
    text = Text(style=style)
    for before, name, form, _ in Formatter().parse(template):
        text.append(before)
        if name is not None:
            value = values[name]
            text.append_text(value if isinstance(value, Text) else plain(format(value, form or "")))
    return text


def plain(text: str, style: str = "") -> Text:
    """Data from outside as text that obeys nothing."""
    return Text(safe(text), style=style)


class RuledTable(Table):
    """A table with a line below its titles on a terminal, and with none elsewhere."""

    def __init__(self, *, expand: bool = False) -> None:
        super().__init__(
            box=box.SIMPLE_HEAD,
            header_style=HEADING,
            padding=(0, 1, 0, 0),
            pad_edge=False,
            show_edge=False,
            expand=expand,
        )

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it; as wide either way."""
        if not console.is_terminal:
            self.box = None
            self.padding = (0, 2, 0, 0)
        return super().__rich_console__(console, options)


class Framed:
    """A text in a box on a terminal; elsewhere below its title, after an empty line if it is `apart`."""

    def __init__(self, text: Text, title: Text | None = None, *, apart: bool = True) -> None:
        self._text = text
        self._title = title
        self._apart = apart

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as wide as there is room, or as it is."""
        if console.is_terminal:
            yield Panel(self._text, title=self._title, title_align="left", border_style=FAINT)
            return
        if self._apart:
            yield Text()
        if self._title is not None:
            yield self._title
        yield self._text
