"""Cancelling orders with django-oscar, Tryton and orderctl, side by side in one run: orders a second.

`make bench-peers`. Each peer gets an environment of its own under bench/data/peers, from the package index. What is
timed is its own cancelling of orders that are there, on SQLite, after everything is imported; of orderctl, the whole
process. Nothing of this runs in the tests.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.bulk import last_day
from bench.goals import Goal, show_goals
from bench.measuring import orderctl, run
from bench.stores import A_DAY, DATA, Stores, stores

PEERS = Path(__file__).parent / "peers"
PACKAGES = {
    "django-oscar": ["django-oscar[sorl-thumbnail]>=4.0", "setuptools<81"],
    "tryton": ["trytond>=7.0", "trytond-sale>=7.0", "setuptools<81"],
}
SIZES = {"django-oscar": 2_000, "tryton": 500}
GOALS = {"django-oscar": 30, "tryton": 300}
MANY = 1_000_000


def main() -> None:
    """Measure each peer and ourselves in turn: at as many orders as the peers, and by filter at very many."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--peer", action="append", choices=PACKAGES, help="only these; repeatable")
    parser.add_argument("--size", type=int, default=MANY, help="how many orders our store holds, and are rejected")
    parser.add_argument(
        "--rounds", type=int, default=3, help="peers and ours in turn, so many times; ours of many once"
    )
    arguments = parser.parse_args()
    peers = arguments.peer or list(PACKAGES)
    rates: dict[str, list[float]] = {}
    with stores(arguments.size) as made:
        for place in range(arguments.rounds):
            for name in peers:
                rates.setdefault(f"{name}, {SIZES[name]:,} orders", []).append(_peer(name))
            for size in sorted({SIZES[name] for name in peers}):
                rates.setdefault(_ours_name(size), []).append(_ours(made, size))
            if place == 0:
                rates.setdefault(_ours_name(arguments.size), []).append(_ours(made, arguments.size))
    medians = {name: median(each) for name, each in rates.items()}
    _show(medians, [Goal(f"{_ours_name(arguments.size)} over {name}",
                         medians[_ours_name(arguments.size)] / medians[f"{name}, {SIZES[name]:,} orders"],
                         GOALS[name], " x", at_least=True) for name in peers])  # fmt: skip


def _show(rates: dict[str, float], goals: list[Goal]) -> None:
    table = Table(title="orders cancelled a second, on SQLite: medians")
    for name in ("what", "orders/s"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}")
    console = Console(width=140)
    console.print(table)
    show_goals(goals, console)


def _peer(name: str) -> float:
    home = DATA / "peers" / name
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[name]], check=True, timeout=900)
        (home / "installed").touch()
    script = PEERS / f"{name.replace('-', '_')}.py"
    with tempfile.TemporaryDirectory(prefix="orderctl-peer-") as folder:
        ran = subprocess.run(
            [python, script, str(SIZES[name])], cwd=folder, check=True, capture_output=True, text=True, timeout=300
        )
    found = json.loads(ran.stdout.splitlines()[-1])
    return float(found["orders"] / found["seconds"])


def _ours_name(size: int) -> str:
    return f"orderctl, {size:,} orders, whole process"


def _ours(made: Stores, size: int) -> float:
    """The first days' orders, by filter where they are whole days, else by their ids."""
    with made.copy("sqlite") as url, tempfile.NamedTemporaryFile("w") as file:
        if size % A_DAY:
            file.write("\n".join(f"PO-{number:07d}" for number in range(size)) + "\n")
            file.flush()
        source = ["--ids", file.name] if size % A_DAY else ["--filter", f"ordered:..{last_day(size // A_DAY)}"]
        return size / run(orderctl(url, "reject", *source, "--yes", "--expect", str(size), "--no-notify")).wall_s


if __name__ == "__main__":
    sys.exit(main())
