"""Collects what the program says to operators into its gettext catalogues. A test holds the committed ones to it.

`make messages` brings each catalogue up to date with the code, names what is not translated yet, and compiles it;
`python docs/messages.py de` begins one.
"""

import io
import re
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import typer
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from orderctl.cli.app import COMMANDS, app
from orderctl.cli.apps import examples_and_notes
from orderctl.cli.manual import TOPICS
from orderctl.importing.column_map import map_names, named_map
from orderctl.language import CATALOGUES, DOMAIN

_SOURCES = CATALOGUES.parent
# The same code gives the same catalogue: what it was made from tells its age, not a date in its head.
_WRITTEN = datetime(2026, 11, 25, tzinfo=UTC)
# `_` and `N_` take one template, `ngettext` that for one and that for many.
_KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}


def collected() -> Catalog:
    """Every template of the code, and every text of `--help`, without translations."""
    catalog = Catalog(fuzzy=False, project="orderctl", creation_date=_WRITTEN, revision_date=_WRITTEN)
    for path, _line, message, *_ in extract_from_dir(_SOURCES, [("**.py", "python")], keywords=_KEYWORDS):
        catalog.add(message, locations=[(f"src/orderctl/{path}", 0)])
    for where, text in _help_texts():
        catalog.add(text, locations=[(where, 0)])
    return catalog


def updated(code: str) -> Catalog:
    """The catalogue of a language as it should be: the templates of the code with the translations that there are."""
    catalog = _read(code)
    catalog.update(collected(), no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    return catalog


def missing(catalog: Catalog) -> list[Message]:
    """The templates that have no translation."""
    return [message for message in catalog if message.id and not all(_strings(message))]


def languages() -> list[str]:
    """The languages that have a catalogue."""
    return sorted(path.parent.parent.name for path in CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.po"))


def as_po(catalog: Catalog) -> bytes:
    """The catalogue as translators edit it."""
    written = io.BytesIO()
    write_po(written, catalog, width=120, sort_output=True, include_lineno=False, omit_header=False)
    # Whichever Babel wrote it, it is the same catalogue.
    return re.sub(rb'"Generated-By: [^"]*"\n', b"", written.getvalue())


def as_mo(catalog: Catalog) -> bytes:
    """The catalogue as the program reads it."""
    written = io.BytesIO()
    write_mo(written, catalog)
    return written.getvalue()


def _read(code: str) -> Catalog:
    path = CATALOGUES / code / "LC_MESSAGES" / f"{DOMAIN}.po"
    if not path.exists():
        return Catalog(
            locale=code,
            project="orderctl",
            header_comment=f"# Messages of orderctl: {code}. Begin with a glossary: one term for one thing.",
            msgid_bugs_address="see CONTRIBUTING.md",
            creation_date=_WRITTEN,
            revision_date=_WRITTEN,
            last_translator="The orderctl authors",
            language_team=code,
            fuzzy=False,
        )
    with path.open("rb") as file:
        return read_po(file, locale=code, domain=DOMAIN)


def _strings(message: Message) -> Iterable[str]:
    return message.string if isinstance(message.string, (tuple, list)) else (message.string,)


def _help_texts() -> Iterator[tuple[str, str]]:
    """What `--help` says of each command and option, and `help` of each topic."""
    root = typer.main.get_command(app)
    yield from _of_command("orderctl", root)
    for name, entry in COMMANDS.items():
        where = f"orderctl {name}"
        yield where, entry.about
        yield where, entry.panel
        yield from _of_command(where, root.load(name))
    yield from ((f"orderctl help {name}", topic.about) for name, topic in TOPICS.items())
    yield from (("orderctl import --list-maps", named_map(name).about) for name in map_names())


def _of_command(where: str, command: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - a command of Typer's
    if command.help:
        yield where, command.help
    examples, notes = examples_and_notes(command)
    yield from ((where, text) for text in (*(comment for _, comment in examples), notes) if text)
    for param in command.params:
        if getattr(param, "help", None):
            yield where, param.help
    for name, each in getattr(command, "commands", {}).items():
        if where != "orderctl":
            yield from _of_command(f"{where} {name}", each)


if __name__ == "__main__":
    for code in sorted({*languages(), *sys.argv[1:]}):
        catalog = updated(code)
        for message in missing(catalog):
            sys.stderr.write(f"{code}: not translated: {message.id!r}\n")
        folder = CATALOGUES / code / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{DOMAIN}.po").write_bytes(as_po(catalog))
        (folder / f"{DOMAIN}.mo").write_bytes(as_mo(catalog))
