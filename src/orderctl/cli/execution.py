"""From a plan to its report, for `reject` and `plan run` alike: preview, confirm, execute, mail, report."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from orderctl.bootstrap.program import Program
from orderctl.cli.delivery import Stopped, Stopping, deliver_mails
from orderctl.cli.options import ReportFormat
from orderctl.domain.errors import CommitUnknownError, DeclinedError, ExitCode, OrderctlError, UsageError
from orderctl.domain.os_errors import reason_of
from orderctl.domain.outbox import DeliveryReport
from orderctl.domain.rejection import RejectionPlan, RejectionResult
from orderctl.domain.reports import Document, rejection_document
from orderctl.domain.request_keys import RequestKey
from orderctl.domain.sample_letters import SampleLetter
from orderctl.language import later, say, say_count
from orderctl.ports import Store
from orderctl.services.rejecting import Expectations, delivered_so_far, mails_left, targets_of
from orderctl.services.sample_letters import compose_samples

_EXPECT = re.compile(r"\A(\d{0,9})(\.\.)?(\d{0,9})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How this call is to go on once the plan is made: `save` keeps it, `hold` executes it that much later.

    `full` shows every order of it.
    `request` is the caller's own key, with what is asked for under it.
    `write` takes the JSON document of its report where it is one of several.
    """

    expected: Expectations
    dry_run: bool
    yes: bool
    as_: ReportFormat
    full: bool = False
    save: bool = False
    request: RequestKey | None = None
    hold: timedelta | None = None
    write: Callable[[Document], None] | None = None


def read_expectations(
    program: Program, *, strict: bool, expect: str | None, max_orders: int | None, ignore_unknown: bool
) -> Expectations:
    """What the options and the settings say about the size of a plan. Raises UsageError."""
    return Expectations(
        strict=strict,
        expect=_range(expect),
        max_orders=max_orders if max_orders is not None else program.settings.number("max_orders"),
        ignore_unknown=ignore_unknown,
    )


def _range(text: str | None) -> tuple[int | None, int | None]:
    """`--expect 300`, `..300`, `10..` or `10..300`."""
    if text is None:
        return None, None
    found = _EXPECT.match(text.replace(",", ""))
    if not found or not (found[1] or found[3]) or (found[3] and not found[2]):
        raise UsageError(
            say("--expect {text!r} is not a number or a range", text=text), hint=say("write 300, ..300 or 10..300")
        )
    low = int(found[1]) if found[1] else None
    return low, (int(found[3]) if found[3] else None) if found[2] else low


def check_can_ask(program: Program, run: Run, *, look: str = "--dry-run") -> None:
    """Without a terminal nobody can say yes; better known before the plan than after. `look` shows it and stops."""
    if not (run.yes or run.dry_run or run.save or program.prompts.can_ask()):
        raise UsageError(
            say("there is no terminal to confirm on, and nothing was changed"),
            hint=say("look with {option}, then say yes with --yes", option=look),
        )


def show_preview(
    program: Program, store: Store, plan: RejectionPlan, *, full: bool, ask_about_mails: bool = False
) -> tuple[SampleLetter, ...]:
    """Show what the plan would do, and note its size for the log; gives a letter for each language."""
    program.journal.step("planned", {"targets": plan.targets.count, "skipped": plan.skipped_count})
    letters = compose_letters(program, store, plan)
    if not program.quiet:
        program.screen.preview(
            plan,
            store=store.label,
            production=program.settings.flag("production"),
            letters=letters,
            ask_about_mails=ask_about_mails,
            every=targets_of(store, plan) if full else None,
        )
    return letters


def compose_letters(program: Program, store: Store, plan: RejectionPlan) -> tuple[SampleLetter, ...]:
    """A letter for each language of the plan.

    They are composed even if nobody looks: a template that is missing or broken stops the plan. Raises UsageError.
    """
    return compose_samples(store, program.mailing.composer(), plan) if plan.mail.mails else ()


