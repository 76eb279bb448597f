"""Three nights under cron: its poor environment, no terminal, a log, a worker that mails (docs/howto/cron.md)."""

import json
from pathlib import Path

import pytest

from support.cli import Cli
from support.factories import ACME, KUMO, make_order, put_all
from support.smtp_server import PASSWORD, USER, ca_file, real_server
from support.stores import open_store

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
CRONTAB = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "nord"}  # and HOME: all that cron gives; no LANG
SETTINGS = """\
[profile.default]
store = "{store}"
actor = "nightly"
log_file = "{folder}/nightly.jsonl"
mail.transport = "smtp"
mail.host = "127.0.0.1"
mail.port = {port}
mail.security = "starttls"
mail.user = "{user}"
mail.password_file = "{folder}/password"
mail.ca_file = "{ca}"
mail.sender = "Nord <orders@brand.example>"
"""


@pytest.fixture
def inbox():
    with real_server("starttls") as inbox:
        yield inbox


@pytest.fixture
def night(store_url, tmp_path, inbox):
    """One line of the crontab: everything else stands in the settings."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    (tmp_path / "password").chmod(0o600)
    settings = tmp_path / "home/.config/orderctl/config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        SETTINGS.format(store=store_url, folder=tmp_path, port=inbox.port, user=USER, ca=ca_file(tmp_path))
    )
    settings.chmod(0o600)
    dropped = [make_order(f"{number}", buyer=ACME if number % 2 else KUMO) for number in range(1001, 1007)]
    with open_store(store_url) as store:
        put_all(store, [*dropped, make_order("2001", season="27SS")])
    cli = Cli(store_url, tmp_path / "home")
    cli.environ = {**CRONTAB, "HOME": str(tmp_path / "home"), "PYTHONWARNINGS": "error"}
    assert cli("filter", "save", "dropped", "season:26SS").code == 0
    return cli


REJECT = ("--quiet", "reject", "--saved", "dropped", "--yes", "--max-orders", "10", "--notify", "--format", "json")
SEND = ("--quiet", "mail", "send")


class Log:
    """The lines that were added since the last look: of a run its steps, and how it ended."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self.fresh()

    def fresh(self) -> list[tuple[object, ...]]:
        text = self._path.read_text("ascii")
        added, self._read = text[self._read :], len(text)
        assert not set("\x1b\r") & set(added)
        return [self._told(json.loads(line)) for line in added.splitlines()]

    @staticmethod
    def _told(line: dict) -> tuple[object, ...]:
        """The step and its figures, without what differs each time."""
        assert (len(line.pop("run")), line.pop("time")[10], line.pop("seconds", 0) < 60) == (26, "T", True)
        line.pop("statements", None), line.pop("store_seconds", None)
        return line.pop("step"), line


def test_three_nights_and_the_log_that_they_leave(night, tmp_path, inbox, store_url):
    log = Log(tmp_path / "nightly.jsonl")

    night.environ["ORDERCTL_MAIL_PORT"] = "9"  # the mail server is away in the first night
    rejected = night(*REJECT)
    del night.environ["ORDERCTL_MAIL_PORT"]
    assert (rejected.code, rejected.json["outcome"], rejected.err) == (5, "rejected", "")
    batch = {"batch": rejected.json["batch"], "rejected": 6, "skipped": 0, "left_out": 0, "mails": 2}
    assert log.fresh() == [
        ("planning", {}),
        ("planned", {"targets": 6, "skipped": 0}),
        ("rejecting", {}),
        ("rejected", batch),
        ("mailing", {}),
        ("end", {"command": "reject", "exit_code": 5}),
    ]
    sent = night(*SEND)
    assert (sent.code, sent.out, sent.err) == (0, "2 mails sent\n", "")
    assert log.fresh() == [("mailing", {"done": 2, "total": 2}), ("end", {"command": "mail", "exit_code": 0})]
    assert {mail["To"] for mail in inbox.mails} == {ACME.email, KUMO.email}

    nothing = night(*REJECT)
    assert (nothing.code, nothing.json["outcome"], nothing.err) == (0, "nothing-to-do", "")
    assert log.fresh() == [
        ("planning", {}),
        ("planned", {"targets": 0, "skipped": 6}),
        ("rejecting", {}),
        ("rejected", {"rejected": 0, "skipped": 6, "left_out": 0, "mails": 0}),
        ("end", {"command": "reject", "exit_code": 0}),
    ]

    with open_store(store_url) as store:
        put_all(store, [make_order(f"{number}") for number in range(3001, 3012)])
    surprise = night(*REJECT)
    assert (surprise.code, surprise.out) == (3, "")
    assert surprise.err.startswith("orderctl: the plan has 11 orders, more than --max-orders 10\n")
    assert log.fresh() == [
        ("planning", {}),
        ("planned", {"targets": 11, "skipped": 6}),
        ("end", {"command": "reject", "exit_code": 3}),
    ]
    assert night("search", "status:rejected", "--count").out == "6\n"
    assert len(inbox.messages) == 2
    assert night("log", "verify").code == 0
