"""Write-backs, for people and as a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.core.money import plain_amount
from orderctl.delivery.outbox import DeliveryEvent, DeliveryReport, DeliveryState
from orderctl.language import _, in_words, ngettext
from orderctl.mail.view import event_table, state_facts, state_text, with_end
from orderctl.orders.document import SCHEMA, Document
from orderctl.terminal.layout import RuledTable, TableColumn, facts_table
from orderctl.terminal.styles import FAINT, plain

if TYPE_CHECKING:
    from orderctl.writeback.outbox import WriteBack


def writeback_table(writebacks: Sequence[WriteBack]) -> RuledTable:
    """Write-backs, one a row; below each what its system last said, unless it is done."""
    table = RuledTable(
        (
            TableColumn(title=_("Write-back"), whole=True),
            TableColumn(title=_("State"), whole=True),
            TableColumn(title=_("System"), cut=True, least=8),
            TableColumn(title=_("Order"), cut=True, least=8),
            TableColumn(title=_("Tries"), right=True, whole=True, gives_way=1),
        )
    )
    for each in writebacks:
        said = in_words(each.last_error) if each.last_error and each.state is not DeliveryState.SENT else ""
        cells = (each.id, state_text(each.state), each.system, each.order_id, str(each.attempts))
        table.add_row(*cells, below=plain(said, FAINT))
    return table


def writeback_details(each: WriteBack, events: Sequence[DeliveryEvent]) -> RenderableType:
    """A write-back: what its system is told, how far that got, and what operators did with it."""
    told = each.cancellation
    facts = [
        (_("Write-back"), each.id),
        (_("System"), each.system),
        (_("Order"), told.order_id),
        (_("Called there"), told.key if told.key != told.order_id else ""),
        *state_facts(each),
        (_("Reason"), told.reason),
        (_("Batch"), told.batch_id),
    ]
    parts: list[RenderableType] = [facts_table(facts)]
    if events:
        parts += [Text(), event_table(events)]
    return Group(*parts)


def writeback_words(each: WriteBack) -> str:
    """How far a write-back got, in one line."""
    state = _("{system}: {state}", system=each.system, state=_(each.state.value))
    return f"{state}; {in_words(each.last_error)}" if each.last_error else state


def writeback_figures(delivery: DeliveryReport) -> Text:
    """How many orders were cancelled in their systems, are in conflict, and so on."""
    parts = [ngettext("{number:,} order cancelled there", "{number:,} orders cancelled there", delivery.sent)]
    if delivery.retry:
        parts.append(_("{number:,} to try again later", number=delivery.retry))
    if delivery.refused:
        parts.append(ngettext("{number:,} in conflict", "{number:,} in conflict", delivery.refused))
    if delivery.unknown:
        parts.append(_("{number:,} of unknown fate", number=delivery.unknown))
    return plain(", ".join(parts), "" if delivery.complete else "yellow")


def writeback_report(delivery: DeliveryReport) -> Text:
    """How the systems were told, and where to find more."""
    waits = ""
    if delivery.put_off:
        waits = ngettext(
            "; {number:,} waits for its next try", "; {number:,} wait for their next try", delivery.put_off.number
        )
    return with_end(writeback_figures(delivery), delivery, waits=waits, more=_("; see: orderctl writeback list"))


def writeback_document(each: WriteBack, events: Iterable[DeliveryEvent] = ()) -> Document:
    """One write-back with what operators did with it (design.md, section 8)."""
    told = each.cancellation
    return {
        "schema": SCHEMA,
        "id": each.id,
        "system": each.system,
        "order_id": told.order_id,
        "system_key": told.key,
        "batch_id": told.batch_id,
        "reason": told.reason,
        "reason_code": told.reason_code,
        "currency": told.amount.currency,
        "total": plain_amount(told.amount.minor, told.amount.currency),
        "state": each.state.value,
        "attempts": each.attempts,
        "last_error": each.last_error,
        **{name: getattr(each, name).isoformat() for name in ("next_attempt_at", "created_at", "updated_at")},
        "events": [asdict(event) | {"at": event.at.isoformat()} for event in events],
    }
