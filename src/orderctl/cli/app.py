"""The program: its options, and its commands, which are imported when they are called. `ending.py` ends a run."""

import os
import sys
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import Annotated, Any

import typer

from orderctl import __version__
from orderctl.cli.apps import App, HelpfulCommand, HelpfulGroup
from orderctl.cli.context import Context
from orderctl.cli.ending import Ending
from orderctl.cli.options import suggest_profile


class LazyCommands(HelpfulGroup):
    """The commands of the table `COMMANDS`. Only the one that is called is imported."""

    def __init__(self, **attrs: Any) -> None:  # noqa: ANN401 - as Typer has it
        """Add a stand-in for each command, which help and suggestions need; `resolve_command` returns the real one."""
        super().__init__(**attrs)
        for name, entry in COMMANDS.items():
            self.add_command(HelpfulCommand(name, callback=None, help=entry.about, rich_help_panel=entry.panel))

    def main(self, *_args: Any, **_extra: Any) -> Any:  # noqa: ANN401 - as Typer has it
        """Run the program with the arguments of the process, and end the process with the exit code."""
        ending = Ending()

        def call() -> None:
            with self.make_context("orderctl", sys.argv[1:]) as context:
                ending.root = context
                self.invoke(context)

        try:
            code = ending.of(call)
        except BaseException as error:  # noqa: BLE001 - the ending itself failed: end with that error
            code = ending.of(partial(_raise, error))
        if ending.stopped:
            # Python ends by SIGINT, whatever the code, if the signal came while `exec` ran a text: dataclasses do that.
            os._exit(code)
        raise SystemExit(code)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:  # type: ignore[override]
        """The command that is called, imported now."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, self.load(name) if name and listed else listed, rest

    def load(self, name: str) -> Any:  # noqa: ANN401 - a command of Typer's, or a group
        """The command of that name, imported now."""
        entry = COMMANDS[name]
        command = typer.main.get_command(getattr(import_module(f"orderctl.cli.{entry.module}"), entry.app))
        command.name = name
        return command


app = App(cls=LazyCommands, name="orderctl", no_args_is_help=True)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"orderctl {__version__}")
        raise typer.Exit


@app.callback(
    epilog="The options may stand anywhere, behind the command too; where one is given twice, the later one counts."
)
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
    version: Annotated[  # noqa: ARG001 - answered while the call is read
        bool, typer.Option("--version", "-V", help="Print the version and end.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Reject many wholesale orders at once: see first, decide once, do exactly what was shown, never twice."""
    ctx.obj = Context(store=store, profile=profile, quiet=quiet, verbose=verbose, no_pager=no_pager, log_file=log_file)


def _raise(error: BaseException) -> None:
    raise error


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: its module in `orderctl.cli`, one line about it, and its panel in `orderctl --help`.

    `app` is the name of its app in the module.
    """

    module: str
    about: str
    panel: str
    app: str = "app"


_MAIN, _AROUND, _RECORD, _SETUP = "The main job", "Around it", "The record", "Set-up"
COMMANDS = {
    "search": Entry("commands.search", "Find orders: a table on a terminal, ids in a pipe.", _MAIN),
    "select": Entry("commands.select", "Collect orders in a named selection.", _MAIN),
    "reject": Entry("commands.reject", "Plan, preview, confirm, reject, and tell the buyers.", _MAIN),
    "plan": Entry("commands.plan", "Saved plans: what would happen, what changed, who approved.", _MAIN),
    "show": Entry(
        "commands.search", "Show one order: lines, tags, log, and whether it can be rejected.", _AROUND, "show_app"
    ),
    "archive": Entry("commands.changing", "Take orders out of the default view.", _AROUND, "archive"),
    "unarchive": Entry("commands.changing", "Put archived orders back into the default view.", _AROUND, "unarchive"),
    "tag": Entry("commands.changing", "Put a tag on orders.", _AROUND, "tag"),
    "untag": Entry("commands.changing", "Take a tag off orders.", _AROUND, "untag"),
    "import": Entry("commands.importing", "Read orders from Excel, CSV or JSON lines.", _AROUND),
    "pull": Entry("commands.importing", "Read orders straight out of the system where they live.", _AROUND, "pull_app"),
    "reconcile": Entry(
        "commands.search", "List the orders of which their source says otherwise.", _AROUND, "reconcile_app"
    ),
    "export": Entry("commands.export", "Write orders as Excel, CSV, JSON lines or PDF.", _AROUND),
    "stats": Entry("commands.export", "Count orders and add up their amounts, with charts.", _AROUND, "stats_app"),
    "filter": Entry("commands.filters", "Keep filters under a name, for everyone on the store.", _AROUND),
    "mail": Entry("commands.mail", "The outbox: what waits, what was sent, what failed.", _RECORD),
    "writeback": Entry("commands.writeback", "What the systems are told of rejected orders.", _RECORD),
    "log": Entry("commands.log", "Who rejected what, when and why.", _RECORD),
    "policy": Entry("commands.owner.policy", "What a batch may be, whatever the settings say.", _SETUP),
    "member": Entry("commands.owner.member", "Which logins work on this account, on PostgreSQL.", _SETUP),
    "buyer": Entry("commands.owner.buyer", "Erase the personal data of buyers.", _SETUP),
    "store": Entry("commands.owner.store", "Make, upgrade, check and copy the database.", _SETUP),
    "config": Entry("commands.owner.store", "Show the settings and where each came from.", _SETUP, "config_app"),
    "completion": Entry("completion", "Print the script that completes commands in bash, zsh or fish.", _SETUP),
    "help": Entry("manual", "Explain a command or a topic; without either, list them all.", _SETUP, "help_"),
    "man": Entry("manual", "Print the manual page.", _SETUP, "man"),
    "demo": Entry("demo", "A guided run on sample orders, in a folder of its own.", _SETUP),
}
