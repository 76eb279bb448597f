"""`orderctl reject`: plan, preview, confirm, execute, mail, report (design.md, section 6)."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from orderctl.bootstrap import Program
from orderctl.cli.apps import command_app
from orderctl.cli.messages import read_message
from orderctl.cli.options import (
    AsReport,
    Everything,
    Excepted,
    FilterText,
    IdsFile,
    IgnoreUnknown,
    OrderIds,
    ReportFormat,
    SavedName,
    SelectionName,
    Yes,
    program_of,
)
from orderctl.cli.sources import Source, choose
from orderctl.domain.errors import DeclinedError, UsageError
from orderctl.domain.outbox import DeliveryReport
from orderctl.domain.rejection import ApprovedPlan, RejectionPlan, RejectionResult
from orderctl.domain.reports import rejection_document
from orderctl.domain.text import count_of
from orderctl.ports import Store
from orderctl.services.delivering import deliver
from orderctl.services.rejecting import (
    Expectations,
    RejectionRequest,
    check_expectations,
    execute_rejection,
    prepare_rejection,
    sample_letters,
)

app = command_app()
MAILS_REMAIN, FEWER_THAN_PLANNED = 5, 6
_EXPECT = re.compile(r"\A(\d*)(\.\.)?(\d*)\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """How this call is to go on once the plan is made."""

    expected: Expectations
    dry_run: bool
    yes: bool
    as_: ReportFormat


@app.command(
    epilog="Examples:\n\norderctl reject 10021 10022 --reason 'style dropped'\n\n"
    "orderctl reject --filter 'status:needs-oc sku:LN-10*' --dry-run\n\n"
    "orderctl search tag:late | orderctl reject --ids - --yes --max-orders 200\n\n"
    "orderctl reject --saved dropped --notify --message-file sorry.txt --yes --format json"
)
def reject(
    ctx: typer.Context,
    ids: OrderIds = None,
    ids_file: IdsFile = None,
    saved: SavedName = None,
    filter_text: FilterText = None,
    name: SelectionName = None,
    everything: Everything = False,
    excepted: Excepted = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log and told to the buyers.")] = "",
    notify: Annotated[bool | None, typer.Option("--notify/--no-notify", help="Mail the buyers, or not.")] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="A message to the buyers.")] = None,
    message_file: Annotated[str | None, typer.Option(metavar="FILE", help="The message, from a file.")] = None,
    edit: Annotated[bool, typer.Option("--edit", help="Write the message in $EDITOR.")] = False,
    mail_per_order: Annotated[bool, typer.Option("--mail-per-order", help="A mail an order, not a buyer.")] = False,
    yes: Yes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan and stop.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse if any order cannot be rejected.")] = False,
    expect: Annotated[
        str | None, typer.Option(metavar="N", help="Refuse unless the plan has N, or A..B, orders.")
    ] = None,
    max_orders: Annotated[int | None, typer.Option(metavar="N", min=0, help="Refuse a larger plan.")] = None,
    ignore_unknown: IgnoreUnknown = False,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Plan, preview, confirm, reject, and tell the buyers. Without a source: the default selection."""
    program = program_of(ctx)
    run = _Run(
        expected=Expectations(
            strict=strict,
            expect=_range(expect),
            max_orders=max_orders if max_orders is not None else program.settings.number("max_orders"),
            ignore_unknown=ignore_unknown,
        ),
        dry_run=dry_run,
        yes=yes,
        as_=as_,
    )
    _check_can_ask(program, run)
    source = Source(
        ids=ids or (),
        ids_file=ids_file,
        saved=saved,
        filter_text=filter_text,
        selection=name,
        everything=everything,
        excepted=excepted or (),
    )
    text = read_message(message, message_file, edit=edit)
    with program.open_store() as store:
        choice = choose(program, store, source)
        request = RejectionRequest(
            choice=choice,
            by=program.provenance(choice.words),
            reason=_reason(program, reason),
            notify=_notify(program, notify, run, said_something=bool(text)),
            message=text,
            per_order=mail_per_order,
        )
        if request.notify:
            program.check_mail()
        raise typer.Exit(_carry_out(program, store, request, run))


def _check_can_ask(program: Program, run: _Run) -> None:
    """Without a terminal nobody can say yes; better known before the plan than after."""
    if not (run.yes or run.dry_run or program.prompts.can_ask()):
        raise UsageError(
            "there is no terminal to confirm on, and nothing was changed",
            hint="look with --dry-run, then say yes with --yes",
        )


