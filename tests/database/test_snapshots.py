"""A snapshot: what others write meanwhile is not seen, on both engines, and one connection is enough."""

import os
import threading
import time

import psycopg
import pytest

from support.factories import make_order, put
from support.rejection import matching, plan_for
from support.stores import open_store

COUNT = "SELECT count(*) FROM orders WHERE account = :account"


def test_what_others_write_meanwhile_is_not_seen(store, store_url):
    put(store, make_order(), make_order())
    with store.snapshot() as connection:
        before = connection.execute(COUNT).fetchone()
        with open_store(store_url) as other:
            put(other, make_order())
        assert connection.execute(COUNT).fetchone() == before == (2,)


def test_a_plan_adds_up_while_somebody_goes_on_writing(store, store_url):
    """Each order is planned and open, so that the plan is all of every season: not one order more, and none less."""
    put(store, make_order())
    stop = threading.Event()

    def write() -> None:
        with open_store(store_url) as other:
            while not stop.is_set():
                put(other, make_order(), make_order(season="26FW"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        plans = [plan_for(store, matching("")) for _ in range(40)]
        until = time.monotonic() + 30
        while plans[-1].targets.count == plans[0].targets.count and time.monotonic() < until:
            plans.append(plan_for(store, matching("")))  # the other has not written yet
    finally:
        stop.set()
        writer.join()
    assert plans[-1].targets.count > plans[0].targets.count
    for plan in plans:
        assert sum(share.orders for share in plan.impact.seasons) == plan.targets.count
        assert [(each.open_orders, each.open_total) for each in plan.impact.seasons] == [
            (each.orders, each.total) for each in plan.impact.seasons
        ]


@pytest.fixture
def lonely_url(postgres_url):
    """A store whose user may have one connection and no more."""
    role = f"lonely_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")
        owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        member = "INSERT INTO member (account, login, number, action, at) VALUES ('main', %s, 1, 'add', now())"
        owner.execute(member, [role])
    yield postgres_url.replace("postgres@", f"{role}@")
    with psycopg.connect(postgres_url, autocommit=True) as owner:
        owner.execute(f"DROP OWNED BY {role}")
        owner.execute(f"DROP ROLE {role}")


def test_a_plan_needs_one_connection(lonely_url):
    with open_store(lonely_url) as store:
        put(store, make_order(total=5), make_order(total=7))
        (share,) = plan_for(store, matching("season:26SS")).impact.seasons
    assert (share.orders, share.open_orders, share.open_total) == (2, 2, 12)
