"""`orderctl store init|upgrade|check`."""

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.options import program_of

app = group_app()


@app.callback()
def store() -> None:
    """Make, upgrade and check the database."""


@app.command(epilog="Examples:\n\norderctl store init\n\norderctl --store orders.db store init")
def init(ctx: typer.Context) -> None:
    """Make the store; does nothing if it is there."""
    program = program_of(ctx)
    made = program.init_store()
    program.screen.tell(f"{'made the store' if made else 'the store is there already:'} {program.address.shown}")


@app.command(epilog="Examples:\n\norderctl store upgrade")
def upgrade(ctx: typer.Context) -> None:
    """Bring the store's schema to this program's revision."""
    program = program_of(ctx)
    before, after = program.upgrade_store()
    program.screen.tell(
        f"the store is of revision {after}" if before == after else f"upgraded the store from {before} to {after}"
    )


@app.command(epilog="Examples:\n\norderctl store check")
def check(ctx: typer.Context) -> None:
    """Open the store and say how many orders it holds; fails if it cannot be used."""
    program = program_of(ctx)
    with program.open_store() as opened, opened.snapshot() as work:
        orders = work.orders.count(program.parse_filter("archived:yes or archived:no"))
        batches = sum(1 for _ in work.rejections.batches(None))
    program.output.lines([f"{program.address.shown}: in order, {orders:,} orders, {batches:,} batches"])
