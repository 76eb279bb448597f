"""An order as pages: what stands where, before anything is drawn. A4, in points, from the top left corner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import zip_longest

from orderctl.domain.money import format_amount
from orderctl.domain.orders import Order, OrderLine, Status
from orderctl.files.pdf_text import fitted
from orderctl.language import Speech, later, speech_for

PAGE_WIDTH, PAGE_HEIGHT, MARGIN = 595.0, 842.0, 42.0
WIDTH = PAGE_WIDTH - 2 * MARGIN
_ROOM = PAGE_HEIGHT - 2 * MARGIN - 14
_LEADING = 1.3
_TEXT, SMALL, _TITLE, _BRAND = 9.0, 8.0, 13.0, 18.0
_GAP = 12.0
_TOTAL = 11.0
PADDING = 3.0
_HAIRLINE, _RULE = 0.25, 1.0
_LABELS = 62.0
HALF = WIDTH / 2 - _GAP
_DRAFTS = {Status.NEEDS_OC, Status.RETURNED_TO_CART}
_REJECTED = later("REJECTED")
# By whether it is known when, and by which batch.
_REJECTED_HOW = {
    (True, True): later("REJECTED on {at:%Y-%m-%d %H:%M} UTC in batch {batch}"),
    (True, False): later("REJECTED on {at:%Y-%m-%d %H:%M} UTC"),
    (False, True): later("REJECTED in batch {batch}"),
    (False, False): _REJECTED,
}


class Shade(StrEnum):
    """What a strip stands on."""

    HEADER = "header"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One line of text, or a bar so wide: `x` is its left edge, or its right edge where it is aligned so."""

    x: float
    text: str
    size: float = _TEXT
    bold: bool = False
    right: bool = False
    alarm: bool = False
    bar: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """What stands side by side across a page, on one base line; `rule` is how wide a line runs through its middle."""

    height: float
    pieces: tuple[Piece, ...] = ()
    rule: float = 0
    shade: Shade | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The pages of one order, and the mark that is written across them."""

    title: str
    brand: str
    pages: tuple[tuple[Strip, ...], ...]
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table."""

    header: str
    x: float
    width: float
    right: bool = False


_COLUMNS = (
    Column(header="#", x=0, width=22),
    Column(header=later("SKU"), x=26, width=82),
    Column(header=later("Article"), x=112, width=140),
    Column(header=later("Colour"), x=256, width=58),
    Column(header=later("Size"), x=318, width=40),
    Column(header=later("Pieces"), x=362, width=36, right=True),
    Column(header=later("Price"), x=402, width=50, right=True),
    Column(header=later("Amount"), x=456, width=WIDTH - 456, right=True),
)


LINE_END = Strip(height=2 * PADDING, rule=_HAIRLINE)


def lay_out(order: Order, *, confirmation: bool) -> Document:
    """The document of an order, or the confirmation of it, in its buyer's language: it is for the buyer."""
    speech = speech_of(order)
    title = speech.say(_kind(order, confirmation=confirmation), id=order.id)
    flow = Flow(head=side_by_side([paragraph(title, HALF, size=SMALL)]))
    for strips in (
        heading(order.brand, title),
        _rejection(order, speech),
        _facts(order, speech, confirmation=confirmation),
        _places(order, speech),
    ):
        flow.add(strips)
    header = shaded(row([speech.say(column.header) for column in _COLUMNS], bold=True), Shade.HEADER)
    if order.lines:
        flow.add(header)
    for line in order.lines:
        flow.add([Strip(height=PADDING), *row(_cells(line, order.currency)), LINE_END], again=header)
    flow.add(_totals(order, speech))
    flow.add(_note(order, speech))
    mark = speech.say(_REJECTED) if order.status is Status.REJECTED else ""
    return Document(title=title, brand=order.brand, pages=tuple(map(tuple, flow.pages)), mark=mark)


@dataclass(slots=True)
class Flow:
    """Fills pages from the top down; `head` begins every page but the first."""

    head: Sequence[Strip]
    pages: list[list[Strip]] = field(default_factory=lambda: [[]])
    left: float = _ROOM

    def add(self, strips: Sequence[Strip], again: Sequence[Strip] = ()) -> None:
        """Put strips on one page if they fit on one; `again` is repeated above them on a new page."""
        together = sum(strip.height for strip in strips)
        begun = sum(strip.height for strip in (*self.head, *again))
        if self.left < together <= _ROOM - begun:
            self._turn(again)
        for strip in strips:
            if strip.height > self.left:
                self._turn(again)
            self._put(strip)

    def _turn(self, again: Sequence[Strip]) -> None:
        self.pages.append([])
        self.left = _ROOM
        for strip in (*self.head, *again):
            self._put(strip)

    def _put(self, strip: Strip) -> None:
        self.pages[-1].append(strip)
        self.left -= strip.height


def speech_of(order: Order) -> Speech:
    """The language of the order's buyer."""
    return speech_for(order.buyer.language or "" if order.buyer else "")


def _kind(order: Order, *, confirmation: bool) -> str:
    if not confirmation:
        return later("Order {id}")
    return later("Order confirmation (draft) {id}") if order.status in _DRAFTS else later("Order confirmation {id}")


def paragraph(text: str, width: float, *, x: float = 0, size: float = _TEXT, bold: bool = False) -> list[Piece]:
    """A text as lines of this width."""
    lines = fitted(text, size=size, width=width, bold=bold)
    return [Piece(x=x, text=line, size=size, bold=bold) for line in lines]


