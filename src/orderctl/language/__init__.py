"""What the operator reads, in the operator's language: gettext catalogues beside this module, English in the code.

    raise UsageError(say("there is no profile {name!r} in {file}", name=name, file=config_file))
    say_count("{number:,} order", "{number:,} orders", number)

A sentence is one template, never put together from pieces: other languages order their words differently. What other
programs read (JSON, CSV, the log, the seal, exit codes, names of commands, fields and statuses) is never translated.
`make messages` collects the templates of the code into each catalogue and compiles it (docs/messages.py).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import NullTranslations

DOMAIN = "orderctl"
CATALOGUES = Path(__file__).parent
# As gettext asks them; the first that is set decides.
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
_in_english: ContextVar[bool] = ContextVar("in_english", default=False)


def say(template: str, /, **values: object) -> str:
    """The template in the operator's language, filled in.

    Values stand in it as `str.format` writes them; a template without values is taken as it is.
    """
    code = language()
    text = _translations(code).gettext(template) if code else template
    return text.format_map(values) if values else text


def say_count(one: str, many: str, number: int, /, **values: object) -> str:
    """The template for this number of things, filled in; `{number}` stands for it."""
    code = language()
    text = _translations(code).ngettext(one, many, number) if code else one if number == 1 else many
    return text.format_map({"number": number, **values})


def later(template: str, /) -> str:
    """The template itself: marks a constant that is translated, by `say`, where it is shown."""
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
