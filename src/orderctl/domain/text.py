"""Text from outside, made safe to show. The only place that decides what a terminal may receive."""

import difflib
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
    """The form in which text is searched: compatibility-normalised and case-folded, on every engine alike."""
    return unicodedata.normalize("NFKC", text).casefold()


def nearest(text: str, known: Sequence[str], else_: str) -> str:
    """A hint for a word that is not known: the nearest that is, or else what there is."""
    close = difflib.get_close_matches(text, known, n=1, cutoff=0.5)
    return say("did you mean {word}?", word=close[0]) if close else else_


def lower_ascii(text: str) -> str:
    """`A` to `Z` in lower case, all else as it is: what both engines' `lower()` make of a "C" collated text."""
    return text.translate(_LOWER)


_LOWER = {ord(char): char.lower() for char in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
