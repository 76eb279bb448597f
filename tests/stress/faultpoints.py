"""Counted points in a run: before and after each statement, each step of the SMTP conversation, each file step.

A run may be told to die at the n-th (SIGKILL, so nothing of it can clean up), to write down which points it
passed, to live at a later hour, or to die at a given instant. The program itself knows nothing of this: the
drivers that it uses are wrapped, in a forked run by `install`, in a fresh process by `site/sitecustomize.py`.
"""

import contextlib
import functools
import os
import signal
import smtplib
import sqlite3
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path


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


def install(told: Mapping[str, str]) -> None:
    """Wrap the drivers as `told`: STRESS_KILL_AT, _TRACE, _LATER_S, _DIE_AFTER_S, _LOCK_S (to wait), _UID."""
    if "STRESS_KILL_AT" in told or "STRESS_TRACE" in told:
        points = Points(int(told.get("STRESS_KILL_AT", "0")), told.get("STRESS_TRACE", ""))
        _wrap_sqlite(points)
        _wrap_psycopg(points)
        _wrap_smtp(points)
        _wrap_files(points)
    if "STRESS_LATER_S" in told:
        _live_later(timedelta(seconds=float(told["STRESS_LATER_S"])))
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


def _live_later(shift: timedelta) -> None:
    from orderctl.bootstrap.program import SystemClock  # noqa: PLC0415 - only who lives later needs it

    real = SystemClock.now
    SystemClock.now = staticmethod(lambda: real() + shift)


def _wait_for_locks(seconds: float) -> None:
    with contextlib.suppress(ImportError):
        from orderctl.services import delivery_run  # noqa: PLC0415
        from orderctl.store import postgres, sqlite  # noqa: PLC0415

        delivery_run._STORE_PAUSES_S = (seconds,)
        sqlite.LOCK_WAIT_S = seconds
        postgres._OPTIONS = postgres._OPTIONS.replace("30s", f"{seconds:g}s")
