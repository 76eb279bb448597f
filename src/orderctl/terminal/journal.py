"""What a run does, step by step: a line on standard error for who wants to see it, a JSON line in a file for cron.

Neither holds arguments, parameters of statements, names or secrets: steps, figures, batch ids and exit codes only.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from orderctl.domain.os_errors import os_reason
from orderctl.domain.text import safe
from orderctl.language import say
from orderctl.ports import Progress
from orderctl.terminal.journal_words import step_words

Figures = dict[str, object]


class Journal:
    """The steps of one run. Without a file and not `verbose` it says nothing."""

    def __init__(self, path: Path | None, *, verbose: bool, run_id: str) -> None:
        self._verbose = verbose
        self._run_id = run_id
        self._started = time.monotonic()
        self._path = path
        self._file = _opened(path) if path else None

    @contextmanager
    def timing(self, label: str) -> Iterator[Progress]:
        """Note a step, by its English name, with how long it took and what was done of it."""
        started = time.monotonic()
        last: list[int | None] = [None, None]

        def report(done: int, total: int | None, /) -> None:
            last[:] = done, total

        yield report
        seconds = round(time.monotonic() - started, 3)
        self.step(label.lower(), {"done": last[0], "total": last[1], "seconds": seconds})

    def step(self, name: str, figures: Figures) -> None:
        """Tell that a step is done, with what there is to count."""
        told = {key: value for key, value in figures.items() if value is not None}
        if self._verbose:
            sys.stderr.write(safe(step_words(name, told)) + "\n")
        if self._file is not None:
            line = {"time": datetime.now(UTC).isoformat(), "run": self._run_id, "step": name, **told}
            try:
                # One write of one line: runs that share the file do not mix their lines.
                os.write(self._file, f"{json.dumps(line)}\n".encode("ascii"))
            except OSError as error:
                self._file = None
                _warn(self._path, error)

    def end(self, command: str, exit_code: int, figures: Figures) -> None:
        """Tell how the run ended."""
        seconds = round(time.monotonic() - self._started, 3)
        self.step("end", {"command": command, "exit_code": exit_code, "seconds": seconds, **figures})


def _opened(path: Path) -> int | None:
    """The file, made for its owner alone, written at its end; None, and a warning, if that cannot be."""
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        _warn(path, error)
        return None


def _warn(path: Path | None, error: OSError) -> None:
    """A log that cannot be written is no reason to end a run."""
    problem = say("the log file {path} cannot be written: {problem}", path=path, problem=os_reason(error))
    sys.stderr.write(safe(say("warning: ") + problem) + "\n")
