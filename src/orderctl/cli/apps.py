"""Small Typer apps, one a command, all made alike."""

from typing import Any

import typer
from typer.core import TyperGroup

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def command_app() -> typer.Typer:
    """An app for one command."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=_SETTINGS,
    )


class WithDefault(TyperGroup):
    """A group that goes on to its command `show` when its first argument names none of its commands."""

    default = "show"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - as Typer has it
        """Put the default before arguments that name no command and ask for no help."""
        if not (args and (args[0] in self.commands or args[0] in _SETTINGS["help_option_names"])):
            args = [self.default, *args]
        return super().parse_args(ctx, args)


def group_app(*, with_default: bool = False) -> typer.Typer:
    """An app for a command with subcommands; `with_default`: its command `show` needs not be named."""
    return typer.Typer(
        cls=WithDefault if with_default else TyperGroup,
        subcommand_metavar="[COMMAND] [ARGS]..." if with_default else None,
        add_completion=False,
        no_args_is_help=not with_default,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=_SETTINGS,
    )
