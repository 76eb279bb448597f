"""`orderctl import`."""

from pathlib import Path
from typing import Annotated

import typer

from orderctl.bootstrap import Program
from orderctl.cli.apps import command_app
from orderctl.cli.options import AsReport, ReportFormat, program_of
from orderctl.domain.reports import import_document
from orderctl.domain.text import count_of
from orderctl.ports import OrderSource
from orderctl.services.importing import ImportReport, import_orders

app = command_app()
BAD_ROWS = 2


@app.command(
    epilog="Examples:\n\norderctl import orders.xlsx --map columns.toml\n\n"
    "orderctl import orders.csv --skip-bad --errors bad-rows.csv\n\norderctl import orders.jsonl --check"
)
def import_(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="Orders as .xlsx, .csv or .jsonl.")],
    map_: Annotated[str | None, typer.Option("--map", metavar="FILE", help="What the columns mean, as TOML.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Take the good orders, leave the bad ones out.")] = False,
    errors: Annotated[str | None, typer.Option(metavar="FILE", help="Write every bad row there, as CSV.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an error report that is there.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Read and check the file, change nothing.")] = False,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Read orders from Excel, CSV or JSON lines; all of them or none, unless --skip-bad."""
    program = program_of(ctx)
    with program.open_store() as store:
        with store.snapshot():
            pass  # a store that cannot be used is better known before a long file is read
        with program.screen.progress("Reading") as reading:
            source = program.open_source(file, map_, reading)
        with source:
            with program.screen.progress("Writing") as writing:
                report = import_orders(
                    store,
                    source,
                    skip_bad=skip_bad,
                    actor=program.actor,
                    at=program.clock.now(),
                    detail=f"import of {Path(file).name}",
                    check_only=check,
                    progress=writing,
                )
            kept = _keep_problems(program, source, errors or f"{Path(file).name}.errors.csv", force=force or not errors)
    _say(program, report, kept, as_)
    if report.figures.problems and not skip_bad:
        raise typer.Exit(BAD_ROWS)


def _keep_problems(program: Program, source: OrderSource, path: str, *, force: bool) -> str:
    """Write the error report if there is anything to report; gives its path."""
    if not source.figures.problems:
        return ""
    program.write_error_report(path, source.problems(), force=force)
    return path


def _say(program: Program, report: ImportReport, kept: str, as_: ReportFormat) -> None:
    figures, counts = report.figures, report.counts
    read = f"{count_of(figures.rows, 'row')}, {count_of(figures.orders, 'order')}"
    if as_ is ReportFormat.JSON:
        program.output.document(import_document(figures, counts, stored=report.stored, errors=kept))
    elif report.stored:
        kept_final = f"{counts.rejected_left_alone:,} rejected ones left alone"
        done = f"{counts.created:,} created, {counts.updated:,} updated, {counts.unchanged:,} unchanged, {kept_final}"
        program.output.lines([f"{read}: {done}"])
    elif not figures.problems:
        program.output.lines([f"{read}: all good"])
    if not kept:
        return
    for problem in report.problems:
        program.screen.warn(f"{problem.file}, row {problem.row}, {problem.column}: {problem.value!r} {problem.reason}")
    if figures.problems > len(report.problems):
        program.screen.insist(f"… and {figures.problems - len(report.problems):,} more")
    left = count_of(figures.bad_orders, "bad order")
    what = f"{left} left out" if report.stored else f"{left}; nothing was imported (--skip-bad takes the good ones)"
    program.screen.insist(f"{what}; every problem is in {kept}")
