"""Counted points in a run: before and after each statement, each step of SMTP or of a system, each file step.

A run may be told to die at the n-th (SIGKILL, so nothing of it can clean up), to write down which points it
passed, to live at a later hour, or to die at a given instant. The program itself knows nothing of this: the
drivers that it uses are wrapped, in a forked run by `install`, in a fresh process by `site/sitecustomize.py`.
"""

import contextlib
import errno
import functools
import os
import signal
import smtplib
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import FrameType

import orderctl

_OURS = f"{Path(orderctl.__file__).parent}{os.sep}"
FAULTS = {
    "OSError": lambda: OSError(errno.EIO, os.strerror(errno.EIO)),
    "MemoryError": MemoryError,
    "RuntimeError": lambda: RuntimeError("of the test"),
}
PASSING = {"OSError", "MemoryError"}


class Points:
    """Counts the points of this run; dies at the one it was told."""

    def __init__(self, kill_at: int, trace: str) -> None:
        self.count = 0
        self._kill_at = kill_at
        self._trace = Path(trace).open("w", encoding="utf-8", buffering=1) if trace else None  # noqa: SIM115

    def reached(self, label: str) -> None:
        self.count += 1
        if self._trace:
            self._trace.write(f"{label}\n")
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


class Calls:
    """Each call of a function of ours, or by one, from the first change that holds; one of them raises, once.

    A call is known by the line that makes it, what it calls, and how often that was called from there before.
    """

    def __init__(self, fail_at: str, fault: str, trace: str) -> None:
        self._fail_at = fail_at
        self._fault = FAULTS[fault]
        self._trace = Path(trace).open("w", encoding="utf-8", buffering=1) if trace else None  # noqa: SIM115
        self._seen: Counter[str] = Counter()
        self._writing = False

    def stated(self, statement: object, begin: str) -> None:
        """A statement was executed: the calls count from the first end of a transaction that may write."""
        if str(statement).startswith("BEGIN"):
            # On PostgreSQL the settings of the transaction stand behind it.
            self._writing = str(statement).partition(";")[0] == begin
        elif statement == "COMMIT" and self._writing and not self._seen:
            threading.setprofile(self._called)
            sys.setprofile(self._called)

    def _called(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            caller, called = frame.f_back, frame.f_code.co_qualname
            ours = _is_ours(frame) or (caller is not None and _is_ours(caller))
        elif event == "c_call":
            caller, called = frame, getattr(arg, "__qualname__", "?")
            ours = _is_ours(frame)
        else:
            return
        if not ours:
            return
        line = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}" if caller else "?"
        site = f"{line} calls {called}"
        self._seen[site] += 1
        label = f"{site} {self._seen[site]}"
        if self._trace:
            self._trace.write(f"{label}\n")
        if label == self._fail_at:
            raise self._fault()


def _is_ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_OURS)


def install(told: Mapping[str, str]) -> None:
    """Wrap the drivers as `told`: STRESS_KILL_AT, _TRACE, _LATER_S, _CLOCK_OFF_S, _DIE_AFTER_S, _LOCK_S, _UID.

    Later it is for the database's server too; off is the clock of this computer alone. _LOCK_S: how long to wait.

    STRESS_CALLS writes down the calls after the first change that holds; STRESS_FAIL_AT is the one that raises _FAULT.
    """
    if "STRESS_FAIL_AT" in told or "STRESS_CALLS" in told:
        calls = Calls(told.get("STRESS_FAIL_AT", ""), told.get("STRESS_FAULT", "OSError"), told.get("STRESS_CALLS", ""))
        _wrap_transactions(calls)
    if "STRESS_KILL_AT" in told or "STRESS_TRACE" in told:
        points = Points(int(told.get("STRESS_KILL_AT", "0")), told.get("STRESS_TRACE", ""))
        _wrap_sqlite(points)
        _wrap_psycopg(points)
        _wrap_smtp(points)
        _wrap_files(points)
        _wrap_systems(points)
    if "STRESS_LATER_S" in told:
        later = timedelta(seconds=float(told["STRESS_LATER_S"]))
        _live_later(later)
        _let_the_server_live_later(later)
    if "STRESS_CLOCK_OFF_S" in told:
        _live_later(timedelta(seconds=float(told["STRESS_CLOCK_OFF_S"])))
    if "STRESS_LOCK_S" in told:
        _wait_for_locks(float(told["STRESS_LOCK_S"]))
    if "STRESS_UID" in told:
        os.setgroups([])
        os.setuid(int(told["STRESS_UID"]))
    if "STRESS_DIE_AFTER_S" in told:
        # SIGALRM is caught by nobody here: the kernel ends the process wherever it is.
        signal.setitimer(signal.ITIMER_REAL, float(told["STRESS_DIE_AFTER_S"]))


