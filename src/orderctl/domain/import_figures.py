"""What an import found and did: figures, and the rows that are wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """How a file is meant: a map of one's own, a shipped one, and what stands in for missing columns."""

    map_file: str | None = None
    map_name: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """One thing that is wrong with one row of a file."""

    file: str
    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    """What a file holds: rows read, orders that are good and bad, rows and cells with a problem."""

    rows: int = 0
    orders: int = 0
    bad_orders: int = 0
    bad_rows: int = 0
    problems: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """What an import did, in orders."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected_left_alone: int = 0

    def __add__(self, other: "ImportCounts") -> "ImportCounts":
        return ImportCounts(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            rejected_left_alone=self.rejected_left_alone + other.rejected_left_alone,
        )
