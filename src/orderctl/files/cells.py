"""Reads cells of a file as values. Each reader raises ValueError that says what is wrong with the cell."""

import re
from datetime import UTC, date, datetime, time, tzinfo
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache

from orderctl.core.money import CURRENCIES, decimals, to_minor
from orderctl.language import _

Cell = str | int | float | bool | Decimal | datetime | date | list[object] | None
LONGEST_TEXT = 10_000
LONGEST_NAME = 500
LARGEST_NUMBER = 10**15
LARGEST_COUNT = 2**31 - 1
_QUANTITY_DECIMALS = 3
_LARGEST_EXACT_FLOAT = 2**53
_GROUP = 3  # digits between two marks of thousands
_FLOAT_NOISE = Decimal("1e-6")
_LONGEST_NUMBER = 40
_SURELY_BOUNDED = 15  # digits of which every number is below LARGEST_NUMBER
_CACHED = 10_000
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
# Digits in groups of three or in none; the separators are put in by `_number_pattern`.
_GROUPS = r"\A([+-]?)(\d+|[1-9]\d{{0,2}}(?:[{thousands}]\d{{3}})+)(?:[{point}](\d+))?\Z"
_WITH_POINT = re.compile(_GROUPS.format(thousands=",'\u2019\u00a0\u202f ", point="."), re.ASCII)
_WITH_COMMA = re.compile(_GROUPS.format(thousands=".'\u2019\u00a0\u202f ", point=","), re.ASCII)
# A sign or parentheses, a currency on either side, and digits between.
_AMOUNT = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[-+\u2212]?)\s*(?P<before>[^\W\d_]{0,3}\.?\s*[$€£¥₹₩₺]|[^\W\d_]{2,3}\.?)?\s*"
    r"(?P<inner>[-+\u2212]?)\s*(?P<number>\d[\d.,'\u2019\u00a0\u202f ]*?)\s*"
    r"(?P<behind>[^\W\d_]{0,3}[$€£¥₹₩₺]|[^\W\d_]{2,3}\.?)?\s*(?P<trail>[-\u2212]?)(?P<close>\))?"
)
# What each sign of a currency may mean; those of a single currency say which it is.
_CURRENCIES = {
    "€": {"EUR"}, "£": {"GBP"}, "fr": {"CHF"}, "sfr": {"CHF"}, "us$": {"USD"}, "ca$": {"CAD"}, "c$": {"CAD"},
    "au$": {"AUD"}, "a$": {"AUD"}, "nz$": {"NZD"}, "hk$": {"HKD"}, "s$": {"SGD"}, "r$": {"BRL"}, "₹": {"INR"},
    "₩": {"KRW"}, "₺": {"TRY"}, "zł": {"PLN"}, "kč": {"CZK"}, "ft": {"HUF"}, "¥": {"JPY", "CNY"},
    "kr": {"SEK", "NOK", "DKK", "ISK"},
    "$": {"USD", "CAD", "AUD", "NZD", "HKD", "SGD", "TWD", "MXN", "ARS", "CLP", "COP", "UYU", "BRL"},
}  # fmt: skip
_SURE = frozenset({"€", "£"})
_YES = {"true", "yes", "y", "1", "x"}
_NO = {"false", "no", "n", "0", ""}


def is_blank(cell: Cell) -> bool:
    """Whether the cell is empty, or holds only spaces."""
    return cell is None or (isinstance(cell, str) and (not cell or cell.isspace()))


def read_text(cell: Cell, longest: int) -> str:
    """Text without spaces around it. A whole number, which a spreadsheet may have made of an id, has no `.0`."""
    text = cell.strip() if isinstance(cell, str) else _written(cell)
    if len(text) > longest:
        raise ValueError(_("is longer than {longest:,} characters", longest=longest))
    if "\r" in text:
        # In every kind of file: CSV cannot tell the kinds of line breaks apart.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x00" in text:
        raise ValueError(_("holds a NUL character, which no database keeps"))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(_("holds half of a character (a lone surrogate)"))
    return text


def read_integer(cell: Cell, *, decimal_comma: bool | None = False) -> int:
    """A whole number, such as `5`, `5.0` or `1,000`."""
    if isinstance(cell, str) and _is_digits(cell):
        return int(cell)
    number = _number(cell, decimal_comma=decimal_comma)
    if isinstance(cell, str) and _parts(cell)[1]:
        raise ValueError(_("is an amount, not a number of pieces"))
    if number != number.to_integral_value():
        raise ValueError(_("is not a whole number"))
    return _bounded(int(number))


