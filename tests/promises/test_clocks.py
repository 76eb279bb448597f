"""Clocks that are wrong: the database's decides where it has one, and no record is made behind the newest one."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderctl.audit.queries import batch_chain
from orderctl.core.ids import new_id
from orderctl.database.clock import SLACK, ClockReading, Recorded, SystemClock
from orderctl.errors import OrderctlError
from orderctl.plans.service import Operator, save_plan
from orderctl.rejection.execute import wait_for_turn
from orderctl.rejection.service import execute_rejection
from support.cli import maildir_cli
from support.factories import NOW, FixedClock, make_order, put_all
from support.plans import FREE, plan_of
from support.stores import open_store

HOUR = timedelta(hours=1)
IDS = tuple(f"W{number}" for number in range(1, 9))
OFF_S = {"a year behind": -365 * 86_400, "an hour behind": -3_600, "ten ahead": 36_000, "a year ahead": 365 * 86_400}
EXPIRED, HELD = "expired", "is held for another"


@pytest.fixture
def cli(store_url, tmp_path):
    return filled(store_url, tmp_path)


@pytest.fixture
def on_sqlite(sqlite_url, tmp_path):
    return filled(sqlite_url, tmp_path)


@pytest.fixture
def on_postgres(postgres_url, tmp_path):
    return filled(postgres_url, tmp_path)


def filled(url, tmp_path):
    with open_store(url) as store:
        put_all(store, map(make_order, IDS))
    return maildir_cli(url, tmp_path)


def url_of(cli):
    return cli.environ["ORDERCTL_STORE"]


def rejected(cli):
    return cli("search", "status:rejected", "--sort", "id").lines


def times(cli):
    """The times of the batches, oldest first."""
    with open_store(url_of(cli)) as store, store.snapshot() as connection:
        return [batch.at for batch in batch_chain(connection)]


def saved(cli, order_id, ago, hold=None):
    """A plan that was made so long ago; it expires a day after, or after its hold."""
    by = Operator(actor="mia", clock=FixedClock(datetime.now(UTC) - ago), terms=FREE)
    with open_store(url_of(cli)) as store:
        return save_plan(store, plan_of(store, order_id), by, how="--yes", hold=hold).id


def refused(ran, *words):
    assert (ran.code, ran.out) == (1, ""), ran
    assert "nothing was changed\nhint: set the clock right" in ran.err
    assert [word for word in words if word not in ran.err] == []


# PostgreSQL: whatever the computer's clock says


@pytest.mark.parametrize("off_s", OFF_S.values(), ids=OFF_S)
def test_no_clock_of_a_client_runs_an_expired_plan_or_skips_a_hold(on_postgres, off_s):
    expired = saved(on_postgres, "W1", 30 * HOUR)
    held = saved(on_postgres, "W2", timedelta(), hold=HOUR)
    due = saved(on_postgres, "W3", HOUR, hold=HOUR / 2)
    for plan, words in ((expired, EXPIRED), (held, HELD)):
        for call in (["plan", "run", plan, "--yes"], ["reject", "--plan", plan, "--yes"]):
            ran = on_postgres(*call, clock_off_s=off_s)
            assert (ran.code, words in ran.err) == (3, True), ran
    ran = on_postgres("plan", "approve", expired, clock_off_s=off_s)
    assert (ran.code, EXPIRED in ran.err) == (3, True)
    listed = on_postgres("plan", "list", "--format", "json", clock_off_s=off_s).json
    assert {plan["id"]: plan["time_left"] for plan in listed} == {expired: "", held: "runs in 1 h", due: "due now"}
    ran = on_postgres("plan", "run", "--due", "--format", "json", clock_off_s=off_s)
    assert (ran.code, [report["batch"] for report in ran.json]) == (0, [due]), ran
    assert rejected(on_postgres) == ["W3"]


@pytest.mark.parametrize("off_s", OFF_S.values(), ids=OFF_S)
def test_what_is_written_has_the_time_of_the_database(on_postgres, off_s):
    began = datetime.now(UTC)
    off = {"clock_off_s": off_s}
    ran = on_postgres("reject", "W1", "W2", "--yes", "--notify", "--format", "json", **off)
    assert (ran.code, ran.json["mails"]["sent"]) == (0, 1), ran
    assert on_postgres("tag", "late", "W3", **off).code == on_postgres("archive", "W1", **off).code == 0
    for options in (["--save-plan"], ["--hold", "15m", "--yes"]):
        assert on_postgres("reject", "W4", *options, **off).code == 0
    kept = on_postgres("plan", "list", "--format", "json").json
    assert sorted(plan["time_left"] for plan in kept) == ["expires in 1 d", "runs in 15 min"]
    with open_store(url_of(on_postgres)) as store, store.snapshot() as connection:
        written = connection.execute(
            "SELECT at FROM batch UNION SELECT at FROM order_event UNION SELECT rejected_at FROM orders"
            " WHERE rejected_at IS NOT NULL UNION SELECT made_at FROM plan UNION SELECT updated_at FROM mail"
        ).fetchall()
    assert [at for (at,) in written if not began <= at <= datetime.now(UTC)] == []
    assert on_postgres("log", "verify").code == 0


def test_a_batch_waits_for_its_turn_and_takes_its_time_then(postgres_url):
    with open_store(postgres_url) as first, open_store(postgres_url) as second, open_store(postgres_url) as third:
        put_all(first, map(make_order, IDS))
        plan = plan_of(second, "W2").approve(by="mia", how="--yes")
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        made = threading.Thread(
            target=lambda: execute_rejection(second, plan, clock=SystemClock(), message_domain="b.example")
        )

        def hold(connection):
            wait_for_turn(connection)
            made.start()
            while not third.write(lambda other: other.execute(waits).fetchone()[0]):
                time.sleep(0.01)
            return SystemClock().of(connection)

        freed = first.write(hold)
        made.join()
        with first.snapshot() as connection:
            (batch,) = batch_chain(connection)
    assert batch.at > freed


def test_batches_that_are_made_at_once_are_in_the_order_of_their_times(store_url):
    orders = [make_order(f"T{worker}{number}") for worker in range(4) for number in range(8)]
    with open_store(store_url) as store:
        put_all(store, orders)
    ended = []

    def work_off(worker):
        with open_store(store_url) as own:
            for number in range(8):
                plan = plan_of(own, f"T{worker}{number}", notify=True).approve(by="mia", how="--yes")
                done = execute_rejection(own, plan, clock=SystemClock(), message_domain="brand.example")
                ended.append(done.rejected)

    threads = [threading.Thread(target=work_off, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [1] * 32
    with open_store(store_url) as store, store.snapshot() as connection:
        made = [batch.at for batch in batch_chain(connection)]
    assert made == sorted(made)


# A clock that is behind the newest record


@pytest.fixture
def after_a_batch(on_sqlite):
    """A store with a batch of this moment, and plans that were made before it."""
    on_sqlite.plans = [saved(on_sqlite, "W2", 30 * HOUR), saved(on_sqlite, "W3", 2 * HOUR, hold=HOUR)]
    assert on_sqlite("reject", "W1", "--yes").code == 0
    return on_sqlite


def test_sqlite_refuses_to_go_back_behind_its_newest_batch_and_says_so(after_a_batch):
    cli, (expired, due) = after_a_batch, after_a_batch.plans
    (at,) = times(cli)
    (batch,) = cli("log", "--format", "json").json
    calls = [
        ["reject", "W4", "--yes"],
        ["reject", "W4", "--save-plan"],
        ["reject", "W4", "--yes", "--hold", "1h"],
        ["plan", "run", expired, "--yes"],
        ["plan", "run", due, "--yes"],
        ["plan", "run", "--due"],
        ["plan", "approve", expired],
    ]
    for call in calls:
        refused(
            cli(*call, clock_off_s=-36_000),
            "orderctl: this computer's clock (",
            f" UTC) is behind the newest record, batch {batch['id']} ({at:%Y-%m-%d %H:%M:%S} UTC)",
            "wrong_time_of",
        )
    assert cli("plan", "cancel", due, clock_off_s=-36_000).code == 0
    assert (rejected(cli), len(times(cli))) == (["W1"], 1)
    assert cli("plan", "run", expired, "--yes").code == 3
    assert cli("reject", "W4", "--yes").code == 0
    assert cli("log", "verify").code == 0


def test_a_plan_made_later_is_a_record_too(on_sqlite):
    expired = saved(on_sqlite, "W1", 30 * HOUR)
    newer = on_sqlite("reject", "W2", "--save-plan", "--format", "json").json["saved"]["short_id"]
    refused(on_sqlite("plan", "run", expired, "--yes", clock_off_s=-36_000), f"plan {newer} (")
    assert rejected(on_sqlite) == []


def test_a_clock_a_few_seconds_behind_takes_the_time_of_the_newest_record(after_a_batch):
    (at,) = times(after_a_batch)
    assert after_a_batch("reject", "W4", "--yes", clock_off_s=-3).code == 0
    first, second = times(after_a_batch)
    # Of a slow machine the second batch may be more than three seconds later: then it has its own time.
    assert first == at
    assert second == at or at < second < datetime.now(UTC) - timedelta(seconds=2)
    assert after_a_batch("log", "verify").code == 0


def test_after_a_batch_of_a_clock_that_was_ahead_an_administrator_says_that_it_was_wrong(on_sqlite):
    batch = on_sqlite("reject", "W1", "--yes", "--format", "json", clock_off_s=36_000).json["batch"]
    refused(on_sqlite("reject", "W2", "--yes"), f"batch {batch} (")
    on_sqlite.environ["ORDERCTL_WRONG_TIME_OF"] = batch
    assert on_sqlite("reject", "W2", "--yes").code == 0
    del on_sqlite.environ["ORDERCTL_WRONG_TIME_OF"]
    assert on_sqlite("reject", "W3", "--yes").code == 0
    assert rejected(on_sqlite) == ["W1", "W2", "W3"]
    ran = on_sqlite("log", "verify")
    (_, second, _) = on_sqlite("log", "--format", "json").json
    assert (ran.code, ran.lines[0].split(":")[0]) == (1, f"batch {second['id']}")


def test_after_a_plan_of_a_clock_that_was_ahead_cancelling_it_is_enough(on_sqlite):
    plan = on_sqlite("reject", "W1", "--save-plan", "--format", "json", clock_off_s=365 * 86_400).json["saved"]
    refused(on_sqlite("reject", "W2", "--yes"), f"orderctl plan cancel {plan['short_id']}")
    assert on_sqlite("plan", "cancel", plan["id"]).code == 0
    assert on_sqlite("reject", "W2", "--yes").code == 0


def test_the_database_s_own_clock_is_held_to_it_too(on_postgres):
    with open_store(url_of(on_postgres)) as store:
        plan = plan_of(store, "W1").approve(by="mia", how="--yes")
        ahead = FixedClock(datetime.now(UTC) + 10 * HOUR)
        execute_rejection(store, plan, clock=ahead, message_domain="brand.example")
    refused(on_postgres("reject", "W2", "--yes"), "the database's clock (", plan.plan.id)


@given(st.integers(-(10**9), 10**9), st.booleans(), st.booleans())
def test_a_time_to_record_is_never_behind_the_newest_record(ahead_ms, is_plan, of_database):
    newest = Recorded(id=new_id(), at=NOW, is_plan=is_plan)
    reading = ClockReading(now=NOW + timedelta(milliseconds=ahead_ms), newest=newest, of_database=of_database)
    if reading.now < NOW - SLACK:
        with pytest.raises(OrderctlError, match="nothing was changed"):
            reading.to_record()
    else:
        assert reading.to_record() == max(reading.now, NOW)
