"""Help that is true: every page has examples, every example is a call that the program understands (docs/reference)."""

import re
import shlex
import subprocess

import pytest
import typer

from orderctl.cli.app import app
from orderctl.cli.manual import TOPICS, pages
from orderctl.delivery.outbox import DeliveryState
from orderctl.errors import OrderctlError
from orderctl.filters.filters import FILTER_FIELDS
from orderctl.orders.orders import Status
from support.cli import Cli
from support.factories import make_order, put
from support.generator import DOCS, docs_module
from support.stores import open_store
from support.terminal import Terminal

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
        (
            ["reject", "--dryrun"],
            "No such option: --dryrun (Possible options: --dry-run)",
            "see orderctl reject --help",
        ),
        (
            ["search", "--country", "FR"],
            "No such option: --country (Possible options: --columns, --count)",
            "that is a field of a filter: country:JP; see orderctl help filters",
        ),
        (
            ["search", "--limit", "x"],
            "Invalid value for '--limit': Input should be a valid integer, unable to parse string as an integer",
            "see orderctl",
        ),
        (["show"], "Missing argument 'ID'", "see orderctl show --help"),
        (["help", "filtres"], "there is no command and no topic 'filtres'", "did you mean filters, filter?"),
        (["help", "mail-worke"], "there is no command and no topic 'mail-worke'", "did you mean mail-worker?"),
        (["help", "zzz"], "there is no command and no topic 'zzz'", "orderctl help lists commands and topics"),
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
    states = [line.split()[0] for line in cli("help", "mail-states").lines if line.startswith("  ")]
    assert states[: len(DeliveryState)] == list(DeliveryState)
    codes = {int(line.split()[0]) for line in cli("help", "exit-codes").lines}
    assert codes == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130, 143}
    assert {error.exit_code for error in OrderctlError.__subclasses__()} <= codes
    for name in (name for name, topic in TOPICS.items() if topic.lines):
        ran = cli("help", name)
        assert (ran.code, max(map(len, ran.lines)) <= 120) == (0, True)


def test_every_page_of_the_documentation_that_an_operator_needs_is_a_topic():
    pages = {path.stem for folder in ("howto", "reference") for path in (DOCS / folder).glob("*.md")}
    assert pages <= set(TOPICS)
    assert {name for name, topic in TOPICS.items() if not topic.page} - pages == {"mail-states", "reasons"}


def test_the_topics_are_listed_with_a_line_about_each(cli):
    rows = dict(line.split(maxsplit=1) for line in cli("help").lines if line.startswith("  ") and " " in line.strip())
    assert {name: rows[name] for name in TOPICS} == {name: topic.about for name, topic in TOPICS.items()}


def test_what_messages_and_pages_name_can_be_read_where_the_program_is_installed():
    """No file of the sources is named, and each call of `orderctl help` leads to a topic or a command."""
    templates = (message.id for message in docs_module("messages").collected() if message.id)
    texts = {f"message {each}": each if isinstance(each, str) else each[1] for each in templates}
    texts |= {f"topic {name}": topic.text for name, topic in TOPICS.items()}
    commands = {page.path.partition(" ")[2] for page in PAGES}
    calls = {
        (where, call) for where, text in texts.items() for call in re.findall(r"orderctl help ([a-z][\w-]*)", text)
    }
    assert {(where, call) for where, call in calls if call not in {*TOPICS, *commands, "lists"}} == set()
    assert {call for where, call in calls if where.startswith("message")} >= {"mail", "log", "store", "postgresql"}
    own = {where: re.sub(r"https://\S+", "", text) for where, text in texts.items()}
    assert [where for where, text in own.items() if re.search(r"\bdocs/|\.md\b", text)] == []


def test_a_page_is_drawn_on_a_terminal_and_is_plain_in_a_pipe(cli):
    cli.environ["PAGER"] = "cat"
    plain = cli("help", "mail").out
    assert plain.startswith(cli("mail", "--help").out)
    assert "\n## States\n" in plain
    assert "see Let a worker send the mails (`orderctl help mail-worker`)" in plain
    with Terminal(cli, "help", "mail", columns=80, rows=300) as terminal:
        assert terminal.end() == 0
        assert "\nStates\n" in terminal.text
        assert "worker, see Let a worker send the mails" in " ".join(terminal.text.split())
        assert not re.search(r"^#|\|---|`|\]\(", terminal.text, re.MULTILINE)


def test_the_roles_can_be_piped_into_psql(cli):
    assert cli("help", "postgresql-roles").out == (DOCS / "postgresql-roles.sql").read_text("utf-8")


