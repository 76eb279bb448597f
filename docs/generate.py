"""Writes the pages that are made from the program itself. A test holds the committed ones to it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parent))
from message_list import page as message_page

from orderctl.cli.app import COMMANDS, app
from orderctl.cli.manual import TOPICS
from orderctl.importing.column_map import ColumnMap, map_names, named_map

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
        "reference/import-maps.md": _map_page(),
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
    root: Any = typer.main.get_command(app)
    for name in COMMANDS:
        yield (name,)
        yield from ((name, each) for each in getattr(root.load(name), "commands", {}))


def _section(run: Callable[..., str], heading: str, *words: str) -> str:
    return f"{heading} {' '.join(('orderctl', *words))}\n\n{_block(run(*words, '--help'))}"


def _block(text: str) -> str:
    lines = "\n".join(line.rstrip() for line in text.strip("\n").splitlines())
    return f"```text\n{lines}\n```"


_ABOUT_MAPS = """# Exports of other systems

What each column map that ships makes of its system's export. `orderctl import FILE` takes a map by the header of the
file, whatever its case and spaces, and says which; `--from NAME` names one.

An order can be rejected in bulk while its status here is `needs-oc` or `oc-created`, and nothing of it was delivered or
invoiced. So a map calls open what the system surely has open, and money that came in keeps an order: a *paid* Shopify
order is `oc-confirmed`, which only `reject --individual` rejects, for whoever rejects it has to give money back. A word
for a status that a map does not name is `oc-confirmed` too, never open. The import says such words and how many orders
have them, and the note of each order holds its word.

Your shop may use its words otherwise. A map of a few lines says so:

```toml
extends = "shopify"       # all of that map, but for what stands below

[status]
paid = "needs-oc"         # paid orders may be rejected: the money is given back elsewhere
```

    orderctl import orders_export.csv --map mine.toml

A key below `extends` stands for that of the other map; of tables (`columns`, `status`, `defaults`, `words`) each line
does. `currency = { first = [] }` takes a column out. What an export does not say, such as its currency, says `--default
currency=EUR`, and the zone of its times `--timezone Europe/Paris`.
"""


def _map_page() -> str:
    return "\n".join([_ABOUT_MAPS, *(line for name in map_names() for line in _map_section(name, named_map(name)))])


def _map_section(name: str, found: ColumnMap) -> Iterator[str]:
    """What a map's own comment says, and its words for a status."""
    text = Path(found.file).read_text(encoding="utf-8")
    comment = "\n".join(line[1:].strip() for line in text.split("\n\n", 1)[0].splitlines())
    yield f"## {name}\n\n{found.about}.\n"
    yield re.sub(r"https://[^\s,;]*[^\s,;.:]", r"<\g<0>>", comment) + "\n"
    if found.status:
        yield "| the word there | the status here |\n| --- | --- |"
        yield from (f"| {'*any other*' if word == '*' else word} | `{code}` |" for word, code in found.status.items())
        yield ""
    for field, what in (("delivery_notes", "delivered"), ("invoices", "invoiced"), ("rejected", "cancelled")):
        if counted := found.combined.get(field):
            nothing = ", ".join(sorted(counted.nothing))
            but = f", unless it says {nothing}" if nothing else ""
            yield f"- {what}: something stands in {', '.join(f'*{column}*' for column in counted.columns)}{but}"
    yield f"- times that name no zone: {'refused' if found.zone is None else found.timezone}\n"


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
