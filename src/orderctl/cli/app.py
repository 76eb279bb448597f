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
        module, __, app = COMMANDS[name].place.partition(":")
        command = typer.main.get_command(getattr(import_module(f"orderctl.cli.{module}"), app))
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
    """One command: its module in `orderctl.cli` with its app, a line about it, and its panel in `orderctl --help`."""

    place: str
    about: str
    panel: str


_MAIN, _AROUND, _RECORD, _SETUP = "The main job", "Around it", "The record", "Set-up"
COMMANDS = {
    "search": Entry("commands.search:search", "Find orders: a table on a terminal, ids in a pipe.", _MAIN),
    "select": Entry("commands.select:select", "Collect orders in a named selection.", _MAIN),
    "reject": Entry("commands.reject:reject", "Plan, preview, confirm, reject, and tell the buyers.", _MAIN),
    "plan": Entry("commands.plan:app", "Saved plans: what would happen, what changed, who approved.", _MAIN),
    "show": Entry("commands.search:show", "Show one order: lines, tags, log, and whether it can be rejected.", _AROUND),
    "archive": Entry("commands.changing:archive", "Take orders out of the default view.", _AROUND),
    "unarchive": Entry("commands.changing:unarchive", "Put archived orders back into the default view.", _AROUND),
    "tag": Entry("commands.changing:tag", "Put a tag on orders.", _AROUND),
    "untag": Entry("commands.changing:untag", "Take a tag off orders.", _AROUND),
    "import": Entry("commands.importing:import_", "Read orders from Excel, CSV or JSON lines.", _AROUND),
    "pull": Entry("commands.importing:pull", "Read orders straight out of the system where they live.", _AROUND),
    "reconcile": Entry("commands.search:reconcile", "List the orders of which their source says otherwise.", _AROUND),
    "export": Entry("commands.export:export", "Write orders as Excel, CSV, JSON lines or PDF.", _AROUND),
    "stats": Entry("commands.export:stats", "Count orders and add up their amounts, with charts.", _AROUND),
    "filter": Entry("commands.filters:app", "Keep filters under a name, for everyone on the store.", _AROUND),
    "mail": Entry("commands.mail:app", "The outbox: what waits, what was sent, what failed.", _RECORD),
    "writeback": Entry("commands.writeback:app", "What the systems are told of rejected orders.", _RECORD),
    "log": Entry("commands.log:app", "Who rejected what, when and why.", _RECORD),
    "policy": Entry("commands.owner.policy:app", "What a batch may be, whatever the settings say.", _SETUP),
    "member": Entry("commands.owner.member:app", "Which logins work on this account, on PostgreSQL.", _SETUP),
    "buyer": Entry("commands.owner.buyer:app", "Erase the personal data of buyers.", _SETUP),
    "store": Entry("commands.owner.store:app", "Make, upgrade, check and copy the database.", _SETUP),
    "config": Entry("commands.owner.store:config_app", "Show the settings and where each came from.", _SETUP),
    "completion": Entry(
        "completion:completion", "Print the script that completes commands in bash, zsh or fish.", _SETUP
    ),
    "help": Entry("manual:help_", "Explain a command or a topic; without either, list them all.", _SETUP),
    "man": Entry("manual:man", "Print the manual page.", _SETUP),
    "demo": Entry("demo:demo", "A guided run on sample orders, in a folder of its own.", _SETUP),
}
