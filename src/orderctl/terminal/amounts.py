"""Amounts as the operator's country writes them. What other programs read never comes through here."""

import os
from functools import lru_cache

from orderctl.domain.money import Money, format_amount

# The signs between thousands and before decimals. Babel knows every locale and takes 29 ms to load: a table
# should not wait for it, so the languages of our buyers stand here, and a test holds them to Babel's.
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
    """Minor units with the currency's decimals and the locale's separators, without the code."""
    return localized(format_amount(minor, currency))


def shown_money(money: Money) -> str:
    """An amount and its currency."""
    return f"{shown_amount(money.minor, money.currency)} {money.currency}"


def localized(text: str) -> str:
    """A number that is written as in `1,234.50`, with the locale's separators."""
    group, decimal = separators(_locale())
    return text if (group, decimal) == (",", ".") else text.translate({ord(","): group, ord("."): decimal})


@lru_cache(maxsize=4)
def separators(locale: str) -> tuple[str, str]:
    """The signs between thousands and before decimals in a locale such as `de_DE`; those of English if unknown."""
    language, _, country = locale.partition("_")
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
    """The locale for numbers, as every program finds it: `LC_ALL`, `LC_NUMERIC`, `LANG`."""
    named = next((value for name in ("LC_ALL", "LC_NUMERIC", "LANG") if (value := os.environ.get(name))), "")
    locale = named.partition(".")[0].partition("@")[0]
    return "en" if locale in {"", "C", "POSIX"} else locale
