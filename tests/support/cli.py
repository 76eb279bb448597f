"""The program as its users run it: a process with arguments, standard input, two streams and an exit code."""

import json
import marshal
import os
import shlex
import socketserver
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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

    def start(self, *args: str) -> "Started":
        """Begin a run, forked from the warm process, and go on."""
        return Started(args, self.environ)

    def __call__(self, *args: str, stdin: str = "", **told: object) -> Ran:
        """Run to the end, in the warm process or in a child of it: the imports are paid once.

        `told`: see `stress.faultpoints.install`.
        """
        ended = warm_server()(*args, environ=self.environ, stdin=stdin, **told)
        return Ran(ended.code, ended.out, ended.err)


def maildir_cli(store_url: str, folder: Path, **environ: str) -> Cli:
    """Calls on one store, from a home in the folder; mails are written to `mails` beside it."""
    sends = {
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(folder / "mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }
    return Cli(store_url, folder / "home", **{**sends, **environ})


class Started:
    """A run that goes on, with pipes; as far as it is used the same as `subprocess.Popen`."""

    def __init__(self, args: tuple[str, ...], environ: Mapping[str, str]) -> None:
        (given, stdin), (stdout, out), (stderr, err) = os.pipe(), os.pipe(), os.pipe()
        theirs = {"stdin": given, "out": out, "err": err}
        streams = {name: f"/proc/{os.getpid()}/fd/{end}" for name, end in theirs.items()}
        self._run = warm_server().begin(*args, environ=environ, **streams)
        for end in theirs.values():
            os.close(end)
        self.stdin = os.fdopen(stdin, "w", encoding="utf-8")
        self.stdout = os.fdopen(stdout, encoding="utf-8")
        self.stderr = os.fdopen(stderr, encoding="utf-8")
        self.poll, self.wait, self.kill = self._run.poll, self._run.wait, self._run.kill
        self.send_signal = self._run.send_signal

    @property
    def returncode(self) -> int | None:
        return self._run.returncode

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Read both streams to their ends, and wait; nothing, when they were read. Killed if it takes too long."""
        if self.stdout.closed:
            return "", ""
        bound = threading.Timer(timeout, self.kill)
        bound.start()
        self.stdin.close()
        with ThreadPoolExecutor(1) as reader, self.stdout, self.stderr:
            err = reader.submit(self.stderr.read)
            said = self.stdout.read(), err.result()
        self.wait()
        bound.cancel()
        return said


_CALL = """\
import marshal, os, socket, sys

with socket.socket(socket.AF_UNIX) as server:
    server.connect(os.path.join(os.path.dirname(sys.argv[0]), "calls"))
    call = {"args": sys.argv[1:], "environ": dict(os.environ), "stdin": sys.stdin.read(), "cwd": os.getcwd()}
    server.sendall(marshal.dumps(call))
    server.shutdown(socket.SHUT_WR)
    code, out, err = marshal.load(server.makefile("rb"))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class _Call(socketserver.StreamRequestHandler):
    """A call of the program by the shell."""

    def handle(self) -> None:
        asked = marshal.load(self.rfile)  # noqa: S302 - a quicker start of the caller than JSON
        args = asked.pop("args")
        if _asks(args):
            args.append("--yes")
        ended = warm_server()(*args, **asked)
        self.server.ended.append((args, ended.code))
        self.wfile.write(marshal.dumps((ended.code, ended.out, ended.err)))


def _asks(args: list[str]) -> bool:
    if "reject" in args[:1]:
        return not {"--dry-run", "--save-plan", "--yes"} & {*args}
    return args[:2] == ["plan", "run"] and "--due" not in args


class Shell:
    """A shell without a terminal. `orderctl` in it is run by the warm process; what it would ask is answered yes.

    `ended` has the arguments of each call of the program, and its exit code.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], ended: list[tuple[list[str], int]]) -> None:
        self.folder = folder
        self.environ = dict(environ)
        self.ended = ended

    def __call__(self, command: str) -> Ran:
        ran = subprocess.run(
            ["/bin/sh", "-c", command],
            env=self.environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)


@contextmanager
def running_shell(folder: Path, scripts: Mapping[str, str], **environ: str) -> Iterator[Shell]:
    """A shell that works in `folder` and has it as its home; `scripts` are further programs, in Python."""
    with tempfile.TemporaryDirectory(prefix="orderctl-sh-") as made:
        programs = Path(made)
        for name, script in {"orderctl": _CALL, **scripts}.items():
            (programs / f"{name}.py").write_text(script, encoding="utf-8")
            call = shlex.join([sys.executable, "-IS", f"{programs}/{name}.py"])
            (programs / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
        path = environ.pop("PATH", os.environ["PATH"])
        environ = {**Cli("", folder).environ, "PATH": os.pathsep.join([made, path]), **environ}
        with socketserver.ThreadingUnixStreamServer(f"{made}/calls", _Call) as server:
            server.ended = []
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
            try:
                yield Shell(folder, environ, server.ended)
            finally:
                server.shutdown()
