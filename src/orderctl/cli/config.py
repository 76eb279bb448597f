"""`orderctl config show`."""

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.options import program_of
from orderctl.settings import OPTIONS, Value

app = group_app()


@app.callback()
def config() -> None:
    """Show the settings and where each came from."""


@app.command(epilog="Examples:\n\norderctl config show\n\norderctl --profile eu config show")
def show(ctx: typer.Context) -> None:
    """List every setting, its value and its origin; secrets are hidden."""
    program = program_of(ctx)
    settings = program.settings
    rows = []
    for key, setting in settings.found.items():
        shown = program.address.shown if key == "store" else _shown(setting.value)
        rows.append((key, "(hidden)" if OPTIONS[key].secret and setting.value else shown, setting.origin))
    if program.output.is_terminal:
        program.screen.pairs(("Setting", "Value", "From"), rows)
    else:
        program.output.lines("\t".join(row) for row in rows)
    program.screen.tell(f"profile {settings.profile}, from {settings.config_file}")


def _shown(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(value)
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
