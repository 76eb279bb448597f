"""Systems for the tests: a program, whose answers a test writes into a file, and any kind by its settings."""

import json
import sys
from datetime import UTC, datetime

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
