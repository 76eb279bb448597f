"""Makes text from outside safe to show, and compares, measures and wraps text. Widths are in terminal cells."""

import difflib
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator

from orderctl.language import _

# Characters of these categories (control, format, unassigned, line separators) can move the cursor, hide text or
# reverse its order.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Replace control, format and bidi characters by escapes (`\x1b`, `\u202e`)."""
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(escape(char) if unicodedata.category(char) in _UNSAFE else char for char in text)
    return text if shown == text else shown  # an unchanged `Said` keeps its English text


def escape(char: str) -> str:
    r"""The escape of a character: `\x1b`."""
    return char.encode("unicode_escape").decode("ascii")


def fold(text: str) -> str:
    r"""The form in which text is searched, on both engines: without case, width, and accents on Latin and Greek.

    In other scripts a mark makes another letter and is kept: `\u304c` is not `\u304b`, `\u0439` is not `\u0438`.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain).translate(_STROKES))


def plain_name(text: str) -> str:
    """A name without differences of case, spaces, hyphens and underscores."""
    return "_".join(fold(text).replace("_", " ").replace("-", " ").split())


def close_words(text: str, known: Iterable[str], *, likeness: float = 0.6) -> list[str]:
    """Up to three known words that were perhaps meant, the likeliest first."""
    words = {fold(word): word for word in known}
    return [words[each] for each in difflib.get_close_matches(fold(text), words, cutoff=likeness)]


def closest(text: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """The known word that was perhaps meant; empty if none is so much like it."""
    return next(iter(close_words(text, known, likeness=likeness)), "")


def nearest(text: str, known: Iterable[str], else_: str) -> str:
    """A hint for a word that is not known: the nearest that is, or else what there is."""
    word = closest(text, known, likeness=0.5)
    return _("did you mean {word}?", word=safe(word)) if word else else_


def lower_ascii(text: str) -> str:
    """`A` to `Z` in lower case, the rest unchanged, as `lower()` of both engines with collation "C" does."""
    return text.translate(_LOWER)


# Combining marks after a Latin or Greek letter.
_ACCENTS = re.compile(
    "(?<=[a-z\u00df-\u02af\u0370-\u03ff\u1e00-\u1fff])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)
# Latin letters that Unicode does not decompose, and how people write them without the stroke.
_STROKES = str.maketrans(
    {
        "\u00e6": "ae",
        "\u00f0": "d",
        "\u00f8": "o",
        "\u00fe": "th",
        "\u0111": "d",
        "\u0127": "h",
        "\u0131": "i",
        "\u0142": "l",
        "\u0153": "oe",
        "\u0167": "t",
    }
)
_LOWER = {ord(char): char.lower() for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}

# Nothing is readable in fewer cells. A narrower terminal breaks the lines itself.
NARROWEST = 40
# Characters that may not begin a line, and those that may not end one.
_CLOSING = frozenset("、。，．・:;！？」』）】〕〉》ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々…)],.!?")  # noqa: RUF001
_OPENING = frozenset("「『（【〔〈《([")  # noqa: RUF001
_UNIT = re.compile(r"[A-Z]{3}\b|%")


def cell_width(text: str) -> int:
    """How many terminal cells the text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def padded(text: str, cells: int) -> str:
    """The text, padded with spaces to this many cells."""
    return text + " " * (cells - cell_width(text))


def wrapped(text: str, cells: int) -> list[str]:
    """Lines of at most this many cells, broken at spaces and between wide characters."""
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
    """The parts of a text that stay whole: words with the space after them, wide characters with punctuation."""
    piece = ""
    for before, char in zip(f" {text}", text, strict=False):
        if piece and _may_break(before, char):
            yield piece
            piece = ""
        piece += char
    if piece:
        yield piece


def words(text: str) -> Iterator[str]:
    """The pieces of a text; a number and its currency or `%` are one. No-break spaces do not separate words."""
    word = ""
    for piece in pieces(text):
        if word and not (word[-1] == " " and word[-2:-1].isdecimal() and _UNIT.match(piece)):
            yield word
            word = ""
        word += piece
    if word:
        yield word


def breaks(text: str, cells: int) -> list[int]:
    """The indexes at which to break a text into lines of at most this many cells. Longer words stay whole."""
    if cell_width(text) <= cells:
        return []
    places, place, used, begun = [], 0, 0, False
    for word in words(text):
        if begun and used + cell_width(word.rstrip(" ")) > cells:
            places.append(place)
            used = 0
        place += len(word)
        used += cell_width(word)
        # A line must have more than spaces.
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
