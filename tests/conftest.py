"""Stores for the tests: each test gets a fresh one, made by the real migrations, on both engines."""

import gc
import os
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from orderctl.database.store import Store

pytest.register_assert_rewrite("support")  # before any of it is imported

from stress.forkserver import ForkServer, warm_server  # noqa: E402
from stress.stores import postgres_template, sqlite_template  # noqa: E402
from support.pgbouncer import running_pgbouncer  # noqa: E402
from support.postgres_server import reachable_folder, running_server  # noqa: E402
from support.stores import open_store  # noqa: E402

_numbers = count(1)

# Where pytest makes its folders: a commit on a disk waits for it, some milliseconds each.
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(reachable_folder()))


def pytest_xdist_auto_num_workers() -> int:
    """Three workers for two processors: tests wait for servers and for other processes much of their time."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With TEST_PGBOUNCER, leave out what has no store behind the pooler."""
    if not os.environ.get("TEST_PGBOUNCER"):
        return
    left = [item for item in items if not _is_pooled(item)]
    config.hook.pytest_deselected(items=left)
    items[:] = [item for item in items if _is_pooled(item)]


def _is_pooled(item: pytest.Item) -> bool:
    given = getattr(item, "callspec", None)
    on_postgres = given is not None and given.params.get("store_url") == "postgresql"
    return on_postgres or "postgres_url" in item.fixturenames or item.get_closest_marker("pgbouncer") is not None


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the developer's own settings, data or store."""
    for name in [name for name in os.environ if name.startswith("ORDERCTL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server of this worker, or the one that `stress.mutate` keeps; the URL wants `.format(database=...)`."""
    if kept := os.environ.get("TEST_POSTGRES_SERVER"):
        yield kept
        return
    with running_server() as url:
        postgres_template(url)
        yield url


@pytest.fixture(scope="session")
def forks() -> ForkServer:
    """Runs of the program forked from a warm process; see `stress.forkserver`."""
    return warm_server()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    path = tmp_path / f"store{next(_numbers)}.db"
    shutil.copy(sqlite_template(), path)
    path.chmod(0o600)
    return str(path)


@pytest.fixture(scope="session")
def _postgres_admin(postgres_server: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin:
        yield admin


@pytest.fixture(scope="session")
def pooled_server(postgres_server: str) -> Iterator[str]:
    """The same server behind pgbouncer in transaction mode."""
    with running_pgbouncer(postgres_server) as url:
        yield url


@pytest.fixture
def postgres_url(
    request: pytest.FixtureRequest, postgres_server: str, _postgres_admin: psycopg.Connection
) -> Iterator[str]:
    """The URL of a fresh store; with TEST_PGBOUNCER behind the pooler, in a database of another time zone."""
    name = f"store{os.getpid()}_{next(_numbers)}"
    _postgres_admin.execute(f"CREATE DATABASE {name} TEMPLATE template_store STRATEGY file_copy")
    if os.environ.get("TEST_PGBOUNCER"):
        _postgres_admin.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
        yield request.getfixturevalue("pooled_server").format(database=name)
    else:
        yield postgres_server.format(database=name)
    _postgres_admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh store; the test runs on both engines."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """A fresh store, opened; the test runs on both engines."""
    with open_store(store_url) as opened:
        yield opened
