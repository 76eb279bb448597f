"""Small Typer apps, one a command, all made alike."""

from collections.abc import Callable
from copy import copy
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from orderctl.cli.context import Context
from orderctl.cli.help_pages import as_text, page_of
from orderctl.core.text import close_words, safe
from orderctl.errors import UsageError
from orderctl.language import _

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"]}


def options_anywhere(root: Any) -> list[Any]:  # noqa: ANN401 - the root command, and its options
    """The options of the root command that may stand behind a command as well."""
    return [option for option in root.params if option.param_type_name == "option" and option.name != "version"]


class _Helpful:
    """What commands and groups have in common: options that may stand anywhere, and their help."""

    def get_params(self, ctx: Any) -> list[Any]:  # noqa: ANN401 - as Typer has it
        """The parameters that may be given; those that may stand anywhere are unseen in the help."""
        own: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        unseen = [copy(option) for option in options_anywhere(ctx.find_root().command)] if ctx.parent else []
        for option in unseen:
            option.hidden = True
        return [*own, *unseen]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments. The options that may stand anywhere go to the context, not to the command."""
        rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        if ctx.parent:
            names = [option.name for option in options_anywhere(ctx.find_root().command)]
            given = {name: ctx.params.pop(name, None) for name in names}
            if isinstance(ctx.obj, Context):
                ctx.obj.take({name: value for name, value in given.items() if value not in (None, False)})
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Write the help."""
        formatter.write(as_text(page_of(self, ctx)))


class HelpfulCommand(_Helpful, TyperCommand):
    """A command that says in our words what is too much."""

    allow_extra_args = True  # as far as Typer knows

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments. Raises UsageError if some are too much."""
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise UsageError(
                _("Got unexpected extra argument(s) ({listed})", listed=safe(" ".join(rest))),
                hint=_("see {path} --help", path=ctx.command_path),
            )
        return rest


class HelpfulGroup(_Helpful, TyperGroup):
    """A group that guesses which command was meant."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """The command that the arguments name. Raises UsageError for one that there is not."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = ", ".join(map(repr, close_words(name, self.commands)))
            raise UsageError(
                _("No such command {name!r}. Did you mean {close}?", name=name, close=close)
                if close
                else _("No such command {name!r}", name=name),
                hint=_("see {path} --help", path=ctx.command_path),
            )
        return super().resolve_command(ctx, args)


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
    """Typer's app; its commands are helpful ones, and the ends of a run are ours."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - as Typer has it
        super().__init__(
            add_completion=False,
            pretty_exceptions_enable=False,
            pretty_exceptions_show_locals=False,
            context_settings=SETTINGS,
            **settings,
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[F], F]:  # noqa: ANN401
        """Declare a command."""
        return super().command(name, **{"cls": HelpfulCommand, **settings})


def group_app(*, with_default: bool = False) -> App:
    """An app for a command with subcommands; `with_default`: its command `show` needs not be named."""
    if with_default:
        return App(cls=WithDefault, subcommand_metavar="[COMMAND] [ARGS]...")
    return App(cls=HelpfulGroup, no_args_is_help=True)
