"""One order, one mail, one batch, and the tables that list mails and batches, for people."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from orderctl.domain.explanation import explain
from orderctl.domain.log import Batch
from orderctl.domain.orders import Order, OrderEvent
from orderctl.domain.text import count_of
from orderctl.terminal.amounts import shown_amount, shown_money
from orderctl.terminal.explanations import explanation_table
from orderctl.terminal.styles import FAINT, HEADING, plain, status_text

_SHOWN_EVENTS = 50
_WHOLE = {"Batch", "Mail", "Plan", "When (UTC)"}


def text_table(header: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> Table:
    """A table of texts; what is no `Text` yet is made safe."""
    table = Table(box=box.SIMPLE_HEAD, header_style=HEADING, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in header:
        # An id of ours is to be copied: it stays in one piece, as does a time.
        table.add_column(name, overflow="fold", no_wrap=name in _WHOLE, min_width=len(name))
    for row in rows:
        table.add_row(*(each if isinstance(each, Text) else plain(each) for each in row))
    return table


def order_details(order: Order, events: Sequence[OrderEvent]) -> RenderableType:
    """An order: header, whether it can be rejected, lines, log."""
    parts: list[RenderableType] = [_order_title(order), Padding(facts_table(_order_facts(order)), (1, 0))]
    parts.append(explanation_table(order, explain(order, events)))
    if order.lines:
        parts.append(Padding(_lines(order), (1, 0, 0, 0)))
    if events:
        parts.append(Padding(event_table(events), (1, 0, 0, 0)))
    return Group(*parts)


def draw_order(order: Order, width: int) -> str:
    """An order without its log, drawn with the escape codes of a terminal of that width."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False)
    console.print(order_details(order, ()))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _order_title(order: Order) -> Text:
    title = Text.assemble(("Order ", HEADING), plain(order.id, HEADING), "  ", status_text(order.status))
    title.append_text(plain(f"  {order.status.brand_sees} / {order.status.buyer_sees}", FAINT))
    if order.archived_at:
        title.append("  archived", style=FAINT)
    return title


def _order_facts(order: Order) -> list[tuple[str, str]]:
    buyer = order.buyer
    delivery = " to ".join(day.isoformat() for day in (order.delivery_from, order.delivery_to) if day)
    held = (
        (order.delivery_notes, "delivery note"),
        (order.invoices, "invoice"),
        (order.backlog_skus, "backlog SKU"),
    )
    return [
        ("Buyer", f"{buyer.name} ({buyer.id})" if buyer else "none"),
        ("Mail", (buyer.email or "no address") if buyer else ""),
        ("Brand", order.brand),
        ("Reference", order.reference),
        ("Season", order.season),
        ("Ordered", f"{order.ordered_at:%Y-%m-%d %H:%M} UTC"),
        ("Delivery", delivery),
        ("Country", order.country or ""),
        ("Total", f"{shown_money(order.amount)} for {count_of(order.quantity, 'piece')}"),
        ("Terms", order.terms),
        ("Ship to", order.delivery_address),
        ("Bill to", order.billing_address),
        ("Refers", ", ".join(count_of(number, noun) for number, noun in held if number)),
        ("Tags", ", ".join(sorted(order.tags))),
        ("Note", order.note),
        ("Batch", order.batch_id or ""),
        ("Version", str(order.version)),
    ]


def _lines(order: Order) -> Table:
    table = Table(box=box.SIMPLE_HEAD, header_style=HEADING, pad_edge=False, show_edge=False)
    for name, right in (("SKU", False), ("Item", False), ("Pieces", True), ("Price", True), ("Amount", True)):
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
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


def event_table(events: Sequence[OrderEvent]) -> Table:
    """The log of an order, oldest first."""
    return text_table(
        ("When (UTC)", "What", "Who", "Detail"),
        (
            (
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.kind + (f" (was {event.from_status})" if event.from_status else ""),
                event.actor,
                "; ".join(part for part in (event.detail, f"batch {event.batch_id}" if event.batch_id else "") if part),
            )
            for event in events
        ),
    )


def facts_table(pairs: Iterable[tuple[str, str | Text]]) -> Table:
    """Names and values, one a line; what is no `Text` yet is made safe."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style=HEADING, no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value:
            grid.add_row(name, value if isinstance(value, Text) else plain(value))
    return grid


def batch_table(batches: Sequence[Batch]) -> Table:
    """Batches, one a row."""
    return text_table(
        ("Batch", "When (UTC)", "Who", "Rejected", "Mails", "Reason"),
        (
            (
                batch.id,
                f"{batch.at:%Y-%m-%d %H:%M}",
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
    facts = [
        ("Batch", f"{batch.id} (number {batch.position:,})"),
        ("When", f"{batch.at:%Y-%m-%d %H:%M:%S} UTC"),
        ("Who", f"{batch.actor} on {batch.host}, {batch.program}"),
        ("Approved", batch.approver),
        ("Orders of", batch.source),
        ("Reason", batch.reason),
        ("Message", batch.message),
        ("Rejected", f"{batch.rejected:,} of {count_of(batch.planned, 'planned order')}"),
        ("Skipped", f"{batch.skipped:,}" if batch.skipped else ""),
        ("Mails", f"{batch.mails:,}"),
        ("Digest", batch.digest),
    ]
    shown = ", ".join(event.order_id for event in events[:_SHOWN_EVENTS])
    more = f" and {len(events) - _SHOWN_EVENTS:,} more" if len(events) > _SHOWN_EVENTS else ""
    return facts_table([*facts, ("Orders", shown + more)])
