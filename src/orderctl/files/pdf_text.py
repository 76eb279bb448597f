"""Fonts, widths and line breaks of text in a PDF. Every character is shown in some way.

Helvetica has western Latin, Vera more of Latin. Japanese, Chinese and Korean are in fonts of the PDF reader. An
accented letter that no font has is drawn as a letter and an accent. Any other character is written as an escape
(`\u0e01`).
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont

from orderctl.core.text import escape, safe

_LATIN = {False: "Helvetica", True: "Helvetica-Bold"}
_MORE_LATIN = {False: TTFont("Vera", "Vera.ttf"), True: TTFont("VeraBd", "VeraBd.ttf")}
# The text encodings that tell which characters the fonts of PDF readers have (Adobe-Japan1, -GB1, -Korea1).
_EAST_ASIAN = (
    ("HeiseiKakuGo-W5", ("cp932", "shift_jis")),
    ("STSong-Light", ("gbk",)),
    ("HYSMyeongJo-Medium", ("cp949",)),
)
_LAST_OF_PLANE_0 = "\uffff"
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "\u00b4",
    "\u0302": "\u02c6",
    "\u0303": "\u02dc",
    "\u0304": "\u00af",
    "\u0306": "\u02d8",
    "\u0307": "\u02d9",
    "\u0308": "\u00a8",
    "\u030a": "\u02da",
    "\u030b": "\u02dd",
    "\u030c": "\u02c7",
    "\u0326": "\u00b8",
    "\u0327": "\u00b8",
    "\u0328": "\u02db",
}
_LOOSE_ACCENT = re.compile("[\u0300-\u036f]")
_CACHED = 16_384
for _font in _MORE_LATIN.values():
    pdfmetrics.registerFont(_font)
for _name, _encodings in _EAST_ASIAN:
    pdfmetrics.registerFont(UnicodeCIDFont(_name))


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent characters of one font with their width for size 1, or one letter with its accent.

    A line may end after a run with `breaks`.
    """

    font: str
    text: str
    width: float
    accent: str = ""
    breaks: bool = False


@lru_cache(maxsize=1_024)  # labels and titles are repeated
def runs(text: str, *, bold: bool) -> tuple[Run, ...]:
    """The text as runs. Widths are for size 1."""
    found: list[Run] = []
    for (font, accent), group in groupby(_glyphs(text, bold=bold), key=lambda glyph: (glyph.font, glyph.accent)):
        glyphs = list(group)
        if accent:
            found += glyphs
        else:
            found.append(Run(font, "".join(g.text for g in glyphs), sum(g.width for g in glyphs)))
    return tuple(found)


def accent_font(*, bold: bool) -> str:
    """The name of the font that has the accents."""
    return str(_MORE_LATIN[bold].fontName)


def fitted(text: str, *, size: float, width: float, bold: bool = False) -> list[str]:
    """The text in lines of at most `width`: broken at line breaks, at spaces, within CJK text, or else anywhere."""
    if _LOOSE_ACCENT.search(text):
        text = unicodedata.normalize("NFC", text)
    return [line for part in text.splitlines() for line in _broken(safe(part), width / size, bold=bold)]


def _broken(text: str, width: float, *, bold: bool) -> Iterator[str]:
    start = end = 0
    used = behind = 0.0  # the widths of text[start:place] and of text[end:place]; a line may end at `end`
    for place, glyph in enumerate(_glyphs(text, bold=bold)):
        while used + glyph.width > width and place > start:
            if end == start:
                end, behind = place, 0.0
            yield text[start:end].rstrip()
            start, used = end, behind
        used += glyph.width
        behind += glyph.width
        if glyph.breaks:
            end, behind = place + 1, 0.0
    yield text[start:].rstrip()


def _glyphs(text: str, *, bold: bool) -> Iterator[Run]:
    return (_glyph(char, bold) for char in text)


@lru_cache(maxsize=_CACHED)
def _glyph(char: str, bold: bool) -> Run:
    font = _font_of(char, bold=bold)
    if font:
        east_asian = font not in _LATIN.values() and font != accent_font(bold=bold)
        return Run(font, char, pdfmetrics.stringWidth(char, font, 1), breaks=east_asian or char == " ")
    latin = _LATIN[bold]
    letter = unicodedata.normalize("NFD", char)
    base, accent = letter[0], _ACCENTS.get(letter[1:])
    if accent and _encodable(base, "cp1252"):
        return Run(latin, base, pdfmetrics.stringWidth(base, latin, 1), accent)
    shown = escape(char)
    return Run(latin, shown, pdfmetrics.stringWidth(shown, latin, 1))


def _font_of(char: str, *, bold: bool) -> str | None:
    if _encodable(char, "cp1252"):
        return _LATIN[bold]
    if char > _LAST_OF_PLANE_0:
        return None
    if ord(char) in _MORE_LATIN[bold].face.charToGlyph:
        return accent_font(bold=bold)
    return next((font for font, encodings in _EAST_ASIAN if any(_encodable(char, each) for each in encodings)), None)


def _encodable(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
