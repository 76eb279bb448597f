"""The store fails in every way it can: a sentence, the right exit code, and a state from which the next run goes on."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from orderctl.database import postgres
from orderctl.errors import CommitUnknownError, OrderctlError, StoreUnavailableError
from orderctl.orders.queries import get_order
from stress.crash import BUYERS_TOLD, GIVEN, REJECT, SEND, TARGETS, environ, fill
from stress.forkserver import Ended
from stress.invariants import Picture, mail_violations, violations
from stress.proxy import Cut, proxied
from support.rejection import ids, reject
from support.smtp_server import scripted_server
from support.stores import open_store, until_somebody_waits

BATCH = b"INSERT INTO batch "
COMMIT = b"COMMIT\x00"


@pytest.fixture
def inbox():
    with scripted_server() as server:
        yield server


@pytest.fixture
def call(forks, tmp_path, inbox):
    """Run the program on a store."""

    def run(url, *args, told=None, **environment):
        home = Path(url).parent if told and "uid" in told else tmp_path
        settings = environ(url, home, inbox.port) | environment
        return forks(*args, environ=settings, **({"lock_s": 0.3} | (told or {})))

    return run


@pytest.fixture
def filled(store_url):
    with open_store(store_url) as store:
        fill(store)
    return store_url


@pytest.fixture
def sqlite_filled(sqlite_url):
    with open_store(sqlite_url) as store:
        fill(store)
    return sqlite_url


@pytest.fixture
def postgres_filled(postgres_url):
    with open_store(postgres_url) as store:
        fill(store)
    return postgres_url


def said(ended, code, words):
    """It ended with the code, in a sentence that holds the words, and with nothing else."""
    assert (ended.code, words in ended.err) == (code, True), ended
    assert ended.err.startswith("orderctl: ") or "\norderctl: " in ended.err
    assert "Traceback" not in ended.err


def untouched(url):
    assert Picture.of(url).rejected == frozenset()
    assert violations(url) == []


def goes_on(call, url, inbox):
    """The next run, on a store that works again, ends as an undisturbed one would."""
    # Where all of them were rejected, none of the orders that are named can be.
    code = 3 if Picture.of(url).rejected else 0
    assert call(url, *REJECT, told={"later_s": 700}).code == code
    assert call(url, *SEND, told={"later_s": 700}).code == 0
    picture = Picture.of(url)
    assert (picture.rejected, picture.states) == (TARGETS, {"sent": BUYERS_TOLD})
    inbox.settle()
    assert violations(url) + mail_violations(url, [mail["Message-ID"] for mail in inbox.mails]) == []


# SQLite


def test_a_full_disk(call, sqlite_filled, inbox, tmp_path):
    # The limit also holds for what Python would like to keep of the modules that it compiles.
    settings = environ(sqlite_filled, tmp_path, inbox.port) | {"PYTHONDONTWRITEBYTECODE": "1"}
    limited = [sys.executable, "-c", _LIMITED, *REJECT]
    ran = subprocess.run(limited, env=settings, capture_output=True, text=True, check=False)
    said(Ended(ran.returncode, ran.stdout, ran.stderr), 7, "the disk of the store")
    untouched(sqlite_filled)
    goes_on(call, sqlite_filled, inbox)


_LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, -1))
sys.argv[0] = "orderctl"
from orderctl.__main__ import main
main()
"""


