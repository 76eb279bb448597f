"""What time a change may be recorded with: never one before the newest record of the store (design.md, section 5b)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from orderctl.domain.errors import OrderctlError
from orderctl.domain.short_ids import short_id
from orderctl.language import say

# Clocks are set by the network in small steps, also backwards. Within this, the time of the newest record is taken.
SLACK = timedelta(seconds=5)
_SHOWN = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A record with the time that it has: a batch, or a plan that is still open."""

    id: str
    at: datetime
    is_plan: bool = False

    @property
    def name(self) -> str:
        """The record as messages call it; a batch by its whole id, which a setting may have to name."""
        return say("plan {id}", id=short_id(self.id)) if self.is_plan else say("batch {batch}", batch=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the clock of a transaction says, and the newest record. `of_database`: it is not the computer's own."""

    now: datetime
    newest: Recorded | None = None
    of_database: bool = False

    def to_record(self) -> datetime:
        """The time to record and to decide by. Raises OrderctlError if the clock is behind the newest record."""
        newest = self.newest
        if newest is None or self.now >= newest.at:
            return self.now
        if newest.at - self.now <= SLACK:
            return newest.at
        raise OrderctlError(self._problem(newest), hint=_way_out(newest))

    def _problem(self, newest: Recorded) -> str:
        times = {"now": f"{self.now:{_SHOWN}}", "record": newest.name, "at": f"{newest.at:{_SHOWN}}"}
        if self.of_database:
            return say(
                "the database's clock ({now} UTC) is behind the newest record, {record} ({at} UTC);"
                " nothing was changed",
                **times,
            )
        return say(
            "this computer's clock ({now} UTC) is behind the newest record, {record} ({at} UTC); nothing was changed",
            **times,
        )


def _way_out(newest: Recorded) -> str:
    if newest.is_plan:
        return say(
            "set the clock right; if the plan's time is the wrong one: orderctl plan cancel {id}",
            id=short_id(newest.id),
        )
    return say("set the clock right; if the batch's time is the wrong one, name it in the setting wrong_time_of")
