"""Help that is true: every page has examples, every example is a call that the program understands (docs/reference)."""

import re
import shlex
import subprocess

import pytest
import typer

from cli import Cli
from conftest import open_store
from factories import make_order, put
from orderctl.cli.app import app
from orderctl.cli.help_topics import TOPICS
from orderctl.cli.manual import pages
from orderctl.domain.errors import OrderctlError
from orderctl.domain.filters import FILTER_FIELDS
from orderctl.domain.orders import Status
from orderctl.domain.outbox import MailState

ROOT = typer.main.get_command(app)
PAGES = list(pages(typer.Context(ROOT, info_name="orderctl")))
LEAVES = [page for page in PAGES if not page.commands]
CALLS = sorted({example for page in PAGES for example in page.examples})


@pytest.fixture
def cli(sqlite_url, tmp_path):
    return Cli(sqlite_url, tmp_path / "home")


def parts(example):
    """The calls of `orderctl` in a pipe or in `$(...)`, each as its arguments."""
    inner = re.search(r"\$\((orderctl [^)]*)\)", example)
    if inner:
        return parts(inner[1])
    lexer = shlex.shlex(example, posix=True, punctuation_chars="|<>")
    lexer.whitespace_split = True
    call: list[str] = []
    calls = [call]
    words = iter(lexer)
    for word in words:
        if word in {"|", "||"}:
            call = []
            calls.append(call)
        elif word in {">", ">>", "<"}:
            next(words)
        else:
            call.append(word)
    return [call[1:] for call in calls if call[0] == "orderctl"]


def parse(command, context, args):
    """Read the arguments as the program does, down to the command that would run."""
    if not hasattr(command, "resolve_command"):
        return context
    rest = [*context._protected_args, *context.args]
    name, below, args = command.resolve_command(context, rest)
    return parse(below, below.make_context(name, list(args), parent=context), args)


@pytest.mark.parametrize("page", LEAVES, ids=lambda page: page.path)
def test_every_command_says_what_it_does_and_shows_examples(page):
    assert page.about.endswith(".")
    assert page.examples
    path = page.path.removesuffix(" show") if page.path == "orderctl log show" else page.path
    assert any(path in example for example in page.examples)


@pytest.mark.parametrize("example", CALLS)
def test_every_example_is_a_call_that_the_program_understands(example):
    calls = parts(example)
    assert calls
    for call in calls:
        parse(ROOT, ROOT.make_context("orderctl", list(call)), call)


def test_the_examples_stand_first_one_a_line_and_can_be_copied(cli):
    ran = cli("reject", "--help")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.lines
    assert lines.index("Examples") < lines.index("Usage") < lines.index("Which orders") < lines.index("Safety")
    assert "  orderctl reject 10021 10022 --reason 'style dropped'" in lines
    assert "\x1b" not in ran.out


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["serach"], "No such command 'serach'. Did you mean 'search'?", "see orderctl --help"),
        (["mail", "lst"], "No such command 'lst'. Did you mean 'list'?", "see orderctl mail --help"),
        (["reject", "--dryrun"], "there is no option --dryrun", "did you mean --dry-run?"),
        (["search", "--limit", "x"], "Invalid value for '--limit': Input should be a valid integer", "see orderctl"),
        (["show"], "Missing argument 'ID'", "see orderctl show --help"),
        (["help", "filtres"], "there is no command and no topic 'filtres'", "did you mean filters?"),
        (["search", "--sort", "totl"], "cannot sort by 'totl'", "did you mean total?"),
        (["search", "--columns", "id,byer"], "there is no column 'byer'", "did you mean buyer?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_near_miss_gets_a_suggestion(cli, args, message, hint):
    ran = cli(*args)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"orderctl: {message}\nhint: {hint}")


def test_the_topics_know_everything_that_there_is(cli):
    filters = cli("help", "filters").out
    assert all(field.example in filters for field in FILTER_FIELDS.values())
    statuses = [line.split() for line in cli("help", "statuses").lines]
    assert [row[0] for row in statuses[1:8]] == list(Status)
    assert [row[-2:] for row in statuses[1:8]] == [["yes", "yes"]] * 2 + [["no", "yes"]] * 3 + [["no", "no"]] * 2
    states = [line.split()[0] for line in cli("help", "mail").lines if line.startswith("  ")]
    assert states[: len(MailState)] == list(MailState)
    codes = {int(line.split()[0]) for line in cli("help", "exit-codes").lines}
    assert codes == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143}
    assert {error.exit_code for error in OrderctlError.__subclasses__()} <= codes
    for topic in TOPICS:
        ran = cli("help", topic)
        assert (ran.code, max(map(len, ran.lines)) <= 120) == (0, True)


def test_help_of_a_command_is_its_help(cli):
    assert cli("help", "mail", "send").out.strip() == cli("mail", "send", "--help").out.strip()
    assert cli("help").out.startswith(cli("--help").out)


def test_the_manual_page_holds_every_command_and_groff_takes_it(cli):
    ran = cli("man")
    assert ran.code == 0
    for page in LEAVES:
        assert page.usage.replace("-", "\\-") in ran.out
    checked = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z"], input=ran.out, capture_output=True, text=True, check=True
    )
    assert checked.stderr == ""


def test_the_examples_that_only_read_run_for_real(cli, sqlite_url):
    with open_store(sqlite_url) as store:
        put(store, make_order("PO-10050"))
    reading = ("orderctl search", "orderctl help", "orderctl filter list", "orderctl mail list", "orderctl config show")
    safe = [call for call in CALLS if call.startswith(reading) and "|" not in call and ">" not in call]
    assert len(safe) >= 8
    for call in safe:
        ran = cli(*parts(call)[0])
        assert ran.code == 0, (call, ran.err)
