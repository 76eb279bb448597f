"""Typer's apps, commands and groups as this program has them: their help, and options that may stand anywhere."""

import inspect
import os
import shutil
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup

from orderctl.cli.context import Context
from orderctl.core.text import NARROWEST, wrapped
from orderctl.language import N_, _

Rows = list[tuple[str, str]]
_WIDEST = 100
_LEFT = 26  # the column where the words about an option begin; longer options have a line of their own
_MANY = 12  # a command with more options has them in groups
_GROUPS = {
    N_("Which orders"): "ID FILTER --ids --allow-empty --saved --filter --name --all --plus --only --minus"
    " --except --except-ids --individual --pick --plan",
    N_("Output"): "--format --columns --sort --limit --after --count --null",
    N_("What is written"): "--output --lines --per-order --force --raw",
    N_("What the buyers are told"): "--reason --reasons --notify --message --message-file --edit --mail-per-order",
    N_("Safety"): "--yes --dry-run --rehearse --key --strict --expect --max-orders --ignore-unknown",
    N_("Later"): "--save-plan --hold",
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names.split()}
_ARGUMENTS, _OPTIONS, _COMMANDS = N_("Arguments"), N_("Options"), N_("Commands")
_COMMENT = "   # "
_ANYWHERE = N_("The options of orderctl itself (--store, --quiet and others) may stand here too: orderctl --help")
_HELP_OPTION = N_("Show this message and exit.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The help of one command in the operator's language. Each title has rows of a name and the words about it."""

    path: str
    about: str
    usage: str
    examples: tuple[str, ...]
    notes: str
    commands: dict[str, Rows]
    options: dict[str, Rows]

    def __str__(self) -> str:
        """The page for a terminal of this width."""
        width = max(NARROWEST, min(shutil.get_terminal_size().columns, _WIDEST))
        parts = [wrapped(self.about, width)]
        if self.examples:
            parts.append([_heading(_("Examples")), *(f"  {example}" for example in self.examples)])
        if self.notes:
            parts.append(wrapped(self.notes, width))
        parts.append([_heading(_("Usage")), f"  {self.usage}"])
        listed = {**self.commands, **self.options}
        left = min(max(len(name) for rows in listed.values() for name, __ in rows), _LEFT - 4) + 4
        for title, rows in listed.items():
            parts.append([_heading(title), *(line for row in rows for line in _row(*row, left=left, width=width))])
        if " " in self.path:
            parts.append(wrapped(_(_ANYWHERE), width))
        return "".join(f"{line}\n" for part in parts for line in (*part, ""))


def page_of(ctx: Any) -> Page:  # noqa: ANN401 - a context of Typer's
    """The page of the command or group of this context."""
    command = ctx.command
    examples, notes = examples_and_notes(command)
    shown = [each for each in command.get_params(ctx) if not each.hidden]
    order: dict[str, Rows] = {_(title): [] for title in (*_GROUPS, _ARGUMENTS, _OPTIONS)}
    for each in shown:
        order[_(_group(each, many=len(shown) > _MANY))].append((_left(each), _words(each)))
    return Page(
        path=ctx.command_path,
        about=one_line(command.help),
        usage=" ".join([ctx.command_path, *command.collect_usage_pieces(ctx)]),
        examples=tuple(f"{call}{_COMMENT}{_(comment)}" if comment else call for call, comment in examples),
        notes=_(notes),
        commands=_commands(ctx),
        options={title: rows for title, rows in order.items() if rows},
    )


def examples_and_notes(command: Any) -> tuple[Rows, str]:  # noqa: ANN401 - a command of Typer's
    """What the epilog of a command says: calls with the comments beside them, and its other lines as one."""
    lines = (command.epilog or "").splitlines()
    calls = [line.partition(_COMMENT)[::2] for line in lines if "orderctl " in line]
    return calls, " ".join(line for line in lines if "orderctl " not in line)


def below(ctx: Any, words: Sequence[str]) -> Any:  # noqa: ANN401 - contexts of Typer's
    """The context of the command that the words name below this one, imported now; None if there is none."""
    for word in words:
        if not isinstance(ctx.command, HelpfulGroup) or word not in ctx.command.commands:
            return None
        command = ctx.command.load(word)
        ctx = typer.Context(command, info_name=word, parent=ctx, resilient_parsing=ctx.resilient_parsing)
    return ctx


def one_line(text: str | None) -> str:
    """A text of a declaration in the operator's language, without its line breaks; empty if there is none."""
    return " ".join(_(text).split()) if text else ""


def _heading(text: str) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, bold=True)


def _row(name: str, words: str, *, left: int, width: int) -> list[str]:
    first, *rest = wrapped(words, max(20, width - left)) or [""]
    if len(name) > left - 4:  # the name has a line of its own
        first, rest = "", [first, *rest]
    return [f"  {name:<{left - 2}}{first}".rstrip(), *(f"{'':{left}}{line}" for line in rest)]


def _commands(ctx: Any) -> dict[str, Rows]:  # noqa: ANN401
    panels: dict[str, Rows] = {}
    for name, listed in getattr(ctx.command, "commands", {}).items():
        panels.setdefault(_(str(listed.rich_help_panel or _COMMANDS)), []).append((name, one_line(listed.help)))
    return panels


