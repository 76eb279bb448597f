"""One order, one mail, one batch, and the tables that list mails and batches, for people."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orderctl.domain.explanation import explain
from orderctl.domain.log import Batch
from orderctl.domain.orders import Order, OrderEvent
from orderctl.domain.selection import source_in_words
from orderctl.domain.short_ids import LENGTH
from orderctl.language import later, retell, say, say_count
from orderctl.terminal.amounts import shown_amount, shown_money
from orderctl.terminal.explanations import explanation_table
from orderctl.terminal.layout import KEPT, Facts, RuledTable, TableColumn
from orderctl.terminal.moments import full_moment, moment, when
from orderctl.terminal.styles import FAINT, HEADING, Sentence, filled, plain, status_text

_LINE_COLUMNS = (
    TableColumn(title=later("SKU"), whole=True, least=16),
    TableColumn(title=later("Item"), cut=True),
    TableColumn(title=later("Pieces"), right=True, whole=True),
    TableColumn(title=later("Price"), right=True, whole=True),
    TableColumn(title=later("Amount"), right=True, whole=True),
)
_SHOWN_EVENTS = 50
_EVENTS = (later("import of {file}"),)
# What is never broken: ids, which are to be copied, and numbers. What holds ids among other words.
_WHOLE = {"Batch", "Mail", "Plan", "Skipped", "Orders", "Rejected", "Mails"}
_OF_IDS = {"Detail", "Filter", "Name", "Setting"}
_AMOUNTS = {"Total"}
_LONGEST_AMOUNT = 32


def text_table(header: Sequence[str], rows: Iterable[Sequence[str | Text]], *, indent: int = 0) -> RuledTable:
    """A table of texts under translated titles; what is no `Text` yet is made safe."""
    table = RuledTable([_shape(name) for name in header], indent=indent)
    for row in rows:
        table.add_row(*row)
    return table


def _shape(name: str) -> TableColumn:
    """How a column of that name gives way."""
    return TableColumn(
        title=say(name),
        whole=name in _WHOLE or name == when(),
        least=LENGTH if name == "Skipped" else 0,
        keeps=_LONGEST_AMOUNT if name in _AMOUNTS else LENGTH if name in _OF_IDS else KEPT,
    )


def order_details(order: Order, events: Sequence[OrderEvent]) -> RenderableType:
    """An order: header, whether it can be rejected, lines, log."""
    parts: list[RenderableType] = [_order_title(order), Text(), facts_table(_order_facts(order)), Text()]
    parts.append(explanation_table(order, explain(order, events)))
    if order.lines:
        parts += [Text(), _lines(order)]
    if events:
        parts += [Text(), event_table(events)]
    return Group(*parts)


def draw_order(order: Order, width: int) -> str:
    """An order without its log, drawn with the escape codes of a terminal of that width."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False)
    console.print(order_details(order, ()))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _order_title(order: Order) -> Text:
    title = Sentence.assemble(filled(say("Order {id}"), HEADING, id=order.id), "  ", status_text(order.status))
    title.append_text(plain(f"  {say(order.status.brand_sees)} / {say(order.status.buyer_sees)}", FAINT))
    if order.archived_at:
        title.append("  " + say("archived"), style=FAINT)
    return title


def _order_facts(order: Order) -> list[tuple[str, str]]:
    buyer = order.buyer
    pieces = say_count("{number:,} piece", "{number:,} pieces", order.quantity)
    return [
        (say("Buyer"), f"{buyer.name} ({buyer.id})" if buyer else say("none")),
        (say("Mail"), (buyer.email or say("no address")) if buyer else ""),
        (say("Brand"), order.brand),
        (say("Reference"), order.reference),
        (say("Season"), order.season),
        (say("Ordered"), f"{order.ordered_at:%Y-%m-%d %H:%M} UTC"),
        (say("Delivery"), days_words(order.delivery_from, order.delivery_to)),
        (say("Country"), order.country or ""),
        (say("Total"), say("{amount} for {pieces}", amount=shown_money(order.amount), pieces=pieces)),
        (say("Terms"), order.terms),
        (say("Ship to"), order.delivery_address),
        (say("Bill to"), order.billing_address),
        (say("Refers"), ", ".join(_held(order))),
        (say("Tags"), ", ".join(sorted(order.tags))),
        (say("Note"), order.note),
        (say("Batch"), order.batch_id or ""),
        (say("Version"), str(order.version)),
    ]


def _held(order: Order) -> Iterator[str]:
    """What refers to the order."""
    if order.delivery_notes:
        yield say_count("{number:,} delivery note", "{number:,} delivery notes", order.delivery_notes)
    if order.invoices:
        yield say_count("{number:,} invoice", "{number:,} invoices", order.invoices)
    if order.backlog_skus:
        yield say_count("{number:,} backlog SKU", "{number:,} backlog SKUs", order.backlog_skus)


def days_words(first: date | None, last: date | None) -> str:
    """A day, or from a day to another; empty if there is neither."""
    if first and last and first != last:
        return say("{first} to {last}", first=first, last=last)
    return str(first or last or "")


def _lines(order: Order) -> RuledTable:
    table = RuledTable([replace(column, title=say(column.title)) for column in _LINE_COLUMNS])
    for line in order.lines:
        item = " ".join(part for part in (line.name, line.color, line.size) if part)
        amounts = (line.unit_price, line.quantity * line.unit_price)
        table.add_row(
            plain(line.sku),
            plain(item),
            f"{line.quantity:,}",
            *(shown_amount(each, order.currency) for each in amounts),
        )
    return table


def event_table(events: Sequence[OrderEvent]) -> RuledTable:
    """The log of an order, oldest first."""
    return text_table(
        (when(), later("What"), later("Who"), later("Detail")),
        (
            (
                moment(event.at, seconds=True),
                was(event.kind, event.from_status),
                event.actor,
                "; ".join(part for part in (retell(event.detail, _EVENTS), _of_batch(event.batch_id)) if part),
            )
            for event in events
        ),
    )


def was(what: str, before: str | None) -> str:
    """What happened, and the state before."""
    return say("{event} (was {state})", event=what, state=before) if before else what


def _of_batch(batch_id: str | None) -> str:
    return say("batch {id}", id=batch_id) if batch_id else ""


def facts_table(pairs: Iterable[tuple[str, str | Text]]) -> Facts:
    """Names and values, one a line, but for those without a value."""
    facts = Facts()
    for name, value in pairs:
        if value:
            facts.add(name, value)
    return facts


def batch_table(batches: Sequence[Batch]) -> RuledTable:
    """Batches, one a row."""
    return text_table(
        (later("Batch"), when(), later("Who"), later("Rejected"), later("Mails"), later("Reason")),
        (
            (
                batch.id,
                moment(batch.at),
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
        (say("When"), full_moment(batch.at, seconds=True)),
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


def listed_words(names: Sequence[str], count: int) -> str:
    """Names between commas, and how many more there are."""
    listed = ", ".join(names)
    more = count - len(names)
    return say("{listed} and {more:,} more", listed=listed, more=more) if more > 0 else listed
