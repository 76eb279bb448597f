"""An order as pages, for its buyer."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from reportlab.platypus import Flowable

from orderctl.core.money import format_amount
from orderctl.files.pdf import (
    ALARM_SHADE,
    FACT,
    RED,
    ROW,
    WIDTH,
    Pages,
    Text,
    facts_table,
    heading,
    one_line,
    ruled_table,
    shaded_table,
    table,
)
from orderctl.language import N_, Speech, speech_for
from orderctl.orders.orders import Order, OrderLine, Status

_TOTAL = 11.0
_LABELS = 62.0
_TOTALS = 76.0, 118.0
_DRAFTS = {Status.NEEDS_OC, Status.RETURNED_TO_CART}
_REJECTED = N_("REJECTED")
# By whether it is known when, and by which batch.
_REJECTED_HOW = {
    (True, True): N_("REJECTED on {at:%Y-%m-%d %H:%M} UTC in batch {batch}"),
    (True, False): N_("REJECTED on {at:%Y-%m-%d %H:%M} UTC"),
    (False, True): N_("REJECTED in batch {batch}"),
    (False, False): _REJECTED,
}
# With their widths; the last three are numbers.
_COLUMNS = {
    "#": 26,
    N_("SKU"): 86,
    N_("Article"): 144,
    N_("Colour"): 62,
    N_("Size"): 44,
    N_("Pieces"): 40,
    N_("Price"): 54,
    N_("Amount"): 59,
}


def write_documents(orders: Iterable[Order], out: BinaryIO, *, confirmation: bool) -> None:
    """Write one PDF with a document an order, each counting its own pages and listed in the outline."""
    pages = Pages(out)
    languages: set[Speech] = set()
    for number, order in enumerate(orders):
        speech = speech_for(order.buyer.language or "" if order.buyer else "")
        languages.add(speech)
        title = speech.gettext(_kind(order, confirmation=confirmation), id=order.id)
        mark = speech.gettext(_REJECTED) if order.status is Status.REJECTED else ""
        pages.bookmarkPage(str(number))
        pages.addOutlineEntry(one_line(title), str(number))
        story = [heading(order.brand, title), *_story(order, speech, confirmation=confirmation)]
        pages.add(story, title=title, brand=order.brand, mark=mark)
    speech = languages.pop() if len(languages) == 1 else Speech()
    pages.finish(speech.gettext("Order confirmations") if confirmation else speech.gettext("Orders"))


def _kind(order: Order, *, confirmation: bool) -> str:
    if not confirmation:
        return N_("Order {id}")
    return N_("Order confirmation (draft) {id}") if order.status in _DRAFTS else N_("Order confirmation {id}")


def _story(order: Order, speech: Speech, *, confirmation: bool) -> Iterator[Flowable]:
    """The document in its buyer's language."""
    if order.status is Status.REJECTED:
        how = _REJECTED_HOW[bool(order.rejected_at), bool(order.batch_id)]
        words = speech.gettext(how, at=order.rejected_at, batch=order.batch_id)
        yield shaded_table([[Text(words, bold=True, color=RED)]], [WIDTH], ALARM_SHADE)
    yield facts_table(_facts(order, speech, confirmation=confirmation), _buyer(order, speech), labels=_LABELS)
    yield from _places(order, speech)
    if order.lines:
        header = [speech.gettext(name) for name in _COLUMNS]
        rows = (_cells(line, order.currency) for line in order.lines)
        yield ruled_table(header, rows, list(_COLUMNS.values()), numbers=3)
    yield _totals(order, speech)
    if order.note.strip():
        yield from (Text(speech.gettext("Note"), bold=True), Text(order.note))


def _facts(order: Order, speech: Speech, *, confirmation: bool) -> Iterator[tuple[str, str]]:
    delivery = str(order.delivery_from or order.delivery_to or "")
    if order.delivery_from and order.delivery_to:
        delivery = speech.gettext("{first} to {last}", first=order.delivery_from, last=order.delivery_to)
    status = order.status.buyer_sees if confirmation else order.status.brand_sees
    yield speech.gettext("Reference"), order.reference
    yield speech.gettext("Season"), order.season
    yield speech.gettext("Ordered"), f"{order.ordered_at:%Y-%m-%d}"
    yield speech.gettext("Delivery"), delivery
    yield speech.gettext("Terms"), order.terms
    yield speech.gettext("Status"), speech.gettext(status)


def _buyer(order: Order, speech: Speech) -> Iterator[tuple[str, str]]:
    if buyer := order.buyer:
        yield speech.gettext("Buyer"), buyer.name or buyer.id
        yield "", buyer.id if buyer.name not in {"", buyer.id} else ""
        yield speech.gettext("Contact"), buyer.contact or ""
        yield speech.gettext("E-mail"), buyer.email or ""
        yield speech.gettext("Country"), buyer.country or ""


def _places(order: Order, speech: Speech) -> Iterator[Flowable]:
    delivery = "\n".join(part for part in (order.delivery_address, order.country or "") if part)
    named = speech.gettext("Delivery address") if order.delivery_address else speech.gettext("Delivery country")
    places = [(named, delivery), (speech.gettext("Billing address"), order.billing_address)]
    if any(text.strip() for __, text in places):
        labels = [Text(label if text.strip() else "", bold=True) for label, text in places]
        texts = [Text(text) for __, text in places]
        yield table([labels, texts], [WIDTH / 2] * 2, cell=FACT)


def _cells(line: OrderLine, currency: str) -> list[str]:
    return [
        str(line.number),
        line.sku,
        line.name,
        line.color,
        line.size,
        f"{line.pieces:,}",
        format_amount(line.unit_price, currency),
        format_amount(line.total, currency),
    ]


def _totals(order: Order, speech: Speech) -> Flowable:
    added = sum(line.total for line in order.lines)
    rows = [[Text(speech.gettext("Pieces")), Text(f"{order.quantity:,}", right=True)]]
    if order.lines and added != order.total:
        amount = format_amount(added, order.currency)
        rows.append([Text(speech.gettext("Sum of the lines")), Text(amount, right=True)])
    total, amount = speech.gettext("Total"), str(order.amount)
    rows.append([Text(total, size=_TOTAL, bold=True), Text(amount, size=_TOTAL, bold=True, right=True)])
    totals = table(rows, _TOTALS, ("NOSPLIT", (0, 0), (-1, -1)), cell=ROW)
    totals.hAlign = "RIGHT"
    return totals
