"""The documentation says what the program does: its pages are made from it, and their links lead somewhere."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from cli import Cli
from generator import docs_module
from orderctl.services.delivery_run import LEASE

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
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


def test_the_readme_begins_with_the_two_commands():
    commands = re.findall(r"^(make \w+)", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]


def test_the_code_refers_to_sections_that_the_design_has():
    sections = set(re.findall(r"^## (\w+)\.", (ROOT / "docs/design.md").read_text("utf-8"), re.MULTILINE))
    missing = [
        f"{path.relative_to(ROOT)}: section {number}"
        for folder in ("src", "tests", "bench")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for listed in re.findall(r"design\.md, (?:sections? )?(\w+(?:(?:, | and )\d\w*)*)", path.read_text("utf-8"))
        for number in re.findall(r"\d\w*", listed)
        if number not in sections
    ]
    assert missing == []
    assert {"3", "5b", "6"} <= sections


def test_every_command_of_the_tour_runs_in_its_order(tmp_path):
    tour = (ROOT / "docs/tour.md").read_text("utf-8")
    (tmp_path / "orders.csv").write_text(re.search(r"```text\n(id,.*?)```", tour, re.DOTALL)[1], "utf-8")
    cli = Cli(str(tmp_path / "tour.db"), tmp_path / "home")
    told = 0
    for block in re.findall(r"```console\n(.*?)```", tour, re.DOTALL):
        for command, shown in re.findall(r"^\$ (.*)\n((?:[^$\n].*\n)*)", block, re.MULTILINE):
            call, _, file = command.replace("=./mails", "=mails").partition(" > ")
            # The process that runs the commands may have another working folder.
            program, *args = (
                re.sub(
                    r"(^|=)(orders\.csv|columns\.toml|mails)$", lambda found: found[1] + f"{tmp_path}/{found[2]}", each
                )
                for each in shlex.split(call)
            )
            if program == "export":
                cli.environ |= dict(each.split("=", 1) for each in args)
                continue
            asks = args[0] == "reject" and "--dry-run" not in args
            ran = cli(*args, *(["--yes"] if asks else []))
            assert (ran.code, command) == (0, command), ran
            if file:
                (tmp_path / file).write_text(ran.out, "utf-8")
            assert shown in ran.out + ran.err
            told += "--notify" in args
    assert told == 1
    assert cli("mail", "list", "--format", "json").out.count('"state": "sent"') == 1


def test_the_lease_of_a_mail_is_as_long_as_the_page_says():
    assert timedelta(minutes=2) == LEASE
    assert "when its lease has run out, two minutes later" in (ROOT / "docs/reliability.md").read_text("utf-8")
