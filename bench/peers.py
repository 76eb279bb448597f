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

from bench.measuring import orderctl, run
from bench.stores import DATA, stores

PEERS = Path(__file__).parent / "peers"
PACKAGES = {
    "django-oscar": ["django-oscar[sorl-thumbnail]>=4.0", "setuptools<81"],
    "tryton": ["trytond>=7.0", "trytond-sale>=7.0", "setuptools<81"],
}
SIZES = {"django-oscar": 2_000, "tryton": 500}


def main() -> None:
    """Measure each peer, then ourselves at as many orders and at many."""
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--peer", action="append", choices=PACKAGES, help="only these; repeatable")
    chosen = parser.parse_args().peer or list(PACKAGES)
    rates = {name: _peer(name) for name in chosen}
    rates |= {f"orderctl, {size:,} orders, whole process": _ours(size) for size in (2_000, 100_000)}
    best = max(rates.values())
    for name, rate in rates.items():
        print(f"{name:45} {rate:12,.0f} orders/s {best / rate:8.1f} x slower than the fastest")


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


def _ours(size: int) -> float:
    with stores(100_000) as made, made.copy("sqlite") as url, tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(f"PO-{number:07d}" for number in range(size)) + "\n")
        file.flush()
        return size / run(orderctl(url, "reject", "--ids", file.name, "--yes", "--no-notify")).wall_s


if __name__ == "__main__":
    sys.exit(main())
