"""Killed anywhere, a run leaves all or nothing, and the next one ends as an undisturbed one would.

And whatever raises after a rejection holds, the run says that it holds. A few of the points and calls of each
scenario, always the same ones as long as the code is; `make stress` tries them all (docs/reliability.md).
"""

import random
import sqlite3
from contextlib import closing

import pytest

from stress.crash import FAULTY, IN_SYSTEMS, SCENARIOS, VARY, bench, fill_and_reject, sample
from stress.faultpoints import FAULTS
from stress.invariants import Picture, mail_violations, violations
from support.stores import open_store

_POINTS, _POINTS_IN_SYSTEMS = 3, 1
_ENGINES = ("sqlite", "postgresql")
_CALLS = {"sqlite": 4, "postgresql": 1}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_a_run_killed_at_a_point_leaves_all_or_nothing_and_the_next_one_goes_on(request, forks, scenario, engine):
    postgres = request.getfixturevalue("postgres_server") if engine == "postgresql" else None
    with bench(scenario, postgres, forks) as tried:
        points = tried.points()
        for at in sample(len(points) - VARY, _POINTS, random.Random(f"{scenario.name} {engine}")):
            tally = tried.kill(at)
            assert (tally.wrong, tally.orders_lost, tally.mails_lost) == ([], 0, 0), points[at - 1]


@pytest.mark.parametrize(
    ("scenario", "engine"),
    [(each, _ENGINES[number % 2]) for number, each in enumerate(IN_SYSTEMS)],
    ids=lambda each: getattr(each, "name", each),
)
def test_a_run_that_tells_a_system_is_killed_and_every_order_is_cancelled_once(request, forks, scenario, engine):
    """Each on one of the engines: `make stress` tries both."""
    postgres = request.getfixturevalue("postgres_server") if engine == "postgresql" else None
    with bench(scenario, postgres, forks) as tried:
        points = tried.points()
        for at in sample(len(points) - VARY, _POINTS_IN_SYSTEMS, random.Random(scenario.name)):
            tally = tried.kill(at)
            lost, doubled = tally.writebacks_lost + tally.mails_lost, tally.writebacks_doubled + tally.mails_doubled
            assert (tally.wrong, lost, doubled) == ([], 0, 0), points[at - 1]


def test_what_a_system_was_told_unheard_is_unknown_until_it_is_asked(forks):
    """Killed between what the program was told and its answer; and after the database had committed."""
    for scenario, before in ((IN_SYSTEMS[2], "before program _reply"), (IN_SYSTEMS[4], "after system commit")):
        with bench(scenario, None, forks) as tried:
            tally = tried.kill(tried.points().index(before) + 1)
        unknown = int(scenario.shop == "program")
        assert (tally.wrong, tally.writebacks_unknown, tally.writebacks_doubled) == ([], unknown, 0)


def test_a_mail_that_the_server_took_unheard_is_unknown_and_never_sent_again(forks):
    with bench(SCENARIOS[1], None, forks) as tried:
        points = tried.points()
        tally = tried.kill(points.index("before SMTP reply", points.index("after SMTP b'.\\r\\n'")) + 1)
    assert (tally.wrong, tally.unknown, tally.mails_doubled) == ([], 1, 0)


def test_a_process_of_its_own_is_killed_at_the_same_points(forks):
    with bench(SCENARIOS[0], None, forks) as tried:
        points = tried.points()
        tally = tried.kill(points.index("before COMMIT", 60) + 1, a_fresh_process=True)
    assert tally.wrong == []


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("scenario", FAULTY, ids=lambda each: each.name)
def test_whatever_call_raises_after_the_change_the_run_says_what_it_did(request, forks, scenario, engine):
    postgres = request.getfixturevalue("postgres_server") if engine == "postgresql" else None
    with bench(scenario, postgres, forks) as tried:
        calls, rng = tried.calls(), random.Random(f"{scenario.name} {engine}")
        for at in sample(len(calls), _CALLS[engine], rng):
            tally = tried.fail(calls[at - 1], rng.choice(list(FAULTS)))
            assert (tally.wrong, tally.orders_lost, tally.mails_lost, tally.mails_doubled) == ([], 0, 0, 0)


@pytest.mark.parametrize(
    "place",
    [
        "threading.py: calls Worker._run",
        "queries.py: calls Cursor.fetchall",
        "run.py: calls SimpleQueue.put",
        "run.py: calls _GeneratorContextManager.__exit__",
    ],
)
def test_a_fault_beside_the_run_or_between_a_mail_and_its_record(forks, place):
    """What the faults found: a sender that died unheard, a statement and a transaction left open, a mail sent twice."""
    file, called = place.split(": ")
    with bench(SCENARIOS[0], None, forks) as tried:
        calls = [call for call in tried.calls() if call.startswith(f"{file}:") and f" {called} " in call]
        assert calls
        for at in calls:
            tally = tried.fail(at, "MemoryError")
            assert (tally.wrong, tally.mails_lost, tally.mails_doubled) == ([], 0, 0), at


def test_the_harness_sees_what_a_crash_could_spoil(sqlite_url):
    """Without this the other tests could pass because nothing is looked at."""
    with open_store(sqlite_url) as store:
        fill_and_reject(store)
    assert violations(sqlite_url) == []
    with closing(sqlite3.connect(sqlite_url)) as spoiled:
        for (trigger,) in spoiled.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            spoiled.execute(f"DROP TRIGGER {trigger}")
        spoiled.execute("UPDATE orders SET status = 'oc-created', rejected_at = NULL WHERE id = 'K1'")
        spoiled.execute("DELETE FROM order_event WHERE order_id = 'K2' AND batch_id IS NOT NULL")
        spoiled.execute("DELETE FROM mail_order WHERE order_id = 'K3'")
        spoiled.commit()
    assert {
        "K1 belongs to a batch and is oc-created",
        "K2 is rejected without its event",
        "K3 stands in no mail although its buyer was to be told",
        "event of order K2 in batch b1 was removed",
    } <= set(violations(sqlite_url))
    (first, second) = Picture.of(sqlite_url).mails
    assert mail_violations(sqlite_url, []) == []
    assert sorted(mail_violations(sqlite_url, [first, first, second])) == [
        f"mail {first} was taken 2 times",
        f"mail {first} was taken and is waiting",
        f"mail {second} was taken and is waiting",
    ]
