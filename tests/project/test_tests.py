"""The tests mirror the program: a folder a room, one for what crosses rooms, and no test module imports another."""

import ast
import re

from support.project import ROOT, python_files

TESTS = ROOT / "tests"
# No room: the promises of docs/reliability.md, what is said of the project, what all of them use, and `make stress`.
OTHERS = {"promises", "project", "support", "stress"}


def imported(path):
    """The modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{each.name}" for each in node.names)


def test_no_module_imports_a_test_module():
    files = python_files("tests", "bench", "docs")
    modules = {path.stem for path in TESTS.rglob("test_*.py")} | {"conftest"}
    found = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imported(path)]
    assert [each for each in found if modules & set(re.split(r"\W+", each.partition(": ")[2]))] == []
    assert "tests/delivery/test_outbox.py: support.mail.claim" in found


def test_every_room_has_a_folder_of_tests():
    source = ROOT / "src/orderctl"
    rooms = {path.parent.name for path in source.glob("*/__init__.py")}
    modules = {path.stem for path in source.glob("*.py")}
    folders = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    assert rooms <= folders
    assert folders - rooms - modules <= OTHERS
    assert [path.name for path in TESTS.glob("*.py")] == ["conftest.py"]
