"""`store`: what a check finds, copies of a live store, upgrades that hold or leave no trace, and private files."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from orderctl.database import schema
from orderctl.database.address import parse_address
from orderctl.database.guards.statements import guard_statements
from orderctl.database.store import CURRENT, REVISIONS
from orderctl.errors import UsageError
from orderctl.orders.queries import get_order
from support.cli import Cli
from support.factories import make_order, put, put_all
from support.rejection import ids, reject, statuses
from support.stores import open_store, raw, tamper


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


def checks(cli, *args):
    ran = cli("store", "check", "--format", "json", *args)
    return ran.code, {check["name"]: (check["ok"], check["detail"]) for check in ran.json["checks"]}


def test_a_sound_store_is_in_order(cli, store_url, store):
    put(store, make_order("C1"))
    reject(store, ids("C1"), notify=True)
    code, found = checks(cli)
    engine = "postgresql" if "://" in store_url else "sqlite"
    triggers = sum(statement.startswith("CREATE TRIGGER") for statement in guard_statements(engine, int(CURRENT)))
    assert code == 0
    assert found["schema"] == (True, f"revision {CURRENT}")
    assert found["guards"] == (True, f"{triggers} triggers there and on")
    assert found["references"] == (True, "every reference holds")
    assert found["orphans"] == (True, "none")
    assert found["log"] == (True, "1 batch and 1 event as written")
    assert "log" not in checks(cli, "--quick")[1]
    ran = cli("store", "check", "--quick")
    assert (ran.code, ran.err, "WRONG" in ran.out) == (0, "", False)


def test_guards_that_are_off_missing_or_altered_are_named(cli, store_url):
    with closing(raw(store_url)) as connection:
        if "://" in store_url:
            connection.execute("ALTER TABLE orders DISABLE TRIGGER orders_final_update")
            connection.execute("ALTER TABLE batch ENABLE TRIGGER batch_append_only_update")
            connection.execute("DROP TRIGGER orders_no_truncate ON orders")
            connection.execute(
                "CREATE OR REPLACE FUNCTION orderctl_refuse_line() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN RETURN NEW; END $$"
            )
            expected = [
                "orderctl_refuse_line() was altered",
                "orders_final_update is switched off",
                "batch_append_only_update is not always on",
                "orders_no_truncate is missing",
            ]
        else:
            connection.execute("DROP TRIGGER orders_final_update")
            connection.execute("DROP TRIGGER batch_append_only_update")
            connection.execute("CREATE TRIGGER batch_append_only_update BEFORE UPDATE ON batch BEGIN SELECT 1; END")
            expected = ["orders_final_update is missing", "batch_append_only_update was altered"]
    code, found = checks(cli, "--quick")
    passed, said = found["guards"]
    assert (code, passed) == (1, False)
    assert sorted(said.removeprefix("the store does not guard itself: ").split(", ")) == sorted(expected)


def test_rows_that_belong_to_nothing_are_counted(cli, store_url, store):
    put(store, make_order("C1"))
    reject(store, ids("C1"), notify=True)
    tamper(
        store_url,
        "INSERT INTO order_event (account, order_id, id, at) SELECT account, 'gone', 'x', at FROM order_event",
        "DELETE FROM mail_order",
    )
    code, found = checks(cli)
    assert (code, found["orphans"]) == (1, (False, "1 events, 1 mails"))


def test_a_tampered_log_is_found_by_the_check(cli, store_url, store):
    put(store, make_order("C1"))
    batch = reject(store, ids("C1")).batch_id
    tamper(store_url, "UPDATE order_event SET actor = 'x'")
    code, found = checks(cli)
    assert (code, found["log"]) == (1, (False, f"event of order C1 in batch {batch}: was edited"))
    assert "1 thing wrong with the store" in cli("store", "check").err


def test_what_cannot_be_reached_ends_with_7_and_what_is_damaged_with_1(tmp_path):
    cli = Cli(f"postgresql://mia:s3cret@/orders?host={tmp_path}", tmp_path / "home")
    assert cli("store", "check").code == 7
    cli.environ["ORDERCTL_STORE"] = str(tmp_path / "nowhere.db")
    assert cli("store", "check").code == 7
    cli.environ["ORDERCTL_STORE"] = str(tmp_path / "noise.db")
    (tmp_path / "noise.db").write_bytes(b"noise" * 5_000)
    code, found = checks(cli)
    assert (code, found["integrity"][0]) == (1, False)


def test_a_damaged_page_is_found(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order(f"D{number}", note="x" * 400) for number in range(200)])
    with closing(sqlite3.connect(sqlite_url)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'orders'").fetchone()[0]
    with Path(sqlite_url).open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    code, found = checks(Cli(sqlite_url, tmp_path / "home"))
    assert (code, found["integrity"][0]) == (1, False)


def test_files_that_others_may_open_are_found(sqlite_url, tmp_path):
    Path(sqlite_url).chmod(0o644)
    code, found = checks(Cli(sqlite_url, tmp_path / "home"), "--quick")
    assert (code, found["file"]) == (1, (False, f"others may open {Path(sqlite_url).name}: chmod 600"))


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def test_a_live_store_is_copied_whole_and_private(sqlite_url, tmp_path):
    cli, copy = Cli(sqlite_url, tmp_path / "home"), tmp_path / "copy.db"
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("B1"), make_order("B2")])
        reject(store, ids("B1"))
        with closing(sqlite3.connect(sqlite_url, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("UPDATE orders SET note = 'not committed' WHERE id = 'B2'")
            ran = cli("store", "backup", str(copy))
            assert (ran.code, ran.out) == (0, "")
            writer.execute("ROLLBACK")
        before = statuses(store)
    assert mode(copy) == 0o600
    with open_store(str(copy)) as copied:
        assert statuses(copied) == before
        with copied.snapshot() as connection:
            assert get_order(connection, "B2").note == ""
    assert Cli(str(copy), tmp_path / "home")("store", "check").code == 0
    ran = cli("store", "backup", str(copy))
    assert (ran.code, "is there already" in ran.err) == (2, True)
    assert cli("store", "backup", str(copy), "--force").code == 0
    assert list(tmp_path.glob(".orderctl-*")) == []


def test_a_copy_never_goes_through_a_planted_link(sqlite_url, tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "copy.db"
    victim.write_text("mine")
    link.symlink_to(victim)
    cli = Cli(sqlite_url, tmp_path / "home")
    assert cli("store", "backup", str(link)).code == 2
    assert cli("store", "backup", str(link), "--force").code == 0
    assert (victim.read_text(), link.is_symlink()) == ("mine", False)


def test_a_postgresql_store_is_copied_by_its_own_tools(postgres_url, tmp_path):
    ran = Cli(postgres_url, tmp_path / "home")("store", "backup", "x.dump")
    assert (ran.code, "pg_dump --format=custom --file x.dump" in ran.err) == (2, True)


@pytest.fixture
def old_url(request, store_url, tmp_path):
    """A store as the first migration made it, with an order that was rejected then."""
    if "://" in store_url:
        with closing(raw(store_url)) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        url = store_url
    else:
        url = str(tmp_path / "old.db")
        os.close(os.open(url, os.O_CREAT, 0o600))
    with schema._alone(parse_address(url)) as connection:
        schema._migrate(connection, REVISIONS[0])
    with closing(raw(url)) as connection:
        connection.execute(
            "INSERT INTO orders (account, id, status, ordered_at, currency, total, quantity)"
            " VALUES ('main', 'U1', 'needs-oc', '2026-01-01T00:00:00.000000Z', 'EUR', 100, 1)"
        )
    return url


def revision(url):
    return schema.revision_of(parse_address(url))


def test_an_upgrade_keeps_what_is_there_and_a_copy_of_what_was(old_url, tmp_path):
    cli = Cli(old_url, tmp_path / "home")
    ran = cli("search")
    assert (ran.code, "run: orderctl store upgrade" in ran.err) == (1, True)
    ran = cli("store", "upgrade")
    assert (ran.code, f"upgraded the store from {REVISIONS[0]} to {CURRENT}" in ran.err) == (0, True)
    assert cli("search").out == "U1\n"
    assert cli("store", "check").code == 0
    if "://" not in old_url:
        (copy,) = tmp_path.glob("old.db.before-*")
        assert str(copy) in ran.err
        assert (mode(copy), revision(str(copy))) == (0o600, REVISIONS[0])


# For each line on standard input: an upgrade in a child that says where it is, at each so many statements of it and
# before its commit, and is told there to go on or to end as by a power cut. A store is made first, so that what
# libraries import when they are first used is not imported by each child.
_WATCHED = """
import os, sys
from itertools import count
import sqlalchemy.dialects.postgresql.psycopg
from sqlalchemy import event
from sqlalchemy.engine import Engine
from orderctl.database.address import parse_address
from orderctl.database.schema import init_store, upgrade_store
init_store(parse_address(sys.argv[2]))

