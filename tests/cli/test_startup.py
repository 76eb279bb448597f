"""What a command loads is what a caller waits for: each loads what it needs and nothing else."""

import subprocess
import sys

import pytest

from support.cli import Cli
from support.factories import make_order, put
from support.stores import open_store

HEAVY = {
    "sqlalchemy", "sqlmodel", "alembic", "questionary", "prompt_toolkit", "yagmail", "smtplib", "openpyxl",
    "python_calamine", "xlsxwriter", "reportlab", "babel", "jinja2", "keyring", "email_validator", "httpx", "httpcore",
}  # fmt: skip
DRIVERS = {"sqlite3", "psycopg"}


def loaded(*args: str, store: str = "", **environ: str) -> set[str]:
    """The packages that a call of the program loads, and our own modules."""
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orderctl", *args],
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": "/nonexistent",
            "ORDERCTL_STORE": store,
            "ORDERCTL_ACTOR": "mia",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    lines = [line for line in ran.stderr.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip() for line in lines}
    assert "orderctl" in names, ran.stderr
    return {name if name.startswith("orderctl") else name.partition(".")[0] for name in names}


def rooms_of(found: set[str]) -> set[str]:
    """The rooms of the program that were entered."""
    return {name.split(".")[1] for name in found if name.startswith("orderctl.") and "__main__" not in name}


def test_version_loads_nothing_but_the_version():
    assert {name for name in loaded("--version") if name.startswith("orderctl")} == {"orderctl"}
    assert not loaded("--version") & {"typer", "rich", "dataclasses", "re"}


@pytest.mark.parametrize(
    ("args", "environ"),
    [
        (["--help"], {}),
        ([], {"_ORDERCTL_COMPLETE": "complete_bash", "COMP_WORDS": "orderctl rej", "COMP_CWORD": "1"}),
    ],
    ids=["help", "completion"],
)
def test_help_and_completion_load_no_adapter_and_no_service(args, environ):
    found = loaded(*args, **environ)
    assert not found & (HEAVY | DRIVERS | {"platformdirs", "tomllib"})
    # The filter language, the columns and the sorts are what a shell offers without asking the store.
    known = {"cli", "core", "delivery", "errors", "filters", "language", "mail", "orders", "search", "settings"}
    assert rooms_of(found) <= known
    assert {name for name in found if name.startswith("orderctl.mail.")} <= {"orderctl.mail.transports"}


def test_a_page_in_a_pipe_loads_nothing_but_the_page():
    found = loaded("help", "backup")
    assert not found & (HEAVY | DRIVERS | {"rich"})
    assert {name for name in found if name.startswith("orderctl.terminal")} <= {
        "orderctl.terminal",
        "orderctl.terminal.output",
    }
    assert not rooms_of(found) & {"database", "selection", "rejection", "plans", "audit", "importing", "exporting"}
    assert "orderctl.cli.commands.reject" not in found


def test_help_of_a_command_loads_no_adapter():
    found = loaded("reject", "--help")
    assert not found & (HEAVY | DRIVERS)
    assert not found & {"orderctl.database.sqlite", "orderctl.mail.letters", "orderctl.mail.smtp", "orderctl.files.pdf"}


@pytest.mark.parametrize("args", [["search", "status:needs-oc"], ["search", "--format", "table"], ["show", "1"]])
def test_reading_a_sqlite_store_loads_no_library_of_another_job(sqlite_url, args):
    found = loaded(*args, store=sqlite_url)
    assert "orderctl.database.sqlite" in found
    assert not found & (HEAVY | {"psycopg"})
    assert not found & {"orderctl.mail.queries", "orderctl.importing.queries", "orderctl.rejection.execute"}


def test_rejecting_without_mails_loads_no_mail(sqlite_url, tmp_path):
    with open_store(sqlite_url) as store:
        put(store, make_order())
    found = loaded("reject", "--all", "--yes", "--no-notify", store=sqlite_url)
    assert Cli(sqlite_url, tmp_path / "home")("search", "status:rejected", "--count").out == "1\n"
    assert not found & (HEAVY | {"psycopg"})


def test_a_dry_run_loads_nothing_that_sends_keeps_or_verifies(sqlite_url):
    with open_store(sqlite_url) as store:
        put(store, make_order("D1"))
    found = loaded("reject", "D1", "--dry-run", store=sqlite_url)
    assert "orderctl.rejection.assess" in found
    assert not found & (HEAVY | {"psycopg"})
    assert not found & {
        "orderctl.cli.delivery", "orderctl.delivery.service", "orderctl.mail.service", "orderctl.writeback.service",
        "orderctl.audit.verification", "orderctl.rejection.sample_letters", "orderctl.changes",
    }  # fmt: skip
