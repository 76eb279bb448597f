"""Runs of the program without the price of its imports: a warm process that calls the real `main()`.

`python -m stress.forkserver` reads a JSON request a line (`args`, `environ`, `cwd`, `told`; `stdin`, `out`, `err`, or a
`terminal`), answers with the pid of the run, and when it has ended with its pid and wait status. A run that leaves
nothing behind is made in the warm process itself, because most of what a fork costs are the pages that the child writes
to. Any other one is a child: one that is told of faults, that has modules of its own or a terminal, and one that runs
`apart` and goes on while the next request is read.
"""

import atexit
import contextlib
import contextvars
import ctypes
import fcntl
import gc
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import termios
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NoReturn, Self, TextIO

from orderctl.database.address import parse_address
from orderctl.database.schema import init_store
from orderctl.database.store import Store, make_engine
from orderctl.importing.queries import OrderImport
from orderctl.orders.orders import SaidOrder
from orderctl.orders.samples import sample_orders
from stress.faultpoints import install

TESTS = Path(__file__).parent.parent
_LONGEST_RUN_S = 60
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What a run with one of these leaves behind, or how it ends, is not for the warm process.
_OF_A_CHILD = {"PYTHONPATH", "_ORDERCTL_COMPLETE"}
_BIGGEST_HOLE = 8 << 10
_FIRST_CALLS = (
    ("search", "--count", "status:needs-oc"),
    ("reject", "--filter", "status:needs-oc", "--yes", "--notify"),
    ("mail", "list"),
    ("show", "nobody"),
)
_WARM = (
    "orderctl.database.sqlite",
    "orderctl.database.postgres",
    "orderctl.database.store",
    "orderctl.mail.smtp",
    "orderctl.mail.maildir",
    "orderctl.systems.command",
    "orderctl.systems.sql",
    "orderctl.mail.letters",
    "orderctl.rejection.preview",
    "orderctl.terminal.output",
    "orderctl.terminal.prompts",
    "orderctl.changes",
    "orderctl.plans.queries",
    "orderctl.audit.queries",
    "orderctl.filters.saved",
    "orderctl.selection.queries",
    "orderctl.stats.queries",
    "orderctl.exporting.service",
    "orderctl.selection.id_file",
    "orderctl.exporting.rows",
    "orderctl.core.secrets",
    "orderctl.importing.source",
    "orderctl.core.ids",
    "orderctl.filters.parser",
    "platformdirs",
    "_strptime",
    "encodings.utf_8_sig",
)


@dataclass(frozen=True)
class Ended:
    """How a run ended; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code < 0


def search_path(*first: str) -> str:
    """Where a process finds the tests' modules, after `first` and before what this process was told."""
    told = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*first, str(TESTS), *([told] if told else [])])