def read_quantity(cell: Cell, *, decimal_comma: bool | None = False) -> tuple[int, int]:
    """A quantity such as `5`, `2.5` or `1,000`, as a whole number and how many of its digits are decimals."""
    if isinstance(cell, str) and _is_digits(cell):
        return int(cell), 0
    number = _number(cell, decimal_comma=decimal_comma)
    if isinstance(cell, str) and _parts(cell)[1]:
        raise ValueError(_("is an amount, not a number of pieces"))
    if isinstance(cell, float):
        number = _without_noise(number, Decimal(1).scaleb(-_QUANTITY_DECIMALS))
    # As a fraction: arithmetic with decimals may round.
    parts, places = Fraction(number), 0
    while parts.denominator != 1 and places < _QUANTITY_DECIMALS:
        parts, places = parts * 10, places + 1
    if parts.denominator != 1:
        raise ValueError(_("has more than three decimals"))
    return _bounded(int(parts)), places


def read_count(cell: Cell) -> int:
    """A count: a whole number from 0 on."""
    number = read_integer(cell)
    if not 0 <= number <= LARGEST_COUNT:
        raise ValueError(_("is not a count (0 or more)"))
    return number


def read_amount(cell: Cell, currency: str, *, decimal_comma: bool | None = False, rounded: bool = False) -> int:
    """An amount in minor units. One that is finer is refused, or rounded half up where the map says so.

    With None for `decimal_comma` the cell itself has to tell. A currency that is written in it has to be this one.
    """
    if isinstance(cell, str) and not decimal_comma:
        whole, __, fraction = cell.partition(".")
        fraction = "" if decimal_comma is None and len(fraction) == _GROUP else fraction
        # Most amounts are written like this, and it has one meaning: read without arithmetic.
        if whole and fraction and len(fraction) == decimals(currency) and _is_digits(whole + fraction):
            return int(whole + fraction)
    if isinstance(cell, str) and currency and (sign := _parts(cell)[1]) and currency not in _meant(sign):
        raise ValueError(_("is in another currency than the order, which is in {currency}", currency=currency))
    number = _number(cell, decimal_comma=decimal_comma)
    if rounded or isinstance(cell, float):
        unit = Decimal(1).scaleb(-decimals(currency))
        if isinstance(cell, float):
            number = _without_noise(number, unit)
        if rounded:
            number = number.quantize(unit, ROUND_HALF_UP)
    return _bounded(to_minor(number, currency))


def written_currency(cell: Cell) -> str:
    """The currency that an amount is written with, where that is certain: a code, `€` or `£`."""
    sign = _parts(cell)[1] if isinstance(cell, str) else ""
    return next(iter(_meant(sign))) if sign in _SURE or _is_code(sign) else ""


@lru_cache(maxsize=_CACHED)
def decimal_readings(text: str) -> tuple[Decimal | None, Decimal | None]:
    """The number of a text with a decimal point, and with a decimal comma; None where it is none."""
    number, __ = _parts(text)
    found = [
        pattern.match(number) if len(number) <= _LONGEST_NUMBER else None for pattern in (_WITH_POINT, _WITH_COMMA)
    ]
    point, comma = (each and _of_groups(each) for each in found)
    return point, comma


def read_instant(cell: Cell, formats: tuple[str, ...], zone: tzinfo | None) -> datetime:
    """An instant as aware UTC. A time without an offset is in `zone`, and refused with None. A day is its midnight."""
    return _written_instant(cell, formats, zone) if isinstance(cell, str) else _instant(cell, formats, zone)


def _instant(cell: Cell, formats: tuple[str, ...], zone: tzinfo | None) -> datetime:
    instant = _read_time(cell, formats)
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(_("is not between {first_year} and {last_year}", first_year=_FIRST_YEAR, last_year=_LAST_YEAR))
    if instant.tzinfo is None and zone is None:
        raise ValueError(_("has lost its time zone, as in a spreadsheet: say which it was with --timezone"))
    return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)


# Files repeat their days, and reading a day by formats takes longer than the rest of its row.
_written_instant = lru_cache(maxsize=_CACHED)(_instant)


