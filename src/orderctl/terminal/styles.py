"""Colours. Each says again what the words beside it say."""

from string import Formatter

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