def stop(at):
    print(at, flush=True)
    if sys.stdin.readline() == "die\\n":
        os._exit(9)

while sys.stdin.readline():
    if (pid := os.fork()) == 0:
        statements = count()
        @event.listens_for(Engine, "before_cursor_execute")
        def before(connection, cursor, statement, parameters, context, many):
            if (at := next(statements)) % 63 == 0:
                stop(at)
        event.listen(Engine, "commit", lambda connection: stop("commit"))
        upgrade_store(parse_address(sys.argv[1]))
        os._exit(0)
    print("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@contextmanager
def watched_upgrades(url, tmp_path):
    """What tells the watched upgrades a word, and gives where they are then."""
    call = [sys.executable, "-c", _WATCHED, url, tmp_path / "first.db"]
    with subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def tell(word):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        yield tell
        process.stdin.close()


def test_an_upgrade_that_is_killed_anywhere_leaves_the_old_store_and_can_be_run_again(old_url, tmp_path):
    """At every stop a kill would leave the old store; at three of them, the commit's among them, it is killed."""
    seen = {}
    with watched_upgrades(old_url, tmp_path) as tell:
        at = tell("upgrade")
        while at != "commit":
            seen[at] = revision_if_killed_now(old_url, tmp_path)
            at = tell("go on")
        assert (len(seen) > 25, {*seen.values()}) == (True, {REVISIONS[0]})
        assert (tell("die"), revision(old_url)) == ("ended 9", REVISIONS[0])
        for last in (next(iter(seen)), list(seen)[len(seen) // 2]):
            at = tell("upgrade")
            while at != last:
                at = tell("go on")
            assert (tell("die"), revision(old_url)) == ("ended 9", REVISIONS[0])
        at = tell("upgrade")
        while at != "commit":
            at = tell("go on")
        assert (tell("go on"), revision(old_url)) == ("ended 0", CURRENT)  # there was no other commit
    cli = Cli(old_url, tmp_path / "home")
    assert (cli("store", "check").code, cli("search").out) == (0, "U1\n")


def revision_if_killed_now(url, tmp_path):
    """As others see it on PostgreSQL, which undoes what is not committed; as SQLite recovers it from its files."""
    if "://" in url:
        return revision(url)
    with tempfile.TemporaryDirectory(dir=tmp_path) as copy:
        for file in (url, f"{url}-wal", f"{url}-shm", f"{url}-journal"):
            if Path(file).exists():
                shutil.copy(file, copy)
        return revision(f"{copy}/{Path(url).name}")


def test_a_store_of_a_newer_program_is_left_alone(store_url, tmp_path):
    with closing(raw(store_url)) as connection:
        connection.execute("UPDATE orderctl_version SET version_num = '9999'")
    ran = Cli(store_url, tmp_path / "home")("store", "upgrade")
    assert (ran.code, "newer than this program knows" in ran.err) == (1, True)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_store_is_private_whatever_the_umask(tmp_path, umask):
    folder = tmp_path / "new"
    before = os.umask(umask)
    try:
        address = parse_address(str(folder / "store.db"))
        schema.init_store(address)
        with open_store(str(address.path)) as store:
            put(store, make_order("P1"))
            assert {mode(file) for file in folder.iterdir()} == {0o600}
            assert len(list(folder.iterdir())) == 3
    finally:
        os.umask(before)
    assert mode(folder) == 0o700


def test_a_store_is_never_made_in_a_file_that_somebody_else_put_there(tmp_path):
    planted, link = tmp_path / "planted.db", tmp_path / "store.db"
    planted.touch()
    link.symlink_to(planted)
    with pytest.raises(UsageError, match="is a link, and not to a store"):
        schema.init_store(parse_address(str(link)))
    assert planted.stat().st_size == 0
    link.unlink()
    link.symlink_to(tmp_path / "nowhere.db")
    with pytest.raises(UsageError, match="is a link"):
        schema.init_store(parse_address(str(link)))
    assert not (tmp_path / "nowhere.db").exists()
