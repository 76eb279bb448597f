"""The documentation says what the program does: its pages are made from it, and their links lead somewhere."""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from xml.etree import ElementTree as ET

import psycopg
import pytest
from openpyxl import Workbook

from orderctl.core.text import cell_width
from orderctl.database.postgres import SILENCE_S
from orderctl.database.sqlite import LOCK_WAIT_S
from orderctl.database.store import ATTEMPTS
from orderctl.delivery.run import LEASE
from orderctl.errors import ExitCode
from support import tryton
from support.cli import Cli, running_shell
from support.generator import docs_module
from support.postgres_server import installed_package
from support.project import ROOT, python_files
from support.smtp_server import DROP, HOST, PASSWORD, USER, ca_file, real_server, scripted_server

SOURCE = ROOT / "src/orderctl"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
PAGES = [page for page in PAGES if "_site" not in page.parts]
_LINK = re.compile(r"\]\(([^)#\s]+)[^)\s]*\)")


def test_the_pages_that_are_made_from_the_program_are_what_it_says_today(sqlite_url, tmp_path):
    cli = Cli(sqlite_url, tmp_path / "home", COLUMNS="100", NO_COLOR="1", TERM="dumb")
    pages = docs_module("generate").pages(lambda *args: cli(*args).out)
    stale = [name for name, text in pages.items() if (ROOT / "docs" / name).read_text("utf-8") != text]
    assert stale == [], "run: make docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_links_to_what_is_there(page):
    targets = [target for target in _LINK.findall(page.read_text("utf-8")) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def code_of(page):
    """What a page says in code style, beside its blocks."""
    prose = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return set(re.findall(r"`([^`\n]+)`", prose))


def test_the_readme_begins_with_the_two_commands():
    commands = re.findall(r"^(make \w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]


def test_the_code_refers_to_sections_that_the_design_has():
    sections = set(re.findall(r"^## (\w+)\.", (ROOT / "docs/design.md").read_text("utf-8"), re.MULTILINE))
    missing = [
        f"{path.relative_to(ROOT)}: section {number}"
        for path in python_files("src", "tests", "bench")
        for listed in re.findall(r"design\.md, (?:sections? )?(\w+(?:(?:, | and )\d\w*)*)", path.read_text("utf-8"))
        for number in re.findall(r"\d\w*", listed)
        if number not in sections
    ]
    assert missing == []
    assert {"3", "5b", "6"} <= sections


HOW_TOS = [str(page.relative_to(ROOT)) for page in PAGES if page.parent.name == "howto"]
# What pages tell their reader to do and no test can: how the line begins, and why.
NOT_RUN = {
    "make demo ": "sets up an environment of its own; see project/test_packaging.py",
    "make test ": "is what runs this",
    "pipx install ": "wants a package index; see project/test_packaging.py",
    "? What do the statuses": "is asked on a terminal; see importing/test_import_guess.py",
    "orderctl mail bounces": "reads a mailbox of the reader's; see mail/test_bounces.py",
    "/usr/local/bin/orderctl --profile eu mail bounces": "the same",
    "[Unit]": "is for systemd; see mail/test_worker.py for the command in it",
}
# What stands for something of the reader's own, and what that is here.
OWN_NAMES = {
    r"postgresql://(\w+)@db\.example/(\w+)": r"postgresql://\1@/\2?host={PGHOST}",
    r"https://tryton\.example": "{TRYTON}",
    r"/var/log/|/backups/": "./",
    r"/usr/local/bin/": "",
    r"48outdps": "$(orderctl plan list --format jsonl | jq -r .id | head -n 1)",
    r"\bBATCH\b": "$(orderctl log --format jsonl | jq -r .id | head -n 1)",
    r"\bID\b": "$(orderctl mail list --state unknown --format ids | head -n 1)",
}
# Programs that not every computer has: jq with what the pages use of it, and whoever picks two lines in fzf.
SCRIPTS = {
    "jq": """
import json, re, sys
*options, program = sys.argv[1:]
left = sys.stdin.read().strip()
while left:
    found, end = json.JSONDecoder().raw_decode(left)
    left = left[end:].lstrip()
    for step in program.split(" | "):
        if picked := re.fullmatch(r"select\\(\\.(\\w+) ([<>]) (\\d+)\\)", step):
            name, sign, bound = picked.groups()
            if not (found[name] < int(bound) if sign == "<" else found[name] > int(bound)):
                break
        else:
            for name in step.removeprefix(".").split("."):
                found = found[name]
    else:
        print(found if "-r" in options and isinstance(found, str) else json.dumps(found))
""",
    "fzf": """
import sys
assert sys.argv[1:] == ["--multi", "--header-lines", "1"]
print(*sys.stdin.readlines()[1:3], sep="", end="")
""",
}
ORDERS = "\n".join(
    ["id,status,ordered,currency,total,quantity,buyer_id,buyer_name,buyer_email,country,season,tags"]
    + [
        f"PO-{1000 + number},{ {2: 'oc-confirmed', 5: 'oc-created'}.get(number, 'needs-oc') },2020-01-10,EUR,99.00,"
        f"{number % 9 + 1},b{number % 2},Shop {number % 2},b{number % 2}@shop.example,{'FR' if number % 2 else 'JP'},"
        f"{'26FW' if number in (5, 6) else '26SS'},{'old' if number >= 20 else 'late' if number in (1, 3, 5) else ''}"
        for number in range(125)
    ]
)
# What there is before a page begins, and then how many orders are rejected and mails sent in the end.
STORE = (
    'mkdir -p .local/share/orderctl && cp -p "$EMPTY_STORE" .local/share/orderctl/orderctl.db',
    "orderctl import orders.csv",
)
SAVED = "orderctl filter save stale status:needs-oc 'ordered:..-90d' not tag:old"
LARGE = "orderctl reject --filter tag:old"
LOST = (
    "ORDERCTL_MAIL_PORT=$LOSING_PORT ORDERCTL_MAIL_SECURITY=none ORDERCTL_MAIL_USER="
    " orderctl reject PO-1000 PO-1001 --notify || test $? = 5"
)
SETTLED = (
    "printf 'id,status,ordered,currency,total,buyer_id,buyer_name\\n"
    "Z1,needs-oc,2022-03-01T08:00:00Z,EUR,1.20,acme,Acme\\n'"
    " > settled.csv && orderctl import settled.csv && orderctl archive Z1"
)
SERVED = (
    "PGUSER=owner createdb orders",
    "orderctl --store postgresql://owner@db.example/orders store init",
    "orderctl help postgresql-roles | psql postgresql://owner@db.example/orders -v ON_ERROR_STOP=1",
    "PGUSER=owner createdb orders_new",
)
BEFORE = {
    "README.md": ((), 124, 1),
    "docs/install.md": ((), 0, 0),
    "docs/tour.md": ((), 4, 1),
    "docs/howto/approvals.md": ((*STORE, SAVED), 18, 2),
    "docs/howto/backup.md": ((*STORE, *SERVED), 0, 0),
    "docs/howto/close-the-loop.md": (STORE[:1], 9, 6),
    "docs/howto/cron.md": (STORE, 123, 2),
    "docs/howto/distributed.md": ((), 0, 0),
    "docs/howto/freshness.md": (STORE, 0, 0),
    "docs/howto/from-spreadsheets.md": ((*STORE, LARGE), 105, 0),
    "docs/howto/limits.md": (STORE, 0, 0),
    "docs/howto/mail-set-up.md": (STORE, 0, 1),
    "docs/howto/mail-worker.md": ((*STORE, LOST), 2, 0),
    "docs/howto/personal-data.md": ((STORE[0], SETTLED), 0, 0),
    "docs/howto/pipes.md": ((*STORE, SAVED, LARGE), 109, 0),
    "docs/howto/postgresql.md": ((), 0, 0),
}


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command of a page, who gives it, and the output that is shown below it; or a file to save."""

    text: str
    by: str = ""
    shown: str = ""
    saved_as: str = ""


def steps(page: str) -> Iterator[Step]:
    """What a reader does, in the order of the page. What is neither a command nor a file is in `NOT_RUN`, or fails."""
    text = (ROOT / page).read_text("utf-8")
    for name, kind, block in re.findall(r"(?:`([\w.]+)`:\n\n)?^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        prompted = re.findall(r"^(\w*)\$ (.*)\n((?:(?!\w*\$ ).+\n)*)", block, re.MULTILINE)
        scheduled = re.findall(r"^(?:[\d*/]+ +){5}(?:orderctl (?=/))?(.*)$", block, re.MULTILINE)
        if kind == "toml":
            yield Step(text=block, saved_as=".config/orderctl/config.toml")
        elif kind == "text" and name:
            yield Step(text=block, saved_as=name)
        elif prompted or scheduled:
            yield from (Step(by=by, text=command, shown=shown) for by, command, shown in prompted)
            yield from (Step(text=command) for command in scheduled)
        else:
            yield from (Step(text=line) for line in block.splitlines()[: None if kind == "console" else 1])


@pytest.fixture
def inbox():
    with real_server("starttls") as inbox:
        yield inbox


@pytest.fixture
def shell(tmp_path, sqlite_url, postgres_server, inbox):
    """A reader's shell in their home, with files of theirs, a mail server and a PostgreSQL server."""
    home = tmp_path / "home"
    (home / ".config/orderctl").mkdir(parents=True)
    (home / "orders.csv").write_text(ORDERS)
    workbook = Workbook()
    for line in ORDERS.splitlines():
        workbook.active.append(line.split(","))
    workbook.save(home / "orders.xlsx")
    (home / "dropped.csv").write_text(
        "\ufeffOrder ID;reason;message\n\nPO-1000;dropped;\nPO-1001;late;Sorry.\n", "utf-8"
    )
    (home / "complaint.txt").write_text("Please take PO-1003 and PO-1005, and PO-77 of last year, off our list.")
    password = home / ".config/orderctl/mail-password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    for_tryton = password.with_name("tryton-password")
    for_tryton.write_text(tryton.PASSWORD)
    for_tryton.chmod(0o600)
    with (
        tryton.tryton_server(7) as (__, tryton_address),
        scripted_server({"end": [DROP, DROP]}) as losing,
        psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as admin,
        running_shell(
            home,
            SCRIPTS,
            PATH=f"{next(installed_package().rglob('bin/psql')).parent}:{os.environ['PATH']}",
            PGHOST=admin.info.host,
            PGUSER="orders",
            ORDERCTL_MAIL_HOST=HOST,
            ORDERCTL_MAIL_PORT=str(inbox.port),
            ORDERCTL_MAIL_CA_FILE=ca_file(tmp_path),
            EMPTY_STORE=sqlite_url,
            LOSING_PORT=str(losing.port),
            TRYTON=tryton_address,
        ) as shell,
    ):
        for role in ("orders", "owner"):
            admin.execute(f"CREATE ROLE {role} LOGIN CREATEDB CREATEROLE")
            # Another test may have made the roles, as somebody else.
            found = admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'orderctl!_%' ESCAPE '!'")
            for (shipped,) in found.fetchall():
                admin.execute(f"GRANT {shipped} TO {role} WITH ADMIN OPTION")
        yield shell
        for database in ("orders", "orders_new"):
            admin.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        for role in ("mia", "backup", "orders", "owner"):
            admin.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.parametrize("page", ["README.md", "docs/install.md", "docs/tour.md", *HOW_TOS])
def test_every_command_of_a_page_runs_in_its_order(page, shell, inbox):
    before, rejected, sent = BEFORE[page]
    if page != "docs/howto/mail-set-up.md":
        shell.environ |= {
            "ORDERCTL_MAIL_TRANSPORT": "smtp",
            "ORDERCTL_MAIL_USER": USER,
            "ORDERCTL_MAIL_PASSWORD": PASSWORD,
            "ORDERCTL_MAIL_SENDER": USER,
        }
    for step in (*(Step(text=command) for command in before), *steps(page)):
        if not step.text.startswith(tuple(NOT_RUN)):
            follow(step, shell)
    ids = shell("orderctl search status:rejected --format ids")
    mails = [*inbox.messages, *shell.folder.glob("mails/new/*")]
    assert (len(ids.lines), len(mails)) == (rejected, sent)


def follow(step, shell):
    """Do what a page says."""
    text = step.text
    for name, own in OWN_NAMES.items():
        text = re.sub(name, own.format_map(shell.environ), text)
    if step.saved_as:
        file = shell.folder / step.saved_as
        is_settings = file.suffix == ".toml"
        file.write_text("[profile.eu]\n" + text if is_settings and "[profile.eu]" not in text else text)
        file.chmod(0o600)
        if is_settings:
            ran = shell("orderctl --profile eu config show")
            assert ran.code == 0, (step, ran)
    elif text.startswith("export "):
        shell.environ |= dict(each.split("=", 1) for each in shlex.split(text)[1:])
    else:
        shell.ended.clear()
        ran = shell(f"export ORDERCTL_ACTOR={step.by or 'mia'}; {text}")
        assert ran.code == 0, (step, ran)
        assert [each for each in shell.ended if each[1] != 0 and " || " not in text] == []
        assert step.shown in ("", ran.out + ran.err)
        assert ran.out or not re.search(r"\| (jq|xargs)[^|]*$", text)


def test_what_pages_say_and_no_test_runs_is_still_said():
    text = "\n".join((ROOT / page).read_text("utf-8") for page in ["README.md", "docs/install.md", *HOW_TOS])
    assert [begin for begin in NOT_RUN if begin not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_modules_and_targets_that_a_page_names_are_there(page):
    named = code_of(page)
    modules = [name for name in named if re.fullmatch(r"[\w./]+\.(py|sql)", name)]
    targets = [found[1] for name in named if (found := re.fullmatch(r"make ([\w-]+)( [A-Z]+=.*)?", name))]
    assert [name for name in modules if not any((root / name).is_file() for root in (ROOT, SOURCE))] == []
    assert {*targets} <= {*re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)}


def test_what_the_page_on_reliability_names_is_there():
    reference = "".join((ROOT / f"docs/reference/{name}.md").read_text("utf-8") for name in ("commands", "settings"))
    variables = re.findall(r'environ\.get\("(\w+)"', (ROOT / "tests/stress/__main__.py").read_text("utf-8"))
    code = "".join(path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.py")))
    kinds = (
        (r"make .*|[\w./]+\.py", lambda _: True),  # held above, for every page
        (r"([A-Z]+=\d* ?)+", lambda name: {*re.findall(r"[A-Z]+", name)} <= {*variables}),
        (r"--[\w-]+", lambda name: f"`{name}" in reference or f" {name} " in reference),
        (r"[a-z]+ [a-z]+", lambda name: f"orderctl {name}" in reference),
        (r"\w+\.\w+", lambda name: (SOURCE / f"{name.replace('.', '/')}.py").is_file() or f"`{name}`" in reference),
        (
            r"\w+(\(\))?",
            lambda name: (
                re.search(rf"(def|class) {name.removesuffix('()')}\b", code) or f'__tablename__ = "{name}"' in code
            ),
        ),
    )
    named = code_of(ROOT / "docs/reliability.md") - {"orderctl", "UPDATE", "fsync", "lstrip"}
    there = {name for name in named for kind, is_there in kinds if re.fullmatch(kind, name) and is_there(name)}
    assert named - there == set()


def test_the_page_on_reliability_leads_to_every_promise():
    promises = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests/promises").glob("test_*.py")}
    assert promises - code_of(ROOT / "docs/reliability.md") == set()


def test_the_numbers_on_the_page_on_reliability_are_those_of_the_program():
    page = (ROOT / "docs/reliability.md").read_text("utf-8")
    codes = re.findall(r"\b(?:exit(?: code)?|ends with) (\d+)(?:(?: or |, )(\d+))?", page)
    assert {int(code) for pair in codes for code in pair if code} <= {*ExitCode}
    assert len(codes) >= 10
    assert timedelta(minutes=2) == LEASE
    assert "when its lease has run out, two minutes later" in page
    assert f"waits {LOCK_WAIT_S:.0f} s (SQLite) or " in page
    assert f"after {SILENCE_S:.0f} s of silence" in page
    assert (ATTEMPTS, "run again, up to eight times" in page) == (8, True)


# How each begins, and the line of its header.
_PICTURES = {
    "search": ("$ orderctl search ", 1, "Order Buyer Status "),
    "preview": ("$ orderctl reject --filter ", 1, "Reject 157 orders in "),
    "stats": ("$ orderctl stats ", 2, "Status Orders Pieces EUR"),
    "show": ("$ orderctl show ", 1, "Order 10001 "),
    "picker": ("$ orderctl select --pick ", 3, "Order Buyer "),
}
_CELL = 12.2


@pytest.mark.parametrize("name", _PICTURES)
def test_a_picture_begins_with_its_call_and_has_its_header_once(name):
    prompt, place, header = _PICTURES[name]
    lines: dict[float, list[str]] = {}
    for text in _texts(name):
        line = lines.setdefault(float(text.get("y")), [])
        line.append(" " * (round(float(text.get("x")) / _CELL) - sum(map(cell_width, line))) + text.text)
    shown = [" ".join("".join(line).split()) for line in lines.values()]
    assert shown[0].startswith(prompt)
    assert [line for line in shown[1:] if line.startswith("$ ")] == []
    assert [number for number, line in enumerate(shown) if line.startswith(header)] == [place]


def test_wide_characters_of_a_picture_have_two_cells_each():
    texts = [text for name in _PICTURES for text in _texts(name)]
    wide = [text for text in texts if cell_width(text.text) > len(text.text)]
    assert wide != []
    for text in texts:
        assert float(text.get("textLength")) == pytest.approx(cell_width(text.text) * _CELL, abs=0.1)
    for text in wide:
        assert cell_width(text.text) == 2 * len(text.text)


def _texts(name: str) -> list[ET.Element]:
    """What stands in the terminal of a picture, line by line."""
    picture = ET.parse(ROOT / "docs/pictures" / f"{name}.svg")  # noqa: S314 - our own
    return [text for text in picture.iter("{http://www.w3.org/2000/svg}text") if text.get("textLength")]
