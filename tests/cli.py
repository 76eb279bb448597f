"""The program as its users run it: a process with arguments, standard input, two streams and an exit code."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from stress.forkserver import warm_server


@dataclass(frozen=True)
class Ran:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self):
        return json.loads(self.out)


class Cli:
    """Calls on one store, from one home. No controlling terminal, as under cron."""

    def __init__(self, store_url: str, home: Path, **environ: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ORDERCTL_STORE": store_url,
            "ORDERCTL_ACTOR": "mia",
            "TZ": "UTC",
            "PYTHONWARNINGS": "error",
            "PYTHONIOENCODING": "utf-8",
            **environ,
        }

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "orderctl", *args],
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )

    def __call__(self, *args: str, stdin: str = "") -> Ran:
        """Run to the end, in a process that is forked from a warm one: the imports are paid once."""
        ended = warm_server()(*args, environ=self.environ, stdin=stdin)
        return Ran(ended.code, ended.out, ended.err)
