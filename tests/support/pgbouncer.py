"""pgbouncer in transaction mode before the tests' PostgreSQL, in its default configuration."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from support.postgres_server import reachable_folder, unprivileged

_PORT = 6432
# What one must say: where to listen, who may come, what lies behind, and the mode. `pool` is left at its default of 20
# but for the tests that want a pool of one.
_CONFIGURATION = """\
[databases]
* = host={server}
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {folder}
auth_type = trust
auth_user = postgres
auth_file = {folder}/users
pool_mode = transaction
"""


@contextlib.contextmanager
def running_pgbouncer(server: str, *, pool: int | None = None) -> Iterator[str]:
    """Start a pooler before a server of `running_server`; gives a URL of the same form."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    assert program, "pgbouncer is not installed: make test-pgbouncer says how"
    folder = Path(tempfile.mkdtemp(prefix="orderctl-pool-", dir=reachable_folder()))
    configuration = folder / "pgbouncer.ini"
    host = re.search(r"host=([^&]+)", server)[1]
    size = "" if pool is None else f"default_pool_size = {pool}\n"
    configuration.write_text(_CONFIGURATION.format(server=host, port=_PORT, folder=folder) + size)
    (folder / "users").write_text('"postgres" ""\n')
    folder.chmod(0o755)
    as_user = unprivileged()
    if as_user:
        os.chown(folder, as_user["user"], as_user["group"])
    with (folder / "log").open("wb") as log:
        pooler = subprocess.Popen([program, configuration], stdout=log, stderr=log, cwd=folder, **as_user)
    try:
        url = f"postgresql://postgres@/{{database}}?host={folder}&port={_PORT}"
        _wait(url.format(database="postgres"), pooler, folder / "log")
        yield url
    finally:
        pooler.terminate()
        pooler.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(url: str, pooler: subprocess.Popen, log: Path) -> None:
    for _ in range(200):
        assert pooler.poll() is None, log.read_text()
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"the pooler did not answer: {log.read_text()}")
