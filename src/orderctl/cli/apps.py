"""Small Typer apps, one a command, all made alike."""

import typer

_SETTINGS = {"help_option_names": ["-h", "--help"]}


def command_app() -> typer.Typer:
    """An app for one command."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=_SETTINGS,
    )


def group_app() -> typer.Typer:
    """An app for a command with subcommands."""
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        pretty_exceptions_show_locals=False,
        context_settings=_SETTINGS,
    )
