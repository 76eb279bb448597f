"""Mails and reports of deliveries, for people and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.delivery.outbox import DeliveryEvent, DeliveryReport, DeliveryState, PutOff
from orderctl.language import N_, _, in_words, ngettext
from orderctl.mail.outbox import Bounced, BounceReport, Fate, Letter, Mail
from orderctl.orders.document import SCHEMA, Document
from orderctl.terminal.amounts import full_timestamp, timestamp, when
from orderctl.terminal.layout import RuledTable, TableColumn, facts_table, text_table, was
from orderctl.terminal.styles import FAINT, HEADING, Framed, Sentence, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

_WAITS = frozenset({DeliveryState.WAITING, DeliveryState.RETRY})


def mail_table(mails: Sequence[Mail]) -> RuledTable:
    """Mails, one a row. What went wrong is in a line below, and for programs in a last column."""
    table = RuledTable(
        (
            TableColumn(title=_("Mail"), whole=True),
            TableColumn(title=_("State"), whole=True),
            TableColumn(title=_("To"), cut=True, least=16),
            TableColumn(title=_("Orders"), right=True, whole=True, gives_way=1),
            TableColumn(title=_("Tries"), right=True, whole=True, gives_way=2),
        )
    )
    for mail in mails:
        table.add_row(
            mail.id,
            state_text(mail.state),
            mail.recipient,
            str(mail.orders),
            str(mail.attempts),
            below=plain(_below(mail), FAINT),
        )
    return table


def _below(mail: Mail) -> str:
    """What went wrong with a mail, and when it is tried again."""
    if mail.state is DeliveryState.SENT:
        return ""
    words = [in_words(mail.last_error)] if mail.last_error else []
    if mail.state in _WAITS and (mail.attempts or mail.next_attempt_at > datetime.now(UTC)):
        words.append(_("next try {moment}", moment=full_timestamp(mail.next_attempt_at)))
    return "; ".join(words)


def mail_details(
    mail: Mail, letter: Letter | None, order_ids: Sequence[str], events: Sequence[DeliveryEvent]
) -> RenderableType:
    """A mail: its state, what operators did with it, and its letter."""
    facts = [
        (_("Mail"), mail.id),
        (_("To"), mail.recipient),
        (_("Copies"), ", ".join((*mail.cc, *mail.bcc))),
        *state_facts(mail),
        (_("Message-ID"), mail.message_id),
        (_("Batch"), mail.batch_id),
        (_("Orders"), ", ".join(order_ids)),
    ]
    parts: list[RenderableType] = [facts_table(facts)]
    if events:
        parts += [Text(), event_table(events), Text()]
    if letter is not None:
        parts.append(Framed(letter_text(letter)))
    return Group(*parts)


def state_facts(each: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a mail or a write-back
    """How far a delivery got, as names and values."""
    yield _("State"), each.state.value
    yield _("Since"), full_timestamp(each.updated_at, seconds=True)
    yield _("Tries"), str(each.attempts)
    yield _("Next try"), full_timestamp(each.next_attempt_at, seconds=True) if each.state in _WAITS else ""
    yield _("Last word"), each.last_error


def event_table(events: Sequence[DeliveryEvent]) -> RenderableType:
    """What operators did with a delivery."""
    return text_table(
        (when(), N_("What"), N_("Who"), N_("Why")),
        (
            (timestamp(event.at, seconds=True), was(event.action, event.from_state), str(event.by), _why(event))
            for event in events
        ),
    )


def _why(event: DeliveryEvent) -> str:
    """The reason, and the addresses where the act changed them."""
    before, after = event.more.get("from_recipient", ""), event.more.get("to_recipient", "")
    moved = _("to {after} instead of {before}", after=after, before=before) if after else ""
    return "; ".join(words for words in (event.reason, moved) if words)


MAIL_STYLES = {
    DeliveryState.SENT: "green",
    DeliveryState.REFUSED: "red",
    DeliveryState.UNKNOWN: "bold red",
    DeliveryState.RETRY: "yellow",
    DeliveryState.CANCELLED: "dim",
    DeliveryState.BOUNCED: "red",
}


def state_text(state: DeliveryState) -> Text:
    """A mail's state in its colour."""
    return Text(state.value, style=MAIL_STYLES.get(state, ""))


def letter_text(letter: Letter) -> Text:
    """The letter, line by line."""
    lines = [plain(letter.subject, HEADING), Text(), *map(plain, letter.text.strip().splitlines())]
    return Sentence("\n").join(lines)


