"""`make stress`: every kill point, every call that may raise, many at once, the model and the readers; then the table.

SEED makes a run what it was before, MINUTES bounds it (15), WORKERS is how many scenarios are killed side by side.
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from orderctl.database.store import Store
from stress import many
from stress.crash import FAULTY, IN_SYSTEMS, SCENARIOS, VARY, Scenario, Tally, bench
from stress.faultpoints import FAULTS
from stress.forkserver import TESTS, ForkServer
from stress.fuzz import TARGETS, Target, attempt
from stress.model import Services
from stress.stores import Template
from support.postgres_server import running_server

FAULT_TESTS = ("promises/test_store_faults.py", "promises/test_mail_faults.py")
_OUTCOMES = re.compile(r"(\d+) (?:passed|failed)")
_FRESH_EVERY, _INSTANTS, _EACH = 25, 12, 3_000
# What of the time each part may take; the faults, the workers and the model take the rest.
_KILLING, _FAILING, _TOGETHER, _FUZZING = 0.42, 0.2, 0.02, 0.1


@dataclass
class Stress:
    """One run: its seed, its time, and what came of it."""

    seed: int
    minutes: float
    workers: int
    tally: Tally = field(default_factory=Tally)
    points: int = 0
    calls: int = 0
    failed: int = 0
    faults: int = 0
    inputs: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def say(self, what: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self._began:6.0f} s  {what}\n")
        sys.stdout.flush()


def kill_everywhere(run: Stress, postgres: str, until: float) -> None:
    """Every point of every scenario on both engines, in an order that the seed draws; then instants between points."""
    for tally, known in _on_both_engines(_kill_one, (*SCENARIOS, *IN_SYSTEMS), run, postgres, until):
        run.tally.add(tally)
        run.points += known


_TryOne = Callable[[Stress, Scenario, str | None, float], tuple[Tally, int]]


def _on_both_engines(
    try_one: _TryOne, scenarios: Sequence[Scenario], run: Stress, postgres: str, until: float
) -> Iterator[tuple[Tally, int]]:
    """What came of each scenario on each engine, of which each has its share of the time."""
    cases = [(scenario, url) for scenario in scenarios for url in (None, postgres)]
    share = (until - time.monotonic()) * run.workers / len(cases)
    with ThreadPoolExecutor(run.workers) as pool:
        yield from pool.map(lambda case: try_one(run, *case, share), cases)


def _kill_one(run: Stress, scenario: Scenario, postgres: str | None, seconds: float) -> tuple[Tally, int]:
    tally, engine = Tally(), "postgresql" if postgres else "sqlite"
    rng = random.Random(f"{run.seed} {scenario.name} {engine}")
    with ForkServer() as server, bench(scenario, postgres, server) as tried:
        began = time.monotonic()
        until = began + seconds
        known = len(tried.points())
        took = time.monotonic() - began
        order = rng.sample(range(1, known - VARY + 1), known - VARY)
        for number, at in enumerate(order):
            if time.monotonic() > until:
                break
            tally.add(tried.kill(at, a_fresh_process=number % _FRESH_EVERY == _FRESH_EVERY - 1))
        tried_points = tally.points
        for _ in range(_INSTANTS):
            tally.add(tried.die_after(rng.uniform(0.005, max(0.05, took / 2))))
    run.say(f"killed at {tried_points} of {known - VARY} points, {_INSTANTS} instants: {tried.title}")
    return tally, known


def fail_everywhere(run: Stress, postgres: str, until: float) -> None:
    """Every call after the change of every scenario raises once, in an order that the seed draws."""
    for tally, known in _on_both_engines(_fail_one, FAULTY, run, postgres, until):
        run.failed += tally.points
        tally.points = 0
        run.tally.add(tally)
        run.calls += known


def _fail_one(run: Stress, scenario: Scenario, postgres: str | None, seconds: float) -> tuple[Tally, int]:
    tally, engine = Tally(), "postgresql" if postgres else "sqlite"
    rng = random.Random(f"{run.seed} {scenario.name} {engine} calls")
    with ForkServer() as server, bench(scenario, postgres, server) as tried:
        until = time.monotonic() + seconds
        calls = tried.calls()
        for at in rng.sample(calls, len(calls)):
            if time.monotonic() > until:
                break
            tally.add(tried.fail(at, rng.choice(list(FAULTS))))
    run.say(f"raised at {tally.points} of {len(calls)} calls: {tried.title}")
    return tally, len(calls)


def all_together(run: Stress, postgres: str, seconds: float) -> None:
    """Eight processes on one store, on both engines."""
    for url in (None, postgres):
        with _store(url, many.fill) as store:
            together = many.work_together(store, seconds, str(run.seed))
        run.tally.wrong += together.wrong
        run.tally.unknown += together.unknown
        run.say(f"eight at once, {'postgresql' if url else 'sqlite'}: {dict(together.seen)}")


@contextmanager
def _store(postgres: str | None, fill: Callable[[Store], None]) -> Iterator[str]:
    """A store of its own, on PostgreSQL given a server's URL."""
    with _folder() as folder, Template(folder, postgres, fill).copy() as url:
        yield url


