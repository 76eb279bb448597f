"""Amounts and times as the operator reads them. What other programs read does not use this module."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from orderctl.core.money import Money, format_amount
from orderctl.language import _

# The separators of thousands and of decimals. Babel knows them for every locale, but takes 29 ms to load: too long for
# one table. A test compares these with Babel.
_COMMON = {
    "da": (".", ","),
    "de": (".", ","),
    "en": (",", "."),
    "es": (".", ","),
    "fr": ("\u202f", ","),
    "it": (".", ","),
    "ja": (",", "."),
    "ko": (",", "."),
    "nl": (".", ","),
    "zh": (",", "."),
}
_AS_THEIR_LANGUAGE = {"DE", "DK", "ES", "FR", "GB", "IT", "JP", "KR", "NL", "US", "CN", ""}


def shown_amount(minor: int, currency: str) -> str:
    """Minor units with the currency's decimals and the separators of the locale, without the code."""
    return localized(format_amount(minor, currency))


def shown_money(money: Money) -> str:
    """An amount and its currency."""
    return f"{shown_amount(money.minor, money.currency)} {money.currency}"


def localized(text: str) -> str:
    """A number such as `1,234.50`, with the separators of the locale."""
    group, decimal = separators(_locale())
    return text if (group, decimal) == (",", ".") else text.translate({ord(","): group, ord("."): decimal})


@lru_cache(maxsize=4)
def separators(locale: str) -> tuple[str, str]:
    """The separators of thousands and decimals in a locale such as `de_DE`; the English ones if unknown."""
    language, __, country = locale.partition("_")
    if language in _COMMON and country in _AS_THEIR_LANGUAGE:
        return _COMMON[language]
    from babel import Locale, UnknownLocaleError  # noqa: PLC0415 - only for a locale that is not listed
    from babel.numbers import get_decimal_symbol, get_group_symbol  # noqa: PLC0415

    try:
        found = Locale.parse(locale)
    except (ValueError, UnknownLocaleError):
        return _COMMON["en"]
    return get_group_symbol(found), get_decimal_symbol(found)


def _locale() -> str:
    """The locale for numbers, from `LC_ALL`, `LC_NUMERIC` or `LANG`."""
    named = next((value for name in ("LC_ALL", "LC_NUMERIC", "LANG") if (value := os.environ.get(name))), "")
    locale = named.partition(".")[0].partition("@")[0]
    return "en" if locale in {"", "C", "POSIX"} else locale


# None is the time zone of the computer.
_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)


def use_zone(zone: tzinfo | None) -> None:
    """Show times in this zone from now on; None is the zone of the computer."""
    _zone.set(zone)


@contextmanager
def in_utc() -> Iterator[None]:
    """Inside it times are shown in UTC: for what other programs read."""
    token = _zone.set(UTC)
    try:
        yield
    finally:
        _zone.reset(token)


def timestamp(at: datetime, *, seconds: bool = False) -> str:
    """A time without its zone, which must be named nearby: `2026-03-14 10:26`."""
    return f"{at.astimezone(_zone.get()):%Y-%m-%d %H:%M{':%S' if seconds else ''}}"


def full_timestamp(at: datetime, *, seconds: bool = False) -> str:
    """A time with its zone: `2026-03-14 10:26 CET`."""
    return f"{timestamp(at, seconds=seconds)} {at.astimezone(_zone.get()):%Z}"


def full_hour(at: datetime) -> str:
    """A time of day with its zone: `10:26 CET`."""
    return f"{at.astimezone(_zone.get()):%H:%M %Z}"


def when() -> str:
    """The title of a column of times."""
    return _("When ({zone})", zone=_zone_name())


def _zone_name() -> str:
    zone = _zone.get()
    if isinstance(zone, ZoneInfo):
        return str(zone.key)
    if zone is UTC or datetime.now(UTC).astimezone().tzname() == "UTC":
        return "UTC"
    return _("local time")
