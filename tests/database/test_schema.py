"""The schema: migrations against tables, and what opening a store says when something is wrong with it."""

import stat

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from orderctl.database import clock, schema, tables
from orderctl.database.address import parse_address
from orderctl.database.store import CURRENT, REVISIONS, VERSION_TABLE
from orderctl.database.tables import metadata
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import OrderctlError, StoreUnavailableError, UsageError
from orderctl.filters.saved import all_filters
from orderctl.orders.eligibility import Mode
from orderctl.orders.orders import Status
from orderctl.plans.plans import OPEN, PlanState
from support.stores import open_store, raw


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
    config = Config()
    config.set_main_option("script_location", f"{schema.__file__.removesuffix('schema.py')}migrations")
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == CURRENT
    assert tuple(revision.revision for revision in script.walk_revisions())[::-1] == REVISIONS


def test_init_makes_a_private_file_and_keeps_an_old_store(tmp_path):
    address = parse_address(f"sqlite:///{tmp_path}/new/store.db")
    assert schema.init_store(address)
    assert stat.S_IMODE(address.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(address.path.parent.stat().st_mode) == 0o700
    assert not schema.init_store(address)


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
