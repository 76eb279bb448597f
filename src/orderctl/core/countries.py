"""Converts names of countries to ISO 3166-1 codes."""

from functools import cache

_LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "nl", "da", "sv", "nb", "fi", "pl", "ja", "ko", "zh")
_LETTERS = 2
# Common names that the lists of the languages do not have.
_ALIASES = {
    **dict.fromkeys(("uk", "great britain", "england", "scotland", "wales", "northern ireland"), "GB"),
    **dict.fromkeys(("usa", "united states of america"), "US"),
    **dict.fromkeys(("eire", "republic of ireland"), "IE"),
    **dict.fromkeys(("holland", "the netherlands"), "NL"),
    **dict.fromkeys(("korea", "republic of korea"), "KR"),
    "czech republic": "CZ",
    "hong kong": "HK",
    "ivory coast": "CI",
    "macau": "MO",
    "rsa": "ZA",
    "russian federation": "RU",
    "turkey": "TR",
    "uae": "AE",
    "viet nam": "VN",
}


def country_code(name: str) -> str:
    """The alpha-2 code for a country's name in one of many languages; any other text is returned unchanged.

    `Channel Islands` and `European Community` are not countries, so they are unchanged.
    """
    if len(name) == _LETTERS and name.upper() in _codes():
        return name.upper()
    return _ALIASES.get(name.casefold()) or _names().get(name.casefold(), name)


@cache
def _names() -> dict[str, str]:
    from babel import Locale  # noqa: PLC0415 - slow to load, and most files hold no country

    names: dict[str, str] = {}
    for language in _LANGUAGES:
        for code, name in Locale(language).territories.items():
            if len(code) == _LETTERS and code.isalpha() and code not in {"EU", "EZ", "UN", "ZZ", "XA", "XB", "QO"}:
                names.setdefault(name.casefold(), code)
    return names


@cache
def _codes() -> frozenset[str]:
    return frozenset(_names().values())
