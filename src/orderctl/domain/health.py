"""What a check of the store found, for people and for monitoring."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it is in order, and what was seen."""

    name: str
    ok: bool
    detail: str
