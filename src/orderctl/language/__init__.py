"""What the operator reads, in the operator's language: gettext catalogues beside this module, English in the code.

    raise UsageError(_("there is no profile {name!r} in {file}", name=name, file=config_file))
    ngettext("{number:,} order", "{number:,} orders", number)

A sentence is one template, never put together from pieces: other languages order their words differently. What other
programs read (JSON, CSV, the log, the digest, exit codes, names of commands, fields and statuses) is never translated:
`english` gives what was said as it stands there. What a buyer reads is said in the buyer's language, by `speech_for`.
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
# As gettext asks them; the first that is set decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_in_english: ContextVar[bool] = ContextVar("in_english", default=False)


class Said(str):
    """A text in another language that knows itself in English, for what other programs read."""

    __slots__ = ("english",)
    english: str

    @classmethod
    def of(cls, text: str, english: str) -> "Said":
        """Keep both."""
        said = cls(text)
        said.english = english
        return said


@dataclass(frozen=True, slots=True)
class Speech:
    """One language to say things in, by its code; empty for English."""

    code: str = ""

    def gettext(self, template: str, /, **values: object) -> str:
        """The template in this language, filled in.

        Values stand in it as `str.format` writes them; a template without values is taken as it is.
        """
        if not (self.code and template):  # what a catalogue has for nothing is its head
            return template.format_map(values) if values else template
        return self._filled(_translations(self.code).gettext(template), template, values)

    def ngettext(self, one: str, many: str, number: int, /, **values: object) -> str:
        """The template for this number of things, filled in; `{number}` stands for it."""
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
        return Said.of(text.format_map(values), template.format_map(plain))


def _(template: str, /, **values: object) -> str:
    """The template in the operator's language, filled in; see `Speech.gettext`."""
    return Speech(language()).gettext(template, **values)


def ngettext(one: str, many: str, number: int, /, **values: object) -> str:
    """The template for this number of things in the operator's language, filled in; see `Speech.ngettext`."""
    return Speech(language()).ngettext(one, many, number, **values)


def english(text: str) -> str:
    """What was said, in English: what is stored, and what other programs read. Any other text stays as it is."""
    return text.english if isinstance(text, Said) else text


def enumerated(texts: Iterable[str]) -> str:
    """Texts between commas; what was said among them still knows itself in English."""
    parts = list(texts)
    text = ", ".join(parts)
    return Said.of(text, ", ".join(map(english, parts))) if language() else text


def all_english(document: object) -> object:
    """A document for other programs: everything in it that was said, as it stands in English."""
    if not language():
        return document
    if isinstance(document, Mapping):
        return {key: all_english(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [all_english(each) for each in document]
    return english(document) if isinstance(document, str) else document


def retell(stored: str, templates: Iterable[str]) -> str:
    """What is stored in English, in the operator's language, if it was made from one of these templates.

    Their values stand there without a format; one called `words` was made from one of the templates
    itself, one called `why` may be a whole sentence.
    """
    if not language():
        return stored
    for template in templates:
        if found := _pattern(template).fullmatch(stored):
            values: dict[str, object] = found.groupdict()
            if "words" in values:
                values["words"] = retell(str(values["words"]), templates)
            if "why" in values:
                values["why"] = _(str(values["why"]))
            return _(template, **values)
    return stored


def speech_for(tag: str) -> Speech:
    """The language of a buyer, by its BCP 47 tag, whatever the operator's is; English if it has no catalogue."""
    return Speech(_with_catalogue(tag.replace("-", "_")) if tag else "")


def in_every_language(template: str, /) -> tuple[str, ...]:
    """A template without values as each language has it, English first: what people may copy from any screen."""
    codes = sorted(path.name for path in CATALOGUES.iterdir() if _compiled(path.name).is_file())
    return (template, *(Speech(code).gettext(template) for code in codes))


def N_(template: str, /) -> str:  # noqa: N802 - gettext's own name
    """The template itself: marks a constant that is translated, by `_`, where it is shown."""
    return template


@contextmanager
def in_english() -> Iterator[None]:
    """Within it nothing is translated: for words in what other programs read, or the store keeps."""
    token = _in_english.set(True)
    try:
        yield
    finally:
        _in_english.reset(token)


def language() -> str:
    """The language of the operator's locale, as in `ja`; empty for English, and for one without a catalogue."""
    if _in_english.get():
        return ""
    named = next((value for name in _VARIABLES if (value := os.environ.get(name))), "")
    return _with_catalogue(named) if named else ""


def _plain(value: object) -> object:
    """A value as it stands in an English sentence; an error may have been said too."""
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
    """The first of the languages named that there is; `LANGUAGE` may list several, between colons."""
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
