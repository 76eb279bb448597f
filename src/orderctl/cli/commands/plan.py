"""`orderctl plan list|show|diff|approve|cancel|run`."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from orderctl.cli.apps import Without, group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, DryRun, Full, PlanId, Recheck, ReportFormat, Yes, suggest_plan
from orderctl.cli.run import Expected, Run, read_hold
from orderctl.core.ids import short_id
from orderctl.core.times import duration_words
from orderctl.database.store import Store
from orderctl.errors import ExitCode, OrderctlError, ServerUnavailableError, UnexpectedPlanError, UsageError, reason_of
from orderctl.language import N_, _, ngettext
from orderctl.plans.document import comparison_document, differences_document, kept_plan_document, saved_plan_document
from orderctl.plans.plans import PlanClosedError, PlanState, PlanTerms, SavedPlan, read_terms
from orderctl.plans.queries import find_plans, last_look, may_run_plans, note_look
from orderctl.plans.service import (
    KeptPlan,
    Operator,
    approve_plan,
    cancel_plan,
    compare_plans,
    differences,
    due_plans,
    execute_kept,
    load_plan,
    load_runnable,
    needs_second_operator,
    save_plan,
    still_as_planned,
)
from orderctl.rejection.document import dry_run_document
from orderctl.rejection.plan import RejectionPlan
from orderctl.rejection.sample_letters import compose_samples
from orderctl.rejection.service import check_expectations, targets_of
from orderctl.settings import LARGEST

app = group_app("Saved plans: what would happen, what changed since, who approved.")
_SHOWN = 20


@app.command("orderctl plan list", "orderctl plan list --state held --format json")
def list_(
    context: Context,
    state: Annotated[list[PlanState] | None, typer.Option(help="Only plans in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option(min=0, max=LARGEST, help="At most so many; 0: all.")] = _SHOWN,
    as_: AsReport = "text",
) -> None:
    """List the plans, newest first: state, time left, size, who made and who approved them."""
    with context.open_store() as store, store.snapshot() as connection:
        now = context.clock.of(connection)
        plans = find_plans(connection, state or PlanState, limit or None)
        if any(saved.state is PlanState.HELD for saved in plans):
            _warn_of_look(context, last_look(connection), now)
    if as_ != "text":
        context.output.documents((saved_plan_document(saved, now) for saved in plans), as_)
    elif plans:
        from orderctl.plans.view import plan_table

        context.screen.table(lambda: plan_table(plans, now))
    else:
        context.screen.tell(_("no plans; reject --save-plan keeps one"))


@app.command("orderctl plan show 7qb3p16k", "orderctl plan show 7qb3p16k --format json > review.json")
def show(context: Context, plan_id: PlanId, full: Full = False, as_: AsReport = "text") -> None:
    """Show what a plan would do, and where it stands; as JSON with every order, for review outside."""
    with context.open_store() as store:
        with store.snapshot() as connection:
            now = context.clock.of(connection)
        kept = load_plan(store, plan_id)
        needs = needs_second_operator(store, kept.plan, plan_terms(context).rule)
        if as_ != "text":
            context.output.document(kept_plan_document(kept.saved, kept.plan, now, needs=needs), as_)
            return
        letters = compose_samples(store, context.mailing, kept.plan)
        every = targets_of(store, kept.plan) if full else None
    from orderctl.plans.view import plan_details
    from orderctl.rejection.preview import plan_preview

    production = context.settings.flag("production")
    preview = plan_preview(kept.plan, store=store.label, production=production, letters=letters, every=every, now=now)
    shown = plan_details(kept.saved, kept.plan.mode, preview, now, needs=needs)
    (context.screen.page if full else context.screen.show)(shown)


@app.command("orderctl plan diff 7qb3p16k", "orderctl plan diff 7qb3p16k 2gi7a8q4 --format json")
def diff(
    context: Context,
    plan_id: PlanId,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLAN]", help="Another plan; else the orders as they are.", autocompletion=suggest_plan
        ),
    ] = None,
    as_: AsReport = "text",
) -> None:
    """Show which planned orders changed since, or how two plans differ; ends with 3 if there is a difference."""
    with context.open_store() as store:
        kept = load_plan(store, plan_id)
        if other is not None:
            raise typer.Exit(_compare(context, store, kept, load_plan(store, other), as_))
        changed = differences(store, kept.plan, context.clock)
    if as_ != "text":
        context.output.document(differences_document(kept.plan, changed), as_)
    else:
        from orderctl.plans.view import changes_report

        context.screen.show(changes_report(kept.plan, changed, None))
    raise typer.Exit(ExitCode.UNEXPECTED_PLAN if changed else ExitCode.DONE)


def _compare(context: Context, store: Store, first: KeptPlan, second: KeptPlan, as_: ReportFormat) -> int:
    """Show how two plans differ; returns the exit code."""
    found = compare_plans(store, first.plan, second.plan)
    if as_ != "text":
        context.output.document(comparison_document(first.saved, second.saved, found), as_)
    else:
        from orderctl.plans.view import comparison_report

        context.screen.show(comparison_report(first.saved, second.saved, found))
    return ExitCode.DONE if found.is_same else ExitCode.UNEXPECTED_PLAN


@app.command("orderctl plan approve 7qb3p16k", "orderctl plan approve 7qb3p16k --hold 15m")
def approve(
    context: Context,
    plan_id: PlanId,
    hold: Annotated[str | None, typer.Option(metavar="TIME", help="Let it run by itself that much later.")] = None,
    as_: AsReport = "text",
) -> None:
    """Approve a plan that another operator made; look at it first with show and diff."""
    later = read_hold(hold)
    with context.open_store() as store:
        saved = approve_plan(store, plan_id, operator_of(context), hold=later)
        if later:
            warn_if_nothing_runs(context, store)
    tell_kept(context, saved, as_)


@app.command("orderctl plan cancel 7qb3p16k")
def cancel(context: Context, plan_id: PlanId, as_: AsReport = "text") -> None:
    """Make sure that a plan never runs; a held one is stopped."""
    with context.open_store() as store:
        saved = cancel_plan(store, plan_id, operator_of(context))
    if as_ != "text":
        tell_kept(context, saved, as_)
    else:
        context.screen.tell(_("{plan} is cancelled; none of its orders was changed", plan=saved.name))


@app.command("orderctl plan run 7qb3p16k", "orderctl plan run 7qb3p16k --yes --format json", "orderctl plan run --due")
def run(
    context: Context,
    *,
    plan_id: Annotated[str | None, typer.Argument(metavar="PLAN", help="The plan's id, or its ending.")] = None,
    due: Annotated[bool, typer.Option("--due", help="Every held plan whose time has come; for cron.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    recheck: Recheck = True,
    full: Full = False,
    expected: Annotated[Expected, Without({"ignore_unknown"})],
    as_: AsReport = "text",
) -> None:
    """Run a plan, once: exactly its orders, each only if it is still as planned."""
    if due == (plan_id is not None):
        raise UsageError(_("name one plan, or say --due"), hint=_("orderctl plan list shows them"))
    if due and dry_run:
        raise UsageError(_("--due has no --dry-run"), hint=_("orderctl plan list --state held shows what is due"))
    wanted = replace(expected, ignore_unknown=True).read(context)
    how = Run(context=context, expected=wanted, dry_run=dry_run, yes=yes or due, as_=as_, full=full, recheck=recheck)
    how.check_can_ask()
    with context.open_store() as store:
        code = run_due_plans(store, how) if plan_id is None else run_plan(store, plan_id, how)
    raise typer.Exit(code)


def operator_of(context: Context) -> Operator:
    """The caller and the terms that apply. Raises UsageError."""
    return Operator(actor=context.actor, clock=context.clock, terms=plan_terms(context))


def plan_terms(context: Context) -> PlanTerms:
    """How long saved plans last, and which need a second operator. Raises UsageError."""
    settings = context.settings
    return read_terms(
        lifetime=settings.text("plan_expires"),
        always=settings.flag("require_second_operator"),
        above_orders=settings.number("second_operator_above_orders"),
        above_amount=settings.text("second_operator_above_amount"),
    )


def keep_plan(store: Store, plan: RejectionPlan, run: Run, *, how: str = "") -> int:
    """Save the plan, or hold it if it was confirmed for later; returns the exit code."""
    saved = save_plan(store, plan, operator_of(run.context), how=how, hold=run.hold)
    if run.as_ != "text":
        kept = {"outcome": saved.state.value, "saved": saved_plan_document(saved, saved.last_step)}
        run.write_document(dry_run_document(plan) | kept)
    else:
        tell_kept(run.context, saved, run.as_)
    return ExitCode.DONE


def run_plan(store: Store, text: str, run: Run) -> int:
    """Run one saved plan after preview and confirmation; returns the exit code."""
    context = run.context
    context.check_head(store)
    kept = _ready(store, text, run)
    changed = differences(store, kept.plan, context.clock)
    left = still_as_planned(store, kept.plan, changed, context.clock)
    with store.snapshot() as connection:
        now = context.clock.of(connection)
    run.show_preview(store, left, now=now)
    run.tell_recheck(left)
    context.screen.tell(_("This is {story}.", story=kept.saved.story))
    if changed:
        from orderctl.plans.view import changes_report

        context.screen.tell(changes_report(kept.plan, changed))
    if run.dry_run:
        return run.report_dry_run(kept.plan, changed=changed)
    if not left.targets.count:
        raise UnexpectedPlanError(
            _("no order of {plan} is as planned any more; nothing was changed", plan=kept.saved.name),
            hint=_("look: orderctl plan diff {id}", id=short_id(kept.plan.id)),
        )
    how = run.confirm(store, left)
    return _execute(store, kept, run, how)


def run_due_plans(store: Store, run: Run) -> int:
    """Run every held plan that is due; returns the exit code that says most."""
    run.context.check_head(store)
    if run.as_ == "text":
        return _run_due(store, run)
    with run.context.output.listing(run.as_) as write:
        return _run_due(store, replace(run, write=write))


def _run_due(store: Store, run: Run) -> int:
    context = run.context
    codes: set[int] = {ExitCode.DONE}
    due = due_plans(store, context.clock)
    for plan_id in due:
        try:
            kept = _ready(store, plan_id, run)
            codes.add(_execute(store, kept, run, N_("when it was due")))
        except PlanClosedError as closed:
            context.screen.tell(str(closed))
        except UnexpectedPlanError as refused:
            context.screen.warn(f"{refused}; {refused.hint}")
            codes.add(ExitCode.UNEXPECTED_PLAN)
        except ServerUnavailableError as refused:
            # The plan is still held, and the others may live elsewhere.
            context.screen.warn(refused.sentence)
            codes.add(ExitCode.FAILED)
    _note_look(context, store)
    if not due:
        context.screen.tell(_("no plan is due"))
    telling = (
        ExitCode.FEWER_THAN_PLANNED,
        ExitCode.MAILS_REMAIN,
        ExitCode.UNEXPECTED_PLAN,
        ExitCode.FAILED,
        ExitCode.DONE,
    )
    return next(code for code in telling if code in codes)


LATELY = timedelta(hours=1)
_LOOK_EVERY_S = 60.0


def warn_if_nothing_runs(context: Context, store: Store) -> None:
    """Warn if nothing on this store has looked for due plans lately: a held plan would not run by itself."""
    with store.snapshot() as connection:
        look, now = last_look(connection), context.clock.of(connection)
    _warn_of_look(context, look, now)


def _warn_of_look(context: Context, look: datetime | None, now: datetime) -> None:
    if look is not None and now - look <= LATELY:
        return
    if look is None:
        words = _(
            "nothing has ever run due plans on this store;"
            " run orderctl plan run --due from cron, or orderctl mail send --follow"
        )
    else:
        words = _(
            "nothing has run due plans on this store for {time};"
            " run orderctl plan run --due from cron, or orderctl mail send --follow",
            time=duration_words(now - look),
        )
    context.screen.warn(words)


def _note_look(context: Context, store: Store) -> None:
    """Note in the store that due plans are run; this alone is no change that an exit code tells of."""
    changed = context.changed
    try:
        store.write(lambda connection: note_look(connection, socket.gethostname(), context.clock.of(connection)))
    except OrderctlError as error:
        context.screen.warn(_("it could not be noted that due plans are run: {problem}", problem=error.sentence))
    context.changed = changed


def due_plans_runner(context: Context, store: Store) -> Callable[[], None] | None:
    """What runs the due plans beside a worker that sends mails; None, and it is said, if this role may not."""
    with store.snapshot() as connection:
        may = may_run_plans(connection)
    if not may:
        context.screen.tell(_("held plans are not run here: this role may not reject"))
        return None
    return _DuePlans(
        store, Run(context=context, expected=Expected().read(context), dry_run=False, yes=True, as_="text")
    )


class _DuePlans:
    """Runs the due plans each time it is called, with the checks of `plan run --due`. It raises no error.

    A plan that is refused is tried again after a minute, and its reason is told once.
    """

    def __init__(self, store: Store, run: Run) -> None:
        self._context, self._store, self._run = run.context, store, run
        self._noted = -_LOOK_EVERY_S
        self._refused: dict[str, tuple[float, str]] = {}

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._noted >= _LOOK_EVERY_S:
            self._noted = now
            _note_look(self._context, self._store)
        self._try("", self._look, now)

    def _look(self) -> None:
        for plan_id in due_plans(self._store, self._context.clock):
            self._try(plan_id, partial(self._execute, plan_id), time.monotonic())

    def _try(self, what: str, step: Callable[[], None], now: float) -> None:
        at, told = self._refused.get(what, (now, ""))
        if now < at:
            return
        try:
            step()
        except PlanClosedError:
            problem = ""  # another worker, or an operator, was first
        except OrderctlError as error:
            problem = error.sentence
        except Exception as error:  # noqa: BLE001 - one plan must not stop the worker
            problem = reason_of(error)
        else:
            self._refused.pop(what, None)
            return
        self._refused[what] = (now + _LOOK_EVERY_S, problem)
        if problem and problem != told:
            self._context.screen.warn(problem)

    def _execute(self, plan_id: str) -> None:
        context, store = self._context, self._store
        context.check_head(store)
        kept = _ready(store, plan_id, self._run)
        domain = context.mailing.message_domain
        into = context.audited(store, kept.plan.id)
        result = execute_kept(into, kept, operator_of(context), how=N_("when it was due"), message_domain=domain)
        context.note_head(result.head)
        figures = {"batch": result.batch_id, "rejected": result.rejected, "left_out": len(result.left_out)}
        context.run_log.step("rejected", {**figures, "mails": result.mails})
        done = ngettext(
            "{plan} was due: {number:,} order rejected, {left} left out, {mails} queued",
            "{plan} was due: {number:,} orders rejected, {left} left out, {mails} queued",
            result.rejected,
            plan=kept.saved.name,
            left=f"{len(result.left_out):,}",
            mails=ngettext("{number:,} mail", "{number:,} mails", result.mails),
        )
        context.screen.tell(done)


def _ready(store: Store, text: str, run: Run) -> KeptPlan:
    """The plan, after every check that is possible before it runs."""
    context = run.context
    kept = load_runnable(store, text, operator_of(context))
    # Unknown and skipped orders were left out, and shown, when the plan was made.
    check_expectations(kept.plan, replace(run.expected, ignore_unknown=True, strict=False))
    changed = differences(store, kept.plan, context.clock) if run.expected.strict else ()
    if changed:
        raise UnexpectedPlanError(
            ngettext(
                "{number:,} order of {plan} changed since, and --strict allows none",
                "{number:,} orders of {plan} changed since, and --strict allows none",
                len(changed),
                plan=kept.saved.name,
            ),
            hint=_("look: orderctl plan diff {id}", id=short_id(kept.plan.id)),
        )
    if kept.plan.mail.notify:
        context.mailing.check()
    return kept


def _execute(store: Store, kept: KeptPlan, run: Run, how: str) -> int:
    operator, domain = operator_of(run.context), run.context.mailing.message_domain
    return run.execute(
        store, kept.plan, lambda into: execute_kept(into, kept, operator, how=how, message_domain=domain)
    )


def tell_kept(context: Context, saved: SavedPlan, as_: ReportFormat) -> None:
    """Report the state of a plan after it changed."""
    if as_ != "text":
        context.output.document(saved_plan_document(saved, saved.last_step), as_)
    else:
        from orderctl.plans.view import kept_report

        context.screen.show(kept_report(saved, saved.last_step))
