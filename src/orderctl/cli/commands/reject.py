"""`orderctl reject`: plan, preview, confirm, execute, mail, report (design.md, section 6)."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from orderctl.cli.apps import single
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, DryRun, Full, MaxAge, Pick, Recheck, ReportFormat, Yes, suggest_plan
from orderctl.cli.run import Expected, Run, edit_message, read_hold, read_message
from orderctl.cli.sources import Source, provenance, read_choice, read_max_age, refuse_empty_selection
from orderctl.core.ids import new_id
from orderctl.core.times import duration_words
from orderctl.database.store import Store
from orderctl.errors import UsageError
from orderctl.language import N_, _
from orderctl.mail.wording import Wording
from orderctl.orders.eligibility import Mode
from orderctl.rejection.plan import KeyUsedError, RejectionPlan, RequestKey
from orderctl.rejection.policy import check_policy
from orderctl.rejection.service import (
    RejectionRequest,
    check_any_target,
    check_expectations,
    execute_rejection,
    first_run,
    prepare_rejection,
)
from orderctl.selection.selection import Choice
from orderctl.systems.systems import configured
from orderctl.terminal.prompts import can_ask, discard_typed, yes_or_no

if TYPE_CHECKING:
    from orderctl.rejection.sample_letters import SampleLetter

Individual = Annotated[bool, typer.Option("--individual", help="One order, by the rules for rejecting it on its own.")]
Plan = Annotated[
    str | None, typer.Option("--plan", metavar="ID", help="Run a saved plan, as it is.", autocompletion=suggest_plan)
]
Key = Annotated[
    str | None, typer.Option(metavar="KEY", help="Reject once under this key; again, it gives the first result.")
]
_WITH_PLAN = frozenset(
    {"plan", "yes", "dry_run", "rehearse", "recheck", "full", "strict", "expect", "max_orders", "ignore_unknown", "as_"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The options that say why orders are rejected and what the buyers are told."""

    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why, for the log: words, or where codes are set CODE or 'CODE: words'.")
    ] = ""
    notify: Annotated[bool | None, typer.Option("--notify/--no-notify", help="Mail the buyers, or not.")] = None
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="A message to the buyers.")] = None
    message_file: Annotated[
        list[str] | None,
        typer.Option(metavar="[LANGUAGE=]FILE", help="The message, from a file; de=FILE is for one language."),
    ] = None
    edit: Annotated[bool, typer.Option("--edit", help="Write the message in $EDITOR.")] = False
    mail_per_order: Annotated[bool, typer.Option("--mail-per-order", help="A mail an order, not a buyer.")] = False
    mail_now: Annotated[
        bool, typer.Option("--mail-now", help="Mail before the systems of the orders have cancelled them.")
    ] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The options that say how far a rejection goes, and with which questions."""

    yes: Yes = False
    dry_run: DryRun = False
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Do all of it, letters too, and take it back; nothing is sent.")
    ] = False
    recheck: Recheck = True
    full: Full = False
    save_plan: Annotated[bool, typer.Option("--save-plan", help="Keep the plan for review and stop.")] = False
    hold: Annotated[str | None, typer.Option(metavar="TIME", help="Confirm now, reject so much later, as in 15m.")] = (
        None
    )

    @property
    def stops(self) -> dict[str, bool]:
        """The options with which nothing is rejected now, and which of them are given."""
        return {"--save-plan": self.save_plan, "--hold": self.hold is not None}

    def run(self, context: Context, expected: Expected, *, as_: ReportFormat, edit: bool) -> Run:
        """The run that they describe. Raises UsageError for options that do not go together."""
        run = Run(
            context=context,
            expected=expected.read(context),
            dry_run=self.dry_run,
            yes=self.yes,
            as_=as_,
            full=self.full,
            edit=edit,
            save=self.save_plan,
            rehearse=self.rehearse,
            recheck=self.recheck,
            hold=read_hold(self.hold),
        )
        if self.rehearse and (option := _first({"--dry-run": self.dry_run, **self.stops})):
            raise UsageError(
                _("--rehearse tries a rejection, and {option} stops before one", option=option),
                hint=_("leave one of them out; a saved plan is rehearsed with: reject --plan ID --rehearse"),
            )
        run.check_can_ask()
        return run


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What to reject, and how the orders are chosen. `message` may still be edited."""

    source: Source
    individual: bool
    pick: bool
    max_age: timedelta | None
    key: str | None
    told: Told
    message: str

    def under_key(self, choice: Choice) -> RequestKey | None:
        """The key, if there is one, with a digest of the call."""
        if self.key is None:
            return None
        return RequestKey.of(
            self.key,
            choice,
            individual=self.individual,
            reason=self.told.reason,
            notify=self.told.notify,
            message=self.message,
            mail_per_order=self.told.mail_per_order,
        )


