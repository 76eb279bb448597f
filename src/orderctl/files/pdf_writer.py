"""Draws orders and their confirmations as PDF."""

from collections.abc import Iterable
from typing import BinaryIO

from reportlab.lib.colors import Color
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from orderctl.domain.orders import Order
from orderctl.files.pdf_layout import (
    MARGIN,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    WIDTH,
    Document,
    Piece,
    Shade,
    Strip,
    lay_out,
    speech_of,
)
from orderctl.files.pdf_text import accent_font, fitted, runs
from orderctl.language import Speech

_BLACK, _GREY = Color(0, 0, 0), Color(0.45, 0.45, 0.45)
_RED, _FAINT_RED = Color(0.75, 0, 0), Color(0.97, 0.86, 0.86)
_SHADES = {Shade.HEADER: Color(0.93, 0.93, 0.93), Shade.ALARM: Color(0.98, 0.9, 0.9)}
_BAR, _BAR_DROP = Color(0.78, 0.33, 0.27), 1.6
_BLEED = 4
_FOOT, _FOOT_SIZE = MARGIN - 14, 7.5
_MARK_SIZE, _MARK_ANGLE = 92, 52
_ASCENT = 0.95
# An accent made for small letters has to rise over a tall one.
_TALL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZbdfhklt")
_BELOW = frozenset("\u00b8\u02db")
_RISE = 0.19


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
    canvas.setTitle(speech.say("Order confirmations") if confirmation else speech.say("Orders"))
    canvas.save()


def write_document(document: Document, out: BinaryIO) -> None:
    """Write one document that is laid out."""
    canvas = Canvas(out, pagesize=(PAGE_WIDTH, PAGE_HEIGHT), pageCompression=1, invariant=1)
    canvas.setTitle(" ".join(fitted(document.title, size=1, width=WIDTH)))
    canvas.setCreator("orderctl")
    _draw(canvas, document)
    canvas.save()


def _draw(canvas: Canvas, document: Document) -> None:
    for number, strips in enumerate(document.pages, start=1):
        if document.mark:
            _draw_mark(canvas, document.mark)
        top = PAGE_HEIGHT - MARGIN
        for strip in strips:
            _draw_strip(canvas, strip, top)
            top -= strip.height
        _draw_foot(canvas, document, f"{number} / {len(document.pages)}")
        canvas.showPage()


def _draw_strip(canvas: Canvas, strip: Strip, top: float) -> None:
    if strip.shade:
        canvas.setFillColor(_SHADES[strip.shade])
        # A hair higher than the strip, so that no gap shows between two of them.
        canvas.rect(MARGIN - _BLEED, top - strip.height, WIDTH + 2 * _BLEED, strip.height + 0.2, stroke=0, fill=1)
    tallest = max((piece.size for piece in strip.pieces), default=0)
    for piece in strip.pieces:
        _draw_piece(canvas, piece, top - tallest * _ASCENT, _RED if piece.alarm else _BLACK)
    if strip.rule:
        canvas.setStrokeColor(_BLACK if strip.rule >= 1 else _GREY)
        canvas.setLineWidth(strip.rule)
        middle = top - strip.height / 2
        canvas.line(MARGIN - _BLEED, middle, MARGIN + WIDTH + _BLEED, middle)


def _draw_piece(canvas: Canvas, piece: Piece, baseline: float, color: Color) -> None:
    if piece.bar:
        canvas.setFillColor(_BAR)
        canvas.rect(MARGIN + piece.x, baseline - _BAR_DROP, piece.bar, piece.size, stroke=0, fill=1)
    if not piece.text:
        return
    canvas.setFillColor(color)
    found = runs(piece.text, bold=piece.bold)
    x = MARGIN + piece.x
    if piece.right:
        x -= sum(run.width for run in found) * piece.size
    text = canvas.beginText(x, baseline)
    for run in found:
        text.setFont(run.font, piece.size)
        text.textOut(run.text)
    canvas.drawText(text)
    for run in found:
        if run.accent:
            _draw_accent(canvas, run.accent, run.text, (x + run.width * piece.size / 2, baseline), piece)
        x += run.width * piece.size


def _draw_accent(canvas: Canvas, accent: str, letter: str, middle: tuple[float, float], piece: Piece) -> None:
    font = accent_font(bold=piece.bold)
    rise = _RISE * piece.size if letter in _TALL and accent not in _BELOW else 0
    canvas.setFont(font, piece.size)
    width = pdfmetrics.stringWidth(accent, font, piece.size)
    canvas.drawString(middle[0] - width / 2, middle[1] + rise, accent)


def _draw_foot(canvas: Canvas, document: Document, pages: str) -> None:
    names = fitted(f"{document.brand}  {document.title}".strip(), size=_FOOT_SIZE, width=WIDTH - 60)
    _draw_piece(canvas, Piece(x=0, text=names[0], size=_FOOT_SIZE), _FOOT, _GREY)
    _draw_piece(canvas, Piece(x=WIDTH, text=pages, size=_FOOT_SIZE, right=True), _FOOT, _GREY)


def _draw_mark(canvas: Canvas, mark: str) -> None:
    """Across the page, below the text."""
    canvas.saveState()
    canvas.translate(PAGE_WIDTH / 2, PAGE_HEIGHT / 2)
    canvas.rotate(_MARK_ANGLE)
    canvas.setFillColor(_FAINT_RED)
    found = runs(mark, bold=True)
    x = -sum(run.width for run in found) * _MARK_SIZE / 2
    for run in found:
        canvas.setFont(run.font, _MARK_SIZE)
        canvas.drawString(x, -_MARK_SIZE / 3, run.text)
        x += run.width * _MARK_SIZE
    canvas.restoreState()
