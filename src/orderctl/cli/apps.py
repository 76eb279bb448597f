"""Small Typer apps, one a command, all made alike."""

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from orderctl.cli.help_pages import as_text, page_of
from orderctl.domain.errors import UsageError
from orderctl.domain.text import safe
from orderctl.language import say

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": ["-h", "--help"]}


class HelpfulCommand(TyperCommand):
    """A command whose help has the examples first."""

    allow_extra_args = True  # as far as Typer knows: what is too much is said in our words

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Read the arguments. Raises UsageError if some are too much."""
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            raise UsageError(
                say("Got unexpected extra argument(s) ({listed})", listed=safe(" ".join(rest))),
                hint=say("see {path} --help", path=ctx.command_path),
            )
        return rest

    def format_help(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Write the help."""
        formatter.write(as_text(page_of(self, ctx)))


class HelpfulGroup(TyperGroup):
    """A group whose help is laid out like that of a command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:  # noqa: ANN401
        """The command that the arguments name. Raises UsageError for one that there is not."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            close = ", ".join(map(repr, difflib.get_close_matches(name, list(self.commands))))
            raise UsageError(
                say("No such command {name!r}. Did you mean {close}?", name=name, close=close)
                if close
                else say("No such command {name!r}", name=name),
                hint=say("see {path} --help", path=ctx.command_path),
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
        if not (args and (args[0] in self.commands or args[0] in SETTINGS["help_option_names"])):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


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
