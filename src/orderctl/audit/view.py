"""Batches for people: the table that lists them, and one batch with its orders."""

from collections.abc import Sequence

from rich.console import RenderableType

from orderctl.audit.log import Batch
from orderctl.language import N_, _, ngettext
from orderctl.orders.orders import OrderEvent
from orderctl.orders.view import _SHOWN_EVENTS
from orderctl.selection.selection import source_in_words
from orderctl.terminal.amounts import full_timestamp, timestamp, when
from orderctl.terminal.layout import RuledTable, facts_table, listed_words, text_table


def batch_table(batches: Sequence[Batch]) -> RuledTable:
    """Batches, one a row."""
    return text_table(
        (N_("Batch"), when(), N_("Who"), N_("Rejected"), N_("Mails"), N_("Reason")),
        (
            (
                batch.id,
                timestamp(batch.at),
                batch.actor,
                f"{batch.rejected:,}",
                f"{batch.mails:,}",
                batch.reason,
            )
            for batch in batches
        ),
    )


def batch_details(batch: Batch, events: Sequence[OrderEvent]) -> RenderableType:
    """A batch: who, how, why, and its orders."""
    planned = ngettext("{number:,} planned order", "{number:,} planned orders", batch.planned)
    facts = [
        (_("Batch"), _("{id} (number {position:,})", id=batch.id, position=batch.position)),
        (_("When"), full_timestamp(batch.at, seconds=True)),
        (_("Who"), _("{actor} on {host}, {program}", actor=batch.actor, host=batch.host, program=batch.program)),
        (_("Approved"), batch.approver),
        (_("Orders of"), source_in_words(batch.source)),
        (_("Key"), batch.request_key),
        (_("Reason"), batch.reason),
        (_("Message"), batch.message),
        (_("Rejected"), _("{rejected:,} of {planned}", rejected=batch.rejected, planned=planned)),
        (_("Skipped"), f"{batch.skipped:,}" if batch.skipped else ""),
        (_("Mails"), f"{batch.mails:,}"),
        (_("Digest"), batch.digest),
        (_("Orders"), listed_words([event.order_id for event in events[:_SHOWN_EVENTS]], len(events))),
    ]
    return facts_table(facts)
