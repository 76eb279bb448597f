"""Mails for people: a list that is readable at any width, and one mail with its log and what the buyer reads."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from orderctl.domain.mail_actions import MailEvent
from orderctl.domain.outbox import Letter, Mail, MailState
from orderctl.domain.text import safe
from orderctl.terminal.details import facts_table, text_table
from orderctl.terminal.styles import FAINT, HEADING, MAIL_STYLES, letter_text, plain

_SHORTEST_ADDRESS = 16
_LONGEST_ADDRESS = 40
_STATE, _NUMBER = 9, 6


def mail_list(mails: Sequence[Mail], width: int) -> RenderableType:
    """Mails, one a line; what went wrong stands below, over the whole width, so that no id is ever cut."""
    ids = max(cell_len(mail.id) for mail in mails)
    room = width - ids - _STATE - 2 * _NUMBER - 8
    wanted = max(cell_len(safe(mail.recipient)) for mail in mails)
    address = max(_SHORTEST_ADDRESS, min(room, wanted, _LONGEST_ADDRESS))
    lines: list[RenderableType] = [_line(("Mail", "State", "To", "Orders", "Tries"), ids, address, HEADING, HEADING)]
    for mail in mails:
        cells = (mail.id, mail.state.value, safe(mail.recipient), f"{mail.orders:,}", str(mail.attempts))
        lines.append(_line(cells, ids, address, "", MAIL_STYLES.get(mail.state, "")))
        if mail.last_error and mail.state is not MailState.SENT:
            lines.append(Padding(plain(mail.last_error, FAINT), (0, 0, 0, 2)))
    return Group(*lines)


def _line(cells: tuple[str, str, str, str, str], ids: int, address: int, style: str, state_style: str) -> Text:
    mail_id, state, recipient, orders, tries = cells
    shown = recipient if cell_len(recipient) <= address else set_cell_size(recipient, address - 1) + "…"
    return Text.assemble(
        (set_cell_size(mail_id, ids), style),
        "  ",
        (set_cell_size(state, _STATE), state_style),
        "  ",
        (set_cell_size(shown, address), style),
        (orders.rjust(_NUMBER + 2), style),
        (tries.rjust(_NUMBER + 2), style),
        no_wrap=True,
        overflow="crop",
    )


def mail_details(
    mail: Mail, letter: Letter | None, order_ids: Sequence[str], events: Sequence[MailEvent]
) -> RenderableType:
    """A mail: its state, what operators did with it, and what the buyer reads."""
    waits = mail.state in {MailState.WAITING, MailState.RETRY}
    facts = [
        ("Mail", mail.id),
        ("To", mail.recipient),
        ("State", mail.state.value),
        ("Since", f"{mail.updated_at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Tries", str(mail.attempts)),
        ("Next try", f"{mail.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC" if waits else ""),
        ("Last word", mail.last_error),
        ("Message-ID", mail.message_id),
        ("Batch", mail.batch_id),
        ("Orders", ", ".join(order_ids)),
    ]
    parts: list[RenderableType] = [facts_table(facts)]
    if events:
        parts.append(Padding(_event_table(events), (1, 0)))
    if letter is not None:
        parts.append(Panel(letter_text(letter), border_style=FAINT))
    return Group(*parts)


def _event_table(events: Sequence[MailEvent]) -> RenderableType:
    return text_table(
        ("When (UTC)", "What", "Who", "Why"),
        (
            (f"{event.at:%Y-%m-%d %H:%M:%S}", f"{event.action} (was {event.from_state})", event.actor, event.reason)
            for event in events
        ),
    )