def _around(points: Points, owner: object, name: str, label: Callable[..., str]) -> None:
    real = getattr(owner, name)

    @functools.wraps(real)
    def counted(*args, **how):
        said = label(*args)
        points.reached(f"before {said}")
        result = real(*args, **how)
        points.reached(f"after {said}")
        return result

    setattr(owner, name, counted)


def _wrap_transactions(calls: Calls) -> None:
    class Told(sqlite3.Connection):
        def execute(self, sql, *params):
            found = super().execute(sql, *params)
            calls.stated(sql, "BEGIN IMMEDIATE")
            return found

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Told)
    import psycopg  # noqa: PLC0415 - as below

    real = psycopg.Connection.execute

    @functools.wraps(real)
    def execute(self, sql, *params, **how):
        found = real(self, sql, *params, **how)
        calls.stated(sql, "BEGIN")
        return found

    psycopg.Connection.execute = execute


def _statement(_self, sql, *_rest) -> str:
    text = sql if isinstance(sql, str) else str(sql)
    return " ".join(text.split())[:60]


def _wrap_sqlite(points: Points) -> None:
    class Counted(sqlite3.Connection):
        pass

    for name in ("execute", "executemany"):
        _around(points, Counted, name, _statement)
    sqlite3.connect = functools.partial(sqlite3.connect, factory=Counted)


def _wrap_psycopg(points: Points) -> None:
    import psycopg  # noqa: PLC0415 - a run on SQLite in a fresh process goes without

    for cursor in (psycopg.Cursor, psycopg.ServerCursor):
        for name in ("execute", "executemany"):
            _around(points, cursor, name, _statement)


def _wrap_smtp(points: Points) -> None:
    from orderctl.mail import smtp  # noqa: PLC0415 - loads the mail library, which no other wrapper needs

    _around(points, smtplib.SMTP, "connect", lambda *_: "SMTP connect")
    _around(points, smtplib.SMTP, "getreply", lambda *_: "SMTP reply")
    _around(points, smtp._Bounded, "send", lambda _self, data: f"SMTP {data[:4]!r}")


def _wrap_files(points: Points) -> None:
    for name in ("fsync", "rename"):
        _around(points, os, name, lambda *_, name=name: f"file {name}")


def _wrap_systems(points: Points) -> None:
    """What is said to a system that is a program, and to one that is a file of SQLite."""
    from orderctl.systems.command import CommandSystem  # noqa: PLC0415 - as above

    class Said(sqlite3.Cursor):
        pass

    class Told(sqlite3.Connection):
        def cursor(self, factory=Said):
            return super().cursor(factory)

    for name in ("connect", "_reply", "__exit__"):
        _around(points, CommandSystem, name, lambda *_, name=name: f"program {name}")
    _around(points, Said, "execute", lambda _self, sql, *_: f"system {sql[:40]}")
    _around(points, Told, "commit", lambda *_: "system commit")
    # SQLAlchemy, which only systems are reached with, takes the driver from this module.
    sqlite3.dbapi2.connect = functools.partial(sqlite3.dbapi2.connect, factory=Told)


def _live_later(shift: timedelta) -> None:
    from orderctl.database.clock import SystemClock  # noqa: PLC0415 - only who lives later needs it

    real = SystemClock.now
    SystemClock.now = staticmethod(lambda: real() + shift)


def _let_the_server_live_later(shift: timedelta) -> None:
    from orderctl.database.connection import POSTGRESQL  # noqa: PLC0415

    later = f"clock_timestamp() + interval '{shift.total_seconds()} seconds'"
    object.__setattr__(POSTGRESQL, "present", later)


def _wait_for_locks(seconds: float) -> None:
    with contextlib.suppress(ImportError):
        from orderctl.database import postgres, sqlite  # noqa: PLC0415
        from orderctl.delivery import run  # noqa: PLC0415

        run._STORE_PAUSES_S = (seconds,)
        sqlite.LOCK_WAIT_S = seconds
        postgres._LOCK_WAIT = postgres._LOCK_WAIT.replace("30s", f"{seconds:g}s")
