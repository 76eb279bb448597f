"""The log of a run: a line for each step, on standard error with --verbose, and as JSON in a file for cron.

It holds steps, figures, batch ids and exit codes only: no arguments, no parameters of statements, no names or secrets.
"""

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orderctl.core.text import safe
from orderctl.core.times import Progress
from orderctl.errors import os_reason
from orderctl.language import N_, _

Figures = dict[str, object]


class RunLog:
    """The log of one run. Without a file, and unless it is `verbose`, nothing is written."""

    def __init__(self, path: Path | None, *, verbose: bool, run_id: str) -> None:
        self._verbose = verbose
        self._run_id = run_id
        self._started = time.monotonic()
        self._path = path
        self._file = _opened(path) if path else None

    @contextmanager
    def timing(self, label: str) -> Iterator[Progress]:
        """Log a step under its English name, with its duration and the progress that was reported."""
        started = time.monotonic()
        last: list[int | None] = [None, None]

        def report(done: int, total: int | None, /) -> None:
            last[:] = done, total

        yield report
        seconds = round(time.monotonic() - started, 3)
        self.step(label.lower(), {"done": last[0], "total": last[1], "seconds": seconds})

    def step(self, name: str, figures: Figures) -> None:
        """Log a finished step with its figures; those that are None are left out."""
        told = {key: value for key, value in figures.items() if value is not None}
        if self._verbose:
            sys.stderr.write(safe(step_words(name, told)) + "\n")
        if self._file is not None:
            line = {"time": datetime.now(UTC).isoformat(), "run": self._run_id, "step": name, **told}
            try:
                # One write for each line, so that runs that share the file do not mix their lines.
                os.write(self._file, f"{json.dumps(line)}\n".encode("ascii"))
            except OSError as error:
                self._file = None
                _warn(self._path, error)

    def end(self, command: str, exit_code: int, figures: Figures) -> None:
        """Log how the run ended."""
        seconds = round(time.monotonic() - self._started, 3)
        self.step("end", {"command": command, "exit_code": exit_code, "seconds": seconds, **figures})


def _opened(path: Path) -> int | None:
    """Open the file to append to it, readable by its owner alone; None, with a warning, if that fails."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _warn(path, error)
        return None


def _warn(path: Path | None, error: OSError) -> None:
    """Warn that the log cannot be written. The run goes on."""
    problem = _("the log file {path} cannot be written: {problem}", path=path, problem=os_reason(error))
    sys.stderr.write(safe(_("warning: ") + problem) + "\n")


_STEPS = frozenset(
    {
        N_("end"),
        N_("exporting"),
        N_("mailing"),
        N_("planned"),
        N_("planning"),
        N_("reading"),
        N_("rejected"),
        N_("rejecting"),
        N_("repeated"),
        N_("verifying"),
        N_("verifying the log"),
        N_("writing"),
    }
)
_FIGURES = {
    "batch": N_("batch {value}"),
    "command": N_("command {value}"),
    "exit_code": N_("{value} exit code"),
    "left_out": N_("{value} left out"),
    "mails": N_("{value} mails"),
    "rejected": N_("{value} rejected"),
    "skipped": N_("{value} skipped"),
    "statements": N_("{value} statements"),
    "store_seconds": N_("store seconds {value}"),
    "targets": N_("{value} targets"),
}


def step_words(name: str, figures: Mapping[str, object]) -> str:
    """`reading: 2,000 of 2,000 in 1.9 s`, `rejected: batch 068f…, 39 rejected`."""
    told, seconds = ", ".join(_told(figures)), figures.get("seconds")
    if seconds is not None:
        told = (
            _("{figures} in {seconds} s", figures=told, seconds=seconds)
            if told
            else _("in {seconds} s", seconds=seconds)
        )
    return f"{_(name) if name in _STEPS else name}: {told}"


def _told(figures: Mapping[str, object]) -> Iterator[str]:
    for name, value in figures.items():
        if name in _FIGURES:
            yield _(_FIGURES[name], value=_shown(value))
        elif name not in {"done", "total", "seconds"}:
            yield f"{name.replace('_', ' ')} {_shown(value)}"
    done, total = figures.get("done"), figures.get("total")
    if done is not None:
        counted = _shown(done)
        yield counted if total is None else _("{done} of {total}", done=counted, total=_shown(total))


def _shown(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
