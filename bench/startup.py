"""What every call pays before it does anything."""

from collections.abc import Callable, Iterator

from bench.measuring import PYTHON, Cost, Result, floor, in_turn, orderctl, run
from bench.stores import Stores

COMPLETION_S = 0.15


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """`--version`, `--help`, completion, and the first page of a search."""
    store = stores.url("sqlite")
    times = rounds * 3 if rounds > 1 else 1
    bare = [PYTHON, "-c", "pass"]
    yield _row("--version, over python -c pass", times, orderctl(None, "--version"), bare, 3.0)
    yield _row(
        "--help, over a bare Typer program", times, orderctl(None, "--help"), floor("help_typer", "--help"), 1.15
    )
    search = orderctl(store, "search", "status:needs-oc", "--format", "table")
    page = floor("search_typer_rich", store, "needs-oc")
    yield _row(f"search, first page of {stores.size:,}, over sqlite3 + Typer + Rich", times, search, page, 1.5)
    for what, line in (
        ("a command", "orderctl rej"),
        ("an order id", "orderctl show PO-00"),
        ("a buyer", "orderctl search buyer:maison"),
    ):
        press = {"_ORDERCTL_COMPLETE": "complete_zsh", "_ORDERCTL_LINE": line}
        (ours,) = in_turn(times, lambda press=press: run(orderctl(store), environ=press))
        yield Result(f"completion of {what}, seconds", ours, None, COMPLETION_S)
    dry = orderctl(store, "reject", "PO-0000001", "--dry-run")
    (ours,) = in_turn(times, lambda: run(dry))
    yield Result("reject ID --dry-run, seconds", ours, None, None)


def _row(name: str, rounds: int, ours: list[str], bare: list[str], goal: float) -> Result:
    measured: list[Callable[[], Cost]] = [lambda: run(ours), lambda: run(bare)]
    our_cost, floor_cost = in_turn(rounds, *measured)
    return Result(name, our_cost, floor_cost, goal)