def test_settings_that_cannot_be_read_keep_nobody_from_reading_about_settings(cli, tmp_path):
    (tmp_path / "broken.toml").write_text("default_profile = ", "utf-8")
    cli.environ |= {"ORDERCTL_CONFIG": str(tmp_path / "broken.toml"), "PAGER": "cat"}
    assert cli("search").code == 2
    assert cli("help", "settings").code == 0
    with Terminal(cli, "help", "settings", columns=80, rows=200) as terminal:
        terminal.wait_for("Every setting, and where it is looked for")
        assert terminal.end() == 0


def test_help_of_a_command_is_its_help(cli):
    assert cli("help", "mail", "send").out.strip() == cli("mail", "send", "--help").out.strip()
    assert cli("help").out.split()[: len(words := cli("--help").out.split())] == words


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


@pytest.mark.parametrize(
    "call",
    [
        ["search", "--store", "{store}", "tag:late"],
        ["--store", "/nowhere", "search", "tag:late", "--store={store}"],
        ["select", "tag:late", "--store", "{store}", "--name", "mine", "-q"],
        ["log", "--store", "{store}", "verify"],
        ["log", "--no-pager", "--store={store}", "1001"],
        ["--store", "/nowhere", "mail", "--store", "{store}", "list"],
        ["mail", "list", "--store", "/nowhere", "--store", "{store}"],
        ["plan", "list", "-q", "--store", "{store}", "--log-file", "{log}"],
    ],
)
def test_the_options_of_the_program_stand_anywhere_and_the_later_one_counts(cli, sqlite_url, tmp_path, call):
    with open_store(sqlite_url) as store:
        put(store, make_order("1001", tags=frozenset({"late"})))
    del cli.environ["ORDERCTL_STORE"]
    log = tmp_path / "log.jsonl"
    ran = cli(*(word.format(store=sqlite_url, log=log) for word in call))
    assert ran.code == 0
    if call[0] == "search" or "search" in call:
        assert ran.out == "1001\n"
    assert ran.err == "" or "-q" not in call
    assert log.exists() == ("--log-file" in call)


def test_quiet_and_verbose_stay_opposites_wherever_they_stand(cli):
    for call in (["-q", "search", "-v"], ["search", "-vq"], ["-v", "mail", "-q", "list"]):
        ran = cli(*call)
        assert (ran.code, ran.err.splitlines()[0]) == (2, "orderctl: --quiet and --verbose are opposites")


def test_what_belongs_to_another_option_is_not_taken_for_one_of_the_program(cli, sqlite_url):
    with open_store(sqlite_url) as store:
        put(store, make_order("1001"))
    assert cli("reject", "1001", "--yes", "--reason", "-q").code == 0
    assert "-q" in cli("show", "1001").out
    assert cli("search", "--", "-q").out == ""


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (
            "reject season:26SS 'buyer:Acme Paris' --yes",
            "orderctl reject --filter 'season:26SS buyer:\"Acme Paris\"' --yes",
        ),
        ("reject --dry-run Reference:PO-7*", "orderctl reject --dry-run --filter 'Reference:PO-7*'"),
        ("reject -n 1001 -- -season:26SS", "orderctl reject -n --filter '1001 -season:26SS'"),
        ("archive not season:26SS", "orderctl archive --filter 'not season:26SS'"),
        ("tag late season:26SS --ignore-unknown", "orderctl tag late --filter season:26SS --ignore-unknown"),
        ("export season:26SS --format csv", "orderctl export --filter season:26SS --format csv"),
        ("show season:26SS", "orderctl search season:26SS"),
        ("log season:26SS", "orderctl search season:26SS"),
        ("select --ids season:26SS", "a filter goes behind --filter, and select takes it as it is"),
        ("search tag:late -status:rejected --count", "orderctl search tag:late not status:rejected --count"),
        ("reject -season:26SS --yes", "orderctl reject --filter 'not season:26SS' --yes"),
        ("search '!status:rejected'", 'write: not status:; to search for a colon, quote it: "a:b"'),
    ],
)
def test_a_filter_in_the_wrong_place_gets_the_call_that_was_meant(cli, sqlite_url, call, hint):
    with open_store(sqlite_url) as store:
        put(store, make_order("1001"))
    ran = cli(*shlex.split(call))
    assert (ran.code, ran.err.splitlines()[-1]) == (2, f"hint: {hint}")
    assert cli("search", "status:rejected").out == ""


def test_an_order_whose_id_looks_like_a_term_is_still_an_order(cli, sqlite_url):
    with open_store(sqlite_url) as store:
        put(store, make_order("ref:7"))
    assert cli("show", "ref:7").code == 0
    assert cli("reject", "ref:7", "--yes").code == 0
