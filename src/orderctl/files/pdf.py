"""An order as pages: what stands where, before anything is drawn. A4, in points, from the top left corner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import zip_longest
from typing import BinaryIO

from reportlab.lib.colors import Color
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from orderctl.files.pdf_text import accent_font, fitted, runs

PAGE_WIDTH, PAGE_HEIGHT, MARGIN = 595.0, 842.0, 42.0
WIDTH = PAGE_WIDTH - 2 * MARGIN
_ROOM = PAGE_HEIGHT - 2 * MARGIN - 14
_LEADING = 1.3
_TEXT, SMALL, _TITLE, _BRAND = 9.0, 8.0, 13.0, 18.0
_GAP = 12.0
PADDING = 3.0
_HAIRLINE, _RULE = 0.25, 1.0
_LABELS = 62.0
HALF = WIDTH / 2 - _GAP


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


LINE_END = Strip(height=2 * PADDING, rule=_HAIRLINE)


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


def row(cells: Sequence[str], *, bold: bool = False, of: Sequence[Column]) -> list[Strip]:
    """The cells of one row of a table, each in as many lines as it needs."""
    columns = []
    for column, cell in zip(of, cells, strict=True):
        edge = column.x + column.width if column.right else column.x
        lines = fitted(cell, size=SMALL, width=column.width, bold=bold)
        columns.append([Piece(x=edge, text=line, size=SMALL, bold=bold, right=column.right) for line in lines])
    return side_by_side(columns, after=0)


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