def read_day(cell: Cell, formats: tuple[str, ...]) -> date:
    """A day. A time after it, as spreadsheets write it, is dropped."""
    day = _read_time(cell, formats).date()
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(_("is not between {first_year} and {last_year}", first_year=_FIRST_YEAR, last_year=_LAST_YEAR))
    return day


def read_truth(cell: Cell) -> bool:
    """Yes or no."""
    word = _written(cell).strip().casefold()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(_("is neither yes nor no"))


def _written(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _LARGEST_EXACT_FLOAT:
        return str(int(cell))
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else str(cell)


def _number(cell: Cell, *, decimal_comma: bool | None) -> Decimal:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float | Decimal):
        raise ValueError(_("is not a number"))  # noqa: TRY004 - wrong in the file, not in the program
    if not isinstance(cell, str):
        number = cell if isinstance(cell, Decimal) else Decimal(repr(cell))
        if not (number.is_finite() and abs(number) <= LARGEST_NUMBER):
            raise ValueError(_("is not a number within bounds"))
        return number
    point, comma = decimal_readings(cell.strip())
    if decimal_comma is None:
        if point is not None and comma is not None and point != comma:
            raise ValueError(
                _(
                    "may be {point:,f} or {comma:,f}: say which mark comes before decimals, with --decimal or "
                    "decimal_comma in the column map",
                    point=point,
                    comma=comma,
                )
            )
        read = comma if point is None else point
    else:
        read = comma if decimal_comma else point
    if read is None:
        raise ValueError(
            _("is not a number written with a decimal comma")
            if decimal_comma
            else _("is not a number written with a decimal point")
        )
    return read


def _without_noise(number: Decimal, unit: Decimal) -> Decimal:
    """A number of a float; 2.55 is stored as 2.54999…, so one that is very close to a unit is that unit."""
    nearest = number.quantize(unit, ROUND_HALF_EVEN)
    return nearest if abs(nearest - number) < _FLOAT_NOISE else number


def _of_groups(found: re.Match[str]) -> Decimal:
    whole = found[2] if found[2].isdigit() else "".join(char for char in found[2] if char.isdigit())
    return Decimal(f"{found[1]}{whole}.{found[3]}" if found[3] else f"{found[1]}{whole}")


@lru_cache(maxsize=_CACHED)
def _parts(text: str) -> tuple[str, str]:
    """The number of an amount with its sign in front, and the currency beside it; another text is unchanged."""
    found = _AMOUNT.fullmatch(text.strip()) if len(text) <= 2 * _LONGEST_NUMBER else None
    if not found:
        return text.strip(), ""
    signs = [
        bool(found["open"] and found["close"]),
        *(found[name] not in {"", "+"} for name in ("sign", "inner", "trail")),
    ]
    currency = found["before"] or found["behind"] or ""
    both = found["before"] and found["behind"]
    if sum(signs) > 1 or both or bool(found["open"]) != bool(found["close"]) or not _is_currency(currency):
        return text.strip(), ""
    return f"{'-' * any(signs)}{found['number']}", _folded(currency)


def _folded(currency: str) -> str:
    return currency if _is_code(currency) else currency.replace(" ", "").rstrip(".").lower()


def _is_code(text: str) -> bool:
    return text in CURRENCIES


def _is_currency(text: str) -> bool:
    return not text or _is_code(text) or _folded(text) in _CURRENCIES


def _meant(sign: str) -> set[str]:
    return {sign} if _is_code(sign) else _CURRENCIES[sign]


def _is_digits(text: str) -> bool:
    """Whether the text is a whole number without a sign, within bounds."""
    return len(text) <= _SURELY_BOUNDED and text.isascii() and text.isdigit()


def _bounded(number: int) -> int:
    if abs(number) > LARGEST_NUMBER:
        raise ValueError(_("is too large a number"))
    return number


def _read_time(cell: Cell, formats: tuple[str, ...]) -> datetime:
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime.combine(cell, time())
    if not isinstance(cell, str):
        raise ValueError(_("is not a date"))  # noqa: TRY004 - wrong in the file, not in the program
    text = cell.strip()
    for form in formats:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the zone is the caller's
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            _("is not a date ({formats} or ISO 8601)", formats=", ".join(formats))
            if formats
            else _("is not a date (ISO 8601)")
        ) from None
