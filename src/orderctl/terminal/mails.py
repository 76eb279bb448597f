"""Mails for people: a list that is readable at any width, and one mail with its log and what the buyer reads."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.domain.mail_actions import MailEvent
from orderctl.domain.mail_details import detail_in_words
from orderctl.domain.outbox import Letter, Mail, MailState
from orderctl.language import later, say
from orderctl.terminal.details import facts_table, text_table, was
from orderctl.terminal.layout import RuledTable, TableColumn
from orderctl.terminal.moments import full_moment, moment, when
from orderctl.terminal.styles import FAINT, MAIL_STYLES, Framed, letter_text, plain

_WAITS = frozenset({MailState.WAITING, MailState.RETRY})


def mail_list(mails: Sequence[Mail]) -> RuledTable:
    """Mails, one a row; what went wrong stands below, over the whole width."""
    table = RuledTable(
        (
            TableColumn(title=say("Mail"), whole=True),
            TableColumn(title=say("State"), whole=True),
            TableColumn(title=say("To"), cut=True, least=16),
            TableColumn(title=say("Orders"), right=True, whole=True, gives_way=1),
            TableColumn(title=say("Tries"), right=True, whole=True, gives_way=2),
        )
    )
    for mail in mails:
        below = _below(mail)
        table.add_row(
            mail.id,
            Text(mail.state.value, MAIL_STYLES.get(mail.state, "")),
            mail.recipient,
            f"{mail.orders:,}",
            str(mail.attempts),
            below=plain(below, FAINT) if below else None,
        )
    return table


def mail_table(mails: Sequence[Mail]) -> RuledTable:
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
        parts += [Text(), _event_table(events), Text()]
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
