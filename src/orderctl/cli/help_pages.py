"""What `--help` and the manual say of a command, taken from the command itself: examples first, options in groups."""

import os
import shutil
from dataclasses import dataclass
from enum import Enum
from typing import Any

import typer

from orderctl.core.text import NARROWEST, wrapped
from orderctl.language import N_, _

_WIDEST = 100
_LEFT = 26  # where the words about an option begin; longer options have a line of their own
_LONG = 12  # a command with more options has them in groups
_GROUPS = {
    N_(
        "Which orders"
    ): "ID FILTER --ids --allow-empty --saved --filter --name --all --except --except-ids --individual --pick --plan",
    N_("Output"): "--format --columns --sort --limit --after --count --null",
    N_("What is written"): "--output --lines --per-order --force --raw",
    N_("What the buyers are told"): "--reason --reasons --notify --message --message-file --edit --mail-per-order",
    N_("Safety"): "--yes --dry-run --key --strict --expect --max-orders --ignore-unknown",
    N_("Later"): "--save-plan --hold",
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names.split()}
_ARGUMENTS, _REST, _COMMANDS = N_("Arguments"), N_("Options"), N_("Commands")
_COMMENT = "   # "
_SPELLED = 4
_ANYWHERE = N_("The options of orderctl itself (--store, --quiet and others) may stand here too: orderctl --help")
_HELP_OPTION = N_("Show this message and exit.")
Rows = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One command as its users read about it, in their language; the titles have names and words below them."""

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
    order = [*_GROUPS, _ARGUMENTS, _REST]
    grouped = [(_(title), options[title]) for title in order if title in options]
    examples, notes = examples_and_notes(command)
    return Page(
        path=ctx.command_path,
        about=_one_line(command.help),
        usage=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        examples=tuple(_with_comment(*each) for each in examples),
        notes=_(notes) if notes else "",
        commands=tuple(_commands(command, ctx)),
        groups=tuple(grouped),
    )


def examples_and_notes(command: Any) -> tuple[list[tuple[str, str]], str]:  # noqa: ANN401
    """What a command says below: calls with the comments beside them, and in one line what else there is."""
    lines = [line for line in (command.epilog or "").splitlines() if line.strip() and line != "Examples:"]
    calls = [line.partition(_COMMENT) for line in lines if _is_call(line)]
    return [(call, comment) for call, __, comment in calls], " ".join(line for line in lines if not _is_call(line))


def _is_call(line: str) -> bool:
    return "orderctl " in line


def _with_comment(call: str, comment: str) -> str:
    return f"{call}{_COMMENT}{_(comment)}" if comment else call


def _one_line(text: str | None) -> str:
    return " ".join(_(text).split()) if text else ""


def as_text(page: Page) -> str:
    """The page for a terminal of its width."""
    width = max(NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))
    lines = [*wrapped(page.about, width), ""]
    if page.examples:
        lines += [_heading(_("Examples")), *(f"  {example}" for example in page.examples), ""]
    if page.notes:
        lines += [*wrapped(page.notes, width), ""]
    lines += [_heading(_("Usage")), f"  {page.usage}", ""]
    listed = (*page.commands, *page.groups)
    left = min(max(len(name) for __, rows in listed for name, __ in rows), _LEFT - 4) + 4
    for title, rows in listed:
        lines += [_heading(title), *(line for row in rows for line in _row(*row, left=left, width=width)), ""]
    if " " in page.path:
        lines += [*wrapped(_(_ANYWHERE), width), ""]
    return "\n".join(lines)


def _heading(text: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, bold=True)


def _row(name: str, words: str, *, left: int, width: int) -> list[str]:
    lines = wrapped(words, max(20, width - left)) or [""]
    first = f"  {name}"
    if len(first) > left - 2:
        return [first, *(f"{'':{left}}{line}" for line in lines)]
    return [f"{first:<{left}}{lines[0]}".rstrip(), *(f"{'':{left}}{line}" for line in lines[1:])]


def _commands(command: Any, ctx: typer.Context) -> list[tuple[str, Rows]]:  # noqa: ANN401
    if not hasattr(command, "list_commands"):
        return []
    panels: dict[str, Rows] = {}
    for name in command.list_commands(ctx):
        listed = command.get_command(ctx, name)
        if not listed.hidden:
            panel = _(str(listed.rich_help_panel or _COMMANDS))
            panels.setdefault(panel, []).append((name, _one_line(listed.help)))
    return list(panels.items())


def _group(parameter: Any, *, many: bool) -> str:  # noqa: ANN401
    names = (parameter.metavar, *parameter.opts)
    if many and (found := next((_GROUP_OF[name] for name in names if name in _GROUP_OF), "")):
        return found
    return _ARGUMENTS if parameter.param_type_name == "argument" else _REST


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


def _words(parameter: Any) -> str:  # noqa: ANN401
    words, default = _(parameter.help) if parameter.help else "", parameter.default
    choices = () if parameter.param_type_name == "argument" else parameter.type_descriptor.choices
    if choices and len(choices) > _SPELLED:
        listed = ", ".join(each.value if isinstance(each, Enum) else str(each) for each in choices)
        words = _("{words} One of: {choices}.", words=words, choices=listed)
    if default in (None, "", False, ()) or callable(default) or default == []:
        return words
    shown = default.value if isinstance(default, Enum) else default
    return _("{words} (default: {default})", words=words, default=shown)