@single(
    "orderctl reject 10021 10022 --reason 'style dropped'",
    "orderctl reject --filter 'status:needs-oc sku:LN-10*' --dry-run",
    "orderctl reject 10023 --individual",
    "orderctl search tag:late | orderctl reject --ids - --yes --max-orders 200",
    "orderctl reject --filter tag:late --save-plan",
    "orderctl reject --saved dropped --notify --message-file sorry.txt --yes --format json",
    "orderctl reject --saved dropped --message-file sorry.txt --message-file de=leider.txt --yes",
)
def reject(
    ctx: typer.Context,
    *,
    source: Source,
    individual: Individual = False,
    pick: Pick = False,
    told: Told,
    steps: Steps,
    plan: Plan = None,
    key: Key = None,
    max_age: MaxAge = None,
    expected: Expected,
    as_: AsReport = "text",
) -> None:
    """Plan, preview, confirm, reject, and tell the buyers. Without a source: the default selection."""
    context: Context = ctx.obj
    run = steps.run(context, expected, as_=as_, edit=told.edit)
    if plan is not None:
        _check_plan_alone(ctx)
        from orderctl.cli.commands.plan import run_plan

        with context.open_store() as store:
            raise typer.Exit(run_plan(store, plan, run))
    if all(steps.stops.values()):
        raise UsageError(_("--save-plan keeps a plan, --hold confirms it"), hint=_("give one of them"))
    if key is not None and (option := _first({"--pick": pick, "--edit": told.edit, **steps.stops})):
        raise UsageError(
            _("--key is for a call that can be made again as it is, and {option} is not part of one", option=option),
            hint=_("leave one of them out; a saved plan runs once without a key"),
        )
    if individual:
        _check_single(source)
    asked = _Asked(
        source=replace(source, notes=True),
        individual=individual,
        pick=pick,
        max_age=read_max_age(context, max_age),
        key=key,
        told=told,
        message=read_message(told.message, told.message_file or (), edit=told.edit).kept(),
    )
    with context.open_store() as store:
        raise typer.Exit(_reject(store, asked, run))


def _reject(store: Store, asked: _Asked, run: Run) -> int:
    """Run everything from the choice of orders to the report; returns the exit code."""
    context = run.context
    context.check_head(store)
    choice = read_choice(context, store, asked.source)
    run = replace(run, request=asked.under_key(choice))
    _give_first_result(store, run, choice)
    refuse_empty_selection(store, choice)
    request, ask_about_mails = _request(store, asked, choice, run)
    try:
        code, made = carry_out(store, request, replace(run, ask_about_mails=ask_about_mails))
    except KeyUsedError:
        _give_first_result(store, run, choice)
        raise
    check_any_target(made, request.choice)
    return code


def _request(store: Store, asked: _Asked, choice: Choice, run: Run) -> tuple[RejectionRequest, bool]:
    """The request for a plan, after questions about what was not given; and whether to ask about mails later."""
    context = run.context
    told, notes, needless, selections = asked.told, choice.notes, choice.all_have_reasons, choice.from_selections
    if asked.pick:
        from orderctl.cli.commands.select import pick_choice

        choice = pick_choice(context, store, choice)
    why = run.read_reason(store, told.reason, every_order_has_one=needless)
    said_something = bool(asked.message or told.edit or notes.messages)
    notify = whether_to_notify(told.notify, run, said_something=said_something)
    request = RejectionRequest(
        choice=choice,
        by=provenance(context, choice.words, selections=selections),
        mode=Mode.INDIVIDUAL if asked.individual else Mode.BULK,
        max_age=asked.max_age,
        reason=why.text,
        reason_code=why.code,
        notes=notes,
        notify=notify is not False,
        message=asked.message,
        per_order=told.mail_per_order,
        mail_at_once=told.mail_now,
        systems={name: system.key for name, system in configured(context.settings).items()},
    )
    return request, notify is None


def _first(options: Mapping[str, bool]) -> str:
    """The first of the options that is given; empty if none is."""
    return next((name for name, is_given in options.items() if is_given), "")


def _give_first_result(store: Store, run: Run, choice: Choice) -> None:
    """If an earlier run used the key, end this one with the result of that one."""
    first = first_run(store, run.request, choice) if run.request else None
    if first is None:
        return
    if not run.dry_run:
        raise typer.Exit(run.conclude_again(store, first))
    used = _("the key was used by batch {batch}: without --dry-run, nothing is rejected", batch=first.plan.id)
    run.context.screen.warn(used)


