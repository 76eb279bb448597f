"""Reads and writes lengths of time (`15m`, `36h`, `3d`, `1h30m`), and the type of progress reports."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Protocol

from orderctl.language import N_, _

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_WRITTEN = re.compile(r"\A(?:[0-9]{1,6}[mhd])+\Z", re.ASCII)
_PART = re.compile(r"([0-9]+)([mhd])", re.ASCII)
_BARE = re.compile(r"\A[0-9]{1,6}\Z", re.ASCII)
LONGEST = timedelta(days=366)
_DAYS, _HOURS, _MINUTES = N_("{number} d"), N_("{number} h"), N_("{number} min")


def parse_duration(text: str, *, bare_hours: bool = False) -> timedelta:
    """Read minutes, hours and days; with `bare_hours`, a number alone is hours.

    Raises ValueError if it is not a length of time, is zero, or is longer than a year.
    """
    written = text.strip().lower().replace(" ", "")
    if bare_hours and _BARE.match(written):
        written += "h"
    if not _WRITTEN.match(written):
        raise ValueError(_("is no length of time: write 15m, 2h, 3d or 1h30m"))
    length = sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(written)), timedelta())
    if not timedelta() < length <= LONGEST:
        raise ValueError(_("is not between a minute and a year"))
    return length


def duration_words(length: timedelta) -> str:
    """In words with the two largest units: `2 d 3 h`, `1 h 5 min`, `14 min`. Minutes are rounded up."""
    if length < timedelta(minutes=1):
        return _("less than a minute")
    minutes = -(-length // timedelta(minutes=1))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [(days, _DAYS), (hours, _HOURS), (minutes, _MINUTES)]
    while not parts[0][0]:
        parts.pop(0)
    return " ".join(_(unit, number=number) for number, unit in parts[:2] if number)


class Progress(Protocol):
    """Called with the number of units done, and the total where it is known."""

    def __call__(self, done: int, total: int | None, /) -> None: ...
