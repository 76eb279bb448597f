"""The layout of PDF files: texts, tables, and numbered pages of A4. Lengths are in points."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, BinaryIO

from reportlab import rl_config
from reportlab.lib.colors import Color
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, PageTemplate, Table
from reportlab.platypus.tables import CellStyle

from orderctl.files.pdf_text import accent_font, fitted, runs

_PAGE_WIDTH, _PAGE_HEIGHT, _MARGIN = 595.0, 842.0, 40.0
WIDTH = _PAGE_WIDTH - 2 * _MARGIN
_HEIGHT = _PAGE_HEIGHT - 2 * _MARGIN - 18
GAP, PADDING = 12.0, 4.0
_LEADING, _ASCENT = 1.3, 0.95
SMALL, _TITLE, _BRAND = 8.0, 13.0, 18.0
_FOOT, _FOOT_SIZE = 26.0, 7.5
_MARK_SIZE, _MARK_ANGLE = 92, 52
_BLACK, _GREY, _FAINT_RED = Color(0, 0, 0), Color(0.45, 0.45, 0.45), Color(0.97, 0.86, 0.86)
RED, SHADE, ALARM_SHADE = Color(0.75, 0, 0), Color(0.93, 0.93, 0.93), Color(0.98, 0.9, 0.9)
# An accent is drawn for small letters; over a tall letter it is raised.
_TALL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZbdfhklt")
_BELOW = frozenset("\u00b8\u02db")
_RISE = 0.19
_ALL = (0, 0), (-1, -1)
rl_config.useA85 = 0  # pages in binary, not in ASCII: smaller, and faster to write


class Text(Flowable):  # type: ignore[misc]  # the library has no types
    """A text that wraps to as many lines as it needs. A `Paragraph` would read markup and compose no accents."""

    def __init__(
        self, text: str, *, size: float = 9.0, bold: bool = False, right: bool = False, color: Color | None = None
    ) -> None:
        super().__init__()
        self.width = 0.0
        self._text, self._lines = text, list[str]()
        self._size, self._bold, self._right, self._color = size, bold, right, color
        self._leading = size * _LEADING

    def wrap(self, width: float, _height: float) -> tuple[float, float]:
        """The width and height of the text when it is wrapped to `width`."""
        if width != self.width:
            self._lines = fitted(self._text, size=self._size, width=width, bold=self._bold)
        self.width, self.height = width, len(self._lines) * self._leading
        return self.width, self.height

    def split(self, _width: float, height: float) -> list[Flowable]:
        """Split into what fits into the height, and the rest. The width is that of `wrap`; a table passes another."""
        fits = int(height / self._leading)
        parts = ["\n".join(lines) for lines in (self._lines[:fits], self._lines[fits:])]
        look: dict[str, Any] = {"size": self._size, "bold": self._bold, "right": self._right, "color": self._color}
        return [Text(part, **look) for part in parts] if 0 < fits < len(self._lines) else []

    def drawOn(self, canvas: Canvas, x: float, y: float, _sW: float = 0) -> None:  # noqa: N802, N803 - the library's
        """Draw at a position. Other flowables move the canvas first, which takes longer than drawing."""
        if self._color:
            canvas.setFillColor(self._color)
        baseline = y + self.height - self._size * _ASCENT
        for number, line in enumerate(self._lines):
            self._draw_line(canvas, line, x, baseline - number * self._leading)
        if self._color:
            canvas.setFillColor(_BLACK)

    def _draw_line(self, canvas: Canvas, line: str, x: float, baseline: float) -> None:
        found = runs(line, bold=self._bold)
        if self._right:
            x += self.width - sum(run.width for run in found) * self._size
        text = canvas.beginText(x, baseline)
        for run in found:
            text.setFont(run.font, self._size)
            text.textOut(run.text)
        canvas.drawText(text)
        for run in found:
            width = run.width * self._size
            if run.accent:
                rise = _RISE * self._size if run.text in _TALL and run.accent not in _BELOW else 0
                canvas.setFont(accent_font(bold=self._bold), self._size)
                canvas.drawCentredString(x + width / 2, baseline + rise, run.accent)
            x += width


class _Rows(Table):  # type: ignore[misc]  # as above
    """A table that splits a row across pages only if the row is higher than a page."""

    def split(self, width: float, height: float) -> list[Flowable]:
        self.splitInRow = int(self._frame._atTop)  # noqa: SLF001 - not public
        return list(super().split(width, height))


def _cell(*, left: float = 0, right: float = 0, above: float = 0) -> CellStyle:
    style = CellStyle("")
    style.leftPadding, style.rightPadding, style.topPadding, style.bottomPadding = left, right, above, above
    style.valign = "TOP"
    return style


# All cells of a table share one style: setting it for each cell takes longer than drawing them.
_PLAIN, FACT = _cell(), _cell(right=2 * PADDING)
ROW = _cell(left=PADDING / 2, right=PADDING / 2, above=1)
_LINED_ROW = _cell(left=PADDING / 2, right=PADDING / 2, above=PADDING)


def table(
    rows: Sequence[Sequence[Flowable]],
    widths: Sequence[float],
    *commands: tuple[Any, ...],
    cell: CellStyle = _PLAIN,
    header: int = 0,
    after: float = GAP,
) -> Table:
    """A table whose cells share one style. Its first `header` rows are repeated on each page."""
    styles = [[cell] * len(widths)] * len(rows)
    return _Rows(rows, widths, cellStyles=styles, repeatRows=header, style=commands, spaceAfter=after)


def shaded_table(rows: Sequence[Sequence[Flowable]], widths: Sequence[float], shade: Color) -> Table:
    """A table with a shaded background."""
    return table(rows, widths, ("BACKGROUND", *_ALL, shade), cell=_LINED_ROW)


def ruled_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[float], *, numbers: int
) -> Table:
    """A table of texts with a shaded header and a line below each row; the last `numbers` columns are numbers."""
    first = len(widths) - numbers
    texts = [[Text(cell, size=SMALL, right=place >= first) for place, cell in enumerate(row)] for row in rows]
    titles = [Text(cell, size=SMALL, right=place >= first, bold=True) for place, cell in enumerate(header)]
    shade, line = ("BACKGROUND", (0, 0), (-1, 0), SHADE), ("LINEBELOW", (0, 1), (-1, -1), 0.25, _GREY)
    return table([titles, *texts], widths, shade, line, cell=_LINED_ROW, header=1, after=GAP / 2)


def facts_table(*columns: Iterable[tuple[str, str]], labels: float) -> Table:
    """Columns of labels and texts, side by side. Labels without a text are left out."""
    told = [[(label, text) for label, text in column if text.strip()] for column in columns]
    rows = [
        [Text(part, bold=not place) for pair in pairs for place, part in enumerate(pair)]
        for pairs in zip_longest(*told, fillvalue=("", ""))
    ]
    return table(rows, [labels, WIDTH / len(columns) - labels] * len(columns), cell=FACT)


def heading(left: str, title: str) -> Table:
    """The head of a document: two titles above a line."""
    titles = [Text(left, size=_BRAND, bold=True), Text(title, size=_TITLE, bold=True, right=True)]
    return table([titles], [WIDTH / 2] * 2, ("LINEBELOW", *_ALL, 1, _BLACK))


class Pages(Canvas):  # type: ignore[misc]  # as above
    """A file of several documents, each with its own page numbers."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__(out, pagesize=(_PAGE_WIDTH, _PAGE_HEIGHT), pageCompression=1, invariant=1)
        self._kept: list[dict[str, object]] = []

    def add(self, story: list[Flowable], *, title: str, brand: str = "", mark: str = "") -> None:
        """Add a document; `mark` is written across each page, below the text."""
        head = Text(title, size=SMALL)
        __, height = head.wrap(WIDTH, _HEIGHT)

        def begin(*_: object) -> None:
            if mark:
                self._draw_mark(mark)
            if self._kept:
                head.drawOn(self, _MARGIN, _PAGE_HEIGHT - _MARGIN - height)

        def page(name: str, room: float) -> PageTemplate:
            frame = Frame(_MARGIN, _PAGE_HEIGHT - _MARGIN - _HEIGHT, WIDTH, room, 0, 0, 0, 0)
            return PageTemplate(name, [frame], onPage=begin, autoNextPageTemplate="next")

        template = BaseDocTemplate("", pageTemplates=[page("first", _HEIGHT), page("next", _HEIGHT - height - GAP)])
        template.build(story, canvasmaker=lambda *_args, **_options: self)
        kept = self._kept
        for number, drawn in enumerate(kept, start=1):
            self.__dict__.update(drawn)
            self._draw_foot(f"{brand}  {title}".strip(), f"{number} / {len(kept)}")
            super().showPage()
        self._kept = []

    def showPage(self) -> None:  # noqa: N802 - the library's
        """Keep the page: it is written when the number of pages is known."""
        self._kept.append(self.__dict__.copy())
        self._startPage()

    def save(self) -> None:
        """Do nothing. The library calls this after each document, but the file ends with `finish`."""

    def finish(self, title: str) -> None:
        """Write the file."""
        self.setCreator("orderctl")
        self.setTitle(one_line(title))
        super().save()

    def _draw_foot(self, named: str, numbers: str) -> None:
        (named, *__) = fitted(named, size=_FOOT_SIZE, width=WIDTH - 60)
        for text, right in ((named, False), (numbers, True)):
            foot = Text(text, size=_FOOT_SIZE, right=right, color=_GREY)
            foot.wrap(WIDTH, _HEIGHT)
            foot.drawOn(self, _MARGIN, _FOOT)

    def _draw_mark(self, text: str) -> None:
        mark = Text(text, size=_MARK_SIZE, bold=True, color=_FAINT_RED)
        mark.wrap(_PAGE_HEIGHT, _PAGE_HEIGHT)
        self.saveState()
        self.translate(_PAGE_WIDTH / 2, _PAGE_HEIGHT / 2)
        self.rotate(_MARK_ANGLE)
        mark.drawOn(self, -sum(run.width for run in runs(text, bold=True)) * _MARK_SIZE / 2, -_MARK_SIZE / 2)
        self.restoreState()


def one_line(text: str) -> str:
    """The text without line breaks, for the properties of the file."""
    return " ".join(fitted(text, size=1, width=WIDTH))
