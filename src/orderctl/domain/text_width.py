"""Text measured, filled up and broken by terminal cells: East Asian characters take two."""

import textwrap
import unicodedata
from collections.abc import Iterator

# In fewer cells nothing can be read: a terminal that says it has fewer breaks the lines itself.
NARROWEST = 40
# What may not begin a line, and what may not end one.
_CLOSING = frozenset("、。，．・:;！？」』）】〕〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…)],.!?")  # noqa: RUF001
_OPENING = frozenset("「『（【〔〈《([")  # noqa: RUF001


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


def _may_break(before: str, char: str) -> bool:
    if char in _CLOSING or before in _OPENING or char == " ":
        return False
    return before == " " or _cells(before) > 1 or _cells(char) > 1


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
