"""`orderctl plan list|show|diff|approve|cancel|run`."""

from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.execution import Run, check_can_ask, read_expectations
from orderctl.cli.options import (
    AsReport,
    DryRun,
    Expect,
    Full,
    MaxOrders,
    PlanId,
    ReportFormat,
    Strict,
    Yes,
    program_of,
)
from orderctl.cli.saved_plans import operator_of, read_hold, run_due_plans, run_plan, tell_kept
from orderctl.domain.errors import UsageError
from orderctl.domain.plan_reports import differences_document, kept_plan_document, saved_plan_document
from orderctl.domain.saved_plans import PlanState
from orderctl.language import say
from orderctl.services.planning import approve_plan, cancel_plan, differences, list_plans, load_plan, time_in
from orderctl.services.rejecting import targets_of
from orderctl.services.sample_letters import compose_samples
from orderctl.settings import LARGEST

app = group_app()
_SHOWN = 20


@app.callback()
def plan() -> None:
    """Saved plans: what would happen, what changed since, who approved."""


@app.command("list", epilog="Examples:\n\norderctl plan list\n\norderctl plan list --state held --format json")
def list_(
    ctx: typer.Context,
    state: Annotated[list[PlanState] | None, typer.Option(help="Only plans in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=LARGEST, help="At most so many; 0: all.")] = _SHOWN,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """List the plans, newest first: state, time left, size, who made and who approved them."""
    program = program_of(ctx)
    with program.open_store() as store:
        now = time_in(store, program.clock)
        plans = list_plans(store, state or list(PlanState), limit or None)
    if as_ is not ReportFormat.TEXT:
        program.output.documents((saved_plan_document(saved, now) for saved in plans), as_)
    elif plans:
        program.screen.plans(plans, now)
    else:
        program.screen.tell(say("no plans; reject --save-plan keeps one"))


@app.command(
    epilog="Examples:\n\norderctl plan show 7qb3p16k\n\norderctl plan show 7qb3p16k --format json > review.json"
)
def show(ctx: typer.Context, plan_id: PlanId, full: Full = False, as_: AsReport = ReportFormat.TEXT) -> None:
    """Show what a plan would do, and where it stands; as JSON with every order, for review outside."""
    program = program_of(ctx)
    with program.open_store() as store:
        now = time_in(store, program.clock)
        kept = load_plan(store, plan_id)
        if as_ is not ReportFormat.TEXT:
            program.output.document(kept_plan_document(kept.saved, kept.plan, now), as_)
            return
        letters = compose_samples(store, program.mailing.composer(), kept.plan)
        every = targets_of(store, kept.plan) if full else None
    program.screen.plan(
        kept.saved,
        kept.plan,
        store=store.label,
        production=program.settings.flag("production"),
        letters=letters,
        every=every,
        now=now,
    )


@app.command(epilog="Examples:\n\norderctl plan diff 7qb3p16k")
def diff(ctx: typer.Context, plan_id: PlanId, as_: AsReport = ReportFormat.TEXT) -> None:
    """Show which planned orders changed since, and how: running the plan leaves those out."""
    program = program_of(ctx)
    with program.open_store() as store:
        kept = load_plan(store, plan_id)
        changed = differences(store, kept.plan)
    if as_ is not ReportFormat.TEXT:
        program.output.document(differences_document(kept.plan, changed), as_)
    else:
        program.screen.changes(kept.plan, changed)


@app.command(epilog="Examples:\n\norderctl plan approve 7qb3p16k\n\norderctl plan approve 7qb3p16k --hold 15m")
def approve(
    ctx: typer.Context,
    plan_id: PlanId,
    hold: Annotated[str | None, typer.Option(metavar="TIME", help="Let it run by itself that much later.")] = None,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Approve a plan that another operator made; look at it first with show and diff."""
    program = program_of(ctx)
    later = read_hold(hold)
    with program.open_store() as store:
        saved = approve_plan(store, plan_id, operator_of(program), hold=later)
    tell_kept(program, saved, as_)


@app.command(epilog="Examples:\n\norderctl plan cancel 7qb3p16k")
def cancel(ctx: typer.Context, plan_id: PlanId, as_: AsReport = ReportFormat.TEXT) -> None:
    """Make sure that a plan never runs; a held one is stopped."""
    program = program_of(ctx)
    with program.open_store() as store:
        saved = cancel_plan(store, plan_id, operator_of(program))
    if as_ is not ReportFormat.TEXT:
        tell_kept(program, saved, as_)
    else:
        program.screen.tell(say("{plan} is cancelled; none of its orders was changed", plan=saved.name))


@app.command(
    epilog="Examples:\n\norderctl plan run 7qb3p16k\n\norderctl plan run 7qb3p16k --yes --format json\n\n"
    "orderctl plan run --due"
)
def run(
    ctx: typer.Context,
    plan_id: Annotated[str | None, typer.Argument(metavar="PLAN", help="The plan's id, or its ending.")] = None,
    due: Annotated[bool, typer.Option("--due", help="Every held plan whose time has come; for cron.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    full: Full = False,
    strict: Strict = False,
    expect: Expect = None,
    max_orders: MaxOrders = None,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Run a plan, once: exactly its orders, each only if it is still as planned."""
    if due == (plan_id is not None):
        raise UsageError(say("name one plan, or say --due"), hint=say("orderctl plan list shows them"))
    if due and dry_run:
        raise UsageError(say("--due has no --dry-run"), hint=say("orderctl plan list --state held shows what is due"))
    program = program_of(ctx)
    expected = read_expectations(program, strict=strict, expect=expect, max_orders=max_orders, ignore_unknown=True)
    how = Run(expected=expected, dry_run=dry_run, yes=yes or due, as_=as_, full=full)
    check_can_ask(program, how)
    with program.open_store() as store:
        code = run_due_plans(program, store, how) if plan_id is None else run_plan(program, store, plan_id, how)
    raise typer.Exit(code)
