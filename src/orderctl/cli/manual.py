"""`orderctl help` and `orderctl man`: the pages of all commands and the topics, read from the program itself."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from orderctl import __version__
from orderctl.cli.apps import command_app
from orderctl.cli.help_pages import Page, as_text, page_of
from orderctl.cli.help_topics import HOW_TO, REFERENCE, TOPICS
from orderctl.cli.options import program_of
from orderctl.domain.errors import UsageError
from orderctl.domain.text_width import pieces
from orderctl.language import say

help_ = command_app()
man = command_app()


def suggest_subjects(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:  # noqa: ARG001 - as Typer calls it
    """The topics and the commands, with a few words about each."""
    root: Any = ctx.find_root().command
    commands = {name: root.get_command(ctx, name).help for name in root.list_commands(ctx)}
    return list(({name: topic.about for name, topic in TOPICS.items()} | commands).items())


@help_.command(epilog="Examples:\n\norderctl help mail-set-up\n\norderctl help exit-codes\n\norderctl help mail send")
def help_command(
    ctx: typer.Context,
    subject: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOPIC|COMMAND", help="What to explain.", autocompletion=suggest_subjects),
    ] = None,
) -> None:
    """Explain a command or a topic; without either, list them all."""
    program = program_of(ctx)
    root: Any = ctx.find_root()
    words = subject or []
    topic = TOPICS.get(" ".join(words))
    command = _below(root, words)
    if not words:
        typer.echo(as_text(_with_topics(page_of(root.command, root))))
        return
    if topic is None and command is None:
        raise _unknown(" ".join(words), root)
    above = as_text(page_of(command.command, command)) if command else ""
    if topic and topic.page and program.output.is_terminal:
        page = topic.text if topic.page.endswith(".md") else f"```\n{topic.text}```"
        program.draw_page(page, above=above)
        return
    if above:
        typer.echo(above)
    if topic:
        program.output.lines(topic.lines(program) if topic.lines else topic.text.splitlines())


def _with_topics(page: Page) -> Page:
    """The page of the program with the topics below."""
    listed = ((say("How to"), HOW_TO), (say("Topics"), REFERENCE))
    topics = [(title, [(name, say(topic.about)) for name, topic in group.items()]) for title, group in listed]
    return replace(page, groups=(*page.groups, *topics))


def _unknown(name: str, root: Any) -> UsageError:  # noqa: ANN401 - a context of Typer's
    known = {*TOPICS, *(page.path.partition(" ")[2] for page in pages(root))}
    close = ", ".join(difflib.get_close_matches(name, sorted(known), cutoff=0.7))
    return UsageError(
        say("there is no command and no topic {subject!r}", subject=name),
        hint=say("did you mean {close}?", close=close) if close else say("orderctl help lists commands and topics"),
    )


@man.command(epilog="Examples:\n\norderctl man | man -l -\n\norderctl man > orderctl.1")
def man_command(ctx: typer.Context) -> None:
    """Print the manual page, in the format of man."""
    program = program_of(ctx)
    root: Any = ctx.find_root()
    topics = {name: tuple(topic.lines(program)) for name, topic in TOPICS.items() if topic.lines}
    program.output.lines(_roff(tuple(pages(root)), topics))


def pages(ctx: Any) -> Iterator[Page]:  # noqa: ANN401 - a context of Typer's
    """The pages of a command and of everything below it."""
    yield page_of(ctx.command, ctx)
    if hasattr(ctx.command, "list_commands"):
        for name in ctx.command.list_commands(ctx):
            yield from pages(_below(ctx, [name]))


def _below(ctx: Any, words: Sequence[str]) -> Any:  # noqa: ANN401
    """The context of the command that the words name below this one, imported now; None if there is none."""
    for word in words:
        group = ctx.command
        command = group.load(word) if hasattr(group, "load") else getattr(group, "commands", {}).get(word)
        if command is None:
            return None
        ctx = typer.Context(command, info_name=word, parent=ctx)
    return ctx


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