def _group(parameter: Any, *, many: bool) -> str:  # noqa: ANN401
    names = (parameter.metavar, *parameter.opts)
    if many and (found := next((_GROUP_OF[name] for name in names if name in _GROUP_OF), "")):
        return found
    return _ARGUMENTS if parameter.param_type_name == "argument" else _OPTIONS


def _left(parameter: Any) -> str:  # noqa: ANN401
    value = parameter.metavar or _value(parameter)
    if parameter.param_type_name == "argument":
        return str(value)
    names = " / ".join([", ".join(sorted(parameter.opts, key=len)), *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {value}"


def _value(parameter: Any) -> str:  # noqa: ANN401
    """How a value is written that has no word of its own: its choices, N for a number, or the name in capitals."""
    if choices := parameter.type_descriptor.choices:
        return "|".join(map(_written, choices))
    return "N" if parameter.type_descriptor.annotation is int else str(parameter.name).rstrip("_").upper()


def _words(parameter: Any) -> str:  # noqa: ANN401
    words, default = one_line(parameter.help), parameter.default
    if callable(default) or default in (None, "", False, ()) or default == []:
        return words
    return _("{words} (default: {default})", words=words, default=_written(default))


def _written(value: object) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def options_anywhere(ctx: Any) -> list[Any]:  # noqa: ANN401 - options of Typer's
    """The options of the root command that may stand behind a command as well."""
    root = ctx.find_root().command
    return [option for option in root.params if option.param_type_name == "option" and option.name != "version"]


class _Helpful:
    """Commands and groups: the options that may stand anywhere, and the help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as Typer has it
        """The parameters of the command, and hidden from its help those that may stand anywhere."""
        own: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        anywhere = [copy(option) for option in options_anywhere(ctx)] if ctx.parent else []
        for option in anywhere:
            option.hidden = True
        return [*own, *anywhere]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments. The options that may stand anywhere go to the `Context`, not to the command."""
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        if ctx.parent:
            given = {option.name: ctx.params.pop(option.name, None) for option in options_anywhere(ctx)}
            if isinstance(ctx.obj, Context):
                ctx.obj.take({name: value for name, value in given.items() if value not in (None, False)})
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Write the help."""
        formatter.write(str(page_of(ctx)))


class HelpfulCommand(_Helpful, TyperCommand):
    """A command."""


class HelpfulGroup(_Helpful, TyperGroup):
    """A group of commands."""

    def load(self, name: str) -> Any:  # noqa: ANN401 - a command of Typer's, or a group
        """The command of that name, ready to run."""
        return self.commands[name]


class WithDefault(HelpfulGroup):
    """A group whose command `show` need not be named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments; those that name no command and ask for no help are for `show`."""
        parser = self.make_parser(ctx)
        parser.ignore_unknown_options = True
        given, rest, __ = parser.parse_args([*args])
        read = args[: len(args) - len(rest)]
        named = "--" not in read and bool(rest) and rest[0] in self.commands
        return super().parse_args(ctx, args if named or "help" in given else ["show", *args])


Command = Callable[..., None]


class Without(frozenset[str]):
    """In `Annotated`, beside a group of options: the names of those that this command does not take."""


def _for_typer(command: Command) -> Command:
    """The command as Typer calls it: with our `Context`, and with each group of options that it takes.

    A group is a dataclass; its fields that are `Annotated` are its options.
    """
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command).parameters.values():
        kind, *marks = get_args(own.annotation) or (own.annotation,)
        if not (isinstance(kind, type) and is_dataclass(kind)):
            parameters.append(own.replace(annotation=typer.Context) if kind is Context else own)
            continue
        left_out = next((mark for mark in marks if isinstance(mark, Without)), Without())
        fields = inspect.signature(kind).parameters.values()
        options = [each for each in fields if get_origin(each.annotation) is Annotated and each.name not in left_out]
        groups[own.name] = kind, [each.name for each in options]
        parameters += options

    @wraps(command)
    def called(**given: Any) -> None:  # noqa: ANN401 - the values that Typer read
        for name, (kind, options) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in options})
        if "context" in given:
            given["context"] = given["context"].obj
        command(**given)

    # Typer reads both of these.
    listed = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    called.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in listed}
    return called


class App(typer.Typer):
    """An app whose commands are of the classes above, and are called as `_for_typer` says."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as Typer has it
        super().__init__(
            add_completion=False,
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **settings,
        )

    def command(  # type: ignore[override]
        self, *examples: str, name: str | None = None, about: str | None = None
    ) -> Callable[[Command], Command]:
        """Declare a command with its examples; a line that is no call is a note. `about`: if it has no docstring."""

        def declared(command: Command) -> Command:
            named = name or command.__name__.rstrip("_")
            super(App, self).command(named, cls=HelpfulCommand, help=about, epilog="\n".join(examples))(
                _for_typer(command)
            )
            return command

        return declared


def group_app(about: str, *examples: str, with_default: bool = False) -> App:
    """An app for a command with subcommands; `with_default`: its command `show` need not be named."""
    if with_default:
        app = App(cls=WithDefault, subcommand_metavar="[COMMAND] [ARGS]...")
    else:
        app = App(cls=HelpfulGroup, no_args_is_help=True)
    app.callback(help=about, epilog="\n".join(examples))(lambda: None)
    return app


def single(*examples: str, about: str | None = None) -> Callable[[Command], App]:
    """Make an app of a function: a command without subcommands."""

    def made(command: Command) -> App:
        app = App()
        app.command(*examples, about=about)(command)
        return app

    return made
