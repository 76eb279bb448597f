"""One order, one mail, one batch, and the tables that list mails and batches, for people."""

from collections.abc import Sequence

from rich.console import RenderableType

from orderctl.audit.log import Batch
from orderctl.language import later, say, say_count
from orderctl.orders.orders import OrderEvent
from orderctl.orders.view import _SHOWN_EVENTS
from orderctl.selection.selection import source_in_words
from orderctl.terminal.amounts import full_timestamp, timestamp, when
from orderctl.terminal.layout import RuledTable, facts_table, listed_words, text_table


def batch_table(batches: Sequence[Batch]) -> RuledTable:
    """Batches, one a row."""
    return text_table(
        (later("Batch"), when(), later("Who"), later("Rejected"), later("Mails"), later("Reason")),
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
    planned = say_count("{number:,} planned order", "{number:,} planned orders", batch.planned)
    facts = [
        (say("Batch"), say("{id} (number {position:,})", id=batch.id, position=batch.position)),
        (say("When"), full_timestamp(batch.at, seconds=True)),
        (say("Who"), say("{actor} on {host}, {program}", actor=batch.actor, host=batch.host, program=batch.program)),
        (say("Approved"), batch.approver),
        (say("Orders of"), source_in_words(batch.source)),
        (say("Key"), batch.request_key),
        (say("Reason"), batch.reason),
        (say("Message"), batch.message),
        (say("Rejected"), say("{rejected:,} of {planned}", rejected=batch.rejected, planned=planned)),
        (say("Skipped"), f"{batch.skipped:,}" if batch.skipped else ""),
        (say("Mails"), f"{batch.mails:,}"),
        (say("Digest"), batch.digest),
        (say("Orders"), listed_words([event.order_id for event in events[:_SHOWN_EVENTS]], len(events))),
    ]
    return facts_table(facts)
