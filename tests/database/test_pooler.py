"""The store behind pgbouncer in transaction mode: a pool of one session, in a database of another time zone.

`make test-pgbouncer` runs these, and the store's tests behind a pooler of the usual size.
"""

import threading
from datetime import UTC, datetime

import psycopg
import pytest

from orderctl.database import postgres
from support.cli import Cli
from support.factories import make_order, put
from support.pgbouncer import running_pgbouncer
from support.rejection import ids, reject, statuses
from support.stores import open_store

pytestmark = pytest.mark.pgbouncer


@pytest.fixture(scope="module")
def pool_of_one(postgres_server):
    with running_pgbouncer(postgres_server, pool=1) as url:
        yield url


@pytest.fixture
def urls(postgres_server, pool_of_one):
    """The URL of an empty database in Tokyo's time, straight and through the pool."""
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE tokyo")
        admin.execute("ALTER DATABASE tokyo SET timezone = 'Asia/Tokyo'")
        yield postgres_server.format(database="tokyo"), pool_of_one.format(database="tokyo")
        admin.execute("DROP DATABASE tokyo WITH (FORCE)")


def test_a_store_is_made_and_orders_are_rejected_through_one_session(urls, tmp_path):
    _, pooled = urls
    cli = Cli(pooled, tmp_path / "home")
    assert cli("store", "init").code == 0
    with open_store(pooled) as store, open_store(pooled) as second:
        put(store, *(make_order(f"K{number}") for number in range(20)))
        assert reject(store, ids("K1", "K2")).rejected == 2
        assert reject(second, ids("K2", "K3")).rejected == 1
        assert [order for order, status in statuses(store).items() if status == "rejected"] == ["K1", "K2", "K3"]
    assert cli("store", "check").code == 0
    assert cli("log", "verify").code == 0


def test_months_are_those_of_the_world_s_clock(urls, tmp_path):
    """In Tokyo this order belongs to February."""
    _, pooled = urls
    cli = Cli(pooled, tmp_path / "home")
    assert cli("store", "init").code == 0
    with open_store(pooled) as store:
        put(store, make_order(ordered_at=datetime(2026, 1, 31, 23, 30, tzinfo=UTC)))
    [breakdown] = cli("stats", "--by", "month", "--format", "json").json["by"]
    assert breakdown["figures"][0]["month"] == "2026-01"


def test_a_wait_for_a_lock_ends(urls, tmp_path):
    straight, pooled = urls
    cli = Cli(pooled, tmp_path / "home")
    assert cli("store", "init").code == 0
    with open_store(pooled) as store:
        put(store, make_order("K1"))
    with psycopg.connect(straight) as other:
        other.execute("SELECT 1 FROM orders FOR UPDATE")
        ended = cli("reject", "K1", "--yes", lock_s=0.3)
    assert ended.code == 7
    assert "is locked by another program" in ended.err


def test_a_statement_that_takes_long_is_waited_for_while_it_has_the_only_session(urls, tmp_path, monkeypatch):
    """To look after it, a second connection would have to wait for its end."""
    _, pooled = urls
    assert Cli(pooled, tmp_path / "home")("store", "init").code == 0
    monkeypatch.setattr(postgres, "SILENCE_S", 0.1)
    with open_store(pooled) as store, store.snapshot() as connection:
        assert connection.execute("SELECT 'there' FROM pg_sleep(1)").fetchone() == ("there",)


def test_rows_are_streamed_while_others_wait_for_the_session(urls, tmp_path):
    _, pooled = urls
    assert Cli(pooled, tmp_path / "home")("store", "init").code == 0
    found = []

    def count():
        with open_store(pooled) as other, other.snapshot() as connection:
            found.extend(connection.execute("SELECT count(*) FROM orders").fetchall())

    with open_store(pooled) as store, store.snapshot() as connection:
        rows = connection.stream("SELECT number FROM generate_series(1, 5000) AS number")
        assert next(rows) == (1,)
        waiting = threading.Thread(target=count)
        waiting.start()
        assert sum(1 for _ in rows) == 4_999
    waiting.join()
    assert found == [(0,)]
