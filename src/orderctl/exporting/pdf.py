"""An order as pages: what stands where, before anything is drawn. A4, in points, from the top left corner."""

from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO

from reportlab.pdfgen.canvas import Canvas

from orderctl.core.money import format_amount
from orderctl.files.pdf import (
    _GAP,
    HALF,
    LINE_END,
    PADDING,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    SMALL,
    WIDTH,
    Column,
    Document,
    Flow,
    Piece,
    Shade,
    Strip,
    _draw,
    heading,
    labelled,
    labels_and_texts,
    paragraph,
    row,
    shaded,
    side_by_side,
)
from orderctl.files.pdf_text import fitted
from orderctl.language import N_, Speech, speech_for
from orderctl.orders.orders import Order, OrderLine, Status

_TOTAL = 11.0
_DRAFTS = {Status.NEEDS_OC, Status.RETURNED_TO_CART}
_REJECTED = N_("REJECTED")
# By whether it is known when, and by which batch.
_REJECTED_HOW = {
    (True, True): N_("REJECTED on {at:%Y-%m-%d %H:%M} UTC in batch {batch}"),
    (True, False): N_("REJECTED on {at:%Y-%m-%d %H:%M} UTC"),
    (False, True): N_("REJECTED in batch {batch}"),
    (False, False): _REJECTED,
}
_COLUMNS = (
    Column(header="#", x=0, width=22),
    Column(header=N_("SKU"), x=26, width=82),
    Column(header=N_("Article"), x=112, width=140),
    Column(header=N_("Colour"), x=256, width=58),
    Column(header=N_("Size"), x=318, width=40),
    Column(header=N_("Pieces"), x=362, width=36, right=True),
    Column(header=N_("Price"), x=402, width=50, right=True),
    Column(header=N_("Amount"), x=456, width=WIDTH - 456, right=True),
)


def lay_out(order: Order, *, confirmation: bool) -> Document:
    """The document of an order, or the confirmation of it, in its buyer's language: it is for the buyer."""
    speech = speech_of(order)
    title = speech.gettext(_kind(order, confirmation=confirmation), id=order.id)
    flow = Flow(head=side_by_side([paragraph(title, HALF, size=SMALL)]))
    for strips in (
        heading(order.brand, title),
        _rejection(order, speech),
        _facts(order, speech, confirmation=confirmation),
        _places(order, speech),
    ):
        flow.add(strips)
    header = shaded(row([speech.gettext(column.header) for column in _COLUMNS], bold=True, of=_COLUMNS), Shade.HEADER)
    if order.lines:
        flow.add(header)
    for line in order.lines:
        flow.add([Strip(height=PADDING), *row(_cells(line, order.currency), of=_COLUMNS), LINE_END], again=header)
    flow.add(_totals(order, speech))
    flow.add(_note(order, speech))
    mark = speech.gettext(_REJECTED) if order.status is Status.REJECTED else ""
    return Document(title=title, brand=order.brand, pages=tuple(map(tuple, flow.pages)), mark=mark)


def speech_of(order: Order) -> Speech:
    """The language of the order's buyer."""
    return speech_for(order.buyer.language or "" if order.buyer else "")


def _kind(order: Order, *, confirmation: bool) -> str:
    if not confirmation:
        return N_("Order {id}")
    return N_("Order confirmation (draft) {id}") if order.status in _DRAFTS else N_("Order confirmation {id}")


def _rejection(order: Order, speech: Speech) -> list[Strip]:
    if order.status is not Status.REJECTED:
        return []
    words = speech.gettext(
        _REJECTED_HOW[bool(order.rejected_at), bool(order.batch_id)], at=order.rejected_at, batch=order.batch_id
    )
    lines = [replace(piece, alarm=True) for piece in paragraph(words, WIDTH, bold=True)]
    return [*shaded(side_by_side([lines], after=0), Shade.ALARM), Strip(height=_GAP)]


