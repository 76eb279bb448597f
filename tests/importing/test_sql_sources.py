"""Orders out of a database: read by one query, through a column map, and nothing is written there."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from orderctl.files.sql_query import read_query, sql_source
from orderctl.settings import read_settings
from support.cli import Cli
from support.smtp_server import free_port
from support.stores import open_store

SECRET = "s3cret-of-the-erp"
MAP = """
timezone = "Europe/Paris"
rows = "lines"
[columns]
id = "no"
status = "state"
ordered = "placed"
currency = "ccy"
total = "net"
buyer_id = "customer"
sku = "item"
line_quantity = "qty"
unit_price = "price"
[status]
"open" = "needs-oc"
"shipped" = "oc-confirmed"
"""
QUERY = "SELECT * FROM sales_order WHERE note LIKE 'the 100%' AND no <> ':no' ORDER BY no"
TABLE = (
    "CREATE TABLE sales_order (no TEXT, state TEXT, placed TIMESTAMP, ccy TEXT, net {amount}, customer TEXT,"
    " item TEXT, qty INTEGER, price {amount}, note TEXT)"
)
ROWS = [
    ("S-1", "open", "2026-02-14 09:30:00", "EUR", "9999999999999.97", "B7", "A", 1, "9999999999999.97", "the 100%"),
    ("S-2", "open", "2026-07-14 09:30:00", "EUR", "21.10", "B7", "B", 2, "7.05", "the 100%"),
    ("S-2", "open", "2026-07-14 09:30:00", "EUR", "21.10", "B7", "C", 1, "7.00", "the 100%"),
    ("S-3", "shipped", "2026-07-15 09:30:00", "JPY", "500", "B8", "C", 1, "500", "the 100%"),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def erp(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of somebody else with a table of sales orders; its URL."""
    if request.param == "sqlite":
        path = tmp_path / "their erp #1.db"
        with closing(sqlite3.connect(path)) as base, base:
            # SQLite keeps amounts as floating point; what needs more digits is kept as text.
            base.execute(TABLE.format(amount="TEXT"))
            base.executemany(f"INSERT INTO sales_order VALUES ({', '.join('?' * 10)})", ROWS)
        yield f"sqlite:///{path}"
    else:
        url = request.getfixturevalue("postgres_url")
        with psycopg.connect(url, autocommit=True) as base:
            base.execute(TABLE.format(amount="NUMERIC(18, 2)"))
            base.cursor().executemany(f"INSERT INTO sales_order VALUES ({', '.join(['%s'] * 10)})", ROWS)
        yield url


@pytest.fixture
def cli(sqlite_url: str, tmp_path: Path) -> Cli:
    return Cli(sqlite_url, tmp_path / "home", ORDERCTL_CONFIG=str(tmp_path / "config.toml"))


def configure(cli: Cli, url: str, query: str = QUERY, *more: str) -> Path:
    """The settings of a source `erp`, and its map."""
    file = Path(cli.environ["ORDERCTL_CONFIG"])
    columns = file.with_name("erp.toml")
    columns.write_text(MAP)
    lines = [f'url = "{url}"', f"query = '''{query}'''", f'map = "{columns}"', *more]
    file.write_text("\n".join(["[profile.default.sources.erp]", *lines, ""]))
    file.chmod(0o600)
    return file


def is_one_sentence(err: str) -> bool:
    """Whether it says one thing, and what to do next."""
    first, *more = err.splitlines()
    return first.startswith("orderctl: ") and len(more) <= 1 and all(line.startswith("hint: ") for line in more)


def count(url: str) -> int:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as base:
            return base.execute("SELECT count(*) FROM sales_order").fetchone()[0]
    with psycopg.connect(url) as base:
        return base.execute("SELECT count(*) FROM sales_order").fetchone()[0]


def test_the_orders_of_a_query_are_those_of_the_database(cli, erp, sqlite_url):
    configure(cli, erp)
    ran = cli("import", "--from-sql", "erp")
    assert (ran.code, ran.out) == (
        0,
        "4 rows, 3 orders: 3 created, 0 updated, 0 unchanged, 0 rejected ones left alone\n",
    )
    with open_store(sqlite_url) as store, store.snapshot() as connection:
        found = list(connection.execute("SELECT id, status, ordered_at, currency, total FROM orders ORDER BY id"))
    assert [tuple(row) for row in found] == [
        # No floating point lies between the cents of the source and those of the store.
        ("S-1", "needs-oc", "2026-02-14T08:30:00.000000Z", "EUR", 999_999_999_999_997),
        ("S-2", "needs-oc", "2026-07-14T07:30:00.000000Z", "EUR", 2_110),
        ("S-3", "oc-confirmed", "2026-07-15T07:30:00.000000Z", "JPY", 500),
    ]
    again = cli("import", "--from-sql", "erp", "--check")
    assert (again.code, again.out) == (0, "4 rows, 3 orders: all good\n")


def test_a_query_may_stand_in_a_file(cli, erp, tmp_path):
    query = tmp_path / "open orders.sql"
    query.write_text(f"-- what is open\n{QUERY}")
    configure(cli, erp, f"@{query}")
    assert cli("import", "--from-sql", "erp").out.startswith("4 rows, 3 orders: 3 created")


