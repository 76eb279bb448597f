"""Whole processes, measured: wall time, processor time and the most memory held; floor and ours in turn."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PYTHON = sys.executable


@dataclass(frozen=True)
class Cost:
    """What one run took. The processor time is that of the process alone: a server's is not in it."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class Result:
    """One row of the table: ours beside the floor, medians over the rounds; `goal` bounds the ratio.

    The ratio is that of wall times, or of processor time. Where the floor is None, `goal` bounds our own seconds.
    """

    name: str
    ours: Cost
    floor: Cost | None
    goal: float | None
    units: int = 1
    at_least: bool = False
    memory_goal_mb: float | None = None
    by_cpu: bool = False

    @property
    def ratio(self) -> float:
        if self.by_cpu and self.floor:
            return self.ours.cpu_s / self.floor.cpu_s
        return self.ours.wall_s / self.floor.wall_s if self.floor else self.ours.wall_s

    @property
    def met(self) -> bool:
        fits = self.memory_goal_mb is None or self.ours.peak_mb <= self.memory_goal_mb
        if self.goal is None:
            return fits
        return fits and (self.ratio >= self.goal if self.at_least else self.ratio <= self.goal)

    def document(self) -> dict[str, object]:
        return asdict(self) | {"ratio": round(self.ratio, 3), "met": self.met}


# What a process held before it became another program counts as its own memory: a small one starts what is measured.
_STARTER = """
import json, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[2:])
wall = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as figures:
    json.dump([code, wall, used.ru_utime + used.ru_stime, used.ru_maxrss], figures)
"""


def run(
    arguments: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    allowed: Sequence[int] = (0,),
    stdout: int | None = None,
) -> Cost:
    """Run a process to its end; raises RuntimeError with what it said if its exit code is not allowed."""
    # Each run sees another copy of one store, so none may remember the newest batch of another.
    with (
        tempfile.TemporaryFile() as said,
        tempfile.NamedTemporaryFile() as figures,
        tempfile.TemporaryDirectory() as state,
    ):
        subprocess.run(
            [PYTHON, "-c", _STARTER, figures.name, *arguments],
            check=True,
            env=_environ(environ or {}) | {"XDG_STATE_HOME": state},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=said,
            cwd=ROOT,
        )
        code, wall, cpu, peak_kb = json.loads(Path(figures.name).read_text())
        if code not in allowed:
            said.seek(0)
            raise RuntimeError(f"{' '.join(arguments)} ended with {code}: {said.read().decode()[-2000:]}")
    return Cost(wall, cpu, peak_kb / 1024)


def orderctl(store: str | None, *arguments: str) -> list[str]:
    """The program's arguments, as `make` installs it."""
    command = [PYTHON, "-m", "orderctl"]
    return [*command, *(["--store", store] if store else []), *arguments]


def floor(name: str, *arguments: str) -> list[str]:
    """The arguments of a floor: a script of bench/floors."""
    return [PYTHON, str(Path(__file__).parent / "floors" / f"{name}.py"), *arguments]


def in_turn(rounds: int, *measured: Callable[[], Cost], of: Callable[[Iterable[float]], float] = median) -> list[Cost]:
    """Medians of each, or what `of` makes of its figures; taken in turn, so that all meet the same weather."""
    costs: list[list[Cost]] = [[] for _ in measured]
    for _ in range(rounds):
        for taken, measure in zip(costs, measured, strict=True):
            taken.append(measure())
    return [
        Cost(
            of(cost.wall_s for cost in taken),
            of(cost.cpu_s for cost in taken),
            of(cost.peak_mb for cost in taken),
        )
        for taken in costs
    ]


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    home = tempfile.gettempdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "ORDERCTL_ACTOR": "bench",
        "ORDERCTL_CONFIG": f"{home}/no-orderctl-settings.toml",
        "PYTHONIOENCODING": "utf-8",
        **more,
    }
