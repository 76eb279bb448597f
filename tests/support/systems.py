"""A system that is a program, whose answers a test writes into a file, and the command line that knows it."""

import json
import sys

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