def side_by_side(columns: Iterable[Sequence[Piece]], *, after: float = _GAP) -> list[Strip]:
    """Columns of lines as strips, with some room after the last."""
    strips = []
    for row in zip_longest(*columns):
        pieces = tuple(piece for piece in row if piece is not None)
        strips.append(Strip(height=max(piece.size for piece in pieces) * _LEADING, pieces=pieces))
    return [*strips, Strip(height=after)] if strips else []


def shaded(strips: Sequence[Strip], shade: Shade) -> list[Strip]:
    """The strips on a shade, with some of it above and below them."""
    padding = Strip(height=PADDING)
    return [replace(strip, shade=shade) for strip in (padding, *strips, padding)]


def heading(left: str, title: str) -> list[Strip]:
    """What a document begins with: two titles over a rule."""
    brand = paragraph(left, HALF, size=_BRAND, bold=True)
    named = [replace(piece, right=True) for piece in paragraph(title, HALF, x=WIDTH, size=_TITLE, bold=True)]
    return [*side_by_side([brand, named], after=3), Strip(height=2, rule=_RULE), Strip(height=_GAP)]


def _rejection(order: Order, speech: Speech) -> list[Strip]:
    if order.status is not Status.REJECTED:
        return []
    words = speech.say(
        _REJECTED_HOW[bool(order.rejected_at), bool(order.batch_id)], at=order.rejected_at, batch=order.batch_id
    )
    lines = [replace(piece, alarm=True) for piece in paragraph(words, WIDTH, bold=True)]
    return [*shaded(side_by_side([lines], after=0), Shade.ALARM), Strip(height=_GAP)]


def _facts(order: Order, speech: Speech, *, confirmation: bool) -> list[Strip]:
    """The order's own facts on the left, the buyer on the right."""
    delivery = str(order.delivery_from or order.delivery_to or "")
    if order.delivery_from and order.delivery_to:
        delivery = speech.say("{first} to {last}", first=order.delivery_from, last=order.delivery_to)
    status = order.status.buyer_sees if confirmation else order.status.brand_sees
    left = labelled(
        [
            (speech.say("Reference"), order.reference),
            (speech.say("Season"), order.season),
            (speech.say("Ordered"), f"{order.ordered_at:%Y-%m-%d}"),
            (speech.say("Delivery"), delivery),
            (speech.say("Terms"), order.terms),
            (speech.say("Status"), speech.say(status)),
        ],
        x=0,
    )
    right: list[Piece] = []
    if order.buyer:
        buyer = order.buyer
        right = labelled(
            [
                (speech.say("Buyer"), f"{buyer.name}\n{buyer.id}" if buyer.name != buyer.id else buyer.id),
                (speech.say("Contact"), buyer.contact or ""),
                (speech.say("E-mail"), buyer.email or ""),
                (speech.say("Country"), buyer.country or ""),
            ],
            x=WIDTH / 2,
        )
    return side_by_side(labels_and_texts(left) + labels_and_texts(right))


def labelled(facts: Iterable[tuple[str, str]], x: float) -> list[Piece]:
    """A label before the first line of each fact that there is; an empty label keeps the others in step."""
    pieces = []
    for label, text in facts:
        for number, piece in enumerate(paragraph(text, HALF - _LABELS, x=x + _LABELS)):
            pieces += [Piece(x=x, text="" if number else label, bold=True), piece]
    return pieces


def labels_and_texts(pieces: Sequence[Piece]) -> list[Sequence[Piece]]:
    """What `labelled` gives as two columns."""
    return [pieces[::2], pieces[1::2]]


def _places(order: Order, speech: Speech) -> list[Strip]:
    delivery = "\n".join(part for part in (order.delivery_address, order.country or "") if part)
    named = speech.say("Delivery address") if order.delivery_address else speech.say("Delivery country")
    columns = []
    for x, label, text in ((0, named, delivery), (WIDTH / 2, speech.say("Billing address"), order.billing_address)):
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


def row(cells: Sequence[str], *, bold: bool = False, of: Sequence[Column] = _COLUMNS) -> list[Strip]:
    """The cells of one row of a table, each in as many lines as it needs."""
    columns = []
    for column, cell in zip(of, cells, strict=True):
        edge = column.x + column.width if column.right else column.x
        lines = fitted(cell, size=SMALL, width=column.width, bold=bold)
        columns.append([Piece(x=edge, text=line, size=SMALL, bold=bold, right=column.right) for line in lines])
    return side_by_side(columns, after=0)


def _totals(order: Order, speech: Speech) -> list[Strip]:
    added = sum(line.quantity * line.unit_price for line in order.lines)
    figures = [(speech.say("Pieces"), f"{order.quantity:,}")]
    if order.lines and added != order.total:
        figures.append((speech.say("Sum of the lines"), format_amount(added, order.currency)))
    left = _COLUMNS[4].x
    columns = [
        [Piece(x=left, text=label) for label, _ in figures],
        [Piece(x=WIDTH, text=amount, right=True) for _, amount in figures],
    ]
    total = [
        [Piece(x=left, text=speech.say("Total"), size=_TOTAL, bold=True)],
        [Piece(x=WIDTH, text=str(order.amount), size=_TOTAL, bold=True, right=True)],
    ]
    return [Strip(height=_GAP / 2), *side_by_side(columns, after=2), *side_by_side(total)]


def _note(order: Order, speech: Speech) -> list[Strip]:
    lines = paragraph(order.note, WIDTH)
    return side_by_side([[Piece(x=0, text=speech.say("Note"), bold=True), *lines]]) if lines else []
