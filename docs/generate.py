"""Writes the pages that are made from the program itself. A test holds the committed ones to it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))
from message_list import page as message_page

from orderctl.cli.app import COMMANDS
from orderctl.cli.manual import TOPICS

HERE = Path(__file__).resolve().parent
_MADE = {
    "filters": "`orderctl help filters` prints this page in a terminal.",
    "statuses": "The statuses of orders.",
    "exit-codes": "The exit codes, for scripts and cron jobs.",
}


def pages(run: Callable[..., str]) -> dict[str, str]:
    """Each page by its path in this folder; `run` gives what `orderctl` prints for its arguments."""
    found = {
        "reference/commands.md": _commands(run),
        "man/orderctl.1": run("man"),
        "reference/messages.md": message_page(),
    }
    for topic, about in _MADE.items():
        found[f"reference/{topic}.md"] = f"# {TOPICS[topic].about}\n\n{about}\n\n{_block(run('help', topic))}\n"
    return found


def _commands(run: Callable[..., str]) -> str:
    sections = (_section(run, "##" if len(words) == 1 else "###", *words) for words in _calls())
    return (
        "\n\n".join(
            [
                "# Every command with its options",
                "What `--help` prints, for every command.",
                _section(run, "##"),
                *sections,
            ]
        )
        + "\n"
    )


def _calls() -> Iterator[tuple[str, ...]]:
    for name, entry in COMMANDS.items():
        yield (name,)
        command = typer.main.get_command(getattr(import_module(f"orderctl.cli.{entry.module}"), entry.app))
        yield from ((name, each) for each in getattr(command, "commands", {}))


def _section(run: Callable[..., str], heading: str, *words: str) -> str:
    return f"{heading} {' '.join(('orderctl', *words))}\n\n{_block(run(*words, '--help'))}"


def _block(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```text\n{lines}\n```"


def run_orderctl(*args: str) -> str:
    """What the installed program prints, a hundred columns wide."""
    environ = {**os.environ, "LANGUAGE": "en"} | {
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYTHONIOENCODING": "utf-8",
    }
    return subprocess.check_output([sys.executable, "-m", "orderctl", *args], env=environ, text=True, encoding="utf-8")


if __name__ == "__main__":
    for name, text in pages(run_orderctl).items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(name)