def _notify(program: Program, said: bool | None, run: _Run, *, said_something: bool) -> bool:
    """Whether to tell the buyers: as said, as asked when somebody is there, as set otherwise."""
    if said is False and said_something:
        raise UsageError("a message is to be sent, and --no-notify sends none", hint="leave one of them out")
    if said is not None:
        return said
    if said_something or program.settings.flag("notify"):
        return True
    if run.yes or run.dry_run or not program.settings.text("mail.transport"):
        return False
    return program.prompts.yes_or_no("Tell the buyers by mail?")


def _reason(program: Program, text: str) -> str:
    """The reason; where the settings list codes, it begins with one of them."""
    codes = program.settings.texts("reasons")
    if codes and text.partition(":")[0].strip() not in codes:
        raise UsageError(
            f"--reason begins with no code of the settings: {text!r}" if text else "a reason is missing",
            hint=f"--reason CODE or 'CODE: words'; the codes: {', '.join(codes)}",
        )
    return text.strip()


def _range(text: str | None) -> tuple[int | None, int | None]:
    """`--expect 300`, `..300`, `10..` or `10..300`."""
    if text is None:
        return None, None
    found = _EXPECT.match(text.replace(",", ""))
    if not found or not (found[1] or found[3]) or (found[3] and not found[2]):
        raise UsageError(f"--expect {text!r} is not a number or a range", hint="write 300, ..300 or 10..300")
    low = int(found[1]) if found[1] else None
    return low, (int(found[3]) if found[3] else None) if found[2] else low


def _carry_out(program: Program, store: Store, request: RejectionRequest, run: _Run) -> int:
    """From the plan to the report; gives the exit code."""
    plan = prepare_rejection(store, request, clock=program.clock, new_id=program.new_id)
    _preview(program, store, plan)
    check_expectations(plan, run.expected)
    if run.dry_run:
        _report(program, run, plan, None, None)
        return 0
    approved = _confirmed(program, plan, run)
    result = _execute(program, store, approved)
    delivery = _deliver(program, store, result, run)
    _report(program, run, plan, result, delivery)
    if result.left_out:
        return FEWER_THAN_PLANNED
    return 0 if delivery is None or delivery.complete else MAILS_REMAIN


def _preview(program: Program, store: Store, plan: RejectionPlan) -> None:
    if program.quiet:
        return
    facts = sample_letters(store, plan)
    letter = program.composer().compose(facts[0]) if facts else None
    program.screen.preview(plan, store=store.label, production=program.settings.flag("production"), letter=letter)


def _confirmed(program: Program, plan: RejectionPlan, run: _Run) -> ApprovedPlan:
    """The plan with its approval. Raises DeclinedError."""
    if run.yes or not plan.targets.count:
        return plan.approve(by=program.actor, how="--yes")
    try:
        agreed = program.prompts.confirm_rejection(plan.targets.count)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; nothing was changed") from None
    if not agreed:
        raise DeclinedError("declined; nothing was changed")
    return plan.approve(by=program.actor, how="confirmed at the terminal")


def _execute(program: Program, store: Store, approved: ApprovedPlan) -> RejectionResult:
    try:
        return execute_rejection(store, approved, clock=program.clock, message_domain=program.message_domain)
    except KeyboardInterrupt:
        # The interruption may have come after the commit: the store knows.
        with program.open_store() as asked, asked.snapshot() as work:
            batch = work.rejections.batch(approved.plan.id)
        done = f"{count_of(batch.rejected, 'order')} rejected as batch {batch.id}" if batch else "nothing was changed"
        raise KeyboardInterrupt(f"interrupted; {done}") from None


def _deliver(program: Program, store: Store, result: RejectionResult, run: _Run) -> DeliveryReport | None:
    if not result.mails or result.batch_id is None:
        return None
    try:
        with program.screen.progress("Mailing") as progress:
            return deliver(
                store,
                program.composer(),
                program.mailer_factory(),
                clock=program.clock,
                new_token=program.new_id,
                batch_id=result.batch_id,
                progress=progress,
            )
    except KeyboardInterrupt:
        _report(program, run, result.plan, result, None)
        raise KeyboardInterrupt("interrupted; the mails that are left wait for: orderctl mail send") from None


def _report(
    program: Program,
    run: _Run,
    plan: RejectionPlan,
    result: RejectionResult | None,
    delivery: DeliveryReport | None,
) -> None:
    if run.as_ is ReportFormat.JSON:
        program.output.document(rejection_document(plan, result, delivery))
    elif result is None:
        program.screen.tell("A dry run: nothing was changed.")
    else:
        program.screen.result(result, delivery)
