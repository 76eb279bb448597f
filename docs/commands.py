"""Writes reference/commands.md: what `--help` says, for each command."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import typer

from orderctl.cli.catalogue import COMMANDS

PAGE = Path(__file__).resolve().parent / "reference" / "commands.md"


def main() -> None:
    """Write the page."""
    parts = ["# Commands", "This page is what `--help` prints.", _section("##")]
    for name, entry in COMMANDS.items():
        parts.append(_section("##", name))
        command = typer.main.get_command(getattr(import_module(f"orderctl.cli.{entry.module}"), entry.app))
        parts += [_section("###", name, each) for each in getattr(command, "commands", {})]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(PAGE.name)


def _section(heading: str, *words: str) -> str:
    environ = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    text = subprocess.check_output([sys.executable, "-m", "orderctl", *words, "--help"], env=environ, text=True)
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"{heading} orderctl {' '.join(words)}\n\n```text\n{lines}\n```"


if __name__ == "__main__":
    main()