@contextmanager
def as_nobody(url, *, file_mode, folder_mode):
    """A copy of the store with these modes; with it, what makes the program run as a user whom they bind."""
    with tempfile.TemporaryDirectory(prefix="orderctl-modes-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        path = folder / "store.db"
        shutil.copy(url, path)
        path.chmod(file_mode)
        folder.chmod(folder_mode)
        Path(name).chmod(0o755)
        yield str(path), {"uid": pwd.getpwnam("nobody").pw_uid} if os.getuid() == 0 else {}
        folder.chmod(0o755)


def test_a_store_file_that_may_only_be_read(call, sqlite_filled, inbox):
    with as_nobody(sqlite_filled, file_mode=0o444, folder_mode=0o555) as (path, told):
        said(call(path, *REJECT, told=told), 7, "check the rights of the file and of its folder")
        # An ordinary user is bound by the modes, too, and SQLite opens no such store for reading either.
        Path(path).parent.chmod(0o755)
        Path(path).chmod(0o600)
        untouched(path)
    goes_on(call, sqlite_filled, inbox)


def test_a_store_file_that_may_not_even_be_read(call, sqlite_filled):
    with as_nobody(sqlite_filled, file_mode=0o000, folder_mode=0o755) as (path, told):
        said(call(path, "search", "--count", told=told), 7, "cannot be opened")


def test_a_store_that_another_program_has_locked_for_long(call, sqlite_filled, inbox):
    with closing(sqlite3.connect(sqlite_filled, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        said(call(sqlite_filled, *REJECT), 7, "was locked by another program")
        assert call(sqlite_filled, "search", "--count").out == "7\n"
        other.execute("ROLLBACK")
    untouched(sqlite_filled)
    goes_on(call, sqlite_filled, inbox)


@pytest.mark.parametrize(
    ("at", "what", "words"),
    [
        (0, b"this is no database", "is not an orderctl store"),
        (16, b"\xff\xff\xff\xff\xff\xff\xff\xff", "is not an orderctl store"),
        (100, b"\xff" * 3000, "is damaged"),
        (4096, b"\xff" * 4096 * 60, "is damaged"),
    ],
    ids=["no header", "a wrong header", "a broken schema page", "broken pages"],
)
def test_a_store_file_that_is_damaged(call, sqlite_filled, at, what, words):
    with closing(sqlite3.connect(sqlite_filled)) as settled:
        settled.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with Path(sqlite_filled).open("r+b") as file:
        file.seek(at)
        file.write(what)
    for args in (REJECT, SEND, ("search",), ("log",)):
        ended = call(sqlite_filled, *args)
        assert ended.code in (1, 7), ended
        assert words in ended.err


def test_a_log_that_was_left_behind_by_a_killed_run(call, sqlite_filled):
    """The rejection stands in the WAL only when the process dies: whoever opens the store next must see it."""
    quiet = ("reject", *GIVEN, "--yes")
    trace, undisturbed = Path(f"{sqlite_filled}.trace"), f"{sqlite_filled}.undisturbed"
    shutil.copy(sqlite_filled, undisturbed)
    assert call(undisturbed, *quiet, told={"trace": trace}).code == 0
    last = len(trace.read_text("utf-8").splitlines())
    assert call(sqlite_filled, *quiet, told={"kill_at": last}).killed
    assert Path(f"{sqlite_filled}-wal").stat().st_size > 0
    assert Picture.of(sqlite_filled).rejected == TARGETS
    assert call(sqlite_filled, *quiet).code == 3
    assert violations(sqlite_filled) == []


# PostgreSQL


@pytest.mark.parametrize(
    ("cut", "code", "words"),
    [
        (Cut(at=b"order_event"), 7, "cannot be reached"),
        (Cut(at=b"UPDATE orders"), 7, "cannot be reached"),
        (Cut(at=b"INSERT INTO mail "), 7, "cannot be reached"),
        (Cut(at=BATCH), 7, "cannot be reached"),
        (Cut(at=BATCH, refuse=True), 7, "cannot be reached"),
    ],
    ids=["at the events", "at the update", "at the mails", "at the batch", "for good"],
)
def test_a_connection_that_is_cut_before_the_commit(call, postgres_filled, inbox, cut, code, words):
    with proxied(postgres_filled, cut) as url:
        said(call(url, *REJECT), code, words)
        assert cut.made
    untouched(postgres_filled)
    goes_on(call, postgres_filled, inbox)


@pytest.mark.parametrize("how", ["before", "answer", "late"])
def test_a_connection_that_is_cut_at_the_commit_is_asked_again_by_the_batch_id(call, postgres_filled, inbox, how):
    cut = Cut(at=COMMIT, after=BATCH, how=how)
    with proxied(postgres_filled, cut) as url:
        ended = call(url, *REJECT, told={"lock_s": 20})
        assert cut.made
    assert ended.code == 0, ended
    assert Picture.of(postgres_filled).rejected == TARGETS
    assert violations(postgres_filled) == []
    goes_on(call, postgres_filled, inbox)


@pytest.mark.parametrize(("how", "stands"), [("before", frozenset()), ("answer", TARGETS)])
def test_a_server_that_goes_away_at_the_commit_and_stays_away_leaves_it_open(call, postgres_filled, inbox, how, stands):
    cut = Cut(at=COMMIT, after=BATCH, how=how, refuse=True)
    with proxied(postgres_filled, cut) as url:
        ended = call(url, *REJECT)
    said(ended, 8, "cannot be asked whether it holds")
    assert "orderctl log" in ended.err
    assert Picture.of(postgres_filled).rejected == stands
    goes_on(call, postgres_filled, inbox)


def test_a_commit_that_lands_late_is_not_called_nothing(call, postgres_filled, inbox):
    """The next try runs into its locks and gives up: whether the first one holds is then not known."""
    with proxied(postgres_filled, Cut(at=COMMIT, after=BATCH, how="late")) as url:
        said(call(url, *REJECT, told={"lock_s": 0.1}), 8, "cannot be asked whether it holds")
    goes_on(call, postgres_filled, inbox)


def test_a_connection_that_is_cut_at_the_end_of_a_look_changes_nothing(call, postgres_filled):
    cut = Cut(at=COMMIT, after=b"count(*)")
    with proxied(postgres_filled, cut) as url:
        assert call(url, "search", "--count").out == "7\n"
        assert cut.made


def test_a_server_that_goes_away_after_the_rejection_leaves_the_mails_waiting(call, postgres_filled, inbox):
    cut = Cut(at=b"lease_until <", after=BATCH, refuse=True)
    with proxied(postgres_filled, cut) as url:
        ended = call(url, *REJECT)
    assert cut.made
    assert (ended.code, "cannot be reached" in ended.out) == (5, True), ended
    picture = Picture.of(postgres_filled)
    assert (picture.rejected, picture.states) == (TARGETS, {"waiting": BUYERS_TOLD})
    goes_on(call, postgres_filled, inbox)


@pytest.mark.parametrize("how", ["silent", "forgotten"])
def test_a_server_that_falls_silent_behind_a_proxy_is_not_waited_for(postgres_filled, monkeypatch, how):
    monkeypatch.setattr(postgres, "SILENCE_S", 0.3)
    cut = Cut(at=BATCH, how=how)
    with proxied(postgres_filled, cut) as url, open_store(f"{url}&connect_timeout=2") as store:
        with pytest.raises(StoreUnavailableError, match="it does not answer any more"):
            reject(store, ids(*TARGETS))
        assert cut.made
        if how == "forgotten":
            assert reject(store, ids(*TARGETS)).rejected == len(TARGETS)


def test_a_server_that_falls_silent_at_the_commit_leaves_it_open_what_happened(postgres_filled, monkeypatch):
    monkeypatch.setattr(postgres, "SILENCE_S", 0.3)
    with (
        proxied(postgres_filled, Cut(at=COMMIT, after=BATCH, how="silent")) as url,
        open_store(f"{url}&connect_timeout=2") as store,
        pytest.raises(CommitUnknownError),
    ):
        reject(store, ids(*TARGETS))
    untouched(postgres_filled)


def test_a_server_that_takes_its_time_is_waited_for(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "SILENCE_S", 0.2)
    with open_store(postgres_url) as store, store.snapshot() as connection:
        slow = connection.execute("SELECT 'there' FROM pg_sleep(1)")
        assert slow.fetchone() == ("there",)


@pytest.mark.parametrize(("given", "found"), [("", "60000"), ("&tcp_user_timeout=5000", "5000")])
def test_what_the_url_says_of_a_connection_that_is_lost_wins(postgres_url, given, found):
    with proxied(postgres_url, Cut()) as url:
        engine = postgres.PostgresEngine(f"{url}{given}", "a store")
        said = {each.keyword.decode(): each.val for each in engine.connect().pgconn.info}
        engine.close()
    assert said["tcp_user_timeout"].decode() == found
    assert (said["keepalives_idle"], said["keepalives_interval"], said["keepalives_count"]) == (b"30", b"10", b"3")


@pytest.mark.parametrize(
    ("cut", "code", "then", "at_last"),
    [
        (Cut(at=b"state = 'claimed'"), 7, {"waiting": 2}, {"sent": 2}),
        (Cut(at=b"begun.subject"), 0, {"sent": 2}, {"sent": 2}),
        (Cut(at=b"done.state"), 0, {"sent": 2}, {"sent": 2}),
        (Cut(at=COMMIT, after=b"done.state", how="answer"), 0, {"sent": 2}, {"sent": 2}),
        (Cut(at=b"state = 'claimed'", refuse=True), 7, {"waiting": 2}, {"sent": 2}),
        (Cut(at=COMMIT, after=b"done.state", refuse=True), 7, {"claimed": 1, "sending": 1}, {"sent": 1, "unknown": 1}),
    ],
    ids=["at the claim", "at the start", "at the result", "at its commit", "for good", "for good at the commit"],
)
def test_mails_are_sent_once_when_the_store_goes_away_meanwhile(call, postgres_filled, inbox, cut, code, then, at_last):
    """What the program learned of a mail it tells the store again and again; if in vain, the mail is unknown."""
    call(postgres_filled, *REJECT, ORDERCTL_MAIL_PORT="1")
    assert Picture.of(postgres_filled).states == {"waiting": BUYERS_TOLD}
    with proxied(postgres_filled, cut) as url:
        ended = call(url, *SEND)
    assert cut.made
    assert (ended.code, Picture.of(postgres_filled).states) == (code, then), ended
    assert call(postgres_filled, *SEND, told={"later_s": 700}).code == 0
    assert Picture.of(postgres_filled).states == at_last
    inbox.settle()
    taken = [mail["Message-ID"] for mail in inbox.mails]
    assert violations(postgres_filled) + mail_violations(postgres_filled, taken) == []
    assert len(set(taken)) == len(taken)


def test_a_connection_that_was_ended_while_nobody_used_it_is_made_again(postgres_filled):
    with open_store(postgres_filled) as store:
        with store.snapshot() as connection:
            assert get_order(connection, "K1") is not None
        _end_all_connections(postgres_filled)
        with store.snapshot() as connection:
            assert get_order(connection, "K1") is not None


def _end_all_connections(url):
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@contextmanager
def setting(url, name, value):
    """A setting of the database, as every new connection gets it."""
    with psycopg.connect(url, autocommit=True) as admin:
        database = admin.info.dbname
        admin.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
        yield
        admin.execute("SET default_transaction_read_only = off")
        admin.execute(f"ALTER DATABASE {database} RESET {name}")


def test_a_standby_may_be_read_and_not_written(call, postgres_filled, inbox):
    with setting(postgres_filled, "default_transaction_read_only", "on"):
        said(call(postgres_filled, *REJECT), 7, "is read-only")
        assert call(postgres_filled, "search", "--count").out == "7\n"
    untouched(postgres_filled)
    goes_on(call, postgres_filled, inbox)


def test_a_statement_that_takes_too_long(call, postgres_filled, inbox):
    with psycopg.connect(postgres_filled) as other:
        other.execute("SELECT 1 FROM orders WHERE id = 'K2' FOR UPDATE")
        with setting(postgres_filled, "statement_timeout", "200ms"):
            said(call(postgres_filled, *REJECT, told={"lock_s": 20}), 7, "a statement that took too long")
        other.rollback()
    untouched(postgres_filled)
    goes_on(call, postgres_filled, inbox)


def test_rows_that_another_program_has_locked_for_long(call, postgres_filled, inbox):
    with psycopg.connect(postgres_filled) as other:
        other.execute("SELECT 1 FROM orders WHERE id = 'K2' FOR UPDATE")
        said(call(postgres_filled, *REJECT), 7, "is locked by another program")
        other.rollback()
    untouched(postgres_filled)
    goes_on(call, postgres_filled, inbox)


def test_a_deadlock_is_run_again(call, postgres_filled, inbox):
    """Another program locks the last order, then the first: one of the two is ended, and ours runs again."""
    with psycopg.connect(postgres_filled) as other:
        other.execute("SET deadlock_timeout = '10s'")
        other.execute("SELECT 1 FROM orders WHERE id = 'K5' FOR UPDATE")
        running = threading.Thread(target=lambda: ended.append(call(postgres_filled, *REJECT, told={"lock_s": 20})))
        ended: list = []
        running.start()
        until_somebody_waits(postgres_filled)
        other.execute("SELECT 1 FROM orders WHERE id = 'K1' FOR UPDATE")
        other.rollback()
        running.join()
    assert ended[0].code == 0, ended
    goes_on(call, postgres_filled, inbox)


def test_a_stricter_isolation_level_is_run_again(call, postgres_filled, inbox):
    """Under SERIALIZABLE what another program changed meanwhile is an error, not a row left out: run again."""
    ended: list = []
    running = threading.Thread(target=lambda: ended.append(call(postgres_filled, *REJECT, told={"lock_s": 20})))
    strict = setting(postgres_filled, "default_transaction_isolation", "serializable")
    with strict, psycopg.connect(postgres_filled) as other:
        other.execute("UPDATE orders SET version = version + 1 WHERE id = 'K2'")
        running.start()
        until_somebody_waits(postgres_filled)
        other.commit()
        running.join()
    assert ended[0].code == 6, ended
    assert "K2" in ended[0].out + ended[0].err
    assert Picture.of(postgres_filled).rejected == TARGETS - {"K2"}
    assert violations(postgres_filled) == []


@pytest.mark.parametrize("at", ["before", "COMMIT"])
def test_a_store_that_is_replaced_while_a_run_writes_is_no_success(sqlite_filled, at):
    path = Path(sqlite_filled)

    def replace_store():
        copy = path.with_suffix(".copy")
        shutil.copy(path, copy)
        copy.replace(path)

    def change(connection):
        connection.execute("UPDATE orders SET note = 'x' WHERE account = :account")
        if at == "before":
            replace_store()
        else:
            connection.raw.set_trace_callback(lambda sql: replace_store() if sql == at else None)

    with open_store(sqlite_filled) as store, pytest.raises(OrderctlError, match="was replaced") as caught:
        store.write(change)
    assert caught.value.exit_code == (7 if at == "before" else 8)
