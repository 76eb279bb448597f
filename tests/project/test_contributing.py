"""The page for contributors leads to what is there: its trails, its rooms, its table of places."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

from support.project import ROOT, python_files

SOURCE = ROOT / "src/orderctl"
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TRAILS = re.findall(r"^### (.*)\n\nAt most (\d+) files\.\n\n((?:\d+\. .*\n)+)", PAGE, re.MULTILINE)


def names_in(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def test_there_are_four_trails():
    assert [title for title, _, _ in TRAILS] == [
        "A filter, from the command line to SQL",
        "An id, from standard input to the mail",
        "A plan, from planning to execution",
        "A cell of a file, to a row of the store",
    ]
    assert [int(most) for _, most, _ in TRAILS] == [5, 14, 6, 8]


@pytest.mark.parametrize(("most", "steps"), [(int(most), steps) for _, most, steps in TRAILS])
def test_every_step_of_a_trail_is_there(most: int, steps: str):
    lines = steps.splitlines()
    assert 1 < len(lines) <= most
    for line in lines:
        file, *functions = re.findall(r"`([\w./]+)`", line)
        assert functions, line
        assert set(functions) - {"orderctl"} <= names_in(SOURCE / file), line


def test_the_files_that_the_page_names_are_there():
    named = {each for each in re.findall(r"`([\w./]+\.(?:py|toml|txt|md))`", PAGE) if "/" in each}
    folders = (SOURCE, ROOT)
    assert {each for each in named if not any((folder / each).exists() for folder in folders)} == set()


def test_the_functions_of_the_table_of_places_are_there():
    for file, name in re.findall(r"`([\w/]+\.py)`, `(\w+)`", PAGE):
        text = (SOURCE / file).read_text("utf-8")
        assert re.search(rf"^(?:def |class )?{name}\b", text, re.MULTILINE), (file, name)


def test_the_picture_has_the_rooms_in_the_order_that_is_held():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    (rooms,) = [each for each in config["tool"]["importlinter"]["contracts"] if each["type"] == "layers"]
    (picture,) = re.findall(r"^```\n(cli .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    drawn = [re.split(r"\s{3,}", line)[:-1] for line in picture.splitlines()]
    assert drawn == [re.split(r" [|:] ", layer) for layer in rooms["layers"]]


# Words that only we used, and names that say nothing; each has the field's own term now, or none is needed.
OLD_WORDS = {
    *("lane", "lanes", "seal", "sealed", "sealing", "journal", "moment", "moments", "inert", "standing", "reach"),
    *("say_count", "own_ids", "letterfacts", "letter_facts"),
}
OLD_MODULES = {
    *("record", "asking", "reading", "watching", "scopes", "copies", "inspection", "catalogue"),
    *("utils", "helpers", "common", "manager", "base", "misc", "data", "info", "handle"),
}


def test_the_old_words_are_in_no_name():
    found = set()
    for path in python_files("src", "tests", "bench"):
        if path.stem.lower() in OLD_WORDS | OLD_MODULES:
            found.add(str(path.relative_to(ROOT)))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                name = node.name
            elif isinstance(node, ast.Name | ast.arg | ast.Attribute):
                name = getattr(node, "id", "") or getattr(node, "arg", "") or getattr(node, "attr", "")
            else:
                continue
            if OLD_WORDS & {name.strip("_").lower(), *name.lower().split("_")} and not name.startswith("test_"):
                found.add(f"{path.relative_to(ROOT)}: {name}")
    assert found == set()
