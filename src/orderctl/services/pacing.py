"""How fast mails may leave: evenly spaced, so that a rate is kept at every moment and not on average only."""

import re
import time
from dataclasses import dataclass

from orderctl.domain.errors import UsageError
from orderctl.language import say

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"([1-9][0-9]{0,8})/([smh])", re.ASCII)


@dataclass(slots=True)
class Pace:
    """A distance in time between two mails; none lets them go as they come."""

    interval_s: float = 0.0
    _next_s: float = 0.0

    @classmethod
    def parse(cls, text: str, *, where: str) -> "Pace":
        """A rate as `30/m`: per second, minute or hour; empty is no limit. Raises UsageError naming `where`."""
        if not text:
            return cls()
        found = _RATE.fullmatch(text)
        if found is None:
            raise UsageError(
                say("{where}: {text!r} is not a rate", where=where, text=text), hint=say("write 5/s, 30/m or 1000/h")
            )
        return cls(_SECONDS[found[2]] / int(found[1]))

    def wait_s(self) -> float:
        """How long until the next mail may go; 0 for now."""
        return max(0.0, self._next_s - time.monotonic()) if self.interval_s else 0.0

    def count(self) -> None:
        """A mail goes now."""
        self._next_s = time.monotonic() + self.interval_s