class ForkServer:
    """The client, as a context manager: one run at a time."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orderctl-fork-")
        self._lock = threading.Lock()
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": search_path(),
            "PYTHONIOENCODING": "utf-8",
            "HOME": self._folder.name,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stress.forkserver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
            start_new_session=True,
        )
        self.pid = 0
        self._ended: dict[int, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()
        self._folder.cleanup()

    def __call__(
        self, *args: str, environ: Mapping[str, str], stdin: str = "", cwd: str = ".", **told: object
    ) -> Ended:
        """Run to the end. `told`: see `faultpoints.install`; and stdout, stderr: full, closed or unread."""
        with self._lock:
            files = {name: Path(self._folder.name) / name for name in ("stdin", "out", "err")}
            files["stdin"].write_text(stdin, encoding="utf-8")
            self.pid = self._begun(args, environ, cwd, told, **{name: str(path) for name, path in files.items()})
            bound = threading.Timer(_LONGEST_RUN_S, os.kill, (self.pid, signal.SIGKILL))
            bound.start()
            status = self._status(self.pid)
            bound.cancel()
            out, err = (files[name].read_text("utf-8", "replace") for name in ("out", "err"))
        assert "Traceback" not in err, err
        assert "fail_at" in told or "a fault of the program" not in err, err
        return Ended(os.waitstatus_to_exitcode(status), out, err)

    def begin(self, *args: str, environ: Mapping[str, str], **streams: str) -> "Running":
        """Begin a run, and go on. `streams`: the paths of its `stdin`, `out` and `err`, or of its `terminal`."""
        with self._lock:
            return Running(self, self._begun(args, environ, ".", {}, apart="yes", **streams))

    def code(self, pid: int) -> int:
        """How a run that was begun has ended; it is waited for."""
        with self._lock:
            return os.waitstatus_to_exitcode(self._status(pid))

    def _begun(
        self, args: tuple[str, ...], environ: Mapping[str, str], cwd: str, told: Mapping[str, object], **streams: str
    ) -> int:
        request = {
            "args": args,
            "environ": dict(environ),
            "cwd": str(Path(cwd).resolve()),
            "told": {f"STRESS_{name.upper()}": str(value) for name, value in told.items()},
            **streams,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer(lambda answer: "status" not in answer)["pid"]

    def _status(self, pid: int) -> int:
        if pid not in self._ended:
            self._answer(lambda answer: answer["pid"] == pid and "status" in answer)
        return self._ended.pop(pid)

    def _answer(self, wanted: Callable[[Mapping[str, int]], bool]) -> Mapping[str, int]:
        """The next answer that is wanted; how other runs ended meanwhile is kept."""
        while True:
            answer = json.loads(self._process.stdout.readline())
            if "status" in answer:
                self._ended[answer["pid"]] = answer["status"]
            if wanted(answer):
                return answer


class Running:
    """A run that goes on; as far as it is used the same as `subprocess.Popen`."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._process: int | None = None
        with contextlib.suppress(ProcessLookupError):
            self._process = os.pidfd_open(pid)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if self._process is not None:
                if not select.select([self._process], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("orderctl", timeout)
                os.close(self._process)
                self._process = None
            self.returncode = self._server.code(self.pid)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


@cache
def warm_server() -> ForkServer:
    """The one of this process, to its end."""
    server = ForkServer()
    atexit.register(server.__exit__)
    return server


def fresh(*args: str, environ: Mapping[str, str], stdin: str = "", **told: object) -> Ended:
    """The same with a process of its own, from the interpreter's start."""
    variables = {f"STRESS_{name.upper()}": str(value) for name, value in told.items()}
    path = search_path(str(Path(__file__).parent / "site"))
    process = subprocess.run(
        [sys.executable, "-m", "orderctl", *args],
        env={**environ, **variables, "PYTHONPATH": path},
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        start_new_session=True,
    )
    assert "Traceback" not in process.stderr, process.stderr
    return Ended(process.returncode, process.stdout, process.stderr)


def _serve() -> None:
    requests, answers = os.fdopen(os.dup(0), encoding="utf-8"), os.fdopen(os.dup(1), "w", encoding="utf-8")
    _warm_up()
    for line in requests:
        request = json.loads(line)
        if _is_for_here(request):
            answers.write(json.dumps({"pid": os.getpid()}) + "\n")
            answers.flush()
            status = _run_here(request) << 8  # as `waitpid` has it
            answers.write(json.dumps({"pid": os.getpid(), "status": status}) + "\n")
            answers.flush()
        elif "apart" not in request:
            _see_to_end(request, answers)
        elif os.fork() == 0:
            _see_to_end(request, answers)
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _is_for_here(request: Mapping[str, object]) -> bool:
    return not ("apart" in request or request["told"] or _OF_A_CHILD & {*request["environ"]})


def _run_here(request: Mapping[str, object]) -> int:
    """Run in this process; what the program changes in it is as before when it ends."""
    streams, mask = (sys.stdin, sys.stdout, sys.stderr), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    hooks, handlers = (sys.unraisablehook, threading.excepthook), [signal.getsignal(number) for number in _STOPPING]
    descriptors = [os.dup(number) for number in range(3)]
    modules = len(sys.modules)
    with warnings.catch_warnings():
        code = contextvars.copy_context().run(_called, request, _streams(request))
    for number, kept in enumerate(descriptors):
        os.dup2(kept, number)
        os.close(kept)
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.unraisablehook, threading.excepthook = hooks
    for number, handler in zip(_STOPPING, handlers, strict=True):
        signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    atexit.unregister(gc.freeze)
    gc.collect()
    if len(sys.modules) > modules:  # what a first import leaves stays: later collections need not look at it
        gc.freeze()
    return code


def _see_to_end(request: Mapping[str, object], answers: TextIO) -> None:
    # Open before the answer, since who asked closes them then; and closed here, since they end with the child.
    streams = _streams(request)
    pid = os.fork()
    if pid == 0:
        _run(request, streams)
    for stream in {*streams}:
        os.close(stream)
    answers.write(json.dumps({"pid": pid}) + "\n")
    answers.flush()
    _, status = os.waitpid(pid, 0)
    answers.write(json.dumps({"pid": pid, "status": status}) + "\n")
    answers.flush()


def _streams(request: Mapping[str, object]) -> list[int]:
    """The three of the run; a terminal is all of them."""
    if "terminal" in request:
        return [os.open(str(request["terminal"]), os.O_RDWR | os.O_NOCTTY)] * 3
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    flags = {"stdin": os.O_RDONLY, "out": write, "err": write}
    return [os.open(str(request[name]), how, 0o600) for name, how in flags.items()]


def _warm_up() -> None:
    """Import what runs import, also what libraries put off to their first use: by running a few commands."""
    commands = importlib.import_module("orderctl.cli.app")
    for module in _WARM:
        importlib.import_module(module)
    for entry in commands.COMMANDS.values():
        importlib.import_module(f"orderctl.cli.{entry.place.partition(':')[0]}")
    main = importlib.import_module("orderctl.__main__").main
    os.environ |= {
        "ORDERCTL_STORE": str(_some_store(Path(os.environ["HOME"]) / "warm.db")),
        "ORDERCTL_MAIL_TRANSPORT": "maildir",
        "ORDERCTL_MAIL_MAILDIR": str(Path(os.environ["HOME"]) / "warm.mails"),
        "ORDERCTL_MAIL_SENDER": "orders@brand.example",
    }
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - as long as the process
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        for call in _FIRST_CALLS:
            sys.argv = ["orderctl", *call]
            with contextlib.suppress(SystemExit):
                main()
    for number in _STOPPING:  # a child has those of a new process, and not those of the end of the last call
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    gc.collect()
    gc.freeze()
    _fill_holes()


def _fill_holes() -> None:
    """Take what the imports left free between the memory in use, so that a child's own is side by side.

    What a child writes into a page that it shares is copied, the whole page: that is most of what a run costs.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return
    libc.malloc.restype = libc.sbrk.restype = ctypes.c_void_p
    libc.malloc.argtypes = (ctypes.c_size_t,)
    end = libc.sbrk(0)
    for size in range(_BIGGEST_HOLE, 0, -16):
        while libc.malloc(size) < end:
            pass


def _some_store(path: Path) -> Path:
    init_store(parse_address(str(path)))
    with Store(make_engine(parse_address(str(path))), "main") as store:
        orders = [SaidOrder.of(order) for order in sample_orders(20)]
        store.write(
            lambda connection: OrderImport(connection).store(orders, actor="mia", at=datetime.now(UTC), detail="warm")
        )
    return path


def _run(request: Mapping[str, object], streams: list[int]) -> NoReturn:
    """Run in a child, which ends with it."""
    os.setsid()
    if "terminal" in request:
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    sys.path[:0] = str(request["environ"].get("PYTHONPATH", "")).split(os.pathsep)
    os._exit(_called(request, streams))


def _called(request: Mapping[str, object], streams: list[int]) -> int:
    """Call `main` as the interpreter does; gives the exit code."""
    code: object = 1
    tempfile.tempdir = None  # of the environment of the last call
    try:
        os.chdir(str(request["cwd"]))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for stream in {*streams}:
            os.close(stream)
        _lose("stdout", 1, request["told"])
        _lose("stderr", 2, request["told"])
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        os.environ.clear()
        os.environ.update(request["environ"])
        encoding, _, errors = os.environ.get("PYTHONIOENCODING", "utf-8").partition(":")
        if sys.stdout is not None:
            sys.stdout.reconfigure(encoding=encoding, errors=errors or "strict", line_buffering=sys.stdout.isatty())
        if os.environ.get("PYTHONWARNINGS") == "error":
            warnings.simplefilter("error")
        random.seed()
        sys.argv = ["orderctl", *request["args"]]
        install(request["told"])
        importlib.import_module("orderctl.__main__").main()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - as the interpreter does at its end
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    return code if isinstance(code, int) else 1


def _lose(name: str, descriptor: int, told: Mapping[str, str]) -> None:
    """A standard stream as `>/dev/full`, `>&-` and `| true` leave it; what is written there is lost."""
    how = told.get(f"STRESS_{name.upper()}")
    if how == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), descriptor)
    if how == "closed":
        os.close(descriptor)
        setattr(sys, name, None)
    if how == "unread":
        unread, written = os.pipe()
        os.close(unread)
        os.dup2(written, descriptor)


if __name__ == "__main__":
    _serve()