def carry_out(store: Store, request: RejectionRequest, run: Run) -> tuple[int, RejectionPlan]:
    """Run everything from the plan to the report; returns the exit code and the plan."""
    context, ask_about_mails = run.context, run.ask_about_mails
    shown = context.screen.progress if sys.stderr.isatty() else context.run_log.timing
    with shown(N_("Planning")):
        plan = prepare_rejection(store, request, clock=context.clock, new_id=new_id)
    if request.notify and not ask_about_mails:
        context.mailing.check()
    if ask_about_mails and not (plan.targets.count and plan.mail.mails):
        # Nobody can be told, so nobody is asked.
        plan, ask_about_mails = plan.without_mails(), False
    letters = run.show_preview(store, plan, ask_about_mails=ask_about_mails)
    run.tell_recheck(plan)
    check_expectations(plan, run.expected)
    policy = check_policy(store, plan)
    if rules := policy.rules():
        listed = ", ".join(f"{name} {words}" for name, words in rules.items())
        context.screen.tell(_("The store's policy is kept: {rules}.", rules=listed))
    if not (run.dry_run or run.save):
        from orderctl.cli.commands.plan import plan_terms
        from orderctl.plans.service import check_one_operator_suffices

        check_one_operator_suffices(plan, plan_terms(context).rule, policy)
    if ask_about_mails and not _agreed_on_mails(context):
        plan = plan.without_mails()
    if run.edit and plan.targets.count and plan.mail.mails:
        plan, letters = _edited(store, plan, run)
    if run.dry_run:
        return run.report_dry_run(plan, letters), plan
    if run.save and plan.targets.count:
        from orderctl.cli.commands.plan import keep_plan

        return keep_plan(store, plan, run), plan
    return _decide(store, plan, run), plan


def _decide(store: Store, plan: RejectionPlan, run: Run) -> int:
    """Run everything from the question to the report; returns the exit code."""
    from orderctl.cli.commands.plan import keep_plan, warn_if_nothing_runs

    context = run.context
    if run.hold and plan.targets.count:
        wait = duration_words(run.hold)
        context.screen.tell(_("Once confirmed it waits for {time}, in which it can be cancelled.", time=wait))
        warn_if_nothing_runs(context, store)
    how = run.confirm(store, plan)
    if run.hold and plan.targets.count:
        return keep_plan(store, plan, run, how=how)
    approved = plan.approve(by=context.actor, how=how, request=run.request)
    domain = context.mailing.message_domain
    return run.execute(
        store, plan, lambda into: execute_rejection(into, approved, clock=context.clock, message_domain=domain)
    )


def _check_plan_alone(ctx: typer.Context) -> None:
    """Raise UsageError for options that would make another plan than the saved one."""
    added = [
        param.opts[0]
        for param in ctx.command.params
        if param.name not in _WITH_PLAN and ctx.params.get(param.name or "") not in (None, param.default, "", [], ())
    ]
    if added:
        raise UsageError(
            _("--plan runs a saved plan as it is, and {options} would make another", options=", ".join(added)),
            hint=_("leave it out, or make a new plan"),
        )


def _check_single(source: Source) -> None:
    """Raise UsageError unless exactly one order is named, by its id."""
    if (
        source.given != ["ids"]
        or len(set(source.ids or ())) != 1
        or source.sets
        or source.excepted
        or source.excepted_file
    ):
        raise UsageError(_("--individual rejects one order, named by its id"), hint="orderctl reject ID --individual")


def whether_to_notify(said: bool | None, run: Run, *, said_something: bool) -> bool | None:
    """Whether to tell the buyers, by option or by setting; None if the operator is to be asked."""
    if said is False and said_something:
        raise UsageError(_("a message is to be sent, and --no-notify sends none"), hint=_("leave one of them out"))
    if said is not None:
        return said
    if said_something or run.context.settings.flag("notify"):
        return True
    if run.yes or run.dry_run or not run.context.settings.text("mail.transport") or not can_ask():
        return False
    return None


def _agreed_on_mails(context: Context) -> bool:
    """Ask whether to tell the buyers, as the preview shows it."""
    if not yes_or_no(_("Tell the buyers by mail?")):
        context.screen.tell(_("The buyers are not told."))
        return False
    context.mailing.check()
    return True


def _edited(store: Store, plan: RejectionPlan, run: Run) -> tuple[RejectionPlan, "tuple[SampleLetter, ...]"]:
    """The plan with the message that the operator writes now; its letters are shown again."""
    discard_typed()
    plan = plan.with_message(Wording.read(plan.mail.message).with_for_all(edit_message()).kept())
    letters = run.compose_letters(store, plan)
    from orderctl.rejection.preview import letter_samples

    run.context.screen.tell(letter_samples(letters))
    return plan, letters
