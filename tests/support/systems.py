"""Systems for the tests: a program, whose answers a test writes into a file, and any kind by its settings."""

import json
import sqlite3
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from orderctl.core.money import Money
from orderctl.settings import read_settings
from orderctl.systems.systems import Cancellation, system_named
from support.cli import Cli

PROGRAM = """
import json, pathlib, sys, time
told, answers = map(pathlib.Path, sys.argv[1:3])
for line in sys.stdin:
    asked = json.loads(line)
    with told.open("a") as file:
        file.write(line)
    answer = json.loads(answers.read_text()).get(asked["order"], {"outcome": "cancelled"})
    if answer == "sleep":
        time.sleep(60)
    if answer == "die":
        sys.exit(1)
    print(json.dumps({"id": asked["id"], **answer}) if isinstance(answer, dict) else answer, flush=True)
"""


class Shop:
    """The system `shop`: `answers` by order id, and what it was told."""

    def __init__(self, folder, url):
        folder.mkdir(exist_ok=True)
        self.program, self._told, self._answers = folder / "shop.py", folder / "told", folder / "answers"
        self.program.write_text(PROGRAM)
        self.answer()
        self.config = folder / "config.toml"
        self.config.write_text(
            f"[profile.default]\nmail.transport = 'maildir'\nmail.maildir = '{folder}/mails'\n"
            "mail.sender = 'orders@brand.example'\n[profile.default.systems.shop]\nkind = 'command'\ntimeout = 1\n"
            f"command = '{sys.executable} {self.program} {self._told} {self._answers}'\n"
        )
        self.cli = Cli(url, folder / "home", ORDERCTL_CONFIG=str(self.config))

    def answer(self, **answers):
        """What it says of these orders from now on; it cancels the others."""
        self._answers.write_text(json.dumps(answers))

    @property
    def told(self):
        """The ids of the orders that it was told to cancel, in order."""
        return [each["order"] for each in self.documents]

    @property
    def documents(self):
        return [json.loads(line) for line in self._told.read_text().splitlines()] if self._told.exists() else []

    def states(self):
        """The state of the write-back of each order."""
        listed = self.cli("writeback", "list", "--format", "json", "--limit", "0").json
        return {each["order_id"]: each["state"] for each in listed}

    def mails(self):
        """The state of the mail to each address."""
        return {each["recipient"]: each["state"] for each in self.cli("mail", "list", "--format", "json").json}


_SHELL = """
while IFS= read -r line; do printf '%s\\n' "$line" >> "$1"; echo '{"outcome": "cancelled"}'; done
"""
_SALES = """
CREATE TABLE sale (id TEXT PRIMARY KEY, state TEXT NOT NULL DEFAULT 'open');
CREATE TABLE told (id TEXT NOT NULL);
CREATE TRIGGER telling AFTER UPDATE ON sale BEGIN INSERT INTO told VALUES (NEW.id); END;
"""


class CountingShop:
    """The system `shop`, which cancels whatever it is told of and counts it. `config` is a file of settings.

    `program`: of the kind `command`, in the shell, so that it starts at once. `database`: of the kind `sql`, with a
    statement that cancels again what is cancelled. `guarded`: one that does not, and that can be asked.
    """

    def __init__(self, folder, kind):
        self._folder, self._kind = folder / kind, kind
        self._folder.mkdir()
        self._program, self._told, self._sales = (self._folder / name for name in ("shop.sh", "told", "sales.db"))
        self._program.write_text(_SHELL)
        cancel = "UPDATE sale SET state = 'cancelled' WHERE id = :key"
        kinds = {
            "program": {"kind": "command", "command": f"sh {self._program} {self._told}"},
            "database": {"kind": "sql", "url": f"sqlite:///{self._sales}", "statement": cancel},
        }
        kinds["guarded"] = kinds["database"] | {
            "statement": f"{cancel} AND state = 'open'",
            "query": "SELECT state FROM sale WHERE id = :key",
        }
        how = [f"{name} = {json.dumps(value)}" for name, value in kinds[kind].items()]
        self.config = self._folder / "config.toml"
        self.config.write_text("\n".join(["[profile.default.systems.shop]", *how]) + "\n")

    def open(self, orders):
        """A shop in which these orders are open, and that was told of none."""
        for old in self._folder.glob("*sales.db*"):
            old.unlink()
        self._told.unlink(missing_ok=True)
        with closing(sqlite3.connect(self._sales)) as sales:
            sales.executescript(_SALES)
            sales.executemany("INSERT INTO sale (id) VALUES (?)", [(order,) for order in orders])
            sales.commit()

    def cancel(self, order):
        """Somebody cancels an order there, in a shop that is a database. It counts as one that it was told of."""
        with closing(sqlite3.connect(self._sales)) as sales, sales:
            sales.execute("UPDATE sale SET state = 'cancelled' WHERE id = ?", [order])

    def told(self):
        """How often it was told of each order, once its program has ended with whoever started it."""
        if self._kind == "program":
            self._settle()
            lines = self._told.read_text().splitlines() if self._told.exists() else []
            return Counter(json.loads(line)["order"] for line in lines)
        with closing(sqlite3.connect(self._sales)) as sales:
            return Counter(order for (order,) in sales.execute("SELECT id FROM told"))

    def _settle(self):
        """Wait until no program runs: one whose input ended still does what it has read."""
        end, named = time.monotonic() + 20, str(self._program).encode()
        while any(named in _call_of(process) for process in Path("/proc").glob("[0-9]*/cmdline")):
            assert time.monotonic() < end, "the program of the shop does not end"
            time.sleep(0.005)


def _call_of(cmdline):
    """What a process was called with; empty if it ended meanwhile."""
    try:
        return cmdline.read_bytes()
    except OSError:
        return b""


def system_of(folder, /, **settings):
    """A system with these settings, called `erp`, not opened yet."""
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    config = folder / "system.toml"
    config.write_text("\n".join(["[profile.default.systems.erp]", *lines]) + "\n")
    return system_named(read_settings(config, {}, {}), "erp").connect()


def cancellation(key="A", number=1, **values):
    """What a system is told of an order of the batch `b`."""
    given = {"id": f"b.{number}", "order_id": key, "key": key, "batch_id": "b", "reason": "dropped", "reason_code": ""}
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Cancellation(**{**given, "amount": Money("EUR", 1000), "rejected_at": at, **values})


def told(system, *cancellations):
    """The state and the words of each of these, over one connection."""
    with system:
        outcomes = [system.send(None, each, lambda: True) for each in cancellations]
    return [(outcome.state.value, outcome.detail) for outcome in outcomes]
