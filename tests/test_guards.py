"""The database itself keeps a rejection final and the log append-only, on both engines, against SQL by hand."""

import sqlite3

import psycopg
import pytest

from conftest import open_store
from factories import make_order, put
from orderctl.domain.orders import Status
from test_rejection import ids, reject
from test_schema import raw

REFUSALS = (sqlite3.IntegrityError, psycopg.errors.IntegrityError)


@pytest.fixture
def connection(store, store_url):
    put(store, make_order("G1"), make_order("G2", status=Status.OC_CONFIRMED))
    reject(store, ids("G1"))
    connection = raw(store_url)
    yield connection
    connection.close()


FORBIDDEN = {
    "un-reject": "UPDATE orders SET status = 'needs-oc', rejected_at = NULL WHERE id = 'G1'",
    "other total": "UPDATE orders SET total = 0 WHERE id = 'G1'",
    "other batch": "UPDATE orders SET batch_id = NULL WHERE id = 'G1'",
    "other id": "UPDATE orders SET id = 'G9' WHERE id = 'G1'",
    "delete order": "DELETE FROM orders WHERE id = 'G1'",
    "edit line": "UPDATE order_line SET quantity = 0 WHERE order_id = 'G1'",
    "delete line": "DELETE FROM order_line WHERE order_id = 'G1'",
    "move line": "UPDATE order_line SET order_id = 'G2', number = 9 WHERE order_id = 'G1'",
    "add line": "INSERT INTO order_line (account, order_id, number, quantity, unit_price)"
    " VALUES ('main', 'G1', 99, 1, 1)",
    "edit event": "UPDATE order_event SET actor = 'nobody'",
    "delete event": "DELETE FROM order_event",
    "edit batch": "UPDATE batch SET rejected = 0",
    "delete batch": "DELETE FROM batch",
}


@pytest.mark.parametrize("statement", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_engine_refuses(connection, statement):
    with pytest.raises(REFUSALS, match="a rejected order is final|the log is append-only"):
        connection.execute(statement)


@pytest.mark.parametrize("table", ["orders", "order_event", "batch", "order_line"])
def test_postgresql_refuses_to_truncate(postgres_url, table):
    with psycopg.connect(postgres_url) as connection, pytest.raises(psycopg.errors.IntegrityError):
        connection.execute(f"TRUNCATE {table} CASCADE")


def test_postgresql_refuses_a_replica_session_too(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.IntegrityError):
            connection.execute("TRUNCATE batch")


@pytest.mark.parametrize("table", ["orders", "order_event", "batch"])
def test_sqlite_refuses_to_replace(sqlite_url, table):
    with open_store(sqlite_url) as store:
        put(store, make_order("G1"))
        reject(store, ids("G1"))
    connection = raw(sqlite_url)
    with pytest.raises(sqlite3.IntegrityError, match="final|append-only"):
        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
    connection.close()


def test_archiving_is_what_a_rejected_order_allows(connection, store):
    connection.execute("UPDATE orders SET archived_at = rejected_at, version = version + 1 WHERE id = 'G1'")
    with store.snapshot() as work:
        assert work.orders.get("G1").archived_at is not None


def test_other_orders_may_change(connection):
    connection.execute("UPDATE orders SET total = 1 WHERE id = 'G2'")
    connection.execute("UPDATE order_line SET quantity = 1 WHERE order_id = 'G2'")
    connection.execute("DELETE FROM order_line WHERE order_id = 'G2'")