def _facts(order: Order, speech: Speech, *, confirmation: bool) -> list[Strip]:
    """The order's own facts on the left, the buyer on the right."""
    delivery = str(order.delivery_from or order.delivery_to or "")
    if order.delivery_from and order.delivery_to:
        delivery = speech.gettext("{first} to {last}", first=order.delivery_from, last=order.delivery_to)
    status = order.status.buyer_sees if confirmation else order.status.brand_sees
    left = labelled(
        [
            (speech.gettext("Reference"), order.reference),
            (speech.gettext("Season"), order.season),
            (speech.gettext("Ordered"), f"{order.ordered_at:%Y-%m-%d}"),
            (speech.gettext("Delivery"), delivery),
            (speech.gettext("Terms"), order.terms),
            (speech.gettext("Status"), speech.gettext(status)),
        ],
        x=0,
    )
    right: list[Piece] = []
    if order.buyer:
        buyer = order.buyer
        right = labelled(
            [
                (speech.gettext("Buyer"), f"{buyer.name}\n{buyer.id}" if buyer.name != buyer.id else buyer.id),
                (speech.gettext("Contact"), buyer.contact or ""),
                (speech.gettext("E-mail"), buyer.email or ""),
                (speech.gettext("Country"), buyer.country or ""),
            ],
            x=WIDTH / 2,
        )
    return side_by_side(labels_and_texts(left) + labels_and_texts(right))


def _places(order: Order, speech: Speech) -> list[Strip]:
    delivery = "\n".join(part for part in (order.delivery_address, order.country or "") if part)
    named = speech.gettext("Delivery address") if order.delivery_address else speech.gettext("Delivery country")
    columns = []
    for x, label, text in ((0, named, delivery), (WIDTH / 2, speech.gettext("Billing address"), order.billing_address)):
        if text.strip():
            columns.append([Piece(x=x, text=label, bold=True), *paragraph(text, HALF, x=x)])
    return side_by_side(columns)


def _cells(line: OrderLine, currency: str) -> list[str]:
    return [
        str(line.number),
        line.sku,
        line.name,
        line.color,
        line.size,
        f"{line.quantity:,}",
        format_amount(line.unit_price, currency),
        format_amount(line.quantity * line.unit_price, currency),
    ]


def _totals(order: Order, speech: Speech) -> list[Strip]:
    added = sum(line.quantity * line.unit_price for line in order.lines)
    figures = [(speech.gettext("Pieces"), f"{order.quantity:,}")]
    if order.lines and added != order.total:
        figures.append((speech.gettext("Sum of the lines"), format_amount(added, order.currency)))
    left = _COLUMNS[4].x
    columns = [
        [Piece(x=left, text=label) for label, __ in figures],
        [Piece(x=WIDTH, text=amount, right=True) for __, amount in figures],
    ]
    total = [
        [Piece(x=left, text=speech.gettext("Total"), size=_TOTAL, bold=True)],
        [Piece(x=WIDTH, text=str(order.amount), size=_TOTAL, bold=True, right=True)],
    ]
    return [Strip(height=_GAP / 2), *side_by_side(columns, after=2), *side_by_side(total)]


def _note(order: Order, speech: Speech) -> list[Strip]:
    lines = paragraph(order.note, WIDTH)
    return side_by_side([[Piece(x=0, text=speech.gettext("Note"), bold=True), *lines]]) if lines else []


def write_documents(orders: Iterable[Order], out: BinaryIO, *, confirmation: bool) -> None:
    """Write one PDF with a document an order, each counting its own pages and listed in the outline."""
    canvas = Canvas(out, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), pageCompression=1, invariant=1)
    canvas.setCreator("orderctl")
    languages: set[Speech] = set()
    for number, order in enumerate(orders):
        document = lay_out(order, confirmation=confirmation)
        languages.add(speech_of(order))
        canvas.bookmarkPage(str(number))
        canvas.addOutlineEntry(" ".join(fitted(document.title, size=1, width=WIDTH)), str(number))
        _draw(canvas, document)
    speech = languages.pop() if len(languages) == 1 else Speech()
    canvas.setTitle(speech.gettext("Order confirmations") if confirmation else speech.gettext("Orders"))
    canvas.save()
