"""Whatever becomes of standard output, signals, files and memory: one line, and a code that says what was done."""

import base64
import functools
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer

from orderctl.cli.app import COMMANDS, app
from orderctl.errors import ExitCode
from orderctl.orders.orders import Status
from stress.stores import sqlite_template
from support.cli import Cli, maildir_cli
from support.factories import ACME, KUMO, make_order, put_all
from support.stores import open_store
from support.tryton import tryton_cli, tryton_server

ROOT = typer.main.get_command(app)
DONE, FAILED, NOT_REPORTED = ExitCode.DONE, ExitCode.FAILED, ExitCode.NOT_REPORTED

# Every command, as it succeeds on the store below; those that change something, with what then tells.
READING = (
    ("search",),
    ("search", "--format", "csv"),
    ("select",),
    ("select", "list"),
    ("select", "--format", "json"),
    ("show", "1001"),
    ("reject", "1001", "--dry-run", "--format", "json"),
    ("plan", "list"),
    ("plan", "show", "{plan}"),
    ("plan", "diff", "{plan}"),
    ("reconcile", "--format", "json"),
    ("export", "--all", "--format", "jsonl"),
    ("export", "--all", "--format", "xlsx"),
    ("export", "1001", "--format", "oc-pdf"),
    ("stats",),
    ("filter", "list"),
    ("filter", "show", "late"),
    ("mail", "list"),
    ("mail", "show", "{mail}"),
    ("mail", "show", "{mail}", "--raw"),
    ("mail", "bounces", "{reports}", "--format", "json"),
    ("writeback", "list", "--format", "json"),
    ("writeback", "show", "{conflict}"),
    ("log",),
    ("log", "verify"),
    ("log", "export"),
    ("log", "checkpoint"),
    ("policy", "show", "--format", "json"),
    ("buyer", "erase", "--older-than", "9y", "--format", "json"),
    ("policy", "history", "--format", "json"),
    ("store", "check", "--quick"),
    ("config", "show"),
    ("config", "check"),
    ("config", "path"),
    ("completion", "bash"),
    ("help",),
    ("man",),
    ("import", "{csv}", "--check"),
    ("pull", "shop", "--check"),
    ("demo", "--set-up-only", "--folder", "{made}"),
    ("--help",),
    ("--version",),
)
CHANGING = (
    ("reject", "1001", "--yes"),
    ("reject", "1001", "--yes", "--notify", "--format", "json"),
    ("reject", "1001", "--save-plan"),
    ("plan", "run", "{plan}", "--yes"),
    ("plan", "approve", "{plan}"),
    ("import", "{csv}"),
    ("pull", "shop"),
    ("mail", "send"),
    ("writeback", "send"),
    ("tag", "late", "1001", "--format", "json"),
    ("untag", "late", "1002", "--format", "json"),
    ("archive", "1001", "--format", "json"),
    ("unarchive", "1002", "--format", "json"),
    ("config", "init"),
)
TALKING = (
    ("select", "status:needs-oc"),
    ("plan", "cancel", "{plan}"),
    ("filter", "save", "other", "country:JP"),
    ("filter", "delete", "late"),
    ("mail", "cancel", "{mail}"),
    ("mail", "retry", "{cancelled}"),
    ("mail", "settle", "{unknown}", "--sent"),
    ("writeback", "cancel", "{untold}"),
    ("writeback", "retry", "{conflict}"),
    ("writeback", "settle", "{unsettled}", "--sent"),
    ("log", "report", "{batch}", "-o", "{made}.pdf"),
    ("log", "reentry", "{batch}", "-o", "{made}.csv"),
    ("policy", "set", "--max-orders", "100"),
    ("store", "init"),
    ("store", "upgrade"),
    ("store", "backup", "{made}.db"),
)
# A file has no logins: refused as a wrong call, whatever becomes of standard output.
REFUSED = (
    ("member", "add", "mia"),
    ("member", "remove", "mia"),
    ("member", "list"),
    ("member", "history"),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store with open orders, a saved plan, a saved filter, a selection, a batch of which mails and systems wait."""
    folder = tmp_path_factory.mktemp("prepared")
    store = folder / "store.db"
    store.write_bytes(sqlite_template().read_bytes())
    with open_store(str(store)) as opened:
        put_all(opened, [make_order(f"{number}", buyer=ACME) for number in (1001, 1002, 1003, 2001, 2002, 2003)])
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        connection.execute("UPDATE order_source SET source = 'erp' WHERE order_id LIKE '2%'")
    system = folder / "system.toml"
    secret = folder / "secret"
    secret.write_text(f"whsec_{base64.b64encode(bytes(range(32))).decode()}")
    secret.chmod(0o600)
    nobody_there = f"kind = 'webhook'\nurl = 'http://127.0.0.1:9/'\nsecret_file = '{secret}'\ntimeout = 1\n"
    system.write_text(f"[profile.default.systems.erp]\n{nobody_there}")
    cli = maildir_cli(str(store), folder, ORDERCTL_CONFIG=str(system))
    del cli.environ["ORDERCTL_MAIL_MAILDIR"]
    cli.environ |= {"ORDERCTL_MAIL_TRANSPORT": "smtp", "ORDERCTL_MAIL_HOST": "127.0.0.1", "ORDERCTL_MAIL_PORT": "9"}
    rejected = ("reject", "2001", "2002", "2003", "--yes", "--notify", "--mail-per-order", "--mail-now")
    assert cli(*rejected).code == ExitCode.MAILS_REMAIN
    del cli.environ["ORDERCTL_CONFIG"]
    (folder / "cancelled").mkdir()
    system.write_text(f"[profile.default.systems.erp]\nkind = 'file'\nfolder = '{folder}/cancelled'\n")
    untold, conflict, unsettled = cli("writeback", "list", "--format", "ids").lines
    mail, cancelled, unknown = cli("mail", "list", "--format", "ids").lines
    assert cli("mail", "cancel", cancelled).code == DONE
    with closing(sqlite3.connect(store, isolation_level=None)) as connection:
        for state in ("claimed", "sending", "unknown"):
            connection.execute("UPDATE mail SET state = ? WHERE id = ?", (state, unknown))
            connection.execute("UPDATE writeback SET state = ? WHERE id = ?", (state, unsettled))
        for state in ("claimed", "sending", "refused"):
            connection.execute("UPDATE writeback SET state = ? WHERE id = ?", (state, conflict))
    names = {
        "plan": re.search(r"[0-9a-v]{26}", cli("reject", "1003", "--save-plan", "--format", "json").out)[0],
        "batch": cli("log").lines[0].split("\t")[0],
        "mail": mail,
        "cancelled": cancelled,
        "unknown": unknown,
        "untold": untold,
        "conflict": conflict,
        "unsettled": unsettled,
    }
    assert cli("filter", "save", "late", "tag:late").code == DONE
    assert cli("select", "1001").code == cli("tag", "late", "1002").code == cli("archive", "1002").code == DONE
    (folder / "orders.csv").write_text("id,status,ordered,currency,total\n3001,needs-oc,2026-01-10,EUR,12\n")
    for name in ("new", "cur"):
        (folder / "reports" / name).mkdir(parents=True)
    with tryton_server(2) as (__, address):
        shop = tryton_cli(folder / "shop", str(store), address)
        yield (
            store,
            names
            | {
                "csv": str(folder / "orders.csv"),
                "reports": str(folder / "reports"),
                "config": shop.environ["ORDERCTL_CONFIG"],
            },
        )


@pytest.fixture
def cli(store_url, tmp_path):
    return Cli(store_url, tmp_path / "home")


def test_the_commands_here_are_those_of_the_program():
    groups = {name: getattr(ROOT.load(name), "commands", {}) for name in COMMANDS}
    called = {
        call[: 1 + bool(groups.get(call[0]))] for call in READING + CHANGING + TALKING + REFUSED if call[0] in COMMANDS
    }
    every = {(name, *sub) for name, subs in groups.items() for sub in (((each,) for each in subs) if subs else [()])}
    assert called - {("log",)} == every - {("log", "show")}


@pytest.mark.parametrize("call", READING + CHANGING + TALKING + REFUSED, ids=" ".join)
def test_a_result_that_cannot_be_written_ends_in_one_line_and_a_code_that_says_what_was_done(
    forks, prepared, tmp_path, call
):
    store, names = prepared
    for stdout in ("full", "closed", "unread"):
        folder = tmp_path / stdout
        folder.mkdir()
        cli = maildir_cli(str(shutil.copy(store, folder / "store.db")), folder)
        if call == ("writeback", "send"):
            cli.environ["ORDERCTL_CONFIG"] = str(store.parent / "system.toml")
        if call[:2] == ("plan", "approve"):
            cli.environ["ORDERCTL_ACTOR"] = "ana"
        if call[0] == "pull":
            cli.environ["ORDERCTL_CONFIG"] = names["config"]
        args = [each.format_map(names | {"made": str(folder / "made")}) for each in call]
        ended = forks(*args, environ=cli.environ, stdout=stdout)
        assert (stdout, *how(ended)) == (stdout, *expected(call, stdout))


def expected(call, stdout):
    if call in CHANGING:
        return NOT_REPORTED, True
    if call in REFUSED:
        return ExitCode.WRONG_CALL, False
    if call in TALKING or stdout == "unread":
        return DONE, False
    return FAILED, True


def how(ended):
    """The exit code, and whether the last things said are one line about standard output, perhaps with a hint."""
    assert ended.out == ""
    said = [line for line in ended.err.splitlines() if line.startswith(("orderctl: ", "hint: "))]
    assert [line[:6] for line in said] in ([], ["orderc"], ["orderc", "hint: "])
    return ended.code, bool(said) and bool(re.search("cannot be written|could not be written", said[0]))


@pytest.mark.parametrize("stderr", ["full", "closed"])
def test_a_standard_error_that_is_gone_ends_nothing(forks, sqlite_url, tmp_path, stderr):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("1001")])
    ended = forks("-v", "reject", "1001", "--yes", environ=Cli(sqlite_url, tmp_path / "home").environ, stderr=stderr)
    assert (ended.code, ended.out[:16], ended.err) == (DONE, "Rejected 1 order", "")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp932"])
def test_what_the_encoding_lacks_is_escaped(sqlite_url, tmp_path, encoding):
    with open_store(sqlite_url) as store:
        put_all(store, [make_order("1001", buyer=KUMO, reference="\u20ac\xe9\u0161")])
    cli = Cli(sqlite_url, tmp_path / "home", PYTHONIOENCODING=encoding)
    assert [
        cli(*call).code for call in (("search", "--format", "table"), ("show", "1001"), ("reject", "1001", "--yes"))
    ] == [0] * 3
    assert r"\u0161" in cli("search", "--format", "csv").out


NOTHING = "none of the 2 orders given can be rejected; nothing was changed"


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["1003", "1004"], ExitCode.UNEXPECTED_PLAN),
        (["1003", "1004", "--dry-run"], ExitCode.UNEXPECTED_PLAN),
        (["--ids", "-"], ExitCode.UNEXPECTED_PLAN),
        (["--name", "friday"], ExitCode.UNEXPECTED_PLAN),
        (["--filter", "status:oc-confirmed"], DONE),
        (["--filter", "country:JP"], DONE),
        (["1003", "1001"], DONE),
    ],
)
def test_orders_that_were_named_and_of_which_none_can_be_rejected_are_a_code_of_their_own(cli, args, code):
    with open_store(cli.environ["ORDERCTL_STORE"]) as store:
        confirmed = [make_order(each, status=Status.OC_CONFIRMED) for each in ("1003", "1004")]
        put_all(store, [make_order("1001"), *confirmed])
    assert cli("select", "status:oc-confirmed", "--name", "friday").code == DONE
    ran = cli("--quiet", "reject", *args, "--yes", "--format", "json", stdin="1003\n1004\n")
    assert (ran.code, ran.json["schema"]) == (code, 1)
    assert ran.err.partition("\n")[0] == (f"orderctl: {NOTHING}" if code else "")


UNSET = {"ORDERCTL_MAIL_HOST": "127.0.0.1", "ORDERCTL_MAIL_PORT": "9", "ORDERCTL_MAIL_TRANSPORT": "smtp"}
# A call with an outcome: the exit code, words on the screen, and what the JSON document says of the same.
OUTCOMES = [
    (["reject", "1001", "1002", "--yes"], DONE, "Rejected 2 orders", {"outcome": "rejected", "rejected": 2}),
    (["reject", "1001", "--dry-run"], DONE, "A dry run: nothing was changed.", {"outcome": "dry-run", "rejected": 0}),
    (["reject", "2001", "--yes"], 3, "Nothing to reject.", {"outcome": "nothing-to-do", "batch": None}),
    (["reject", "1001", "--yes", "--notify"], DONE, "1 mail sent", {"mails.queued": 1, "mails.sent": 1}),
    (
        ["reject", "1001", "--yes", "--notify", "unset"],
        ExitCode.MAILS_REMAIN,
        "0 mails sent; stopped: the mail server 127.0.0.1:9 cannot be reached",
        {"rejected": 1, "mails.queued": 1, "mails.sent": 0},
    ),
    (["reject", "1001", "--save-plan"], DONE, " saved: 1 order, ", {"outcome": "saved", "saved.orders": 1}),
    (["plan", "run", "{plan}", "--yes"], DONE, "Rejected 1 order", {"outcome": "rejected", "rejected": 1}),
    (["plan", "run", "{plan}", "--dry-run"], DONE, "A dry run:", {"outcome": "dry-run", "left_out": []}),
    (["plan", "approve", "{plan}"], DONE, " approved: 1 order, ", {"state": "approved", "orders": 1}),
    (["plan", "cancel", "{plan}"], DONE, " is cancelled; none", {"state": "cancelled"}),
    (["import", "{csv}"], DONE, "1 row, 1 order: 1 created,", {"stored": True, "rows": 1, "created": 1}),
    (["import", "{csv}", "--check"], DONE, "1 row, 1 order: all good", {"stored": False, "orders": 1, "created": 1}),
    (["import", "{bad}"], 2, "1 bad order; nothing was imported", {"stored": False, "bad_orders": 1, "created": 0}),
    (["import", "{bad}", "--skip-bad"], DONE, "1 created, 0 updated", {"stored": True, "bad_orders": 1, "created": 1}),
    (
        ["tag", "late", "1001", "1002"],
        DONE,
        "1 order tagged late; 1 unchanged",
        {"outcome": "done", "changed": 1, "unchanged": 1},
    ),
    (["archive", "1001", "--dry-run"], DONE, "1 order would be archived", {"outcome": "dry-run", "changed": 1}),
    (["store", "check"], DONE, "ok     log: 1 batch and", {"ok": True}),
    (["store", "check", "edited"], FAILED, "2 things wrong with the store", {"ok": False}),
    (["log", "verify"], DONE, "as written: 1 batch and 3 events", {"outcome": "as-written", "tampered": 0}),
    (["log", "verify", "edited"], FAILED, "as it was written: 1 record", {"outcome": "tampered", "tampered": 1}),
    (["config", "check"], DONE, "ok     mail: ", {"ok": True}),
    (["config", "check", "unset"], FAILED, "1 thing to mend", {"ok": False}),
    (["config", "check", "unset", "misspelt"], 2, "2 things to mend", {"ok": False}),
]


@pytest.mark.parametrize(("call", "code", "words", "said"), OUTCOMES, ids=[" ".join(each[0]) for each in OUTCOMES])
def test_the_screen_the_document_and_the_exit_code_say_the_same(prepared, tmp_path, call, code, words, said):
    store, names = prepared
    (tmp_path / "bad.csv").write_text(f"{Path(names['csv']).read_text()}3002,needs-oc,never,EUR,12\n")
    names = names | {"bad": str(tmp_path / "bad.csv")}
    for form in ("text", "json", "jsonl"):
        folder = tmp_path / form
        folder.mkdir()
        copy = Path(shutil.copy(store, folder / "store.db"))
        copy.chmod(0o600)
        if "edited" in call:
            with closing(sqlite3.connect(copy)) as connection:
                held = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'batch'"
                for (name,) in connection.execute(f"{held} AND sql LIKE '%UPDATE%'").fetchall():
                    connection.execute(f"DROP TRIGGER {name}")
                connection.execute("UPDATE batch SET reason = 'another'")
                connection.commit()
        cli = maildir_cli(str(copy), folder)
        cli.environ |= UNSET if "unset" in call else {}
        if call[:2] == ["plan", "approve"]:
            cli.environ["ORDERCTL_ACTOR"] = "ana"
        cli.environ |= {"ORDERCTL_LABLE": "x"} if "misspelt" in call else {}
        args = [each.format_map(names) for each in call if each not in {"edited", "unset", "misspelt"}]
        if args[0] == "import":
            args += ["--errors", str(folder / "errors.csv")]
        ran = cli(*args, "--format", form)
        assert (form, ran.code) == (form, code)
        if form == "text":
            assert words in ran.out + ran.err
        else:
            told = ran.json if form == "json" else json.loads(ran.lines[-1])
            told = told[-1] if isinstance(told, list) else told
            assert {path: functools.reduce(dict.get, path.split("."), told) for path in said} == said


def test_a_signal_while_a_module_loads_ends_the_run_with_its_own_code(sqlite_url, tmp_path):
    """Python ends by SIGINT whatever the code, if an `exec` was interrupted: dataclasses are made by one."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'orderctl.search.queries':\n"
        "            exec('os.kill(os.getpid(), signal.SIGTERM)')\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    environ = Cli(sqlite_url, tmp_path / "home").environ | {"PYTHONPATH": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-m", "orderctl", "search"], env=environ, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (128 + signal.SIGTERM, b"", b"orderctl: interrupted\n")
