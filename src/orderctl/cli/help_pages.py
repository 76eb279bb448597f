"""What `--help` and the manual say of a command, taken from the command itself: examples first, options in groups."""

import os
import shutil
import textwrap
from dataclasses import dataclass
from enum import Enum
from typing import Any

import typer

_WIDEST = 100
_LEFT = 26  # where the words about an option begin; longer options have a line of their own
_LONG = 12  # a command with more options has them in groups
_GROUPS = {
    "Which orders": "ID FILTER --ids --saved --filter --name --all --except --except-ids --individual --pick --plan",
    "Output": "--format --columns --sort --limit --after --count --null",
    "What is written": "--output --lines --per-order --force --raw",
    "What the buyers are told": "--reason --reasons --notify --message --message-file --edit --mail-per-order",
    "Safety": "--yes --dry-run --strict --expect --max-orders --ignore-unknown",
    "Later": "--save-plan --hold",
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names.split()}
_REST = "Options"

Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One command as its users read about it: titles with names and words, of subcommands and of options."""

    path: str
    about: str
    usage: str
    examples: tuple[str, ...]
    notes: str
    commands: tuple[tuple[str, Rows], ...]
    groups: tuple[tuple[str, Rows], ...]


def page_of(command: Any, ctx: typer.Context) -> Page:  # noqa: ANN401 - a command of Typer's
    """The page of a command or of a group."""
    options: dict[str, Rows] = {}
    shown = [each for each in command.get_params(ctx) if not getattr(each, "hidden", False)]
    for parameter in shown:
        options.setdefault(_group(parameter, many=len(shown) > _LONG), []).append((_left(parameter), _words(parameter)))
    order = [*_GROUPS, "Arguments", _REST]
    grouped = [(title, options[title]) for title in order if title in options]
    lines = [line for line in (command.epilog or "").splitlines() if line.strip() and line != "Examples:"]
    return Page(
        path=ctx.command_path,
        about=" ".join((command.help or "").split()),
        usage=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        examples=tuple(line for line in lines if _is_call(line)),
        notes=" ".join(line for line in lines if not _is_call(line)),
        commands=tuple(_commands(command, ctx)),
        groups=tuple(grouped),
    )


def _is_call(line: str) -> bool:
    return "orderctl " in line


def as_text(page: Page) -> str:
    """The page for a terminal of its width."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    lines = [*textwrap.wrap(page.about, width), ""]
    if page.examples:
        lines += [_heading("Examples"), *(f"  {example}" for example in page.examples), ""]
    if page.notes:
        lines += [*textwrap.wrap(page.notes, width), ""]
    lines += [_heading("Usage"), f"  {page.usage}", ""]
    listed = (*page.commands, *page.groups)
    left = min(max(len(name) for _, rows in listed for name, _ in rows), _LEFT - 4) + 4
    for title, rows in listed:
        lines += [_heading(title), *(line for row in rows for line in _row(*row, left=left, width=width)), ""]
    return "\n".join(lines)


def _heading(text: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, bold=True)


def _row(name: str, words: str, *, left: int, width: int) -> list[str]:
    wrapped = textwrap.wrap(words, max(20, width - left)) or [""]
    first = f"  {name}"
    if len(first) > left - 2:
        return [first, *(f"{'':{left}}{line}" for line in wrapped)]
    return [f"{first:<{left}}{wrapped[0]}".rstrip(), *(f"{'':{left}}{line}" for line in wrapped[1:])]


def _commands(command: Any, ctx: typer.Context) -> list[tuple[str, Rows]]:  # noqa: ANN401
    if not hasattr(command, "list_commands"):
        return []
    panels: dict[str, Rows] = {}
    for name in command.list_commands(ctx):
        listed = command.get_command(ctx, name)
        if not listed.hidden:
            panel = listed.rich_help_panel or "Commands"
            panels.setdefault(str(panel), []).append((name, " ".join((listed.help or "").split())))
    return list(panels.items())


def _group(parameter: Any, *, many: bool) -> str:  # noqa: ANN401
    names = (parameter.metavar, *parameter.opts)
    if many and (found := next((_GROUP_OF[name] for name in names if name in _GROUP_OF), "")):
        return found
    return "Arguments" if parameter.param_type_name == "argument" else _REST


def _left(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    long = [name for name in parameter.opts if name.startswith("--")]
    short = [name for name in parameter.opts if not name.startswith("--")]
    names = ", ".join([*short, *long]) + "".join(f" / {name}" for name in parameter.secondary_opts)
    return names if parameter.is_flag else f"{names} {_value(parameter)}"


def _value(parameter: Any) -> str:  # noqa: ANN401
    """How the value of an option is written: its choices, or a word for it."""
    if parameter.metavar:
        return str(parameter.metavar)
    choices = parameter.type_descriptor.choices
    if choices and len(choices) <= _SPELLED:
        return "|".join(each.value if isinstance(each, Enum) else str(each) for each in choices)
    return "N" if parameter.type_descriptor.annotation is int else str(parameter.name).rstrip("_").upper()


_SPELLED = 4


def _words(parameter: Any) -> str:  # noqa: ANN401
    words, default = parameter.help or "", parameter.default
    choices = () if parameter.param_type_name == "argument" else parameter.type_descriptor.choices
    if choices and len(choices) > _SPELLED:
        words += f" One of: {', '.join(each.value if isinstance(each, Enum) else str(each) for each in choices)}."
    if default in (None, "", False, ()) or callable(default) or default == []:
        return words
    return f"{words} (default: {default.value if isinstance(default, Enum) else default})"
