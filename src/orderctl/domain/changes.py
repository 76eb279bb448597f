"""What may be changed on any order, a rejected one included: archiving and tags (design.md, section 3)."""

from dataclasses import dataclass
from enum import StrEnum


class ChangeKind(StrEnum):
    """The kinds of change, named as the log names them."""

    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    TAGGED = "tagged"
    UNTAGGED = "untagged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of orders; `tag` is the tag that comes or goes."""

    kind: ChangeKind
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far a change reaches: the orders that are chosen, and those of them that it changes."""

    chosen: int
    changing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeReport:
    """What a change did, or would do. `unknown` are ids that the store has no order of."""

    change: Change
    reach: Reach
    unknown: tuple[str, ...] = ()
    duplicates: int = 0

    @property
    def unchanged(self) -> int:
        """The chosen orders that are so already."""
        return self.reach.chosen - self.reach.changing
