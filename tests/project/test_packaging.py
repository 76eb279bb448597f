"""What `pipx install .` and `uv tool install .` unpack: a wheel with all that the program reads while it runs."""

import ast
import os
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from orderctl import __version__
from orderctl.cli.manual import TOPICS
from support.project import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from the project as it is, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    with ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in (source / "orderctl").rglob("*") if path.is_file()}
    pages = [*(ROOT / "docs/howto").iterdir(), *(ROOT / "docs/reference").iterdir(), ROOT / "docs/postgresql-roles.sql"]
    files |= {f"orderctl/pages/{page.relative_to(ROOT / 'docs').as_posix()}" for page in pages}
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert packed == {name for name in files if "__pycache__" not in name}
    assert {".py", ".toml", ".txt", ".html"} <= {Path(name).suffix for name in packed}, "column maps and letters, too"


def test_an_installed_program_has_every_topic(wheel, tmp_path):
    wheel.extractall(tmp_path)
    shown = "from orderctl.cli.manual import TOPICS; print({name: each.text for name, each in TOPICS.items()})"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    (tmp_path / "src").mkdir()
    ran = subprocess.check_output([sys.executable, "-c", shown], cwd=tmp_path / "src", env=environ, text=True)
    assert ast.literal_eval(ran) == {name: topic.text for name, topic in TOPICS.items()}
    located = [sys.executable, "-c", "import orderctl; print(orderctl.__file__)"]
    assert subprocess.check_output(located, env=environ, text=True).startswith(str(tmp_path))


def test_the_licence_goes_with_the_wheel(wheel):
    info = f"orderctl-{__version__}.dist-info"
    metadata = wheel.read(f"{info}/METADATA").decode()
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert "License-Expression: MIT\n" in metadata
    assert "Author: The orderctl authors\n" in metadata


def test_make_demo_says_first_what_it_does_and_installs_the_program_alone(tmp_path):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    call = ["make", "--dry-run", "demo", f"VENV={tmp_path}/venv"]
    first, *steps = subprocess.check_output(call, cwd=ROOT, env=environ, text=True).splitlines()
    assert first.startswith('echo "The main job on 2,400 sample orders in a temporary folder: ten to forty seconds')
    assert [step.partition("--editable ")[2] for step in steps if "--editable" in step] == ["."]
    assert steps[-1] == f"{tmp_path}/venv/bin/orderctl demo"


def test_the_installed_command_is_the_program(wheel):
    info = f"orderctl-{__version__}.dist-info"
    commands = ConfigParser()
    commands.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert dict(commands["console_scripts"]) == {"orderctl": "orderctl.__main__:main"}
    assert "Requires-Python: >=3.11" in wheel.read(f"{info}/METADATA").decode()


def test_the_lock_holds_every_dependency_in_its_range():
    """For the Python that runs this; `make lock` makes it for all."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    extras = [each for group in project["project"]["optional-dependencies"].values() for each in group]
    wanted = [*project["project"]["dependencies"], *extras, *project["build-system"]["requires"], "editables"]
    locked = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            assert not pin.extras, "pip takes no extras in constraints"
            if pin.marker is None or pin.marker.evaluate():
                assert pin.name not in locked, "one version for each Python"
                locked[pin.name] = str(pin.specifier).removeprefix("==")
    for each in map(Requirement, wanted):
        assert each.specifier.contains(locked[each.name.replace("_", "-").replace(".", "-")]), f"{each}: run make lock"
