"""Small Typer apps, one a command, all made alike."""

import difflib
from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from orderctl.cli.context import Context
from orderctl.cli.help_pages import as_text, page_of
from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.language import _

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"]}


def options_anywhere(root: Any) -> list[Any]:  # noqa: ANN401 - the root command, and its options
    """The options of the root command that may stand behind a command as well."""
    return [option for option in root.params if option.param_type_name == "option" and option.name != "version"]


def _with_options_anywhere(ctx: Any, own: list[Any]) -> list[Any]:  # noqa: ANN401
    """The parameters of a command, and unseen in its help those that may stand anywhere."""
    if ctx.parent is None:
        return own
    unseen = [copy(option) for option in options_anywhere(ctx.find_root().command)]
    for option in unseen:
        option.hidden = True
    return [*own, *unseen]


def _take_options_anywhere(ctx: Any) -> None:  # noqa: ANN401
    """Hand the options that may stand anywhere to the context; the command knows nothing of them."""
    if ctx.parent is None:
        return
    given = {option.name: ctx.params.pop(option.name, None) for option in options_anywhere(ctx.find_root().command)}
    if isinstance(ctx.obj, Context):
        ctx.obj.take({name: value for name, value in given.items() if value not in (None, False)})


class HelpfulCommand(TyperCommand):
    """A command whose help has the examples first."""

    allow_extra_args = True  # as far as Typer knows: what is too much is said in our words

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as Typer has it
        """The parameters that may be given."""
        return _with_options_anywhere(ctx, super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments. Raises UsageError if some are too much."""
        rest = super().parse_args(ctx, args)
        _take_options_anywhere(ctx)
        if rest and not ctx.resilient_parsing:
            raise UsageError(
                _("Got unexpected extra argument(s) ({listed})", listed=safe(" ".join(rest))),
                hint=_("see {path} --help", path=ctx.command_path),
            )
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Write the help."""
        formatter.write(as_text(page_of(self, ctx)))


class HelpfulGroup(TyperGroup):
    """A group whose help is laid out like that of a command."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as Typer has it
        """The parameters that may be given."""
        return _with_options_anywhere(ctx, super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments before the name of a command."""
        rest = super().parse_args(ctx, args)
        _take_options_anywhere(ctx)
        return rest

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """The command that the arguments name. Raises UsageError for one that there is not."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = ", ".join(map(repr, difflib.get_close_matches(name, list(self.commands))))
            raise UsageError(
                _("No such command {name!r}. Did you mean {close}?", name=name, close=close)
                if close
                else _("No such command {name!r}", name=name),
                hint=_("see {path} --help", path=ctx.command_path),
            )
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Write the help."""
        formatter.write(as_text(page_of(self, ctx)))


class WithDefault(HelpfulGroup):
    """A group that goes on to its command `show` when its first argument names none of its commands."""

    default = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Put the default before arguments that name no command and ask for no help."""
        first = next(iter(_behind_options_anywhere(ctx, args)), None)
        if first not in self.commands and first not in SETTINGS["help_option_names"]:
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def _behind_options_anywhere(ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401
    """The arguments from the first one that is not of an option that may stand anywhere."""
    options = {name: option for option in options_anywhere(ctx.find_root().command) for name in option.opts}
    at = 0
    while at < len(args) and (option := options.get(args[at].partition("=")[0])):
        at += 1 if option.is_flag or "=" in args[at] else 2
    return args[at:]


class App(typer.Typer):
    """Typer's app; its commands are helpful ones."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:  # noqa: ANN401
        """Declare a command."""
        return super().command(name, **{"cls": HelpfulCommand, **settings})


def command_app() -> App:
    """An app for one command."""
    return App(
        add_completion=False,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=SETTINGS,
    )


def group_app(*, with_default: bool = False) -> App:
    """An app for a command with subcommands; `with_default`: its command `show` needs not be named."""
    return App(
        cls=WithDefault if with_default else HelpfulGroup,
        subcommand_metavar="[COMMAND] [ARGS]..." if with_default else None,
        add_completion=False,
        no_args_is_help=not with_default,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=SETTINGS,
    )
