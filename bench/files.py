"""Files: imports of orders, and an export to Excel, beside the bare libraries; orders out of a database."""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import psycopg

from bench.measuring import Cost, Result, floor, in_turn, orderctl, run
from bench.stores import A_DAY, ENGINES, Stores
from orderctl.database.address import parse_address
from orderctl.database.schema import init_store

MOST = 100_000
MOST_ROUNDS = 3  # each takes a minute or two
IMPORT_GOAL = 3.0
EXPORT_GOAL = 1.3
AGAIN_GOAL = 1.0
FROM_SQL_MEMORY_MB = 180
_HEADER = ("id", "buyer_id", "buyer_name", "status", "season", "ordered", "currency", "total", "quantity", "note")
_QUERY = f"""
SELECT 'PO-' || lpad(n::text, 7, '0') AS id, 'B' || n * 7 % 5000 AS buyer_id, 'Maison Linden ' || n * 7 % 5000
AS buyer_name, 'needs-oc' AS status, '26SS' AS season, timestamptz '2023-01-01Z' + n / {A_DAY} * interval '1 day'
AS ordered, 'EUR' AS currency, round(n * 37 % 900000 / 100.0, 2) AS total, 1 + n % 60 AS quantity,
'Please deliver in one go' AS note FROM generate_series(1, """


def rows(stores: Stores, rounds: int) -> Iterator[Result]:
    """An import into an empty store of each engine, and an export from SQLite, of at most 100,000 orders.

    Out of a database as many as the stores have, and a tenth of them: the memory stays the same.
    """
    size, rounds = min(MOST, stores.size), min(MOST_ROUNDS, rounds)
    with tempfile.TemporaryDirectory(prefix="orderctl-bench-") as folder:
        file = Path(folder) / "orders.csv"
        _write_orders(file, size)
        for engine in ENGINES:
            with _empty(engine, Path(folder), stores) as fresh:
                yield _import(engine, fresh, file, size, rounds)
                yield _import_again(engine, fresh, file, size, rounds)
                if engine == "sqlite":
                    yield from (_import_from_sql(fresh, Path(folder), stores, size) for size in _sizes(stores))
        yield _export(Path(folder), stores, size, rounds)


@contextmanager
def _empty(engine: str, folder: Path, stores: Stores) -> Iterator[Callable[[], str]]:
    """Gives a function that makes the store anew, without an order."""
    if engine == "sqlite":
        empty, store = folder / "empty.db", folder / "store.db"
        init_store(parse_address(str(empty)))

        def fresh() -> str:
            for old in folder.glob("store.db*"):
                old.unlink()
            shutil.copy(empty, store)
            return str(store)

        yield fresh
        return
    name = f"import_{os.getpid()}"
    url = stores._server.format(database=name)
    with psycopg.connect(stores._server.format(database="postgres"), autocommit=True) as admin:

        def made_anew() -> str:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            admin.execute(f"CREATE DATABASE {name}")
            init_store(parse_address(url))
            return url

        try:
            yield made_anew
        finally:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _import(engine: str, fresh: Callable[[], str], file: Path, size: int, rounds: int) -> Result:
    def bare() -> Cost:
        store = fresh()
        run(floor("drop_guards", store))
        return run(floor("import_csv", store, str(file)))

    ours, bare_cost = in_turn(rounds, lambda: run(orderctl(fresh(), "import", str(file))), bare)
    return Result(f"import {size:,} rows of CSV, {engine}", ours, bare_cost, IMPORT_GOAL, units=size)


def _import_again(engine: str, fresh: Callable[[], str], file: Path, size: int, rounds: int) -> Result:
    """The same orders again, with another note in every tenth; the floor is our own first import of them."""
    changed, store = file.with_name("changed.csv"), ""
    _write_orders(changed, size, changed_every=10)

    def first() -> Cost:
        nonlocal store
        store = fresh()
        return run(orderctl(store, "import", str(file)))

    first_cost, again_cost = in_turn(rounds, first, lambda: run(orderctl(store, "import", str(changed))))
    name = f"import {size:,} rows of CSV again, a tenth changed, {engine}"
    return Result(name, again_cost, first_cost, AGAIN_GOAL, units=size)


def _sizes(stores: Stores) -> tuple[int, int]:
    return stores.size // 10, stores.size


def _import_from_sql(fresh: Callable[[], str], folder: Path, stores: Stores, size: int) -> Result:
    """Orders that PostgreSQL makes up, into SQLite; there is no floor."""
    settings = folder / "settings.toml"
    url = stores._server.format(database="postgres")
    settings.write_text(
        f'[profile.default.sources.erp]\nurl = "{url}"\ntimeout = 3600\nquery = """{_QUERY}{size}) n"""\n'
    )
    settings.chmod(0o600)
    command = orderctl(fresh(), "import", "--from-sql", "erp")
    cost = run(command, environ={"ORDERCTL_CONFIG": str(settings)})
    name = f"import {size:,} orders from PostgreSQL into SQLite"
    return Result(name, cost, None, None, units=size, memory_goal_mb=FROM_SQL_MEMORY_MB)


def _export(folder: Path, stores: Stores, size: int, rounds: int) -> Result:
    store, days = stores.url("sqlite"), size // A_DAY
    first = date(2023, 1, 1)
    target = folder / "orders.xlsx"
    wanted = f"ordered:..{first + timedelta(days=days - 1)}"
    command = orderctl(store, "export", "--filter", wanted, "--force", "-o", str(target))
    bare = floor("export_xlsx", store, str(first + timedelta(days=days)), str(target))
    ours, bare_cost = in_turn(rounds, lambda: run(command), lambda: run(bare))
    return Result(f"export {size:,} orders to Excel", ours, bare_cost, EXPORT_GOAL, units=size, memory_goal_mb=150)


def _write_orders(file: Path, size: int, *, changed_every: int = 0) -> None:
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(_HEADER)
        for number in range(size):
            buyer = number * 7 % 5_000
            ordered = date(2023, 1, 1) + timedelta(days=number // A_DAY)
            note = "Please call first" if changed_every and number % changed_every == 0 else "Please deliver in one go"
            writer.writerow(
                (f"PO-{number:07}", f"B{buyer}", f"Maison Linden {buyer}", "needs-oc", "26SS", ordered, "EUR",
                 f"{number * 37 % 900_000 / 100:.2f}", 1 + number % 60, note)
            )  # fmt: skip
