"""Stores as tests open them: as the program does, and past it."""

import sqlite3
from contextlib import closing

import psycopg

from orderctl.database.address import parse_address
from orderctl.database.store import Store, make_engine

_GUARDED = (
    *("orders", "order_line", "order_event", "batch", "batch_verdict", "batch_origin", "mail", "mail_order"),
    *("mail_event", "plan", "policy", "act", "erasure", "writeback_event", "member"),
)
REFUSALS = (sqlite3.IntegrityError, psycopg.errors.IntegrityError)


def open_store(url: str, account: str = "main") -> Store:
    """Another connection to a store."""
    return Store(make_engine(parse_address(url)), account)


def raw(url):
    return psycopg.connect(url, autocommit=True) if "://" in url else sqlite3.connect(url, isolation_level=None)


def tamper(url, *statements):
    """Run statements as somebody who may do anything: the guards are switched off before and on after."""
    with closing(raw(url)) as connection:
        if "://" in url:
            off = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in _GUARDED]
            connection.execute("; ".join([*off, "DELETE FROM batch_begun"]))  # its rows refer to batches
            for statement in statements:
                connection.execute(statement)
            on = "string_agg(format('ENABLE ALWAYS TRIGGER %I', tgname), ', ')"
            guards = connection.execute(
                f"SELECT format('ALTER TABLE %s %s', tgrelid::regclass, {on}) FROM pg_trigger"
                " WHERE NOT tgisinternal AND tgenabled <> 'A' GROUP BY tgrelid"
            )
            connection.execute("; ".join(each for (each,) in guards.fetchall()))
            return
        connection.execute("BEGIN IMMEDIATE")  # one commit, and not one for each guard
        dropped = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in dropped:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for _, sql in dropped:
            connection.execute(sql)
        connection.execute("COMMIT")


def until_somebody_waits(url, number=1):
    """Until so many connections to this PostgreSQL store wait for locks."""
    with psycopg.connect(url, autocommit=True) as admin:
        for _ in range(400):
            waiting = admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            if waiting[0] >= number:
                return
            admin.execute("SELECT pg_sleep(0.02)")
    raise TimeoutError("nobody waits for a lock")


class AsLogin:
    """The store through another login, where the engine has logins."""

    def __init__(self, url, login):
        self._login = login if url.startswith("postgresql") else None
        self._admin = url
        self._store = open_store(url.replace("postgres@", f"{login}@"))

    def __enter__(self):
        self._run("CREATE ROLE {} LOGIN SUPERUSER")
        return self._store

    def __exit__(self, *exc):
        self._store.__exit__(*exc)
        self._run("DROP ROLE {}")

    def _run(self, sql):
        if self._login:
            with psycopg.connect(self._admin, autocommit=True) as admin:
                admin.execute(sql.format(self._login))
