"""Days as the filter language writes them: days, months, years, relative days, ranges (design.md, section 4)."""

import re
from calendar import monthrange
from datetime import date, timedelta

from orderctl.domain.filters import DayRange
from orderctl.language import later, say

_ABSOLUTE = re.compile(r"\A(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?\Z", re.ASCII)
_RELATIVE = re.compile(r"\A([+-])(\d{1,5})([dwmy])\Z", re.ASCII)
_MONTHS_A_YEAR = 12
FORMS = later("write 2026-09-14, 2026-09, 2026, today, -30d, -2w, -3m, or a range such as 2026-01..2026-03 or ..-30d")


def parse_day_range(text: str, today: date) -> DayRange:
    """Read a day, month, year, relative day or a range of them; ValueError if it is none, or runs backwards."""
    low, dots, high = text.partition("..")
    if not dots:
        return DayRange(*_span(low, today))
    if not low and not high:
        raise ValueError(say("a range needs at least one end"))
    first = _span(low, today)[0] if low else None
    last = _span(high, today)[1] if high else None
    if first and last and first > last:
        raise ValueError(say("the range ends before it begins"))
    return DayRange(first, last)


def _span(text: str, today: date) -> tuple[date, date]:
    """The first and the last day that the text means."""
    word = text.lower()
    if word in {"today", "yesterday", "tomorrow"}:
        day = today + timedelta(days={"today": 0, "yesterday": -1, "tomorrow": 1}[word])
        return day, day
    relative = _RELATIVE.match(word)
    if relative:
        day = _shifted(today, int(f"{relative[1]}{relative[2]}"), relative[3])
        return day, day
    absolute = _ABSOLUTE.match(text)
    if not absolute:
        raise ValueError(say("{text!r} is not a date", text=text))
    year, month, day_number = (int(group) if group else None for group in absolute.groups())
    try:
        first = date(year or 0, month or 1, day_number or 1)
    except ValueError:
        raise ValueError(say("{text!r} is not in the calendar", text=text)) from None
    last_month = month or _MONTHS_A_YEAR
    return first, first if day_number else first.replace(month=last_month, day=monthrange(first.year, last_month)[1])


def _shifted(day: date, number: int, unit: str) -> date:
    try:
        if unit in "dw":
            return day + timedelta(days=number * (7 if unit == "w" else 1))
        months = day.year * _MONTHS_A_YEAR + day.month - 1 + number * (_MONTHS_A_YEAR if unit == "y" else 1)
        year, month = divmod(months, _MONTHS_A_YEAR)
        return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        raise ValueError(say("lies outside the calendar")) from None
