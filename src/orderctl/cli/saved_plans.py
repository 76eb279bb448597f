"""Keeping a plan and running a kept one, for `reject` and `plan` alike."""

from dataclasses import asdict, replace
from datetime import timedelta

from orderctl.bootstrap.program import Program
from orderctl.cli.execution import (
    Run,
    conclude,
    confirm,
    executed,
    report,
    show_preview,
    write_document,
)
from orderctl.cli.options import ReportFormat
from orderctl.domain.durations import parse_duration
from orderctl.domain.errors import ExitCode, UnexpectedPlanError, UsageError
from orderctl.domain.plan_reports import saved_plan_document
from orderctl.domain.rejection import LeftOut, RejectionPlan
from orderctl.domain.reports import rejection_document
from orderctl.domain.saved_plans import PlanClosedError, SavedPlan
from orderctl.domain.short_ids import short_id
from orderctl.language import later, say, say_count
from orderctl.ports import Store
from orderctl.services.planning import (
    KeptPlan,
    Operator,
    differences,
    due_plans,
    execute_kept,
    load_runnable,
    save_plan,
    still_as_planned,
)
from orderctl.services.rejecting import check_expectations


def operator_of(program: Program) -> Operator:
    """Who calls, and under which terms. Raises UsageError."""
    return Operator(actor=program.actor, clock=program.clock, terms=program.plan_terms())


def read_hold(text: str | None) -> timedelta | None:
    """`--hold 15m`. Raises UsageError."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(
            say("--hold {text!r} {problem}", text=text, problem=error), hint=say("for example: --hold 15m")
        ) from None


def keep_plan(program: Program, store: Store, plan: RejectionPlan, run: Run, *, how: str = "") -> int:
    """Save the plan, or hold it if it was confirmed for later; gives the exit code."""
    saved = save_plan(store, plan, operator_of(program), how=how, hold=run.hold)
    now = saved.last_step
    if run.as_ is not ReportFormat.TEXT:
        kept = {"outcome": saved.state.value, "saved": saved_plan_document(saved, now)}
        write_document(program, run, rejection_document(plan, None, None) | kept)
    else:
        program.screen.kept(saved, now)
    return 0


def run_plan(program: Program, store: Store, text: str, run: Run) -> int:
    """Run one saved plan after preview and confirmation; gives the exit code."""
    kept = _ready(program, store, text, run)
    changed = differences(store, kept.plan)
    left = still_as_planned(store, kept.plan, changed)
    show_preview(program, store, left, full=run.full)
    program.screen.tell(say("This is {story}.", story=kept.saved.story))
    program.screen.tell_changes(kept.plan, changed)
    if run.dry_run:
        _dry_run(program, kept.plan, run, changed)
        return 0
    if not left.targets.count:
        raise UnexpectedPlanError(
            say("no order of {plan} is as planned any more; nothing was changed", plan=kept.saved.name),
            hint=say("look: orderctl plan diff {id}", id=short_id(kept.plan.id)),
        )
    how = confirm(program, store, left, run)
    return _execute(program, store, kept, run, how)


def run_due_plans(program: Program, store: Store, run: Run) -> int:
    """Run every held plan whose time has come; gives the exit code that says most."""
    if run.as_ is ReportFormat.TEXT:
        return _run_due(program, store, run)
    with program.output.listing(run.as_) as write:
        return _run_due(program, store, replace(run, write=write))


def _run_due(program: Program, store: Store, run: Run) -> int:
    codes: set[int] = {ExitCode.DONE}
    due = due_plans(store, program.clock)
    for plan_id in due:
        try:
            kept = _ready(program, store, plan_id, run)
            codes.add(_execute(program, store, kept, run, later("when it was due")))
        except PlanClosedError as closed:
            program.screen.tell(str(closed))
        except UnexpectedPlanError as refused:
            program.screen.warn(f"{refused}; {refused.hint}")
            codes.add(ExitCode.UNEXPECTED_PLAN)
    if not due:
        program.screen.tell(say("no plan is due"))
    telling = (ExitCode.FEWER_THAN_PLANNED, ExitCode.MAILS_REMAIN, ExitCode.UNEXPECTED_PLAN, ExitCode.DONE)
    return next(code for code in telling if code in codes)


def _ready(program: Program, store: Store, text: str, run: Run) -> KeptPlan:
    """The plan, checked against everything that can be known before it runs."""
    kept = load_runnable(store, text, operator_of(program))
    # What was unknown or could not be rejected was left out, and shown, when the plan was made.
    check_expectations(kept.plan, replace(run.expected, ignore_unknown=True, strict=False))
    changed = differences(store, kept.plan) if run.expected.strict else ()
    if changed:
        raise UnexpectedPlanError(
            say_count(
                "{number:,} order of {plan} changed since, and --strict allows none",
                "{number:,} orders of {plan} changed since, and --strict allows none",
                len(changed),
                plan=kept.saved.name,
            ),
            hint=say("look: orderctl plan diff {id}", id=short_id(kept.plan.id)),
        )
    if kept.plan.mail.notify:
        program.mailing.check()
    return kept


def _execute(program: Program, store: Store, kept: KeptPlan, run: Run, how: str) -> int:
    operator = operator_of(program)
    result = executed(
        program,
        kept.plan,
        lambda: execute_kept(store, kept, operator, how=how, message_domain=program.mailing.message_domain),
    )
    return conclude(program, store, result, run)


def _dry_run(program: Program, plan: RejectionPlan, run: Run, changed: tuple[LeftOut, ...]) -> None:
    if run.as_ is not ReportFormat.TEXT:
        left_out = {"left_out": [asdict(left) for left in changed]}
        write_document(program, run, rejection_document(plan, None, None) | left_out)
    else:
        report(program, run, plan, None, None)


def tell_kept(program: Program, saved: SavedPlan, as_: ReportFormat) -> None:
    """Say where a plan stands after a step of its life."""
    now = saved.last_step
    if as_ is not ReportFormat.TEXT:
        program.output.document(saved_plan_document(saved, now), as_)
    else:
        program.screen.kept(saved, now)