def confirm(program: Program, store: Store, plan: RejectionPlan, run: Run) -> str:
    """Ask for the go-ahead to what the plan does; gives how it was given. Raises DeclinedError."""
    if run.yes or not plan.targets.count:
        return "--yes"
    production = program.settings.flag("production")
    if not program.prompts.confirm_rejection(plan, store=store.label, production=production):
        raise DeclinedError(say("declined; nothing was changed"))
    return later("confirmed at the terminal")


def executed(program: Program, plan: RejectionPlan, execute: Callable[[], RejectionResult]) -> RejectionResult:
    """Execute the plan. What ends the run from here on is told by what the store then holds (`ending.py`)."""
    program.begun.append(plan.id)
    try:
        with program.screen.progress(later("Rejecting")):
            return execute()
    except CommitUnknownError:
        raise
    except OrderctlError:
        program.begun.remove(plan.id)  # it says itself that nothing was changed
        raise


def conclude(program: Program, store: Store, result: RejectionResult, run: Run) -> int:
    """Mail what the batch queued and report; gives the exit code."""
    note_result(program, result)
    delivery = _deliver(program, store, result, run)
    report(program, run, result.plan, result, delivery)
    return _code(result, delivery)


def conclude_again(program: Program, store: Store, result: RejectionResult, run: Run) -> int:
    """Report what the first run under a key did, and send what it left of its mails; gives the exit code."""
    batch = result.plan.id
    program.screen.tell(say("the key was used by batch {batch}: its result follows, nothing is rejected", batch=batch))
    program.journal.step("repeated", {"batch": batch})
    delivery = None
    if result.mails:
        last = _deliver(program, store, result, run) if mails_left(store, batch) else None
        delivery = delivered_so_far(store, batch, last or DeliveryReport())
    report(program, run, result.plan, result, delivery)
    return _code(result, delivery)


def _code(result: RejectionResult, delivery: DeliveryReport | None) -> int:
    if result.left_out:
        return ExitCode.FEWER_THAN_PLANNED
    return ExitCode.DONE if delivery is None or delivery.complete else ExitCode.MAILS_REMAIN


def note_result(program: Program, result: RejectionResult) -> None:
    """Note what the batch did, for who keeps a log of runs."""
    figures = {"batch": result.batch_id, "rejected": result.rejected, "skipped": result.plan.skipped_count}
    program.journal.step("rejected", {**figures, "left_out": len(result.left_out), "mails": result.mails})


def _deliver(program: Program, store: Store, result: RejectionResult, run: Run) -> DeliveryReport | None:
    if not result.mails or result.batch_id is None:
        return None
    try:
        with Stopping() as stop, program.screen.progress(later("Mailing")) as progress:
            delivery = deliver_mails(program, store, stop, batch_id=result.batch_id, progress=progress)
        stop.check(delivery)
    except OrderctlError as error:
        # The rejection stands whatever becomes of its mails: they wait.
        return DeliveryReport(stopped=error.sentence)
    except Exception as error:  # noqa: BLE001
        return DeliveryReport(stopped=reason_of(error))
    except Stopped:
        report(program, run, result.plan, result, delivery)
        raise
    except KeyboardInterrupt:
        report(program, run, result.plan, result, None)
        raise KeyboardInterrupt(say("interrupted; the mails that are left wait for: orderctl mail send")) from None
    else:
        return delivery


def report(
    program: Program,
    run: Run,
    plan: RejectionPlan,
    result: RejectionResult | None,
    delivery: DeliveryReport | None,
    letters: Sequence[SampleLetter] = (),
) -> None:
    """Say what came of the plan; without a result it was a dry run."""
    if run.as_ is not ReportFormat.TEXT:
        write_document(program, run, rejection_document(plan, result, delivery, letters))
    elif result is None:
        program.screen.tell(say("A dry run: nothing was changed."))
    else:
        program.screen.result(result, delivery)
    if result is not None and result.unselected:
        taken_out = say_count(
            "{number:,} order taken out of the selection {name}",
            "{number:,} orders taken out of the selection {name}",
            result.unselected,
            name=result.plan.by.selection,
        )
        program.screen.tell(taken_out)


def write_document(program: Program, run: Run, document: Document) -> None:
    """Write a report as JSON, alone or as one of several."""
    if run.write is not None:
        run.write(document)
    else:
        program.output.document(document, run.as_)
