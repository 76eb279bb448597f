"""Cells of a file to values. Each reader raises ValueError saying what is wrong with the cell."""

import re
from datetime import UTC, date, datetime, time, tzinfo
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from functools import lru_cache

from orderctl.core.money import decimals, to_minor
from orderctl.language import _

Cell = str | int | float | bool | Decimal | datetime | date | list[object] | None
LONGEST_TEXT = 10_000
LONGEST_NAME = 500
LARGEST_NUMBER = 10**15
LARGEST_COUNT = 2**31 - 1
_LARGEST_EXACT_FLOAT = 2**53
_FLOAT_NOISE = Decimal("1e-6")
_LONGEST_NUMBER = 40
_SURELY_BOUNDED = 15  # digits of which every number is below LARGEST_NUMBER
_CACHED = 10_000
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
# Digits in groups of three or in none; the separators are put in by `_number_pattern`.
_GROUPS = r"\A([+-]?)(\d+|\d{{1,3}}(?:[{thousands}]\d{{3}})+)(?:[{point}](\d+))?\Z"
_WITH_POINT = re.compile(_GROUPS.format(thousands=",'\u2019\u00a0\u202f ", point="."), re.ASCII)
_WITH_COMMA = re.compile(_GROUPS.format(thousands=".'\u2019\u00a0\u202f ", point=","), re.ASCII)
_YES = {"true", "yes", "y", "1", "x"}
_NO = {"false", "no", "n", "0", ""}


def is_blank(cell: Cell) -> bool:
    """Whether nothing stands in the cell."""
    return cell is None or (isinstance(cell, str) and (not cell or cell.isspace()))


def read_text(cell: Cell, longest: int) -> str:
    """Text, trimmed; a number that a spreadsheet made of an id is written without its `.0`."""
    text = cell.strip() if isinstance(cell, str) else _written(cell)
    if len(text) > longest:
        raise ValueError(_("is longer than {longest:,} characters", longest=longest))
    if "\r" in text:
        # Whichever kind of file it stood in: CSV cannot tell one end of a line from another.
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x00" in text:
        raise ValueError(_("holds a NUL character, which no database keeps"))
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise ValueError(_("holds half of a character (a lone surrogate)"))
    return text


def read_integer(cell: Cell, *, decimal_comma: bool = False) -> int:
    """A whole number; `5`, `5.0` and `1,000` are."""
    if isinstance(cell, str) and _is_digits(cell):
        return int(cell)
    number = _number(cell, decimal_comma=decimal_comma)
    if number != number.to_integral_value():
        raise ValueError(_("is not a whole number"))
    return _bounded(int(number))


def read_count(cell: Cell) -> int:
    """A whole number that counts something."""
    number = read_integer(cell)
    if not 0 <= number <= LARGEST_COUNT:
        raise ValueError(_("is not a count (0 or more)"))
    return number


def read_amount(cell: Cell, currency: str, *, decimal_comma: bool = False, rounded: bool = False) -> int:
    """An amount in minor units. One that is finer is refused, or rounded half up where the map says so."""
    if isinstance(cell, str) and not decimal_comma:
        whole, __, fraction = cell.partition(".")
        # As most are written, and no text means another amount by it: read without arithmetic.
        if whole and fraction and len(fraction) == decimals(currency) and _is_digits(whole + fraction):
            return int(whole + fraction)
    number = _number(cell, decimal_comma=decimal_comma)
    if rounded or isinstance(cell, float):
        unit = Decimal(1).scaleb(-decimals(currency))
        if isinstance(cell, float):
            # 2.55 is stored as 2.54999…: what is within a hair of a minor unit is that unit.
            nearest = number.quantize(unit, ROUND_HALF_EVEN)
            number = nearest if abs(nearest - number) < _FLOAT_NOISE else number
        if rounded:
            number = number.quantize(unit, ROUND_HALF_UP)
    return _bounded(to_minor(number, currency))


def read_instant(cell: Cell, formats: tuple[str, ...], zone: tzinfo | None) -> datetime:
    """A instant as aware UTC; what names no offset is meant in `zone`, or refused; a day is its midnight."""
    return _written_instant(cell, formats, zone) if isinstance(cell, str) else _instant(cell, formats, zone)


def _instant(cell: Cell, formats: tuple[str, ...], zone: tzinfo | None) -> datetime:
    instant = _read_time(cell, formats)
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise ValueError(_("is not between {first_year} and {last_year}", first_year=_FIRST_YEAR, last_year=_LAST_YEAR))
    if instant.tzinfo is None and zone is None:
        raise ValueError(_("has lost its time zone, as in a spreadsheet: say which it was with --timezone"))
    return (instant if instant.tzinfo else instant.replace(tzinfo=zone)).astimezone(UTC)


# Files repeat their days, and reading one by a map's formats takes longer than all else of its row.
_written_instant = lru_cache(maxsize=_CACHED)(_instant)


def read_day(cell: Cell, formats: tuple[str, ...]) -> date:
    """A day; a time that a spreadsheet put behind it is dropped."""
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


def _number(cell: Cell, *, decimal_comma: bool) -> Decimal:
    if isinstance(cell, bool) or not isinstance(cell, str | int | float | Decimal):
        raise ValueError(_("is not a number"))  # noqa: TRY004 - wrong in the file, not in the program
    if not isinstance(cell, str):
        number = cell if isinstance(cell, Decimal) else Decimal(repr(cell))
        if not (number.is_finite() and abs(number) <= LARGEST_NUMBER):
            raise ValueError(_("is not a number within bounds"))
        return number
    text = cell.strip()
    found = (_WITH_COMMA if decimal_comma else _WITH_POINT).match(text) if len(text) <= _LONGEST_NUMBER else None
    if not found:
        raise ValueError(
            _("is not a number written with a decimal comma")
            if decimal_comma
            else _("is not a number written with a decimal point")
        )
    whole = found[2] if found[2].isdigit() else "".join(char for char in found[2] if char.isdigit())
    return Decimal(f"{found[1]}{whole}.{found[3] or '0'}")


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
