"""One order with its log, and whether it can be rejected, for people."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from io import StringIO

from rich.console import Console, Group, RenderableType
from rich.text import Text

from orderctl.core.times import duration_words
from orderctl.language import N_, _, in_words, ngettext
from orderctl.orders.eligibility import Explanation, Mode, Rule, explain
from orderctl.orders.orders import Order, OrderEvent, Status
from orderctl.terminal.amounts import full_timestamp, shown_amount, shown_money, timestamp, when
from orderctl.terminal.layout import Facts, RuledTable, TableColumn, days_words, facts_table, text_table, was
from orderctl.terminal.styles import FAINT, HEADING, Sentence, filled, plain

_LINE_COLUMNS = (
    TableColumn(title=N_("SKU"), whole=True, least=16),
    TableColumn(title=N_("Item"), cut=True),
    TableColumn(title=N_("Pieces"), right=True, whole=True),
    TableColumn(title=N_("Price"), right=True, whole=True),
    TableColumn(title=N_("Amount"), right=True, whole=True),
)
_SHOWN_EVENTS = 50


def order_details(
    order: Order,
    events: Sequence[OrderEvent],
    *,
    now: datetime | None = None,
    seen_since: datetime | None = None,
    written_back: str = "",
) -> RenderableType:
    """An order: header, whether it can be rejected, lines, log.

    With `now`, how long ago its source spoke of it; with `seen_since`, whether that was too long ago. `written_back`:
    how far its system was told that it is rejected.
    """
    facts = [*_order_facts(order, now), (_("Write-back"), written_back)]
    parts: list[RenderableType] = [_order_title(order), Text(), facts_table(facts), Text()]
    parts.append(explanation_table(order, explain(order, events, seen_since)))
    if order.lines:
        parts += [Text(), _lines(order)]
    if events:
        parts += [Text(), event_table(events)]
    return Group(*parts)


def draw_order(order: Order, width: int) -> str:
    """An order without its log, with the escape codes of a terminal of this width in cells."""
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False)
    console.print(order_details(order, ()))
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def _order_title(order: Order) -> Text:
    title = Sentence.assemble(filled(_("Order {id}"), HEADING, id=order.id), "  ", status_text(order.status))
    title.append_text(plain(f"  {_(order.status.brand_sees)} / {_(order.status.buyer_sees)}", FAINT))
    if order.archived_at:
        title.append("  " + _("archived"), style=FAINT)
    return title


def _order_facts(order: Order, now: datetime | None) -> list[tuple[str, str]]:
    buyer = order.buyer
    pieces = ngettext("{number:,} piece", "{number:,} pieces", order.quantity)
    return [
        (_("Buyer"), f"{buyer.name} ({buyer.id})" if buyer else _("none")),
        (_("Mail"), (buyer.email or _("no address")) if buyer else ""),
        (_("Copies"), ", ".join(filter(None, (buyer.cc, buyer.bcc))) if buyer else ""),
        (_("Brand"), order.brand),
        (_("Reference"), order.reference),
        (_("Season"), order.season),
        (_("Ordered"), f"{order.ordered_at:%Y-%m-%d %H:%M} UTC"),
        (_("Delivery"), days_words(order.delivery_from, order.delivery_to)),
        (_("Country"), order.country or ""),
        (_("Total"), _("{amount} for {pieces}", amount=shown_money(order.amount), pieces=pieces)),
        (_("Terms"), order.terms),
        (_("Ship to"), order.delivery_address),
        (_("Bill to"), order.billing_address),
        (_("Refers"), ", ".join(_held(order))),
        (_("Tags"), ", ".join(sorted(order.tags))),
        (_("Note"), order.note),
        (_("Source"), _said_by(order, now)),
        (_("Gone since"), full_timestamp(order.gone_at) if order.gone_at else ""),
        (_("Batch"), order.batch_id or ""),
        (_("Version"), str(order.version)),
    ]


def _said_by(order: Order, now: datetime | None) -> str:
    """The source of an order, and when it last spoke of it."""
    if order.seen_at is None:
        return _("unknown")
    seen = {"source": order.source or _("unknown"), "at": full_timestamp(order.seen_at)}
    if now is None or now < order.seen_at:
        return _("{source}, as of {at}", **seen)
    return _("{source}, as of {at}, {length} ago", **seen, length=duration_words(now - order.seen_at))


def _held(order: Order) -> Iterator[str]:
    """What prevents a rejection: delivery notes, invoices, backlog SKUs."""
    if order.delivery_notes:
        yield ngettext("{number:,} delivery note", "{number:,} delivery notes", order.delivery_notes)
    if order.invoices:
        yield ngettext("{number:,} invoice", "{number:,} invoices", order.invoices)
    if order.backlog_skus:
        yield ngettext("{number:,} backlog SKU", "{number:,} backlog SKUs", order.backlog_skus)


def _lines(order: Order) -> RuledTable:
    table = RuledTable([replace(column, title=_(column.title)) for column in _LINE_COLUMNS])
    for line in order.lines:
        item = " ".join(part for part in (line.name, line.color, line.size) if part)
        amounts = (line.unit_price, line.total)
        table.add_row(
            plain(line.sku), plain(item), f"{line.pieces:,}", *(shown_amount(each, order.currency) for each in amounts)
        )
    return table


def event_table(events: Sequence[OrderEvent]) -> RuledTable:
    """The log of an order, oldest first."""
    return text_table(
        (when(), N_("What"), N_("Who"), N_("Detail")),
        (
            (
                timestamp(event.at, seconds=True),
                was(event.kind, event.from_status),
                str(event.by),
                "; ".join(
                    filter(None, (in_words(event.detail), event.batch_id and _("batch {id}", id=event.batch_id)))
                ),
            )
            for event in events
        ),
    )


_WAYS = {Mode.BULK: N_("In bulk"), Mode.INDIVIDUAL: N_("On its own")}


def explanation_table(order: Order, explanation: Explanation) -> Facts:
    """A line for each mode of rejecting the order, and what to do instead."""
    facts = Facts()
    for mode, way in _WAYS.items():
        facts.add(_(way), _verdict(explanation.grounds[mode]))
    if explanation.since and any(explanation.grounds.values()):
        facts.add(_("Since"), _since(order, explanation))
    for advice in explanation.advice(order.id):
        facts.add(_("Instead"), plain(advice))
    return facts


def _verdict(grounds: tuple[Rule, ...]) -> Text:
    if not grounds:
        return Text(_("can be rejected"), style="green")
    return plain(_("cannot be rejected: {reasons}", reasons="; ".join(_(rule.reason) for rule in grounds)), "yellow")


def _since(order: Order, explanation: Explanation) -> Text:
    """When the order got its status, from whom, and by which batch."""
    parts = [full_timestamp(explanation.since, seconds=True)] if explanation.since else []
    if explanation.event:
        parts.append(_("{event} by {actor}", event=explanation.event.kind, actor=explanation.event.by))
    if order.batch_id:
        parts.append(_("batch {id}", id=order.batch_id))
    return plain(", ".join(parts))


STATUS_STYLES = {
    Status.NEEDS_OC: "yellow",
    Status.OC_CREATED: "cyan",
    Status.OC_APPROVED: "green",
    Status.OC_DECLINED: "magenta",
    Status.OC_CONFIRMED: "green",
    Status.RETURNED_TO_CART: "dim",
    Status.REJECTED: "red",
}


def status_text(status: Status) -> Text:
    """A status in its colour."""
    return Text(status.value, style=STATUS_STYLES[status])
