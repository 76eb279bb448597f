"""The schema: migrations against tables, and what opening a store says when something is wrong with it."""

import stat

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from orderctl.database import clock, schema, tables
from orderctl.database.address import parse_address
from orderctl.database.migrations.migrations import MIGRATIONS
from orderctl.database.store import REVISIONS, VERSION_TABLE
from orderctl.database.tables import metadata
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import OrderctlError, StoreUnavailableError, UsageError
from orderctl.filters.saved import all_filters
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.plans.plans import OPEN, PlanState
from support.cli import Cli
from support.stores import open_store, raw


@pytest.fixture
def cli_of(tmp_path):
    return lambda url: Cli(url, tmp_path / "home")


def read(url):
    with open_store(url) as store, store.snapshot() as connection:
        return all_filters(connection)


def test_the_migrations_make_what_the_tables_say(store_url):
    with schema._alone(parse_address(store_url)) as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE, "compare_type": True})
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize(
    ("codes", "known"),
    [
        (tables.STATUSES, Status),
        (tables.MODES, Mode),
        (tables.DELIVERY_STATES, DeliveryState),
        (tables.PLAN_STATES, PlanState),
        (clock._OPEN.replace("'", "").split(", "), OPEN),
    ],
    ids=["statuses", "modes", "delivery states", "plan states", "open plans"],
)
def test_the_codes_of_the_database_room_are_those_of_the_rooms_above(codes, known):
    assert set(codes) == set(known)
    assert len(codes) == len(known)


def test_the_program_knows_the_last_migration():
    assert tuple(MIGRATIONS) == REVISIONS


def test_init_makes_a_private_file_and_keeps_an_old_store(tmp_path):
    address = parse_address(f"sqlite:///{tmp_path}/new/store.db")
    assert schema.init_store(address)
    assert stat.S_IMODE(address.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(address.path.parent.stat().st_mode) == 0o700
    assert not schema.init_store(address)


@pytest.fixture
def database(postgres_server):
    """An empty database, and a login that owns nothing; gives a function from a login to its URL."""
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE bare")
        admin.execute("CREATE ROLE guest LOGIN")
        yield lambda login: postgres_server.format(database="bare").replace("postgres@", f"{login}@")
        admin.execute("DROP DATABASE bare WITH (FORCE)")
        admin.execute("DROP ROLE guest")


@pytest.mark.parametrize(
    ("prepared", "login", "words"),
    [
        ("", "guest", "permission denied for schema public"),
        ("DROP SCHEMA public", "postgres", "has no schema for the tables"),
        ("ALTER DATABASE bare SET default_transaction_read_only = on", "postgres", "is read-only"),
    ],
)
def test_init_says_in_one_sentence_what_the_server_refuses(database, cli_of, prepared, login, words):
    if prepared:
        with raw(database("postgres")) as owner:
            owner.execute(prepared)
    ended = cli_of(database(login))("store", "init")
    assert (ended.code, len(ended.err.splitlines())) == (7, 2), ended.err
    assert words in ended.err
    assert ended.err.splitlines()[1].startswith("hint: ")


def test_init_names_a_database_that_is_not_there(postgres_server, cli_of):
    ended = cli_of(postgres_server.format(database="nowhere"))("store", "init")
    assert (ended.code, len(ended.err.splitlines())) == (7, 2), ended.err
    assert 'database "nowhere" does not exist' in ended.err


def test_an_upgrade_by_another_than_the_owner_is_refused_in_one_sentence(database, cli_of):
    assert cli_of(database("postgres"))("store", "init").code == 0
    with raw(database("postgres")) as owner:
        owner.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{REVISIONS[-2]}'")
        owner.execute(f"GRANT SELECT ON {VERSION_TABLE}, member TO guest")
    ended = cli_of(database("guest"))("store", "upgrade")
    assert (ended.code, len(ended.err.splitlines())) == (7, 2), ended.err
    assert "may not do this" in ended.err


@pytest.mark.parametrize("name", ["file/store.db", "file/below/store.db", "folder"])
def test_init_says_in_one_sentence_that_a_file_cannot_be_made(tmp_path, cli_of, name):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    ended = cli_of(str(tmp_path / name))("store", "init")
    assert (ended.code, len(ended.err.splitlines())) == (2, 2), ended.err
    assert "cannot be made" in ended.err


def test_init_refuses_a_database_of_something_else(store_url):
    connection = raw(store_url)
    connection.execute(f"DROP TABLE {VERSION_TABLE}")
    connection.close()
    with pytest.raises(UsageError, match="holds tables that are not orderctl's"):
        schema.init_store(parse_address(store_url))


@pytest.mark.parametrize(
    ("revision", "says", "hint"),
    [
        ("9999", "newer than this program knows", "upgrade orderctl"),
        (None, "is not an orderctl store", "orderctl store init"),
    ],
)
def test_a_store_of_another_revision_is_refused_with_a_way_out(store_url, revision, says, hint):
    connection = raw(store_url)
    if revision:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
    else:
        connection.execute(f"DROP TABLE {VERSION_TABLE}")
    connection.close()
    with pytest.raises(OrderctlError, match=says) as caught:
        read(store_url)
    assert hint in caught.value.hint


def test_a_missing_file_is_never_made_by_opening(tmp_path):
    path = tmp_path / "missing.db"
    with pytest.raises(StoreUnavailableError, match="there is no store") as caught:
        read(str(path))
    assert "orderctl store init" in caught.value.hint
    assert not path.exists()


def test_a_file_of_another_kind_is_told_apart(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database, " * 500)
    with pytest.raises(StoreUnavailableError, match="is not an orderctl store"):
        read(str(path))


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    url = f"postgresql://alice:secret@/orders?host={tmp_path}"
    with pytest.raises(StoreUnavailableError, match="cannot be reached") as caught:
        read(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgresql://u:p@ss@h/db", "postgresql://h:port/db", "sqlite:///", "sqlite:///x?mode=ro"]
)
def test_a_url_that_is_none_never_shows_its_password(url):
    with pytest.raises(UsageError) as caught:
        parse_address(url)
    assert "ss@h" not in str(caught.value)


def test_an_address_is_shown_without_its_password():
    address = parse_address("postgresql://alice:s3cret@db.example:5433/orders")
    assert address.shown == "postgresql://alice@db.example:5433/orders"
    assert "s3cret" not in repr(address)
