"""The documentation says what the program does: its pages are made from it, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

from cli import Cli
from generator import docs_module

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
