"""Reading many orders: counts, ids and rows, as whole processes, beside one streamed statement."""

from collections.abc import Iterator
from functools import partial

from bench.measuring import Result, floor, in_turn, orderctl, run
from bench.stores import ENGINES, Stores

MEMORY_MB = 150
STATUS = "needs-oc"
WHAT = {"count": ["--count"], "ids": ["--format", "ids"], "csv": ["--format", "csv"]}


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """Every engine and kind of reading: two orders of five have the status."""
    for engine in ENGINES:
        url = stores.url(engine)
        for what, options in WHAT.items():
            ours, bare = in_turn(
                rounds,
                partial(run, orderctl(url, "search", f"status:{STATUS}", *options)),
                partial(run, floor("read_orders", url, STATUS, what)),
            )
            title = f"{what} of the orders of a status, {engine}"
            yield Result(title, ours, bare, 2.0, units=stores.size * 2 // 5, memory_goal_mb=MEMORY_MB)
