"""The command line: root options, commands imported when they are called, and the one door for errors."""

import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from orderctl.bootstrap import Program
from orderctl.cli.catalogue import COMMANDS
from orderctl.cli.suggesting import suggest_profile

INTERRUPTED, TERMINATED = 130, 143
_terminated: list[int] = []


class LazyCommands(TyperGroup):
    """Knows every command by the catalogue, and imports the one that is called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # noqa: ARG002
        """Every name, in the order of the catalogue."""
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | None:  # type: ignore[override]  # noqa: ARG002
        """The command as a list shows it; `resolve_command` gives the real one."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        return TyperCommand(cmd_name, callback=None, help=entry.about, rich_help_panel=entry.panel)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:  # type: ignore[override]
        """The command that is called, imported now."""
        name, listed, rest = super().resolve_command(ctx, args)
        if name is None or listed is None:
            return name, listed, rest
        return name, self.load(name), rest

    @staticmethod
    def load(name: str) -> Any:  # noqa: ANN401 - a command of Typer's, or a group
        """The command of that name, imported now; None if there is none."""
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        command = typer.main.get_command(getattr(import_module(f"orderctl.cli.{entry.module}"), entry.app))
        command.name = name
        return command

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # noqa: ANN401
        """Run the command; turn errors into a sentence and an exit code, and nothing else."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            _say(str(stop) or "interrupted")
            usual = TERMINATED if _terminated else INTERRUPTED
            raise typer.Exit(getattr(stop, "exit_code", usual)) from None
        except BrokenPipeError:
            # Who read our output has seen enough. Python would complain again while it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            exit_code = getattr(error, "exit_code", None)
            if exit_code is None or not hasattr(error, "hint"):
                raise
            _say(str(error))
            if error.hint:
                sys.stderr.write(f"hint: {error.hint}\n")
            raise typer.Exit(exit_code) from None


app = typer.Typer(
    cls=LazyCommands,
    name="orderctl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Option(metavar="URL", help="The store: a file, or a PostgreSQL URL.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="The profile of the settings.", autocompletion=suggest_profile)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and end.")] = False,
) -> None:
    """Reject many wholesale orders at once: see first, decide once, do exactly what was shown, never twice."""
    if version:
        from orderctl import __version__  # noqa: PLC0415

        typer.echo(f"orderctl {__version__}")
        raise typer.Exit
    ctx.obj = Program(store=store, profile=profile, quiet=quiet)


def run() -> None:
    """Run the program on the process's arguments; ends the process with the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    app(prog_name="orderctl")


def _terminate(number: int, _frame: object) -> None:
    """Stop as Ctrl-C does, so that both leave by the same door."""
    _terminated.append(number)
    raise KeyboardInterrupt


def _say(message: str) -> None:
    sys.stderr.write(f"orderctl: {message}\n")
