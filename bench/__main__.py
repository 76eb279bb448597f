"""`make bench`: measure, print the table, write it as JSON and as a picture."""

import argparse
import json
import platform
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.goals import Goal, goals_of, show_goals
from bench.measuring import Result
from bench.picture import draw
from bench.stores import Stores, stores

ROWS = ("startup", "search", "bulk", "rules", "files", "mail", "tricks")
SIZES = {"smoke": 2_000, "small": 100_000, "full": 1_000_000}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Measure the rows that are asked for."""
    arguments = _arguments()
    rounds = 1 if arguments.size == "smoke" else arguments.rounds
    results: list[Result] = []
    with stores(SIZES[arguments.size]) as made:
        for name in arguments.row or ROWS:
            for result in _rows(name)(made, rounds):
                print(_line(result), flush=True)
                results.append(result)
    goals = list(goals_of(results))
    _show(results)
    show_goals(goals, Console(width=140))
    _write(results, goals, arguments.size, Path(arguments.out))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--row", action="append", choices=ROWS, help="only these rows; repeatable")
    parser.add_argument("--size", choices=SIZES, default="full", help="how many orders the stores hold")
    parser.add_argument("--smoke", dest="size", action="store_const", const="smoke", help="tiny: does it work at all?")
    parser.add_argument(
        "--rounds", type=int, default=3, help="floor and ours in turn, so many times; once at a million"
    )
    parser.add_argument("--out", default=str(RESULTS), help="the folder of the results")
    return parser.parse_args()


def _rows(name: str) -> Callable[[Stores, int], Iterator[Result]]:
    rows: Callable[[Stores, int], Iterator[Result]] = import_module(f"bench.{name}").rows
    return rows


def _line(result: Result) -> str:
    goal = "" if result.goal is None else f" ({'>=' if result.at_least else '<='} {result.goal:g})"
    floor = f"floor {result.floor.wall_s:.3f} s, " if result.floor else ""
    return f"{result.name}: {floor}ours {result.ours.wall_s:.3f} s, ratio {result.ratio:.2f}{goal}"


def _show(results: list[Result]) -> None:
    table = Table(title="orderctl beside the floor: medians")
    for name in ("what", "floor s (cpu)", "ours s (cpu)", "ratio", "goal", "peak MB"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for each in results:
        floor = f"{each.floor.wall_s:.3f} ({each.floor.cpu_s:.3f})" if each.floor else "-"
        goal = "-" if each.goal is None else f"{'>=' if each.at_least else '<='} {each.goal:g}"
        ours = f"{each.ours.wall_s:.3f} ({each.ours.cpu_s:.3f})"
        table.add_row(each.name, floor, ours, f"{each.ratio:.2f}", goal, f"{each.ours.peak_mb:.0f}")
    Console(width=140).print(table)


def _write(results: list[Result], goals: list[Goal], size: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "schema": 1,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "size": size,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "rows": [result.document() for result in results],
        "goals": [goal.document() for goal in goals],
    }
    (folder / f"{size}.json").write_text(json.dumps(document, indent=2) + "\n")
    (folder / f"{size}.svg").write_text(draw(results))
    print(f"written: {folder / size}.json and .svg")


if __name__ == "__main__":
    main()
