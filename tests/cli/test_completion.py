"""Completion as the shells ask for it: a process that prints what could come next (docs/reference/completion.md)."""

import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from orderctl.cli.completion import candidates
from orderctl.filters.filters import FILTER_FIELDS
from orderctl.filters.suggestions import suggest_terms
from orderctl.orders.orders import Status
from support.cli import Cli
from support.completion import fill


@pytest.fixture
def filled(store_url, monkeypatch):
    fill(store_url)
    monkeypatch.setenv("ORDERCTL_STORE", store_url)
    monkeypatch.setenv("ORDERCTL_ACTOR", "mia")


@pytest.fixture
def cli(sqlite_url, tmp_path):
    fill(sqlite_url)
    return Cli(sqlite_url, tmp_path / "home")


def asked(cli, line, shell="bash"):
    cli.environ |= {"_ORDERCTL_COMPLETE": f"complete_{shell}", "_ORDERCTL_LINE": line}
    ran = cli()
    assert (ran.code, ran.err) == (0, "")
    return ran.lines


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("orderctl re", ["reject", "reconcile"]),
        ("orderctl pu", ["pull"]),
        ("orderctl help mail-", ["mail-set-up", "mail-worker", "mail-states"]),
        ("orderctl help st", ["stats", "statuses", "store"]),
        ("orderctl mail re", ["retry"]),
        ("orderctl writeback se", ["send", "settle"]),
        ("orderctl search --nope", []),
        ("orderctl search --no", ["--no-pager"]),
        ("orderctl search --store x sea", ["season:"]),
        ("orderctl search --co", ["--columns", "--count"]),
        ("orderctl search --count --co", ["--columns"]),
        ("orderctl search --format ", ["table", "ids", "csv", "json", "jsonl"]),
        ("orderctl search --format=c", ["--format=csv"]),
        ("orderctl search --columns id,bu", ["id,buyer"]),
        ("orderctl search --sort -to", ["-total"]),
        ("orderctl search st", ["status:"]),
        ("orderctl search status:oc-c", ["status:oc-created", "status:oc-confirmed"]),
        ("orderctl search status:needs-oc,re", ["status:needs-oc,returned-to-cart", "status:needs-oc,rejected"]),
        ("orderctl search status:needs-oc sea", ["season:"]),
        ("orderctl search season:26", ["season:26FW", "season:26SS"]),
        ("orderctl search tag:l", ["tag:late"]),
        ("orderctl search buyer:acme", ["buyer:acme Paris"]),
        ("orderctl search 'buyer:acm", ["buyer:acme Paris"]),
        ("orderctl search country:j", ["country:jP"]),
        ("orderctl search archived:", ["archived:yes", "archived:no"]),
        ("orderctl search id:100", ["id:1001", "id:1002"]),
        ("orderctl search sku:AB", ["sku:AB-12"]),
        ("orderctl search buyer:esc", []),
        ("orderctl reject --filter 'tag:late sea", ["tag:late season:"]),
        ("orderctl reject --saved ", ["dropped"]),
        ("orderctl reject --name f", ["friday"]),
        ("orderctl reject 1001 --plus fri", ["friday"]),
        ("orderctl reject 1001 --minus tag:l", ["tag:late"]),
        ("orderctl reject 1001 10", ["1001", "1002"]),
        ("orderctl reject --except 20", ["2001", "2002"]),
        ("orderctl show 2", ["2001", "2002"]),
        ("orderctl filter show d", ["dropped"]),
        ("orderctl tag la", ["late"]),
        ("orderctl reject --ids ", []),
        ("orderctl reject --filter=tag:la", ["--filter=tag:late"]),
        ("orderctl reject --saved=dr", ["--saved=dropped"]),
        ("orderctl reject --saved -", []),
        ("orderctl reject 1001 --yes --no", ["--notify", "--no-notify", "--no-recheck", "--no-pager"]),
        ("orderctl reject --notify --no", ["--no-recheck", "--no-pager"]),
        ("orderctl search -- sea", ["season:"]),
        ('orderctl search "buyer:acm', ["buyer:acme Paris"]),
        ("orderctl mail --quiet se", ["send", "settle"]),
        ("orderctl tag late 200", ["2001", "2002"]),
        ("orderctl nonsense ", []),
    ],
)
def test_what_is_offered(filled, line, offered):
    assert [text for text, _ in candidates(line)] == offered


def test_a_saved_plan_is_offered_by_its_short_id(cli):
    assert cli("reject", "--filter", "tag:late", "--save-plan").code == 0
    (plan,) = [line.split("\t")[0] for line in cli("plan", "list").lines]
    assert asked(cli, "orderctl plan show ") == [plan]
    assert asked(cli, f"orderctl reject --plan {plan[:3]}") == [plan]


