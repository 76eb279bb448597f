"""`orderctl help` and `orderctl man`: the pages of all commands and the topics, read from the program itself."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from orderctl import __version__
from orderctl.cli.apps import command_app
from orderctl.cli.help_pages import Page, as_text, page_of
from orderctl.cli.help_topics import TOPICS
from orderctl.cli.options import program_of
from orderctl.domain.errors import UsageError
from orderctl.domain.text_width import pieces
from orderctl.language import say

help_ = command_app()
man = command_app()


def suggest_subjects(ctx: typer.Context, incomplete: str) -> list[str]:  # noqa: ARG001 - as Typer calls it
    """The topics and the commands."""
    root: Any = ctx.find_root().command
    return [*TOPICS, *root.list_commands(ctx)]


@help_.command(epilog="Examples:\n\norderctl help filters\n\norderctl help exit-codes\n\norderctl help mail send")
def help_command(
    ctx: typer.Context,
    subject: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC|COMMAND", help="What to explain.", autocompletion=suggest_subjects),
    ] = None,
) -> None:
    """Explain a command, or a topic: filters, statuses, exit-codes, mail, reasons."""
    program = program_of(ctx)
    root: Any = ctx.find_root()
    words = subject or []
    topic = TOPICS.get(words[0]) if len(words) == 1 else None
    if not words:
        heading = say("Topics")
        typer.echo(as_text(page_of(root.command, root)))
        typer.echo(f"{heading}\n  orderctl help {'|'.join(TOPICS)}")
        return
    if topic is not None:
        program.output.lines(topic(program))
    commands = [page for page in pages(root) if page.path.split()[1:] == words]
    if not commands and topic is None:
        known = [*TOPICS, *(page.path.partition(" ")[2] for page in pages(root))]
        close = difflib.get_close_matches(" ".join(words), known, n=1)
        raise UsageError(
            say("there is no command and no topic {subject!r}", subject=" ".join(words)),
            hint=say("did you mean {close}?", close=close[0])
            if close
            else say("the topics: {topics}", topics=", ".join(TOPICS)),
        )
    for page in commands:
        typer.echo(("\n" if topic else "") + as_text(page))


@man.command(epilog="Examples:\n\norderctl man | man -l -\n\norderctl man > orderctl.1")
def man_command(ctx: typer.Context) -> None:
    """Print the manual page, in the format of man."""
    program = program_of(ctx)
    root: Any = ctx.find_root()
    topics = {name: tuple(topic(program)) for name, topic in TOPICS.items()}
    program.output.lines(_roff(tuple(pages(root)), topics))


def pages(ctx: Any) -> Iterator[Page]:  # noqa: ANN401 - a context of Typer's
    """The pages of a command and of everything below it."""
    command: Any = ctx.command
    yield page_of(command, ctx)
    if not hasattr(command, "list_commands"):
        return
    for name in command.list_commands(ctx):
        below = command.load(name) if hasattr(command, "load") else command.get_command(ctx, name)
        yield from pages(typer.Context(below, info_name=name, parent=ctx))


def _roff(all_pages: Sequence[Page], topics: dict[str, tuple[str, ...]]) -> Iterator[str]:
    root, *commands = all_pages
    manual = say("User commands")
    yield f'.TH ORDERCTL 1 "" "orderctl {__version__}" "{manual}"'
    yield from (".ad l", ".nh")
    yield from (_head(say("NAME")), f"orderctl \\- {_escaped(root.about)}")
    yield from (_head(say("SYNOPSIS")), f".B {_escaped(root.usage)}")
    yield _head(say("OPTIONS"))
    yield from _rows(root)
    yield _head(say("COMMANDS"))
    for page in commands:
        yield from (f".SS {_escaped(page.usage)}", _escaped(page.about))
        yield from _rows(page)
        if page.examples:
            yield from (
                ".PP",
                _escaped(page.notes) or say("Examples:"),
                ".PP",
                ".nf",
                ".RS",
                *map(_escaped, page.examples),
                ".RE",
                ".fi",
            )
    for name, lines in topics.items():
        yield from (_head(name.upper().replace("-", " ")), ".nf", *map(_escaped, lines), ".fi")


def _head(title: str) -> str:
    return f".SH {title}"


def _rows(page: Page) -> Iterator[str]:
    for _title, rows in page.groups:
        for name, words in rows:
            yield from (".TP", f".B {_escaped(name)}", _escaped(words) or "\\&")


def _escaped(text: str) -> str:
    """Text that roff takes as it is: no escapes, no requests, hyphens that can be copied.

    Between wide characters it is told that the line may be broken: it knows spaces alone.
    """
    parts = (part.replace("\\", "\\e").replace("-", "\\-") for part in pieces(text))
    escaped = "".join(part if part.endswith(" ") else f"{part}\\:" for part in parts).removesuffix("\\:")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped
