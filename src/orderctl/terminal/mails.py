"""Mails for people: a list that is readable at any width, and one mail with its log and what the buyer reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orderctl.domain.mail_actions import MailEvent
from orderctl.domain.mail_details import detail_in_words
from orderctl.domain.outbox import Letter, Mail, MailState
from orderctl.domain.text import safe
from orderctl.language import later, say
from orderctl.terminal.details import facts_table, text_table, was
from orderctl.terminal.moments import full_moment, moment, when
from orderctl.terminal.styles import FAINT, HEADING, MAIL_STYLES, Framed, letter_text, plain

_SHORTEST_ADDRESS = 16
_LONGEST_ADDRESS = 40
_STATE, _NUMBER = 9, 6
_WAITS = frozenset({MailState.WAITING, MailState.RETRY})


def mail_list(mails: Sequence[Mail], width: int) -> RenderableType:
    """Mails, one a line; what went wrong stands below, over the whole width, so that no id is ever cut."""
    ids = max(cell_len(mail.id) for mail in mails)
    room = width - ids - _STATE - 2 * _NUMBER - 8
    wanted = max(cell_len(safe(mail.recipient)) for mail in mails)
    address = max(_SHORTEST_ADDRESS, min(room, wanted, _LONGEST_ADDRESS))
    titles = (say("Mail"), say("State"), say("To"), say("Orders"), say("Tries"))
    lines: list[RenderableType] = [_line(titles, ids, address, HEADING, HEADING)]
    for mail in mails:
        cells = (mail.id, mail.state.value, safe(mail.recipient), f"{mail.orders:,}", str(mail.attempts))
        lines.append(_line(cells, ids, address, "", MAIL_STYLES.get(mail.state, "")))
        if below := _below(mail):
            lines.append(Padding(plain(below, FAINT), (0, 0, 0, 2)))
    return Group(*lines)


def mail_table(mails: Sequence[Mail]) -> Table:
    """The same as a table, for programs."""
    return text_table(
        (later("Mail"), later("State"), later("To"), later("Orders"), later("Tries"), later("Last word")),
        (
            (mail.id, mail.state.value, mail.recipient, str(mail.orders), str(mail.attempts), _below(mail))
            for mail in mails
        ),
    )


def _below(mail: Mail) -> str:
    """What went wrong with a mail, and when it is tried again."""
    if mail.state is MailState.SENT:
        return ""
    words = [detail_in_words(mail.last_error)] if mail.last_error else []
    if mail.state in _WAITS and (mail.attempts or mail.next_attempt_at > datetime.now(UTC)):
        words.append(say("next try {moment}", moment=full_moment(mail.next_attempt_at)))
    return "; ".join(words)


def _line(cells: tuple[str, str, str, str, str], ids: int, address: int, style: str, state_style: str) -> Text:
    mail_id, state, recipient, orders, tries = cells
    shown = recipient if cell_len(recipient) <= address else set_cell_size(recipient, address - 1) + "…"
    return Text.assemble(
        (set_cell_size(mail_id, ids), style),
        "  ",
        (set_cell_size(state, _STATE), state_style),
        "  ",
        (set_cell_size(shown, address), style),
        (_right(orders), style),
        (_right(tries), style),
        no_wrap=True,
        overflow="crop",
    )


def _right(text: str) -> str:
    """The text at the right end of a column of numbers."""
    return " " * (_NUMBER + 2 - cell_len(text)) + text


def mail_details(
    mail: Mail, letter: Letter | None, order_ids: Sequence[str], events: Sequence[MailEvent]
) -> RenderableType:
    """A mail: its state, what operators did with it, and what the buyer reads."""
    facts = [
        (say("Mail"), mail.id),
        (say("To"), mail.recipient),
        (say("State"), mail.state.value),
        (say("Since"), full_moment(mail.updated_at, seconds=True)),
        (say("Tries"), str(mail.attempts)),
        (say("Next try"), full_moment(mail.next_attempt_at, seconds=True) if mail.state in _WAITS else ""),
        (say("Last word"), detail_in_words(mail.last_error)),
        (say("Message-ID"), mail.message_id),
        (say("Batch"), mail.batch_id),
        (say("Orders"), ", ".join(order_ids)),
    ]
    parts: list[RenderableType] = [facts_table(facts)]
    if events:
        parts.append(Padding(_event_table(events), (1, 0)))
    if letter is not None:
        parts.append(Framed(letter_text(letter)))
    return Group(*parts)


def _event_table(events: Sequence[MailEvent]) -> RenderableType:
    return text_table(
        (when(), later("What"), later("Who"), later("Why")),
        (
            (moment(event.at, seconds=True), was(event.action, event.from_state), event.actor, event.reason)
            for event in events
        ),
    )