def lose_workers(run: Stress, postgres: str) -> None:
    """Of three workers with three thousand write-backs and as many mails one is killed, on both engines."""
    for url in (None, postgres):
        rng = random.Random(f"{run.seed} {'postgresql' if url else 'sqlite'} workers")
        with _store(url, many.fill_outboxes(_EACH)) as store, ForkServer() as server, _folder() as folder:
            lost = many.lose_a_worker(store, folder, server, _EACH, rng)
        run.tally.add(lost)
        run.say(f"a worker of three killed, {'postgresql' if url else 'sqlite'}: {_EACH:,} write-backs and mails")


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="orderctl-stress-") as folder:
        yield Path(folder)


def against_the_model(run: Stress, postgres: str, examples: int) -> None:
    """The services against the model, for more and longer stories."""
    for url in (None, postgres):
        with _store(url, lambda _store: None) as store:
            longer = settings(_longer(examples), stateful_step_count=40)
            machine = type("Machine", (Services,), {"url": store})
            _caught(run, partial(run_state_machine_as_test, machine, settings=longer))
        run.steps += examples * 40
        run.say(f"the services against the model, {'postgresql' if url else 'sqlite'}: {examples} stories")


def fuzz_all(run: Stress, until: float) -> None:
    """Every reader in turn, a round of inputs at a time, until the time is up."""
    number = 0
    while time.monotonic() < until:
        for target in TARGETS.values():
            number += 1
            accepted: list[bool] = []
            _caught(run, _round(target, run.seed + number, accepted))
            run.inputs += len(accepted)
            if time.monotonic() > until:
                break
    run.say(f"inputs: {run.inputs:,} in {number} rounds over {', '.join(TARGETS)}")


def _round(target: Target, seed_: int, accepted: list[bool]) -> Callable[[], None]:
    """A hundred inputs for one reader."""

    @seed(seed_)
    @_longer(100)
    @given(target.data)
    def each(data):
        accepted.append(attempt(target, data))

    return each


def _longer(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def _caught(run: Stress, trial: Callable[[], None]) -> None:
    try:
        trial()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
        run.tally.wrong.append(f"{type(error).__name__}: {str(error)[:2_000]}")


def every_fault(run: Stress) -> None:
    """The table of faults, as the ordinary suite runs it."""
    files = [str(TESTS / name) for name in FAULT_TESTS]
    command = [sys.executable, "-m", "pytest", "-n", str(run.workers), "-p", "no:cacheprovider", *files]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    run.faults = sum(int(number) for number in _OUTCOMES.findall("\n".join(told)))
    run.tally.wrong += [line for line in told if line.startswith(("FAILED", "ERROR"))]
    if not run.faults:
        run.tally.wrong.append("the faults were not tried")
    run.say(f"faults: {run.faults}")


def table(run: Stress) -> str:
    tally = run.tally
    rows = (
        ("kill points tried", f"{tally.points:,} (of {run.points:,} points, and instants between)"),
        ("calls that raised", f"{run.failed:,} (of {run.calls:,} after a change)"),
        ("faults tried", f"{run.faults:,}"),
        ("inputs tried", f"{run.inputs:,}"),
        ("steps against the model", f"{run.steps:,}"),
        ("rejections lost", f"{tally.orders_lost}"),
        ("rejections doubled", f"{tally.orders_doubled}"),
        ("mails lost", f"{tally.mails_lost}"),
        ("mails doubled", f"{tally.mails_doubled}"),
        ("mails unknown, each shown", f"{tally.unknown}"),
        ("write-backs lost", f"{tally.writebacks_lost}"),
        ("write-backs doubled", f"{tally.writebacks_doubled}"),
        ("write-backs unknown", f"{tally.writebacks_unknown} (each shown, one at most for each kill)"),
        ("anything else wrong", f"{len(tally.wrong)}"),
    )
    return "\n".join(f"{name:28}{value}" for name, value in rows)


def main() -> int:
    run = Stress(
        seed=int(os.environ.get("SEED", "1")),
        minutes=float(os.environ.get("MINUTES", "14")),
        workers=int(os.environ.get("WORKERS", "2")),
    )
    run.say(f"SEED={run.seed} MINUTES={run.minutes:g} WORKERS={run.workers}")
    every_fault(run)
    with running_server() as postgres:
        kill_everywhere(run, postgres, time.monotonic() + run.minutes * 60 * _KILLING)
        fail_everywhere(run, postgres, time.monotonic() + run.minutes * 60 * _FAILING)
        all_together(run, postgres, run.minutes * 60 * _TOGETHER)
        lose_workers(run, postgres)
        against_the_model(run, postgres, max(3, int(run.minutes * 3)))
    fuzz_all(run, time.monotonic() + run.minutes * 60 * _FUZZING)
    sys.stdout.write(f"\n{table(run)}\n")
    for wrong in run.tally.wrong:
        sys.stdout.write(f"\nWRONG: {wrong}\n")
    return 1 if run.tally.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
