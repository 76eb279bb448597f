"""Text measured, filled up and broken by terminal cells: East Asian characters take two."""

import re
import textwrap
import unicodedata
from collections.abc import Iterator

# In fewer cells nothing can be read: a terminal that says it has fewer breaks the lines itself.
NARROWEST = 40
# What may not begin a line, and what may not end one.
_CLOSING = frozenset("、。，．・:;！？」』）】〕〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…)],.!?")  # noqa: RUF001
_OPENING = frozenset("「『（【〔〈《([")  # noqa: RUF001

_UNIT = re.compile(r"[A-Z]{3}\b|%")


def cell_width(text: str) -> int:
    """How many cells the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def padded(text: str, cells: int) -> str:
    """The text, filled up with spaces to so many cells."""
    return text + " " * (cells - cell_width(text))


def wrapped(text: str, cells: int) -> list[str]:
    """Lines of at most so many cells: broken at spaces, and between wide characters."""
    if cell_width(text) == len(text):
        return textwrap.wrap(text, cells)
    lines, line = [], ""
    for piece in pieces(text):
        if line and cell_width(line + piece.rstrip()) > cells:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()] if line.strip() else lines


def pieces(text: str) -> Iterator[str]:
    """The text in pieces that stay whole: words with the space behind them, wide characters with their punctuation."""
    piece = ""
    for before, char in zip(f" {text}", text, strict=False):
        if piece and _may_break(before, char):
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def words(text: str) -> Iterator[str]:
    """The pieces of a text, with a number and its currency or `%` in one; no-break spaces break nothing."""
    word = ""
    for piece in pieces(text):
        if word and not (word[-1] == " " and word[-2:-1].isdecimal() and _UNIT.match(piece)):
            yield word
            word = ""
        word += piece
    if word:
        yield word


def breaks(text: str, cells: int) -> list[int]:
    """Where to break a text into lines of at most so many cells. A longer word is left whole."""
    if cell_width(text) <= cells:
        return []
    places, place, used, begun = [], 0, 0, False
    for word in words(text):
        if begun and used + cell_width(word.rstrip(" ")) > cells:
            places.append(place)
            used = 0
        place += len(word)
        used += cell_width(word)
        # Spaces alone are no line.
        begun = begun or bool(word.strip(" "))
    return places


def _may_break(before: str, char: str) -> bool:
    if char in _CLOSING or before in _OPENING or char == " ":
        return False
    return before == " " or _cells(before) > 1 or _cells(char) > 1


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
