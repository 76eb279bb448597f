"""When things happened, in the operator's own time zone. What other programs read never comes through here."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from orderctl.language import say

# None is the zone of the computer.
_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)


def use_zone(zone: tzinfo | None) -> None:
    """Show times in this zone from now on; None is that of the computer."""
    _zone.set(zone)


@contextmanager
def in_utc() -> Iterator[None]:
    """Within it times are shown in UTC: for what other programs read."""
    token = _zone.set(UTC)
    try:
        yield
    finally:
        _zone.reset(token)


def moment(at: datetime, *, seconds: bool = False) -> str:
    """A time in the zone, which its neighbours name: `2026-03-14 10:26`."""
    return f"{at.astimezone(_zone.get()):%Y-%m-%d %H:%M{':%S' if seconds else ''}}"


def full_moment(at: datetime, *, seconds: bool = False) -> str:
    """A time that names its zone: `2026-03-14 10:26 CET`."""
    return f"{moment(at, seconds=seconds)} {at.astimezone(_zone.get()):%Z}"


def full_hour(at: datetime) -> str:
    """The hour of a day near by: `10:26 CET`."""
    return f"{at.astimezone(_zone.get()):%H:%M %Z}"


def when() -> str:
    """The title of a column of times."""
    return say("When ({zone})", zone=_zone_name())


def _zone_name() -> str:
    zone = _zone.get()
    if isinstance(zone, ZoneInfo):
        return str(zone.key)
    if zone is UTC or datetime.now(UTC).astimezone().tzname() == "UTC":
        return "UTC"
    return say("local time")
