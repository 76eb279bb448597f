"""`orderctl buyer erase`: takes the personal data of buyers out of the store."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, ReportFormat, Yes
from orderctl.core.text import safe
from orderctl.database.store import Store
from orderctl.erasure.scope import ErasureReport, erasure_document
from orderctl.erasure.service import buyers_older_than, erase_buyer, erase_buyers, preview_erasure, refusal, sweep
from orderctl.errors import ExitCode, UsageError
from orderctl.language import _, enumerated, ngettext
from orderctl.terminal.prompts import ask_to_go_on

app = group_app("The personal data of buyers: what is kept, why, and how it goes: orderctl help personal-data.")
_AGE = re.compile(r"([1-9][0-9]{0,4})([dy])", re.ASCII)
_LONGEST = timedelta(days=100 * 366)
OlderThan = Annotated[
    str | None, typer.Option(metavar="AGE", help="Those whose newest order is older, and nothing is open: 3y, 400d.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Show what would be erased, and stop.")]


@app.command(
    "orderctl buyer erase acme --dry-run",
    "orderctl buyer erase acme",
    "orderctl buyer erase --older-than 3y --yes   # from cron",
)
def erase(
    context: Context,
    buyer_id: Annotated[str | None, typer.Argument(metavar="ID", help="The buyer's id.", show_default=False)] = None,
    older_than: OlderThan = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_: AsReport = "text",
) -> None:
    """Erase name, addresses and letters of a buyer for good; the log still holds. For the owner of the store."""
    if (buyer_id is None) == (older_than is None):
        raise UsageError(_("name one buyer, or an age with --older-than"), hint="orderctl buyer erase --help")
    with context.open_store() as store:
        if buyer_id is not None:
            found: tuple[ErasureReport, ...] = (preview_erasure(store, buyer_id),)
        else:
            before = _before(context.clock.now(), older_than or "")
            found = buyers_older_than(store, before)
        wanted = [report for report in found if not report.already]
        free = [report for report in wanted if report.outcome == "dry-run"]
        _preview(context, found)
        if dry_run or not (free or buyer_id):
            reports: Sequence[ErasureReport] = found
        else:
            if free:
                _confirm(free, yes=yes)
            reports = _erased(context, store, found, alone=buyer_id is not None)
    _report(context, reports, as_, dry_run=dry_run)


def _erased(context: Context, store: Store, found: Sequence[ErasureReport], *, alone: bool) -> Sequence[ErasureReport]:
    """Erase the buyers; one who cannot be erased is left as they are, unless alone."""
    if alone:
        done = [erase_buyer(store, found[0].buyer_id, actor=context.actor, clock=context.clock)]
    else:
        free = [report.buyer_id for report in found if report.outcome == "dry-run"]
        done = [*erase_buyers(store, free, actor=context.actor, clock=context.clock)]
        for report in done:
            if report.outcome == "refused":
                context.screen.warn(refusal(report).sentence)
    sweep(store)
    by_id = {report.buyer_id: report for report in done}
    return [by_id.get(report.buyer_id, report) for report in found]


def _preview(context: Context, found: Sequence[ErasureReport]) -> None:
    """Say what each erasure blanks, and what is in its way."""
    for report in found:
        name = safe(report.buyer_id)
        if report.already or report.scope is None:
            context.screen.tell(
                _("buyer {buyer} was {mark}", buyer=name, mark=report.erasure.mark if report.erasure else "")
            )
            continue
        words = _(
            "buyer {buyer}, {name}: {counts}", buyer=name, name=safe(report.scope.buyer.name), counts=_counts(report)
        )
        context.screen.tell(words)
        for what, hint in report.scope.obstacles():
            context.screen.warn(_("buyer {buyer} stays: {what}; {hint}", buyer=name, what=what, hint=hint))


def _counts(report: ErasureReport) -> str:
    counts = report.counts
    return enumerated(
        (
            ngettext("{number:,} order", "{number:,} orders", counts["orders"]),
            ngettext("{number:,} letter", "{number:,} letters", counts["mails"]),
            ngettext("{number:,} plan", "{number:,} plans", counts["plans"]),
            ngettext("{number:,} batch", "{number:,} batches", counts["batches"]),
        )
    )


def _confirm(free: Sequence[ErasureReport], *, yes: bool) -> None:
    """Ask before anything is erased. Raises UsageError without a terminal, DeclinedError for a no."""
    if yes:
        return
    what = ngettext(
        "the personal data of {number:,} buyer would be erased for good",
        "the personal data of {number:,} buyers would be erased for good",
        len(free),
    )
    ask_to_go_on(what)


def _report(context: Context, reports: Sequence[ErasureReport], as_: ReportFormat, *, dry_run: bool) -> None:
    if as_ != "text":
        context.output.documents(map(erasure_document, reports), as_)
    done = sum(report.outcome == "erased" for report in reports)
    if dry_run:
        context.screen.tell(_("a dry run: nothing was changed"))
        return
    if not reports:
        context.screen.tell(_("no buyer is that old and without open business"))
    if done:
        words = ngettext(
            "the personal data of {number:,} buyer was erased",
            "the personal data of {number:,} buyers was erased",
            done,
        )
        context.screen.tell(words)
        context.screen.tell(_("backups, exports and the source still have it: orderctl help personal-data"))
    if any(report.outcome == "refused" for report in reports):
        raise typer.Exit(ExitCode.UNEXPECTED_PLAN)


def _before(now: datetime, age: str) -> datetime:
    """The instant that is so long ago. Raises UsageError."""
    found = _AGE.fullmatch(age.strip().lower())
    length = timedelta(days=int(found[1]) * (365.25 if found[2] == "y" else 1)) if found else timedelta()
    if not timedelta() < length <= _LONGEST:
        raise UsageError(_("--older-than cannot be {age!r}", age=age), hint=_("write days or years, as in 400d or 3y"))
    return now - length
