"""A store of an earlier revision is upgraded with its data intact, on both engines."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import psycopg
import pytest
from alembic import command
from alembic.config import Config

from cli import Cli
from orderctl.store import schema
from orderctl.store.address import parse_address
from orderctl.store.revisions import CURRENT, REVISIONS

AT = "2026-03-01T08:00:00.000000Z"
FIRST_DATA = {
    "buyer": {"account": "main", "id": "acme", "name": "Acme 'A'", "email": "a@b.example"},
    "orders": {"account": "main", "id": "U1", "buyer_id": "acme", "status": "needs-oc", "ordered_at": AT,
               "currency": "EUR", "total": 12_050, "quantity": 5, "note": "as before", "version": 7},
    "order_line": {"account": "main", "order_id": "U1", "number": 1, "sku": "AB-12", "quantity": 5, "unit_price": 24},
    "order_tag": {"account": "main", "order_id": "U1", "tag": "late"},
    "selection_item": {"account": "main", "actor": "mia", "name": "default", "order_id": "U1", "added_at": AT},
    "saved_filter": {"account": "main", "name": "late", "expression": "tag:late", "actor": "mia", "saved_at": AT},
    "batch": {"account": "main", "id": "b1", "position": 1, "at": AT, "actor": "mia", "mode": "bulk", "digest": "d1"},
    "order_event": {"account": "main", "order_id": "U0", "id": "b1", "batch_id": "b1", "kind": "rejected", "at": AT},
    "mail": {"account": "main", "id": "b1.1", "batch_id": "b1", "state": "sent", "next_attempt_at": AT,
             "created_at": AT, "updated_at": AT},
    "mail_order": {"account": "main", "mail_id": "b1.1", "order_id": "U0"},
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path):
    """A database without a single table."""
    if request.param == "sqlite":
        yield str(tmp_path / "old.db")
        return
    server = request.getfixturevalue("postgres_server")
    with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE old_store")
        yield server.format(database="old_store")
        admin.execute("DROP DATABASE old_store WITH (FORCE)")


def make_store(url, revision):
    """The store as a program of that revision made it."""
    address = parse_address(url)
    if address.path is not None:
        schema._make_private_file(address.path)
    config = Config()
    config.set_main_option("script_location", f"{schema.__file__.removesuffix('schema.py')}migrations")
    with schema._connect(address) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()


def run_sql(url, *statements):
    """Run statements with their values; gives the rows of the last one."""
    postgres = "://" in url
    found = SimpleNamespace(rows=[])
    with closing(psycopg.connect(url) if postgres else sqlite3.connect(url)) as connection:
        for sql, values in statements:
            cursor = connection.execute(sql.replace("?", "%s") if postgres else sql, values)
            found.rows = cursor.fetchall() if cursor.description else []
        connection.commit()
    return found.rows


def inserted(table, row):
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' for _ in row)})", list(row.values())


def read_all(url, columns):
    """Every row of the tables, in the columns given; instants as text of one form."""
    return {
        table: [
            tuple(value.isoformat() if hasattr(value, "isoformat") else value for value in row)
            for row in run_sql(url, (f"SELECT {', '.join(names)} FROM {table} ORDER BY 1, 2", []))
        ]
        for table, names in columns.items()
    }


def test_the_first_revision_is_upgraded_with_its_data(empty_url, tmp_path):
    make_store(empty_url, REVISIONS[0])
    run_sql(empty_url, *(inserted(table, row) for table, row in FIRST_DATA.items()))
    columns = {table: list(row) for table, row in FIRST_DATA.items()}
    before = read_all(empty_url, columns)
    cli = Cli(empty_url, tmp_path / "home")
    ran = cli("search")
    assert (ran.code, "orderctl store upgrade" in ran.err) == (1, True)

    ran = cli("store", "upgrade")
    assert (ran.code, f"from {REVISIONS[0]} to {CURRENT}" in " ".join(ran.err.split())) == (0, True)
    assert read_all(empty_url, columns) == before
    assert cli("search", "tag:late").lines == ["U1"]
    kept = cli("reject", "U1", "--save-plan", "--format", "json").json["saved"]["id"]
    assert cli("plan", "run", kept, "--yes", "--format", "json").json["rejected"] == 1
    ran = cli("store", "upgrade")
    assert (ran.code, f"is of revision {CURRENT}" in " ".join(ran.err.split())) == (0, True)


def test_texts_are_folded_anew_without_accents_on_rejected_orders_too(empty_url, tmp_path):
    make_store(empty_url, "0005")
    order = FIRST_DATA["orders"] | {"id": "U1", "note": "Lumière", "folded": "u1\n\nlumière"}
    rejected = order | {"id": "U2", "status": "rejected", "rejected_at": AT, "batch_id": "b1"}
    kana = order | {"id": "U3", "note": "ガ", "folded": "u3\n\nガ"}
    buyer = FIRST_DATA["buyer"] | {"name": "Été", "name_folded": "été"}
    run_sql(empty_url, inserted("buyer", buyer), *(inserted("orders", row) for row in (order, rejected, kana)))
    cli = Cli(empty_url, tmp_path / "home")

    assert cli("store", "upgrade").code == 0
    assert sorted(cli("search", "LUMIERE").lines) == ["U1", "U2"]
    assert sorted(cli("search", "buyer:ete*").lines) == ["U1", "U2", "U3"]
    assert (cli("search", "ガ").lines, cli("search", "カ").lines) == (["U3"], [])
    assert "triggers there and on" in cli("store", "check").out
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.IntegrityConstraintViolation)):
        run_sql(empty_url, ("UPDATE orders SET note = 'x' WHERE id = ?", ["U2"]))


def test_an_order_whose_version_could_not_go_up_can_be_rejected_after_the_upgrade(empty_url, tmp_path):
    make_store(empty_url, REVISIONS[0])
    last = {**FIRST_DATA["orders"], "version": 2**31 - 1}
    run_sql(empty_url, inserted("buyer", FIRST_DATA["buyer"]), inserted("orders", last))
    cli = Cli(empty_url, tmp_path / "home")
    assert cli("store", "upgrade").code == 0
    assert cli("reject", "U1", "--yes", "--format", "json").json["rejected"] == 1
