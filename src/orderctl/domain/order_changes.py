"""What is different about an order since it was planned."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One difference: a field with its two values, or something that was done (`was` and `now` are empty)."""

    what: str
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        """Say it: `status was needs-oc, is oc-confirmed`; `tagged late`."""
        return f"{self.what} was {self.was}, is {self.now}" if self.was or self.now else self.what
