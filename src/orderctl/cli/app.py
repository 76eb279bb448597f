"""The command line: root options, commands imported when they are called, and the one door for errors."""

import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from orderctl.bootstrap.program import Program
from orderctl.cli.apps import SETTINGS, App, HelpfulCommand, HelpfulGroup
from orderctl.cli.catalogue import COMMANDS
from orderctl.cli.suggesting import suggest_profile
from orderctl.cli.wrong_calls import explained
from orderctl.domain.errors import UsageError
from orderctl.language import say

INTERRUPTED, TERMINATED = 130, 143
_terminated: list[int] = []


class LazyCommands(HelpfulGroup):
    """Knows every command by the catalogue, and imports the one that is called."""

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - as Typer has it
        """List the commands as the catalogue describes them; `resolve_command` gives the real one."""
        super().__init__(**attrs)
        for name, entry in COMMANDS.items():
            self.add_command(HelpfulCommand(name, callback=None, help=entry.about, rich_help_panel=entry.panel))

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - as Typer has it
        """Run the program; what is wrong with the call itself is said as every other error is."""
        try:
            code = super().main(*args, **{**extra, "standalone_mode": False})
        except Exception as error:
            if not hasattr(error, "format_message"):
                raise
            code = _wrong_call(error)
        sys.exit(code or 0)

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
        """Run the command, and note how it ended."""
        exit_code = 1
        try:
            value = self._run(ctx)
            exit_code = 0
        except Exception as error:
            exit_code = getattr(error, "exit_code", 1)
            raise
        finally:
            if isinstance(ctx.obj, Program):
                ctx.obj.end(ctx.invoked_subcommand or "", exit_code)
        return value

    def _run(self, ctx: typer.Context) -> Any:  # noqa: ANN401
        """Turn errors into a sentence and an exit code, and nothing else."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            _say(str(stop) or say("interrupted"))
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
                _hint(error.hint)
            raise typer.Exit(exit_code) from None


app = App(
    cls=LazyCommands,
    name="orderctl",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)


@app.callback()
def root(
    ctx: typer.Context,
    store: Annotated[str | None, typer.Option(metavar="URL", help="The store: a file, or a PostgreSQL URL.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="The profile of the settings.", autocompletion=suggest_profile)
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but results and errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is done, and how long it takes.")] = False,
    log_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="Add a JSON line to the file for each step.")
    ] = None,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Print long lists without a pager.")] = False,
    version: Annotated[bool, typer.Option("--version", "-V", help="Print the version and end.")] = False,
) -> None:
    """Reject many wholesale orders at once: see first, decide once, do exactly what was shown, never twice."""
    if version:
        from orderctl import __version__  # noqa: PLC0415

        typer.echo(f"orderctl {__version__}")
        raise typer.Exit
    if quiet and verbose:
        raise UsageError(say("--quiet and --verbose are opposites"), hint=say("leave one of them out"))
    ctx.obj = Program(store=store, profile=profile, quiet=quiet, verbose=verbose, paged=not no_pager, log_file=log_file)


def run() -> None:
    """Run the program on the process's arguments; ends the process with the exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as `nohup` sets it
        signal.signal(signal.SIGHUP, _terminate)
    app(prog_name="orderctl")


def _terminate(number: int, _frame: object) -> None:
    """Stop as Ctrl-C does, so that both leave by the same door."""
    _terminated.append(number)
    raise KeyboardInterrupt


def _wrong_call(error: Any) -> int:  # noqa: ANN401 - what Typer raises for a call that it cannot read
    """Say what is wrong with a call, suggest what may be meant; gives the exit code."""
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(str(error.format_message()), err=True)
        return int(error.exit_code)
    what, hint = explained(error)
    _say(what)
    _hint(hint)
    return int(error.exit_code)


def _say(message: str) -> None:
    sys.stderr.write(f"orderctl: {message}\n")


def _hint(hint: str) -> None:
    sys.stderr.write(say("hint: {hint}", hint=hint) + "\n")
