"""Many at once on one store: nothing rejected twice, nobody mailed twice, and every report is true."""

import random
import threading
import time

from stress.crash import environ, fill
from stress.forkserver import fresh
from stress.invariants import Picture, violations
from stress.many import fill as fill_many
from stress.many import fill_outboxes, lose_a_worker, work_together
from support.stores import open_store

_SECONDS = 1.2
_EACH = 60


def test_eight_processes_reject_change_import_and_mail_on_one_store(store_url):
    with open_store(store_url) as store:
        fill_many(store)
    together = work_together(store_url, _SECONDS, "1")
    assert together.wrong == []
    assert all(together.seen[what] for what in ("rejected", "batches", "changes", "imports", "sent")), together.seen


def test_of_three_workers_one_is_killed_and_every_system_and_buyer_is_told_once(store_url, tmp_path, forks):
    with open_store(store_url) as store:
        fill_outboxes(_EACH)(store)
    tally = lose_a_worker(store_url, tmp_path, forks, _EACH, random.Random("workers"))
    lost, doubled = tally.writebacks_lost + tally.mails_lost, tally.writebacks_doubled + tally.mails_doubled
    assert (tally.wrong, lost, doubled) == ([], 0, 0)


def test_of_two_that_reject_overlapping_orders_the_later_one_says_what_it_left_out(store_url, tmp_path):
    """Both have their plan before either may write: somebody else holds the orders until then."""
    with open_store(store_url) as store:
        fill(store)
    calls = {
        name: ("reject", *ids, "--yes") for name, ids in {"a": ["K1", "K2", "K3"], "b": ["K2", "K3", "K4"]}.items()
    }
    ended, traces = {}, {name: tmp_path / f"trace-{name}" for name in calls}
    settings = environ(store_url, tmp_path, 1) | {"PATH": "/usr/bin:/bin"}

    def run(name):
        ended[name] = fresh(*calls[name], environ=settings, trace=traces[name])

    threads = [threading.Thread(target=run, args=(name,)) for name in calls]
    with open_store(store_url) as other:

        def hold(connection):
            connection.execute("UPDATE orders SET version = version WHERE account = :account")
            for thread in threads:
                thread.start()
            for trace in traces.values():
                _wait_until_it_would_write(trace)

        other.write(hold)
    for thread in threads:
        thread.join()
    assert sorted(each.code for each in ended.values()) == [0, 6], ended
    first, later = ("a", "b") if ended["b"].code == 6 else ("b", "a")
    assert Picture.of(store_url).rejected == {"K1", "K2", "K3", "K4"}
    assert violations(store_url) == []
    assert "3 orders" in ended[first].out
    for left_out in ("K2", "K3"):
        assert left_out in ended[later].out + ended[later].err


def _wait_until_it_would_write(trace):
    end = time.monotonic() + 60
    while not (trace.exists() and trace.read_text("utf-8").rstrip().splitlines()[-1:] and _would_write(trace)):
        assert time.monotonic() < end, trace
        time.sleep(0.02)


def _would_write(trace):
    last = trace.read_text("utf-8").rstrip().splitlines()[-1]
    return last.startswith(("before BEGIN IMMEDIATE", "before WITH chosen AS MATERIALIZED", "before SELECT pg_adv"))
