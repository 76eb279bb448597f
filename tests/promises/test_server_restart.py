"""PostgreSQL is restarted while a rejection is in the middle of its transaction."""

import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest

from orderctl.database.address import parse_address
from orderctl.database.schema import init_store
from stress.crash import environ, fill
from stress.forkserver import fresh
from stress.invariants import Picture, violations
from support.postgres_server import installed_package, reachable_folder, running_server
from support.stores import open_store

REJECT = ("reject", "K1", "K2", "K3", "--yes")


@pytest.fixture
def cluster():
    """Where a server of this test keeps its data over a restart."""
    parent = Path(tempfile.mkdtemp(prefix="orderctl-restart-", dir=reachable_folder()))
    parent.chmod(0o755)
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


def test_a_restart_in_the_middle_changes_nothing_and_the_next_run_does_it(cluster, tmp_path):
    ended, trace = [], tmp_path / "trace"
    with running_server(cluster) as server:
        with psycopg.connect(server.format(database="postgres"), autocommit=True) as admin:
            admin.execute("CREATE DATABASE shop")
        url = server.format(database="shop")
        init_store(parse_address(url))
        with open_store(url) as store:
            fill(store)
        settings = environ(url, tmp_path, 1) | {"PATH": "/usr/bin:/bin"}
        running = threading.Thread(target=lambda: ended.append(fresh(*REJECT, environ=settings, trace=trace)))
        holding = psycopg.connect(url)
        holding.execute("UPDATE orders SET version = version")
        running.start()
        _wait_for_a_waiting_statement(url)
    running.join()
    holding.close()
    assert (ended[0].code, ended[0].out) == (7, "")
    assert ended[0].err.splitlines()[-2].startswith("orderctl: the store postgresql://")
    with running_server(cluster) as server:
        url = server.format(database="shop")
        assert Picture.of(url).rejected == set()
        assert violations(url) == []
        again = fresh(*REJECT, environ=environ(url, tmp_path, 1) | {"PATH": "/usr/bin:/bin"})
        assert (again.code, Picture.of(url).rejected) == (0, {"K1", "K2", "K3"})
        assert violations(url) == []


def test_the_server_runs_from_a_folder_that_its_user_cannot_enter(tmp_path):
    """A clone in the home of root is one."""
    package = installed_package()
    private = tmp_path / "private"
    private.mkdir()
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, private / part.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    subprocess.run(["chmod", "-R", "go=", private], check=True)
    with (
        running_server(package=private / package.name) as url,
        psycopg.connect(url.format(database="postgres")) as there,
    ):
        assert there.execute("SELECT 1").fetchone() == (1,)


def _wait_for_a_waiting_statement(url: str) -> None:
    """Until the rejection waits for the rows that somebody else holds."""
    end = time.monotonic() + 30
    with psycopg.connect(url, autocommit=True) as looking:
        while not looking.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone():
            assert time.monotonic() < end, "the rejection never came to its transaction"
            time.sleep(0.02)