def delivery_figures(delivery: DeliveryReport) -> Text:
    """How many mails were sent, refused, and so on."""
    parts = [ngettext("{number:,} mail sent", "{number:,} mails sent", delivery.sent)]
    if delivery.retry:
        parts.append(_("{number:,} to try again later", number=delivery.retry))
    if delivery.refused:
        parts.append(_("{number:,} refused for good", number=delivery.refused))
    if delivery.unknown:
        parts.append(_("{number:,} of unknown fate", number=delivery.unknown))
    if delivery.held:
        held = ngettext(
            "{number:,} held until its orders are cancelled in their system",
            "{number:,} held until their orders are cancelled in their systems",
            delivery.held,
        )
        parts.append(held)
    if delivery.bounced:
        parts.append(_("{number:,} came back", number=delivery.bounced))
    return plain(", ".join(parts), "" if delivery.complete else "yellow")


def delivery_report(delivery: DeliveryReport) -> Text:
    """How the delivery went, and where to find more."""
    waits = f"; {_put_off(delivery.put_off)}" if delivery.put_off else ""
    return with_end(delivery_figures(delivery), delivery, waits=waits, more=_("; see: orderctl mail list"))


def with_end(figures: Text, delivery: DeliveryReport, *, waits: str, more: str) -> Text:
    """The figures of a delivery, why it stopped, what `waits`, and unless all is sent, where there is `more`."""
    if delivery.stopped:
        figures.append_text(plain(_("; stopped: {problem}", problem=delivery.stopped)))
    figures.append_text(plain(waits))
    return figures if delivery.complete else figures.append(more)


def _put_off(waiting: PutOff) -> str:
    """How many mails wait, and until when."""
    first, last = full_timestamp(waiting.first), full_timestamp(waiting.last)
    if first == last:
        return ngettext(
            "{number:,} mail waits until {first}", "{number:,} mails wait until {first}", waiting.number, first=first
        )
    return _("{number:,} mails wait, due from {first} to {last}", number=waiting.number, first=first, last=last)


def mail_document(mail: Mail, order_ids: Iterable[str], events: Iterable[DeliveryEvent] = ()) -> Document:
    """One mail with the ids of its orders and what operators did with it (design.md, section 8)."""
    document = asdict(mail) | {"schema": SCHEMA, "state": mail.state.value, "order_ids": list(order_ids)}
    del document["earlier"]
    for name in ("next_attempt_at", "created_at", "updated_at"):
        document[name] = document[name].isoformat()
    document["events"] = [_event_document(event) for event in events]
    return document


def _event_document(event: DeliveryEvent) -> Document:
    document: Document = asdict(event)
    del document["more"]
    return {"mail_id": document.pop("item_id"), **document, **event.more, "at": event.at.isoformat()}


def bounce_table(bounced: Sequence[Bounced]) -> RuledTable:
    """The mails that came back, one a row, each with the words of the server below."""
    table = RuledTable((TableColumn(title=_("Mail"), whole=True), TableColumn(title=_("To"), cut=True, least=16)))
    for each in bounced:
        table.add_row(each.mail_id, each.recipient, below=plain(each.words, FAINT))
    return table


def bounce_summary(found: BounceReport) -> str:
    """How many mails came back, and what became of the other messages."""
    number = len(found.bounced)
    parts = [ngettext("{number:,} mail came back", "{number:,} mails came back", number)]
    parts += [_(words, number=count) for fate, words in _FATES.items() if (count := found.fates.get(fate, 0))]
    text = ", ".join(parts)
    return _("{summary}; see: orderctl mail list --state bounced", summary=text) if number else text


_FATES = {
    Fate.KNOWN: N_("{number:,} known already"),
    Fate.NOTED: N_("{number:,} noted for mails that were sent again or settled"),
    Fate.IN_HAND: N_("{number:,} left until the next run, because the mail is being sent"),
    Fate.DELAYED: N_("{number:,} delayed"),
    Fate.COPY: N_("{number:,} about copies"),
    Fate.EARLIER: N_("{number:,} about an earlier address"),
    Fate.DOUBTFUL: N_("{number:,} doubtful"),
    Fate.FOREIGN: N_("{number:,} not ours"),
    Fate.OTHER: N_("{number:,} no reports"),
}


def bounce_document(found: BounceReport) -> Document:
    """What a mailbox said (design.md, section 8)."""
    return {
        "schema": SCHEMA,
        "bounced": [asdict(each) for each in found.bounced],
        "doubtful": [
            {"report": notice.id, "message_ids": list(notice.message_ids), "addresses": sorted(notice.addresses)}
            for notice in found.doubtful
        ],
        "messages": {fate.value: found.fates.get(fate, 0) for fate in Fate},
    }