def test_a_problem_names_the_source_and_the_row(cli, erp, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    configure(cli, erp, QUERY.replace("*", "no, placed, ccy, net, customer, item, qty, price, 'lost' AS state"))
    ran = cli("import", "--from-sql", "erp", "--errors", str(tmp_path / "bad.csv"))
    assert ran.code == 2
    assert "erp, state: 'lost' is not a known status" in ran.err
    assert "rows (first: 1)" in ran.err
    assert (tmp_path / "bad.csv").read_text().startswith("file,row,column,value,reason\nerp,1,state,lost,")


@pytest.mark.parametrize("query", ["DELETE FROM sales_order", "DELETE FROM sales_order RETURNING no"])
def test_nothing_is_written_in_the_database(cli, erp, query):
    configure(cli, erp, query)
    ran = cli("import", "--from-sql", "erp")
    assert ran.code != 0
    assert is_one_sentence(ran.err)
    assert "the source erp" in ran.err
    assert count(erp) == len(ROWS)


def test_what_cannot_be_run_is_said_in_the_words_of_the_database(cli, erp):
    configure(cli, erp, "SELECT nothing FROM sales_order")
    ran = cli("import", "--from-sql", "erp")
    assert ran.code in {1, 2}
    assert "nothing" in ran.err
    assert is_one_sentence(ran.err)


def test_a_query_that_takes_too_long_is_ended(cli, erp):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS no FROM n"
    configure(cli, erp, endless, "timeout = 1")
    ran = cli("import", "--from-sql", "erp")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "orderctl: the query of the source erp took more than 1 s\nhint: make it faster, or raise sources.erp.timeout\n"
    )


def test_a_database_that_does_not_answer_is_one_sentence_without_the_password(cli):
    configure(cli, f"postgresql://mia:{SECRET}@127.0.0.1:{free_port()}/erp")
    ran = cli("import", "--from-sql", "erp")
    assert ran.code == 1
    assert "the source erp does not answer: " in ran.err
    assert SECRET not in ran.err
    assert is_one_sentence(ran.err)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('[profile.default.sources.erp]\nurl = "sqlite:///none.db"\nquery = "SELECT 1"\n', "there is no such file"),
        ('[profile.default.sources.erp]\nurl = "erp"\nquery = "SELECT 1"\n', "is not the URL of a database"),
        ('[profile.default.sources.erp]\nurl = "mysql+none://x/y"\nquery = "SELECT 1"\n', "needs a driver"),
        ('[profile.default.sources.erp]\nurl = "sqlite:///x.db"\n', "sources.erp.query is missing"),
        ('[profile.default.sources.erp]\nurll = "x"\n', "did you mean sources.erp.url?"),
        ('[profile.default.sources.ero]\nurl = "x"\nquery = "x"\n', "did you mean ero?"),
        ("", "write [profile.NAME.sources.erp] with url and query"),
    ],
)
def test_what_is_wrong_with_the_settings_of_a_source_is_said(cli, table, said):
    Path(cli.environ["ORDERCTL_CONFIG"]).write_text(table)
    ran = cli("import", "--from-sql", "erp")
    assert ran.code == 2
    assert said in ran.err
    assert is_one_sentence(ran.err)


def test_a_file_and_a_source_are_two(cli):
    ran = cli("import", "orders.csv", "--from-sql", "erp")
    assert (ran.code, ran.err) == (2, "orderctl: a file and --from-sql are two sources\nhint: give one of them\n")


def test_the_password_of_a_source_stands_nowhere(cli, tmp_path):
    file = configure(cli, f"postgresql://mia:{SECRET}@db.example/erp")
    shown = cli("config", "show")
    assert (shown.code, SECRET in shown.out) == (0, False)
    assert "sources.erp.url" in shown.out
    file.chmod(0o644)
    refused = cli("config", "show")
    assert (refused.code, "holds a password (profile.default.sources.erp.url)" in refused.err) == (2, True)
    key = tmp_path / "erp-password"
    key.write_text(f"{SECRET}\n")
    key.chmod(0o644)
    configure(cli, "postgresql://mia@db.example/erp", QUERY, f'password_file = "{key}"')
    assert f"others may read {key}" in cli("import", "--from-sql", "erp").err
    key.chmod(0o600)
    settings = read_settings(file, {}, {})
    assert sql_source(settings, "erp").url.password == SECRET
    assert SECRET not in repr(sql_source(settings, "erp"))


def test_a_long_result_is_read_in_constant_memory(postgres_url, tmp_path):
    rows = 200_000
    file = tmp_path / "config.toml"
    query = (
        "SELECT i AS id, repeat('x', 1000) AS note, timestamptz '2026-02-14 09:30+01' AS ordered"
        f" FROM generate_series(1, {rows}) i"
    )
    file.write_text(f'[profile.default.sources.erp]\nurl = "{postgres_url}"\nquery = "{query}"\n')
    source = sql_source(read_settings(file, {}, {}), "erp")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with read_query(source) as table:
        first = next(table.rows)
        read = 1 + sum(1 for __ in table.rows)
    assert (table.header, first[0], first[1][0], read) == (("id", "note", "ordered"), 1, 1, rows)
    assert first[1][2] == datetime(2026, 2, 14, 8, 30, tzinfo=UTC)
    # The rows are 200 MB; a cursor of the client would hold them all. In kilobytes.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000
