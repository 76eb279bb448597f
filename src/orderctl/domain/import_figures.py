"""What an import found and did: figures, and the rows that are wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest:
    """How a file is meant: a map of one's own, a shipped one, and what stands in for missing columns."""

    map_file: str | None = None
    map_name: str | None = None
    time_zone: str | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """One thing that is wrong with one row of a file."""

    file: str
    row: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class TotalDifference:
    """An order whose total is not the sum of its lines; `row` is where it begins."""

    row: int
    order_id: str
    currency: str
    total: str
    lines: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFigures:
    """What a file holds: rows read, orders that are good and bad, rows and cells with a problem.

    `rows_without_order` are those whose id cannot be read, or that are no rows at all. `line_total_suspected` is the
    column of prices that looks as if it held the amounts of lines.
    """

    rows: int = 0
    orders: int = 0
    bad_orders: int = 0
    rows_without_order: int = 0
    bad_rows: int = 0
    problems: int = 0
    differing_totals: int = 0
    first_differences: tuple[TotalDifference, ...] = ()
    line_total_suspected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsaid:
    """Of how many orders a file does not say a thing: those in the store keep theirs, new ones have none."""

    kept: int = 0
    new: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportCounts:
    """What an import did, in orders; a check says what it would do.

    `counts_kept` are those that stay protected though their file says less than the store; `rejected_at_source` those
    that the file rejects and the store does not: they keep their status. `unsaid` holds by field what protects an order
    and is not said.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected_left_alone: int = 0
    counts_kept: int = 0
    rejected_at_source: tuple[str, ...] = ()
    unsaid: Mapping[str, Unsaid] = field(default_factory=dict)

    def __add__(self, other: "ImportCounts") -> "ImportCounts":
        unsaid = dict(self.unsaid)
        for name, more in other.unsaid.items():
            known = unsaid.get(name, Unsaid())
            unsaid[name] = Unsaid(kept=known.kept + more.kept, new=known.new + more.new)
        return ImportCounts(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            unchanged=self.unchanged + other.unchanged,
            rejected_left_alone=self.rejected_left_alone + other.rejected_left_alone,
            counts_kept=self.counts_kept + other.counts_kept,
            rejected_at_source=self.rejected_at_source + other.rejected_at_source,
            unsaid=unsaid,
        )
