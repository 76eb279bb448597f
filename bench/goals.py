"""What is wanted of the results, each goal by itself: the ratio to the floor, the memory, the growth."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from bench.measuring import Result
from bench.reasons import why

GROWTH = 1.2  # the time per order, from the fewest orders to the most
_FEWEST, _MOST = 10_000, 1_000_000


@dataclass(frozen=True)
class Goal:
    """One figure and its bound, from above unless `at_least`."""

    name: str
    value: float
    bound: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def verdict(self) -> str:
        """`met`, or by how much not."""
        if self.met:
            return "met"
        return f"missed by {abs(self.value / self.bound - 1):.0%}"

    def document(self) -> dict[str, object]:
        return asdict(self) | {"met": self.met, "verdict": self.verdict}


def goals_of(results: Iterable[Result]) -> Iterator[Goal]:
    """The goals of all results, in their order; then those of the memory, and of the growth."""
    rows = list(results)
    for row in rows:
        if row.goal is not None:
            yield Goal(row.name, row.ratio, row.goal, "" if row.floor else " s", row.at_least)
    for row in rows:
        if row.memory_goal_mb is not None:
            yield Goal(f"memory: {row.name}", row.ours.peak_mb, row.memory_goal_mb, " MB")
    yield from _growth(rows)


def _growth(rows: list[Result]) -> Iterator[Goal]:
    """What a rejection takes an order: at a million over what it takes at ten thousand."""
    per_order: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.name.startswith("reject "):
            kind = row.name.partition(" by ")[2]
            per_order.setdefault(kind, {})[row.units] = row.ours.wall_s / row.units
    for kind, costs in per_order.items():
        if {_FEWEST, _MOST} <= costs.keys():
            name = f"growth: time per order from {_FEWEST:,} to {_MOST:,} by {kind}"
            yield Goal(name, costs[_MOST] / costs[_FEWEST], GROWTH)


def show_goals(goals: list[Goal], console: Console) -> None:
    """Print each goal with its verdict."""
    table = Table(title="the goals")
    for name in ("what", "is", "goal", "verdict"):
        table.add_column(name, justify="right" if name in ("is", "goal") else "left")
    for each in goals:
        bound = f"{'>=' if each.at_least else '<='} {each.bound:g}{each.unit}"
        table.add_row(each.name, f"{each.value:.2f}{each.unit}", bound, each.verdict, style="" if each.met else "red")
    console.print(table)
    for each in goals:
        if not each.met:
            console.print(f"{each.name}: {each.verdict}: {why(each.name) or 'not profiled yet'}", soft_wrap=True)
    console.print("the profiles: docs/performance.md")
    console.print(f"{sum(each.met for each in goals)} of {len(goals)} goals are met")
