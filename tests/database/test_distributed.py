"""What a distributed PostgreSQL needs, as far as it can be tested without one: see docs/howto/distributed.md."""

import psycopg
import pytest

from orderctl.database.connection import for_psycopg
from orderctl.database.postgres import PostgresEngine
from orderctl.database.tables import metadata
from support.cli import Cli
from support.factories import make_order, put
from support.rejection import ids, reject
from support.stores import open_store, raw

TAKEN = (
    'duplicate key value violates unique constraint "{}"\nDETAIL:  Key (account, position)=(main, 3) already exists.'
)


@pytest.fixture
def stub(postgres_url):
    """A store with a table of the name of the catalogue, which is all that the program asks for."""
    with raw(postgres_url) as owner:
        owner.execute("CREATE TABLE pg_dist_partition (logicalrelid regclass)")
    return postgres_url


def sent(url, monkeypatch):
    """The texts that reach the server while orders are rejected."""
    texts = []
    execute = psycopg.Connection.execute
    monkeypatch.setattr(
        psycopg.Connection,
        "execute",
        lambda self, query, *rest, **how: texts.append(query) or execute(self, query, *rest, **how),
    )
    with open_store(url) as store:
        put(store, make_order("K1"), make_order("K2"))
        assert reject(store, ids("K1")).rejected == 1
    return texts


def test_each_statement_names_the_account_where_the_engine_looks_for_its_shard(stub, monkeypatch):
    texts = sent(stub, monkeypatch)
    assert any("account = %(account)s" in text for text in texts)
    assert not [text for text in texts if "SELECT %(account)s)" in text]


def test_elsewhere_the_planner_does_not_see_the_account(postgres_url, monkeypatch):
    texts = sent(postgres_url, monkeypatch)
    assert any("account = (SELECT %(account)s)" in text for text in texts)
    assert not [text for text in texts if "account = %(account)s" in text]


def test_the_settings_come_after_the_one_that_hands_them_on_to_the_shards(postgres_url, monkeypatch):
    begun = [text for text in sent(postgres_url, monkeypatch) if text.startswith("BEGIN")]
    assert begun
    for text in begun:
        first, *others = (each.strip() for each in text.split(";")[1:])
        assert first == "SET LOCAL citus.propagate_set_commands = 'local'"
        assert [each for each in others if "timezone" in each]


@pytest.mark.parametrize(
    ("constraint", "again"),
    [
        ("ix_batch_account_position_102033", True),
        ("ix_batch_account_request_key", True),
        ("pk_act_102040", True),
        ("pk_orders_102008", False),
        ("pk_action", False),
    ],
)
def test_a_place_that_another_batch_took_is_told_by_the_message_of_a_shard(constraint, again):
    """No constraint is named there, and the number of the shard follows."""
    error = psycopg.errors.UniqueViolation(TAKEN.format(constraint))
    assert error.diag.constraint_name is None
    assert PostgresEngine.asks_for_retry(error) is again


def test_every_key_begins_with_the_account():
    """But for the number of the store itself, in a table of one row."""
    tables = [table for table in metadata.sorted_tables if "account" in table.columns]
    assert {*metadata.tables} - {table.name for table in tables} == {"store_identity"}
    for table in tables:
        keys = [table.primary_key, *(index for index in table.indexes if index.unique), *table.foreign_key_constraints]
        for key in keys:
            assert next(iter(key.columns)).name == "account", (table.name, key.name)


def test_store_check_says_that_it_does_not_look_at_shards(stub, tmp_path):
    ended = Cli(stub, tmp_path / "home")("store", "check")
    assert ended.code == 0, ended.err
    assert "those of the shards were not looked at" in " ".join(ended.out.split())


def test_an_account_is_hidden_in_comparisons_alone():
    text = "INSERT INTO t VALUES (:account, :name) ON CONFLICT DO UPDATE SET x = 1 WHERE t.account = :account"
    assert for_psycopg(text, account_seen=False).count("SELECT") == 1
