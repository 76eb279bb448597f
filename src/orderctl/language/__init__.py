"""Translates what the operator reads, with gettext catalogues beside this module. The source is English.

    raise UsageError(_("there is no profile {name!r} in {file}", name=name, file=config_file))
    ngettext("{number:,} order", "{number:,} orders", number)

A sentence is one template and is never put together from parts: other languages have another word order. What other
programs read (JSON, CSV, the log, the digest, exit codes, names of commands, fields and statuses) is not translated:
`english` returns the English text of a message. Letters to buyers are in the buyer's language, by `speech_for`.
`make messages` collects the templates of the code into each catalogue and compiles it (docs/messages.py).
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from gettext import NullTranslations

DOMAIN = "orderctl"
CATALOGUES = Path(__file__).parent
# The variables that gettext reads; the first that is set decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_in_english: ContextVar[bool] = ContextVar("in_english", default=False)
_NO_VALUES: Mapping[str, object] = {}
# The values of a template that are made from a template themselves.
_RETOLD = frozenset({"words", "part"})


class Said(str):
    """A message in one language, with its English text, and with the template and values that it was made from."""

    __slots__ = ("english", "template", "values")
    english: str
    template: str
    values: Mapping[str, object]

    @classmethod
    def of(cls, text: str, english: str, template: str = "", values: Mapping[str, object] = _NO_VALUES) -> "Said":
        """A text with its English text; `template` is empty if it has no values."""
        said = cls(text)
        said.english, said.template, said.values = english, template or english, values
        return said

    def __deepcopy__(self, memo: object) -> "Said":
        return self


@dataclass(frozen=True, slots=True)
class Speech:
    """One language to write messages in, by its code; empty for English."""

    code: str = ""

    def gettext(self, template: str, /, **values: object) -> str:
        """The template in this language, filled in with the values as by `str.format`.

        A template without values is not formatted.
        """
        if not (self.code and template):  # a catalogue's entry for the empty text is its header
            if not values:
                return template
            text = template.format_map(values)
            return Said.of(text, text, template, values)
        return self._filled(_translations(self.code).gettext(template), template, values)

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """The singular or plural template in this language, filled in; `{number}` is the number."""
        values = {"number": number, **values}
        template = one if number == 1 else many
        if not self.code:
            return template.format_map(values)
        return self._filled(_translations(self.code).ngettext(one, many, number), template, values)

    @staticmethod
    def _filled(text: str, template: str, values: dict[str, object]) -> str:
        if not values:
            return Said.of(text, template)
        plain = {name: _plain(value) for name, value in values.items()}
        return Said.of(text.format_map(values), template.format_map(plain), template, values)


def _(template: str, /, **values: object) -> str:
    """The template in the operator's language, filled in as by `Speech.gettext`."""
    return Speech(language()).gettext(template, **values)


def ngettext(one: str, many: str, number: int, /, **values: object) -> str:
    """The singular or plural template in the operator's language, filled in as by `Speech.ngettext`."""
    return Speech(language()).ngettext(one, many, number, **values)


def english(text: str) -> str:
    """The English text of a message, for the store and for other programs. Other text is unchanged."""
    return text.english if isinstance(text, Said) else text


def in_words(message: str) -> str:
    """A message that was made before: in English inside `in_english`."""
    return message if language() else english(message)


def enumerated(texts: Iterable[str]) -> str:
    """The texts, separated by commas. The result has an English text too."""
    parts = list(texts)
    text = ", ".join(parts)
    return Said.of(text, ", ".join(map(english, parts))) if language() else text


def all_english(document: object) -> object:
    """A document for other programs, with every message in it in English."""
    if not language():
        return document
    if isinstance(document, Mapping):
        return {key: all_english(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [all_english(each) for each in document]
    return english(document) if isinstance(document, str) else document


def retell(text: str, templates: Iterable[str]) -> str:
    """An English text in the operator's language, if it was made from one of the templates.

    For texts that come without their values: messages of libraries, and those that a digest covers. The values in these
    templates have no format; those named `words` and `part` were made from one of the templates too.
    """
    if not language():
        return text
    for template in templates:
        if found := _pattern(template).fullmatch(text):
            values: dict[str, object] = found.groupdict()
            values |= {name: retell(str(values[name]), templates) for name in _RETOLD & values.keys()}
            return _(template, **values)
    return text


def speech_for(tag: str) -> Speech:
    """The language of a buyer by its BCP 47 tag; English if it has no catalogue."""
    return Speech(_with_catalogue(tag.replace("-", "_")) if tag else "")


def in_every_language(template: str, /) -> tuple[str, ...]:
    """A template without values in each language, English first, because people copy from any screen."""
    codes = sorted(path.name for path in CATALOGUES.iterdir() if _compiled(path.name).is_file())
    return (template, *(Speech(code).gettext(template) for code in codes))


def N_(template: str, /) -> str:  # noqa: N802 - gettext's own name
    """The template itself. It marks a constant that `_` translates where it is shown."""
    return template


@contextmanager
def in_english() -> Iterator[None]:
    """Inside it nothing is translated: for what other programs read or the store keeps."""
    token = _in_english.set(True)
    try:
        yield
    finally:
        _in_english.reset(token)


def language() -> str:
    """The language code of the operator's locale, such as `ja`; empty for English or without a catalogue."""
    if _in_english.get():
        return ""
    named = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    return _with_catalogue(named) if named else ""


def _plain(value: object) -> object:
    """A value as in an English sentence. The message of an error is English too."""
    if isinstance(value, BaseException) and value.args:
        value = value.args[0]
    return english(value) if isinstance(value, str) else value


@lru_cache(maxsize=256)
def _pattern(template: str) -> "re.Pattern[str]":
    import re  # noqa: PLC0415 - only for a language that is not English

    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(f"(?P<{part}>.*)" if at % 2 else re.escape(part) for at, part in enumerate(parts)), re.DOTALL
    )


@lru_cache(maxsize=8)
def _with_catalogue(named: str) -> str:
    """The first named language that has a catalogue; `LANGUAGE` may name several, separated by colons."""
    for each in named.split(":"):
        code = each.partition(".")[0].partition("_")[0].lower()
        if code in {"en", "c", "posix"}:
            return ""
        if code.isalpha() and _compiled(code).is_file():
            return code
    return ""


@lru_cache(maxsize=8)
def _translations(code: str) -> "NullTranslations":
    import gettext  # noqa: PLC0415 - only for a language that is not English

    with _compiled(code).open("rb") as file:
        return gettext.GNUTranslations(file)


def _compiled(code: str) -> Path:
    return CATALOGUES / code / "LC_MESSAGES" / f"{DOMAIN}.mo"
