"""Filters over orders as values (design.md, section 4)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """A parsed filter: its text as written and its condition."""

    text: str

    @property
    def is_empty(self) -> bool:
        """Whether it has no term at all."""
        return not self.text
