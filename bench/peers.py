"""Cancelling orders with django-oscar, Tryton, Vendure and orderctl, side by side in one run: orders a second.

`make bench-peers`. Each peer gets an environment of its own under bench/data/peers, from PyPI or npm. What is timed is
its own cancelling of orders that are there, on SQLite, after everything is imported; of orderctl, the whole process.
Nothing of this runs in the tests.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.bulk import last_day
from bench.goals import Goal, show_goals
from bench.measuring import orderctl, run
from bench.picture import draw_rates
from bench.stores import A_DAY, DATA, Stores, stores

PEERS = Path(__file__).parent / "peers"
RESULTS = Path(__file__).parent / "results"
PACKAGES = {
    "django-oscar": ["django-oscar[sorl-thumbnail]>=4.0", "setuptools<81"],
    "tryton": ["trytond>=7.0", "trytond-sale>=7.0", "setuptools<81"],
    "vendure": ["@vendure/core@3.7.3", "better-sqlite3@12.9.0"],
}
SIZES = {"django-oscar": 2_000, "tryton": 500, "vendure": 500}
GOALS = {"django-oscar": 30, "tryton": 300}
MANY = 1_000_000


@dataclass(frozen=True)
class Rate:
    """Orders a second: by the clock, and for a second of processor time."""

    wall: float
    cpu: float


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
    taken: dict[str, list[Rate]] = {}
    with stores(arguments.size) as made:
        for place in range(arguments.rounds):
            for name in peers:
                taken.setdefault(f"{name}, {SIZES[name]:,} orders", []).append(_peer(name))
            for size in sorted({SIZES[name] for name in peers}):
                taken.setdefault(_ours_name(size), []).append(_ours(made, size))
            if place == 0:
                taken.setdefault(_ours_name(arguments.size), []).append(_ours(made, arguments.size))
    rates = {
        name: Rate(median(one.wall for one in each), median(one.cpu for one in each)) for name, each in taken.items()
    }
    best = _ours_name(arguments.size)
    _show(rates, [Goal(f"{best} over {name}", rates[best].wall / rates[f"{name}, {SIZES[name]:,} orders"].wall,
                       GOALS[name], " x", at_least=True) for name in peers if name in GOALS])  # fmt: skip
    _write(rates)


def _show(rates: dict[str, Rate], goals: list[Goal]) -> None:
    table = Table(title="orders cancelled a second, on SQLite: medians")
    for name in ("what", "by the clock", "of processor time"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate.wall:,.0f}", f"{rate.cpu:,.0f}")
    console = Console(width=140)
    console.print(table)
    show_goals(goals, console)


def _write(rates: dict[str, Rate]) -> None:
    RESULTS.mkdir(exist_ok=True)
    document = {name: asdict(rate) for name, rate in rates.items()}
    (RESULTS / "peers.json").write_text(json.dumps(document, indent=2) + "\n")
    (RESULTS / "peers.svg").write_text(
        draw_rates("Orders cancelled in a second of processor time", {name: rate.cpu for name, rate in rates.items()})
    )
    print(f"written: {RESULTS / 'peers'}.json and .svg")


def _peer(name: str) -> Rate:
    home = DATA / "peers" / name
    (script,) = PEERS.glob(f"{name.replace('-', '_')}.*")
    program, install = _node(home) if script.suffix == ".mjs" else _python(home)
    environ = os.environ | {"NODE_PATH": str(home / "node_modules"), "npm_config_build_from_source": "true"}
    if not (home / "installed").exists():
        subprocess.run([*install, *PACKAGES[name]], check=True, env=environ, timeout=1800)
        (home / "installed").touch()
    with tempfile.TemporaryDirectory(prefix="orderctl-peer-") as folder:
        cancel = [program, script, str(SIZES[name])]
        said = subprocess.run(cancel, cwd=folder, check=True, env=environ, stdout=subprocess.PIPE, timeout=900).stdout
    found = json.loads(said.splitlines()[-1])
    return Rate(found["orders"] / found["seconds"], found["orders"] / found["cpu_seconds"])


def _python(home: Path) -> tuple[Path | str, list[Path | str]]:
    """The program that runs a peer's script, and the command that installs packages for it."""
    python = home / "bin" / "python"
    if not (home / "installed").exists():
        venv.create(home, with_pip=True, clear=True)
    return python, [python, "-m", "pip", "install", "--quiet"]


def _node(home: Path) -> tuple[Path | str, list[Path | str]]:
    """The same with npm, which compiles SQLite's driver: its package has no compiled one."""
    home.mkdir(parents=True, exist_ok=True)
    return "node", ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", home]


def _ours_name(size: int) -> str:
    return f"orderctl, {size:,} orders, whole process"


def _ours(made: Stores, size: int) -> Rate:
    """The first days' orders, by filter where they are whole days, else by their ids."""
    with made.copy("sqlite") as url, tempfile.NamedTemporaryFile("w") as file:
        if size % A_DAY:
            file.write("\n".join(f"PO-{number:07d}" for number in range(size)) + "\n")
            file.flush()
        source = ["--ids", file.name] if size % A_DAY else ["--filter", f"ordered:..{last_day(size // A_DAY)}"]
        cost = run(orderctl(url, "reject", *source, "--yes", "--expect", str(size), "--no-notify"))
    return Rate(size / cost.wall_s, size / cost.cpu_s)


if __name__ == "__main__":
    sys.exit(main())