def test_commands_and_values_come_with_a_few_words_where_the_shell_shows_them(cli):
    assert asked(cli, "orderctl sel") == ["select"]
    for shell in ("zsh", "fish"):
        assert asked(cli, "orderctl sel", shell) == ["select\tCollect orders in a named selection."]
        assert asked(cli, "orderctl search status:oc-d", shell) == ["status:oc-declined\tOC rejected by buyer"]
        assert "--count\tPrint only how many match." in asked(cli, "orderctl search --", shell)


def test_a_store_that_cannot_be_read_offers_nothing_and_says_nothing(cli):
    assert asked(cli, "orderctl --store /nowhere search season:") == []
    assert asked(cli, "orderctl --profile nope search season:") == []


def test_every_field_is_offered_and_every_status():
    assert [text for text, _ in suggest_terms("", lambda _kind, _prefix: ())] == [f"{name}:" for name in FILTER_FIELDS]
    assert [text for text, _ in suggest_terms("status:", lambda _kind, _prefix: ())] == [f"status:{s}" for s in Status]


def test_values_that_the_language_would_misread_are_quoted():
    def values(_kind, _prefix):
        return ["Acme, Paris", 'The "A"', "plain"]

    offered = [text for text, _ in suggest_terms("buyer:", values)]
    assert offered[:3] == ['buyer:"Acme, Paris"', r'buyer:"The \"A\""', "buyer:plain"]
    assert [text for text, _ in suggest_terms('(tag:late or buyer:"', values)][2] == '(tag:late or buyer:"plain"'


def test_what_is_offered_is_found_by_what_it_begins_with():
    def values(_kind, _prefix):
        return ["\u00c9t\u00e9", "\u00c6ther"]

    assert [text for text, _ in suggest_terms("buyer:et", values)] == ["buyer:et\u00e9"]
    assert [text for text, _ in suggest_terms("buyer:ae", values)] == ["buyer:aether"]
    assert [text for text, _ in suggest_terms("buyer:\u00e9t", values)] == ["buyer:\u00e9t\u00e9"]
    assert [text for text, _ in suggest_terms("tag:et", values)] == []
    assert [text for text, _ in suggest_terms("tag:\u00c9T", values)] == ["tag:\u00c9T\u00e9"]


def bash(cli, keys, until):
    """Press keys in a real bash that has loaded the script; gives the line that bash has made of them."""
    script = cli("completion", "bash").out
    folder = Path(sys.executable).parent
    environ = {**cli.environ, "PATH": f"{folder}:{cli.environ['PATH']}", "TERM": "dumb", "PS1": "> "}
    shell = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], env=environ, timeout=30, encoding="utf-8")
    try:
        shell.expect_exact("> ")
        shell.sendline(f"bind 'set enable-bracketed-paste off'; source /dev/stdin <<'END'\n{script}\nEND\necho loaded")
        shell.expect_exact("loaded\r\n")
        shell.send(keys)
        shell.expect_exact(until)
        return shell.before + until
    finally:
        shell.close(force=True)


@pytest.mark.parametrize(
    ("keys", "until"),
    [
        ("orderctl rej\t", "orderctl reject "),
        ("orderctl search sta\t", "orderctl search status:"),
        ("orderctl search status:ne\t", "orderctl search status:needs-oc "),
        ("orderctl reject --saved d\t", "orderctl reject --saved dropped "),
        ("orderctl search --format=c\t", "orderctl search --format=csv "),
    ],
    ids=repr,
)
def test_bash_completes_also_behind_a_colon(cli, keys, until):
    assert until in bash(cli, keys, until)


def test_a_hostile_name_is_quoted_before_bash_sees_it(cli, tmp_path):
    quoted = r"buyer:evil\ \`id\`\ \$HOME "
    assert quoted in bash(cli, "orderctl search buyer:evi\t", quoted)


def test_the_scripts_load(cli, tmp_path):
    for shell, word in (
        ("bash", "complete -o default"),
        ("zsh", "#compdef orderctl"),
        ("fish", "complete -c orderctl"),
    ):
        ran = cli("completion", shell)
        assert (ran.code, word in ran.out) == (0, True)
    assert subprocess.run(["bash", "-n"], input=cli("completion", "bash").out, text=True, check=False).returncode == 0
    assert "bash, zsh or fish" in cli("completion", "--help").out
    assert cli("completion", "tcsh").code == 2


def test_nothing_heavy_is_imported_while_a_key_is_pressed(sqlite_url, tmp_path):
    cli = Cli(sqlite_url, tmp_path / "home", _ORDERCTL_COMPLETE="complete_bash", _ORDERCTL_LINE="orderctl search tag:")
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "orderctl"],
        env=cli.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    imported = {name.partition(".")[0] for name in modules}
    heavy = {"pydantic", "rich", "sqlalchemy", "sqlmodel", "alembic", "psycopg", "questionary", "prompt_toolkit"}
    assert imported & heavy == set()
    assert {"typer", "sqlite3"} <= imported
    assert modules & {"orderctl.audit.log", "orderctl.mail.outbox", "orderctl.rejection.plan"} == set()
