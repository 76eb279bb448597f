"""Held plans that run by themselves: the mail worker runs them, and a store knows when nothing does."""

import signal
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from orderctl.plans.queries import last_look, note_look
from orderctl.plans.service import Operator, save_plan
from support.cli import maildir_cli
from support.factories import FixedClock, make_order, put_all
from support.plans import FREE, plan_of
from support.project import ROOT
from support.rejection import ids, reject
from support.stores import AsLogin, open_store

NOBODY = "nothing has ever run due plans on this store; run orderctl plan run --due from cron, or orderctl mail send"


@pytest.fixture
def cli(store_url, tmp_path):
    with open_store(store_url) as store:
        put_all(store, [make_order(order_id) for order_id in ("P1", "P2", "P3")])
    return maildir_cli(store_url, tmp_path)


def hold_before_now(store_url, *ids, notify=True):
    """A plan that was confirmed twenty minutes ago, and held for fifteen."""
    at = FixedClock(datetime.now(UTC) - timedelta(minutes=20))
    with open_store(store_url) as store:
        by = Operator(actor="mia", clock=at, terms=FREE)
        return save_plan(store, plan_of(store, *ids, notify=notify), by, how="--yes", hold=timedelta(minutes=15)).id


def looked(store_url):
    with open_store(store_url) as store, store.snapshot() as connection:
        return last_look(connection)


def note(store_url, ago):
    with open_store(store_url) as store:
        store.write(lambda connection: note_look(connection, "cron1", datetime.now(UTC) - ago))


@contextmanager
def worker(cli):
    """A worker, which is stopped at the end; gives what it said then."""
    started = cli.start("mail", "send", "--follow")
    said: list[str] = []
    try:
        yield said
        started.send_signal(signal.SIGTERM)
        out, err = started.communicate(timeout=30)
        assert started.returncode == 143, (out, err)
        said.append(err)
    finally:
        started.kill()
        started.communicate()


def wait_until(true, what, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


def rejected(cli):
    return cli("search", "status:rejected", "--sort", "id").lines


def test_a_worker_runs_a_due_plan_and_sends_its_mails(cli, store_url, tmp_path):
    plan = hold_before_now(store_url, "P1", "P2")
    new = Path(tmp_path / "mails" / "new")
    with worker(cli) as said:
        wait_until(lambda: new.exists() and list(new.iterdir()), "the mail of the plan")
    assert rejected(cli) == ["P1", "P2"]
    assert len(list(new.iterdir())) == 1
    assert "was due: 2 orders rejected, 0 left out, 1 mail queued" in said[0]
    assert cli("plan", "list", "--state", "executed", "--format", "json").json[0]["id"] == plan
    assert cli("log", "verify").code == 0
    assert datetime.now(UTC) - looked(store_url) < timedelta(minutes=5)


def test_a_plan_that_is_refused_is_told_once_and_stops_neither_worker_nor_other_plans(cli, store_url, tmp_path):
    cli.environ["ORDERCTL_MAX_ORDERS"] = "1"
    hold_before_now(store_url, "P1", "P2")
    hold_before_now(store_url, "P3")
    with worker(cli) as said:
        wait_until(lambda: rejected(cli), "the plan that may run")
        time.sleep(4)  # another round
    assert rejected(cli) == ["P3"]
    assert said[0].count("more than --max-orders 1") == 1


def test_a_worker_without_the_rights_says_so_and_sends_mails(postgres_url, tmp_path):
    with open_store(postgres_url) as store:
        put_all(store, [make_order("P1"), make_order("P2")])
    cli = maildir_cli(postgres_url, tmp_path)
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute((ROOT / "docs" / "postgresql-roles.sql").read_text())
        if not owner.execute("SELECT 1 FROM pg_roles WHERE rolname = 'test_mailer'").fetchone():
            owner.execute("CREATE ROLE test_mailer LOGIN IN ROLE orderctl_mailer")
    assert cli("member", "add", "test_mailer").code == 0
    with open_store(postgres_url) as store:
        reject(store, ids("P1"), notify=True)
    hold_before_now(postgres_url, "P2")
    with worker(maildir_cli(postgres_url.replace("postgres@", "test_mailer@"), tmp_path)) as said:
        new = tmp_path / "mails" / "new"
        wait_until(lambda: new.exists() and list(new.iterdir()), "the mail that waited")
    assert said[0].count("held plans are not run here: this role may not reject") == 1
    assert rejected(cli) == ["P1"]
    assert looked(postgres_url) is None


def test_whoever_holds_a_plan_is_told_that_nothing_would_run_it(cli, store_url):
    ran = cli("reject", "P1", "--yes", "--hold", "15m")
    assert (ran.code, NOBODY in " ".join(ran.err.split())) == (0, True)
    assert NOBODY in " ".join(cli("plan", "list").err.split())
    note(store_url, timedelta(days=3))
    listed = " ".join(cli("plan", "list").err.split())
    assert "nothing has run due plans on this store for 3 d" in listed
    assert cli("plan", "run", "--due").code == 0
    assert "due plans" not in cli("plan", "list").err
    ran = cli("reject", "P2", "--yes", "--hold", "15m")
    assert (ran.code, "nothing has" in ran.err) == (0, False)


def test_who_approves_a_plan_for_later_is_told_too(cli, store_url, tmp_path):
    plan = cli("reject", "P1", "--save-plan", "--format", "json").json["saved"]["id"]
    with AsLogin(store_url, "ben_due"):
        other = maildir_cli(store_url.replace("postgres@", "ben_due@"), tmp_path, ORDERCTL_ACTOR="ben")
        ran = other("plan", "approve", plan, "--hold", "15m")
    assert (ran.code, NOBODY in " ".join(ran.err.split())) == (0, True)


def test_nothing_is_said_where_no_plan_is_held(cli):
    cli("reject", "P1", "--save-plan")
    assert "nothing has" not in cli("plan", "list").err
