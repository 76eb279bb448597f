"""Batches for people: the table that lists them, and one batch with its orders."""

from collections.abc import Iterable, Sequence

from rich.console import RenderableType

from orderctl.audit.log import Batch
from orderctl.audit.verdicts import Verdict, VerdictGroup, reason_of_code
from orderctl.language import N_, _, ngettext
from orderctl.mail.wording import Wording
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
                str(batch.by),
                f"{batch.rejected:,}",
                f"{batch.mails:,}",
                batch.reason,
            )
            for batch in batches
        ),
    )


_WORDS = {
    "rejected": N_("rejected"),
    "skipped": N_("skipped"),
    "unknown": N_("unknown in this store"),
    "taken-out": N_("taken out"),
    "changed": N_("changed in between"),
    "not-asked": N_("the batch was not asked about it"),
}
_LABELS = {
    "skipped": N_("Skipped"),
    "unknown": N_("Unknown"),
    "taken-out": N_("Taken out"),
    "changed": N_("Changed"),
}


def verdict_table(verdicts: Iterable[Verdict]) -> RuledTable:
    """Verdicts, one id a row, each with where the id came from."""
    return text_table(
        (N_("Order"), N_("Verdict"), N_("Why"), N_("Orders of")),
        (
            (each.order_id, _(_WORDS[each.verdict]), _(each.reason) if each.reason else "", _from(each))
            for each in verdicts
        ),
    )


def _from(verdict: Verdict) -> str:
    source = source_in_words(verdict.source)
    return _("{source}, line {line:,}", source=source, line=verdict.line) if verdict.line else source


def _told(group: VerdictGroup) -> str:
    """How many ids have a verdict, why, and the first of them."""
    listed, reason = listed_words(group.first, group.count), reason_of_code(group.code)
    number = f"{group.count:,}"
    return f"{number}: {_(reason)} ({listed})" if reason else f"{number}: {listed}"


def batch_details(batch: Batch, events: Sequence[OrderEvent], groups: Sequence[VerdictGroup]) -> RenderableType:
    """A batch: who, how, why, its orders, and why the others are not among them."""
    planned = ngettext("{number:,} planned order", "{number:,} planned orders", batch.planned)
    facts = [
        (_("Batch"), _("{id} (number {position:,})", id=batch.id, position=batch.position)),
        (_("When"), full_timestamp(batch.at, seconds=True)),
        (_("Who"), _("{actor} on {host}, {program}", actor=batch.by, host=batch.host, program=batch.program)),
        (_("Approved"), batch.approver),
        (_("Orders of"), source_in_words(batch.source)),
        (_("Key"), batch.request_key),
        (_("Reason"), batch.reason),
        (_("Message"), Wording.read(batch.message).words()),
        (_("Rejected"), _("{rejected:,} of {planned}", rejected=batch.rejected, planned=planned)),
        # Batches of earlier versions know how many they skipped, and not which.
        (_("Skipped"), f"{batch.skipped:,}" if batch.skipped and not groups else ""),
        *((_(_LABELS[group.verdict]), _told(group)) for group in groups),
        (_("Mails"), f"{batch.mails:,}"),
        (_("Digest"), batch.digest),
        (_("Orders"), listed_words([event.order_id for event in events[:_SHOWN_EVENTS]], len(events))),
    ]
    return facts_table(facts)
