"""The stores that are measured: orders made inside each engine, by set-based inserts, and kept between runs.

A store of size N holds N orders that can be rejected in bulk, 1,000 for each day since 2023-01-01, and six
for every hundred of them that cannot. It is made once; what changes it runs on a copy.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from orderctl.database.address import parse_address
from orderctl.database.line_digests import digest_open_orders
from orderctl.database.postgres import PostgresConnection
from orderctl.database.schema import init_store
from orderctl.database.sqlite import SqliteConnection

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"
sys.path.append(str(ROOT / "tests"))

from support.postgres_server import running_server  # noqa: E402 - the tests' own starter

ENGINES = ("sqlite", "postgresql")
INELIGIBLE = 6  # for every hundred
A_DAY = 1_000
_TRIAL = 10_000
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "1GB",
    "work_mem": "64MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "autovacuum": "off",  # so that no round pays for another one's vacuum
}
# What each store is made of, in SQL that both engines read; {n} is the number of the order.
_BUYERS = 5_000
_ORDERS = {
    "id": "'PO-' || substr('0000000' || {n}, -7)",
    "buyer_id": "'B' || ({n} * 7 % {buyers})",
    "brand": "'Nordlys'",
    "status": "CASE WHEN {n} >= {size} THEN CASE {n} % 3 WHEN 0 THEN 'oc-confirmed' WHEN 1 THEN 'oc-approved'"
    " ELSE 'needs-oc' END WHEN {n} % 10 < 4 THEN 'needs-oc' ELSE 'oc-created' END",
    "reference": "'REF-' || ({n} * 13)",
    "season": "CASE {n} % 4 WHEN 0 THEN '25FW' WHEN 1 THEN '26SS' WHEN 2 THEN '26FW' ELSE '27SS' END",
    "ordered_at": "{instant}",
    "terms": "'30 days net'",
    "delivery_address": "'12 rue des Lilas, 75011 Paris'",
    "billing_address": "'12 rue des Lilas, 75011 Paris'",
    "country": "CASE {n} % 8 WHEN 0 THEN 'FR' WHEN 1 THEN 'DE' WHEN 2 THEN 'GB' WHEN 3 THEN 'US' WHEN 4 THEN 'JP'"
    " WHEN 5 THEN 'IT' WHEN 6 THEN 'DK' ELSE NULL END",
    "delivery_from": "{day}",
    "currency": "CASE {n} % 5 WHEN 0 THEN 'USD' WHEN 1 THEN 'JPY' ELSE 'EUR' END",
    "total": "20000 + {n} * 37 % 900000",
    "quantity": "1 + {n} % 60",
    "delivery_notes": "0",
    "invoices": "CASE WHEN {n} >= {size} AND {n} % 3 = 2 THEN 1 ELSE 0 END",
    "backlog_skus": "0",
    "note": "{note}",
    "folded": "'po-' || substr('0000000' || {n}, -7) || char10 || 'ref-' || ({n} * 13) || char10 || lower({note})",
    "version": "1",
}
_NOTE = (
    "CASE WHEN {n} % 50021 = 7 THEN 'Sequoia lining, no substitutes' WHEN {n} % 8 = 1 THEN"
    " 'No linen, please: allergy of a customer' WHEN {n} % 8 = 3 THEN 'Please deliver in one go' ELSE '' END"
)
_IMPORTS = {
    "{first}": "2026-03-01T02:00:00.000000Z",
    "{second}": "2026-03-07T02:00:00.000000Z",
    "{third}": "2026-03-14T02:00:00.000000Z",
}
# As three imports left it.
_SAID = {
    "order_id": _ORDERS["id"],
    "source": "'shopify'",
    "seen_at": "CASE {n} % 3 WHEN 0 THEN {first} WHEN 1 THEN {second} ELSE {third} END",
    "status": _ORDERS["status"],
    "delivery_notes": "0",
    "invoices": "0",
    "import_id": "'0192f1c4-0000-7000-8000-00000000000' || ({n} % 3)",
}
_LINES = {
    "order_id": "'PO-' || substr('0000000' || {n}, -7)",
    "number": "{k}",
    "sku": "'SKU-' || (({n} * 3 + {k} * 11) % 900)",
    "name": "'Linen shirt'",
    "color": "'ecru'",
    "size": "'M'",
    "quantity": "1 + {n} % 20",
    "unit_price": "3800",
}


def _select(columns: dict[str, str], source: str, *, sqlite: bool, size: int) -> str:
    spread = "(CASE WHEN {n} < {size} THEN {n} ELSE ({n} - {size}) * 16 END) / 1000"
    if sqlite:
        second, later = f"1672531200 + {spread} * 86400 + {{n}} % 1000 * 86", f"1680307200 + {spread} * 86400"
        instant, day = f"strftime('%Y-%m-%dT%H:%M:%S.000000Z', {second}, 'unixepoch')", f"date({later}, 'unixepoch')"
    else:
        instant = f"to_timestamp(1672531200 + {spread} * 86400::bigint + {{n}} % 1000 * 86)"
        day = f"(to_timestamp(1680307200 + {spread} * 86400::bigint) AT TIME ZONE 'UTC')::date"
    texts = ", ".join(columns.values()).replace("{instant}", instant).replace("{day}", day).replace("{note}", _NOTE)
    for name, at in _IMPORTS.items():
        texts = texts.replace(name, f"'{at}'" if sqlite else f"timestamptz '{at}'")
    if not sqlite:
        texts = texts.replace("substr('0000000' || {n}, -7)", "lpad({n}::text, 7, '0')").replace("* 37", "* 37::bigint")
    texts = texts.replace("char10", "char(10)" if sqlite else "chr(10)")
    return f"SELECT 'main', {texts} FROM {source}".format(n="n", k="k", size=size, buyers=_BUYERS)


def inserts(size: int, *, sqlite: bool) -> list[str]:
    """The statements that fill an empty store."""
    everything = size + size * INELIGIBLE // 100

    def numbers(name: str, count: int, first: int = 0) -> str:
        if sqlite:
            body = (
                f"WITH RECURSIVE c(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM c WHERE i + 1 < {first + count})"
            )
            return f"({body} SELECT i AS {name} FROM c) AS {name}_{first}"
        return f"(SELECT generate_series({first}::bigint, {first + count - 1}) AS {name}) AS {name}_{first}"

    buyer = (
        "INSERT INTO buyer (account, id, name, name_folded, email, contact, country, language) SELECT 'main', 'B' || n,"
        " 'Maison Linden ' || n, 'maison linden ' || n, CASE WHEN n % 50 = 49 THEN NULL ELSE"
        " 'orders' || n || '@shop.example' END, 'Mia', 'FR', CASE n % 3 WHEN 0 THEN 'fr' WHEN 1 THEN 'en' ELSE 'ja' END"
        f" FROM {numbers('n', _BUYERS)}"
    )
    orders = _select(_ORDERS, numbers("n", everything), sqlite=sqlite, size=size)
    both = f"{numbers('n', everything)} CROSS JOIN {numbers('k', 2, 1)}"
    lines = _select(_LINES, both, sqlite=sqlite, size=size)
    tag = _select(
        {"order_id": _ORDERS["id"], "tag": "CASE WHEN {n} % 25 = 0 THEN 'late' ELSE 'vip' END"},
        numbers("n", everything),
        sqlite=sqlite,
        size=size,
    )
    said = _select(_SAID, numbers("n", everything), sqlite=sqlite, size=size)
    return [
        buyer,
        f"INSERT INTO orders (account, {', '.join(_ORDERS)}) {orders}",
        f"INSERT INTO order_line (account, {', '.join(_LINES)}) {lines}",
        f"INSERT INTO order_tag (account, order_id, tag) {tag} WHERE n % 25 = 0 OR n % 25 = 7",
        f"INSERT INTO order_source (account, {', '.join(_SAID)}) {said}",
    ]


def sqlite_store(size: int) -> Path:
    """The SQLite store of this size, made if it is not there or of another schema."""
    path = DATA / f"orders-{size}-{_schema_mark()}.db"
    if path.is_file():
        return path
    # In a process of its own: what building holds in memory is not ours to be measured with.
    subprocess.run([sys.executable, "-m", "bench.stores", str(size)], check=True, cwd=ROOT)
    return path


def _build_sqlite(size: int) -> None:
    path = DATA / f"orders-{size}-{_schema_mark()}.db"
    for old in DATA.glob(f"orders-{size}-*"):
        old.unlink()
    making = path.with_suffix(".making")
    making.unlink(missing_ok=True)
    init_store(parse_address(str(making)))
    raw = sqlite3.connect(making, isolation_level=None)
    raw.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000;")
    later = raw.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
    ).fetchall()
    for kind, name, _ in later:
        raw.execute(f"DROP {kind} {name}")
    for statement in [*inserts(size, sqlite=True), *(sql for kind, _, sql in later if kind == "index")]:
        raw.execute(statement)
    digest_open_orders(SqliteConnection(raw, "main"))
    for statement in ["VACUUM", *(sql for kind, _, sql in later if kind == "trigger")]:
        raw.execute(statement)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.close()
    making.rename(path)


def postgres_store(server: str, size: int) -> str:
    """The name of the PostgreSQL database of this size, made if it is not there or of another schema."""
    name = f"orders_{size}_{_schema_mark()}"
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        known = [row[0] for row in admin.execute("SELECT datname FROM pg_database").fetchall()]
        if name in known:
            return name
        for old in known:
            if old.startswith((f"orders_{size}_", "making", "copy")):
                admin.execute(f"DROP DATABASE {old} WITH (FORCE)")
        admin.execute("CREATE DATABASE making")
    init_store(parse_address(server.format(database="making")))
    with psycopg.connect(server.format(database="making"), autocommit=True) as raw:
        raw.execute("SET session_replication_role = replica")  # no foreign keys; our own guards fire all the same
        raw.execute("ALTER TABLE order_line DISABLE TRIGGER order_line_final_insert")
        indexes = raw.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname LIKE 'ix%'"
        ).fetchall()
        for index, _ in indexes:
            raw.execute(f"DROP INDEX {index}")
        for statement in [*inserts(size, sqlite=False), *(sql for _, sql in indexes)]:
            raw.execute(statement)
        raw.execute("ALTER TABLE order_line ENABLE ALWAYS TRIGGER order_line_final_insert")
        with raw.transaction():
            digest_open_orders(PostgresConnection(raw, "main"))
        # FULL: no dead rows of the digests between the orders. Then the pages are marked, as autovacuum would.
        raw.execute("VACUUM (FULL, ANALYZE, FREEZE)")
        raw.execute("VACUUM")
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE making RENAME TO {name}")
        admin.execute("CHECKPOINT")
    return name


def _schema_mark() -> str:
    """Changes with the schema and with what the stores are made of."""
    guards = sorted((ROOT / "src/orderctl/database/guards").glob("*.py"))
    texts = [Path(__file__), *guards, ROOT / "src/orderctl/database/store.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in texts)).hexdigest()[:8]


class Stores:
    """The kept stores of one size on both engines, and copies of them."""

    def __init__(self, size: int, server: str) -> None:
        self.size = size
        self._server = server

    def url(self, engine: str) -> str:
        """The kept store: not to be changed."""
        if engine == "sqlite":
            return str(sqlite_store(self.size))
        return self._server.format(database=postgres_store(self._server, self.size))

    @contextlib.contextmanager
    def copy(self, engine: str) -> Iterator[str]:
        """A copy that may be changed."""
        if engine == "sqlite":
            path = DATA / f"copy-{os.getpid()}.db"
            shutil.copy(sqlite_store(self.size), path)
            path.chmod(0o600)
            os.sync()
            try:
                yield str(path)
            finally:
                for suffix in ("", "-wal", "-shm"):
                    Path(f"{path}{suffix}").unlink(missing_ok=True)
            return
        name = f"copy_{os.getpid()}"
        with psycopg.connect(self._server.format(database="postgres"), autocommit=True) as admin:
            original = postgres_store(self._server, self.size)
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {original} STRATEGY file_copy")
            admin.execute("CHECKPOINT")
            os.sync()
            try:
                yield self._server.format(database=name)
            finally:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def server_cpu_s(self, engine: str) -> float:
        """Processor time of the server's processes that ended; those of closed connections are waited for."""
        if engine == "sqlite":
            return 0.0
        with psycopg.connect(self._server.format(database="postgres"), autocommit=True) as admin:
            row = admin.execute("SHOW data_directory").fetchone()
            others = "SELECT FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname <> 'postgres'"
            while admin.execute(others).fetchone() is not None:
                time.sleep(0.05)
        time.sleep(0.2)  # the server counts a process only once it has seen it end
        pid = (Path(row[0]) / "postmaster.pid").read_text().partition("\n")[0]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def stores(size: int) -> Iterator[Stores]:
    """The stores of one size; the PostgreSQL server runs inside the block."""
    DATA.mkdir(exist_ok=True)
    # A trial has a server of its own: it may run beside a measurement.
    folder = DATA / ("postgresql" if size > _TRIAL else "postgresql-trial")
    with running_server(folder, _SETTINGS) as server:
        yield Stores(size, server)


if __name__ == "__main__":
    _build_sqlite(int(sys.argv[1]))
