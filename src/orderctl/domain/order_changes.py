"""What is different about an order since it was planned."""

from dataclasses import dataclass

from orderctl.language import say


@dataclass(frozen=True, slots=True)
class OrderChange:
    """One difference: a field with its two values, or something that was done (`was` and `now` are empty)."""

    what: str
    was: str = ""
    now: str = ""

    def __str__(self) -> str:
        """Say it: `status was needs-oc, is oc-confirmed`; `tagged late`."""
        if not (self.was or self.now):
            return self.what
        return say("{what} was {was}, is {now}", what=self.what, was=self.was, now=self.now)
