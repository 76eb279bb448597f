"""Text from outside, made safe to show. The only place that decides what a terminal may receive."""

import difflib
import re
import unicodedata
from collections.abc import Sequence

from orderctl.language import say

# Everything but letters, marks, numbers, punctuation, symbols and the plain space can move the
# cursor, hide text or reverse its order: control, format (bidi), unassigned, line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def safe(text: str) -> str:
    r"""Show control, format and bidi characters as escapes (`\x1b`, `\u202e`) instead of obeying them."""
    if text.isascii() and text.isprintable():
        return text
    shown = "".join(escape(char) if unicodedata.category(char) in _UNSAFE else char for char in text)
    return text if shown == text else shown  # what was said still knows itself in English


def escape(char: str) -> str:
    r"""A character as the escape that names it: `\x1b`."""
    return char.encode("unicode_escape").decode("ascii")


def fold(text: str) -> str:
    """The form in which text is searched, on every engine alike: no case, no width, no accents on Latin and Greek.

    Elsewhere a mark makes another letter, and stays: `\u304c` is not `\u304b`, `\u0439` is not `\u0438`.
    """
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", plain).translate(_STROKES))


def plain_name(text: str) -> str:
    """A name by which something is known, whatever its case, spaces, hyphens and underscores."""
    return "_".join(fold(text).replace("_", " ").replace("-", " ").split())


def nearest(text: str, known: Sequence[str], else_: str) -> str:
    """A hint for a word that is not known: the nearest that is, or else what there is."""
    words = {fold(word): word for word in known}
    close = difflib.get_close_matches(fold(text), words, n=1, cutoff=0.5)
    return say("did you mean {word}?", word=words[close[0]]) if close else else_


def lower_ascii(text: str) -> str:
    """`A` to `Z` in lower case, all else as it is: what both engines' `lower()` make of a "C" collated text."""
    return text.translate(_LOWER)


# Combining marks behind a Latin or a Greek letter.
_ACCENTS = re.compile(
    "(?<=[a-z\u00df-\u02af\u0370-\u03ff\u1e00-\u1fff])[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+"
)
# Latin letters that Unicode does not take apart, as people write them without.
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
