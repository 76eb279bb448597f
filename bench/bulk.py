"""Bulk rejections: the whole `reject --yes` process beside the bare set-based statements.

Each has two floors: "naive", with the indexes of the first release, for the goals, and one with the indexes of today.
"""

import random
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from functools import partial
from pathlib import Path

from bench.measuring import Cost, Result, floor, in_turn, orderctl, run
from bench.stores import A_DAY, ENGINES, Stores

# A relay that nobody answers: the mails are queued, and wait.
MAIL = {
    "ORDERCTL_MAIL_TRANSPORT": "smtp",
    "ORDERCTL_MAIL_HOST": "127.0.0.1",
    "ORDERCTL_MAIL_PORT": "9",
    "ORDERCTL_MAIL_SECURITY": "none",
    "ORDERCTL_MAIL_SENDER": "orders@brand.example",
}
MEMORY_MB = 400
MAILS_REMAIN = 5
# Goals over the naive floor.
GOAL, MAILED = 1.2, 1.5
SQLITE_BY_FILTER = {10_000: 1.5, 100_000: 1.0, 1_000_000: 1.0}
# A million mails take both engines ten minutes, and are no goal of their own.
MOST_MAILED = 100_000


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """Every engine, source and size."""
    sizes = [size for size in (10_000, 100_000, 1_000_000) if size <= stores.size] or [stores.size]
    for engine in ENGINES:
        for size in sizes:
            goal = SQLITE_BY_FILTER.get(size, GOAL) if engine == "sqlite" else GOAL
            times = rounds if size < 1_000_000 else max(1, rounds // 3)
            yield from _rows(stores, engine, "filter", size, times, goal, mailed=False)
            if size >= 10_000:
                yield from _rows(stores, engine, "ids", size, times, GOAL, mailed=False)
            if 10_000 <= size <= MOST_MAILED:
                yield from _rows(stores, engine, "filter", size, times, MAILED, mailed=True)


def _rows(
    stores: Stores, engine: str, source: str, size: int, rounds: int, goal: float, *, mailed: bool
) -> Iterator[Result]:
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        file = Path(folder) / "ids.txt"
        file.write_text("\n".join(_ids(size, stores.size)) + "\n")
        days = max(1, size // A_DAY)
        floor_source = f"days={days}" if source == "filter" else f"ids={file}"
        ours_source = ["--filter", f"ordered:..{last_day(days)}"] if source == "filter" else ["--ids", str(file)]
        more = ["--notify", "--mail-per-order"] if mailed else ["--no-notify"]
        name = "reject_sqlite" if engine == "sqlite" else "reject_postgres"

        def bare(*first: str) -> Cost:
            with stores.copy(engine) as url:
                for script in ("drop_guards", *first):
                    run(floor(script, url))
                return run(floor(name, url, floor_source, str(int(mailed))))

        def ours() -> Cost:
            with stores.copy(engine) as url:
                command = orderctl(url, "reject", *ours_source, "--yes", "--expect", str(size), *more)
                return run(command, environ=MAIL if mailed else {}, allowed=[MAILS_REMAIN if mailed else 0])

        ours_cost, naive, bare_cost = in_turn(rounds, ours, partial(bare, "naive_indexes"), bare)
    title = f"reject {size:,} by {source}{', a mail each' if mailed else ''}, {engine}"
    yield Result(title, ours_cost, naive, goal, units=size, memory_goal_mb=MEMORY_MB)
    yield Result(f"today's indexes: {title}", ours_cost, bare_cost, None, units=size)


def _ids(size: int, of: int) -> list[str]:
    """So many ids out of the store, in no order."""
    picked = random.Random(26).sample(range(of), size)
    return [f"PO-{number:07d}" for number in picked]


def last_day(days: int) -> str:
    """The last of the first days of a store, as a filter has it."""
    return (date(2023, 1, 1) + timedelta(days=days - 1)).isoformat()
