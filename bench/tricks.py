"""What each trick for speed buys: the same run with it and without it (`bench.without`), in turn, the least of each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

from bench.bulk import MAIL
from bench.mail import filled_stores, running_sink
from bench.measuring import PYTHON, Cost, Result, in_turn, run
from bench.stores import Stores
from bench.without import GARBAGE, MESSAGE

ROUNDS = 10
GOAL = 0.9  # what buys less than a tenth is not worth its lines
MAILS = 1_500


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """Every trick, on SQLite: none of them is about an engine."""
    rounds = ROUNDS if rounds > 1 else 1
    dry_run = ["reject", "PO-0000001", "--dry-run"]
    yield _row(rounds, GARBAGE, "reject ID --dry-run", partial(stores.copy, "sqlite"), dry_run)
    mails = min(MAILS, stores.size // 20)
    with filled_stores("sqlite", mails) as copy, running_sink(0) as port:
        environ = MAIL | {"ORDERCTL_MAIL_PORT": str(port)}
        yield _row(rounds, MESSAGE, f"mail send, {mails:,} mails, local server", copy, ["mail", "send"], environ)


def _row(
    rounds: int,
    trick: str,
    what: str,
    copy: Callable[[], AbstractContextManager[str]],
    arguments: Sequence[str],
    environ: Mapping[str, str] | None = None,
) -> Result:
    def cost(left_out: str) -> Cost:
        with copy() as url:
            return run([PYTHON, "-m", "bench.without", left_out, "--store", url, *arguments], environ=environ)

    ours, without = in_turn(rounds, partial(cost, "nothing"), partial(cost, trick), of=min)
    return Result(f"{what}: {trick}, over without", ours, without, GOAL)
