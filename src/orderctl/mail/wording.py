"""What the operator writes to the buyers: one message for all, others by language (design.md, section 7)."""

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orderctl.language import _, language

_BY_LANGUAGE = "by_language"
# No message that people write begins like this; one that does is kept as JSON itself.
_KEPT_AS_JSON = f'{{"{_BY_LANGUAGE}":'
_FOR_ALL = ""
_DROPPED = frozenset({"Cc", "Cs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The operator's message: `for_all`, and others by language tag, in lower case (`de`, `pt-br`).

    A plan and a batch keep it as one text, which their digests cover. A message for all is kept as it is.
    """

    for_all: str = ""
    by_language: Mapping[str, str]

    @classmethod
    def read(cls, kept: str) -> "Wording":
        """Read `kept`."""
        if kept.startswith(_KEPT_AS_JSON):
            try:
                texts = json.loads(kept)[_BY_LANGUAGE]
                by_tag = {str(tag): str(text) for tag, text in texts.items()}
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                return cls(for_all=kept, by_language={})
            return cls(for_all=by_tag.pop(_FOR_ALL, ""), by_language=by_tag)
        return cls(for_all=kept, by_language={})

    def kept(self) -> str:
        """As one text, for plans and batches."""
        if not self.by_language and not self.for_all.startswith(_KEPT_AS_JSON):
            return self.for_all
        texts = {**self.by_language, **({_FOR_ALL: self.for_all} if self.for_all else {})}
        return json.dumps({_BY_LANGUAGE: texts}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def with_for_all(self, text: str) -> "Wording":
        """The same with another message for all."""
        return replace(self, for_all=text)

    def tag_for(self, tag: str, written_in: str) -> str | None:
        """Which message a buyer gets: its language, empty for the one for all; None if there is none.

        The buyer's own language comes first, then that of the letter: a buyer whose letter falls back to English gets
        the English message with it.
        """
        own = plain_tag(tag)
        for candidate in (own, own.partition("-")[0], written_in):
            if self.by_language.get(candidate):
                return candidate
        return _FOR_ALL if self.for_all else None

    def said_to(self, tag: str, written_in: str) -> str:
        """The message to a buyer of this language, whose letter is written in `written_in`; empty if there is none."""
        found = self.tag_for(tag, written_in)
        return self.for_all if not found else self.by_language[found]

    def words(self) -> str:
        """For people: the text for all, or each text after the name of its language."""
        if not self.by_language:
            return self.for_all
        told = [(language_name(tag), text) for tag, text in sorted(self.by_language.items())]
        if self.for_all:
            told.append((_("all others"), self.for_all))
        return "; ".join(f"{name}: {text}" for name, text in told)

    def document(self) -> Mapping[str, str]:
        """The texts by language tag, for other programs; the key of the one for all is empty."""
        return {**({_FOR_ALL: self.for_all} if self.for_all else {}), **dict(sorted(self.by_language.items()))}


def plain_tag(tag: str) -> str:
    """A language tag in one way of writing: `pt_BR` as `pt-br`."""
    return tag.lower().replace("_", "-")


def language_name(tag: str) -> str:
    """The name of a language in the operator's: `German`, `Swiss High German`; the tag itself if nobody knows it."""
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - only where a language is named

    try:
        name = Locale.parse(tag, sep="-").get_display_name(language() or "en")
    except (UnknownLocaleError, ValueError):
        name = None
    return name or tag


def operators_text(text: str) -> str:
    """The operator's words, without control characters. Line breaks and joined emoji stay."""
    lines = text.expandtabs(4).splitlines()
    kept = ("".join(char for char in line if unicodedata.category(char) not in _DROPPED).rstrip() for line in lines)
    return "\n".join(kept).strip("\n")
