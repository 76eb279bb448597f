"""`orderctl store init|upgrade|check|backup`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderctl.audit.service import verify_log
from orderctl.audit.verification import Tampering
from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, ReportFormat, context_of
from orderctl.database.check import Check, check_store
from orderctl.database.sqlite import backup_store
from orderctl.errors import OrderctlError
from orderctl.language import N_, _, ngettext
from orderctl.orders.document import SCHEMA, Document

if TYPE_CHECKING:
    from collections.abc import Iterable

app = group_app()


@app.callback()
def store() -> None:
    """Make, upgrade, check and copy the database."""


@app.command(epilog="Examples:\n\norderctl store init\n\norderctl --store orders.db store init")
def init(ctx: typer.Context) -> None:
    """Make the store; does nothing if it is there."""
    context = context_of(ctx)
    from orderctl.database.schema import init_store

    made = init_store(context.address)
    where = context.address.shown
    context.screen.tell(
        _("made the store {store}", store=where) if made else _("the store is there already: {store}", store=where)
    )


@app.command(epilog="Examples:\n\norderctl store upgrade")
def upgrade(ctx: typer.Context) -> None:
    """Bring the store's schema to this program's revision; a SQLite store is copied before."""
    context = context_of(ctx)
    from orderctl.database.schema import upgrade_with_copy

    before, after, copy = upgrade_with_copy(context.address, context.clock.now())
    if copy is not None:
        context.screen.tell(_("copied the store as it was to {file}", file=copy))
    context.screen.tell(
        _("the store is of revision {revision}", revision=after)
        if before == after
        else _("upgraded the store from {before} to {after}", before=before, after=after)
    )


@app.command(epilog="Examples:\n\norderctl store backup orders-2026-03-14.db")
def backup(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; only you will be able to read it.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Copy a SQLite store while others work on it, and check the copy."""
    context = context_of(ctx)
    backup_store(context.address, file, force=force)
    context.screen.tell(_("copied {store} to {file}, and checked the copy", store=context.address.shown, file=file))


@app.command(
    epilog="Examples:\n\norderctl store check\n\norderctl --quiet store check --quick || page-somebody\n\n"
    "orderctl store check --format json\n\nEnds with 0: in order, 1: something is wrong, 7: cannot be reached."
)
def check(
    ctx: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out what reads every row.")] = False,
    as_: AsReport = ReportFormat.TEXT,
) -> None:
    """Look the store over: schema, guards, references, orphans, and the chain of the log."""
    context = context_of(ctx)
    checks = []
    for found in _checks(context, quick=quick):
        checks.append(found)
        if as_ is ReportFormat.TEXT:
            context.output.lines([check_words(found)])
    if as_ is not ReportFormat.TEXT:
        context.output.document(health_document(context.address.shown, checks), as_)
    wrong = sum(not found.ok for found in checks)
    if wrong:
        raise OrderctlError(
            ngettext(
                "{number:,} thing wrong with the store {store}",
                "{number:,} things wrong with the store {store}",
                wrong,
                store=context.address.shown,
            ),
            hint=_("see orderctl help store for what each of them means"),
        )


def _checks(context: Context, *, quick: bool) -> Iterator[Check]:
    usable = True
    for found in check_store(context.address, context.settings.text("account"), quick=quick):
        usable = usable and (found.ok or found.name not in {"schema", "integrity"})
        yield found
    if usable and not quick:
        yield _log(context)


def _log(context: Context) -> Check:
    """The chain of the log, with the first record that is not as it was written."""
    tampered: list[Tampering] = []

    def report(tampering: Tampering) -> None:
        if not tampered:
            tampered.append(tampering)

    with context.open_store() as opened, context.screen.progress(N_("Verifying the log")) as progress:
        verdict = verify_log(opened, anchor=None, report=report, progress=progress)
    if tampered:
        first = _("{record}: {problem}", record=tampered[0].record, problem=tampered[0].problem)
        if verdict.tampered > 1:
            more = verdict.tampered - 1
            first = _("{first}; {more:,} more, see: orderctl log verify", first=first, more=more)
        return Check("log", ok=False, detail=first)
    read = _(
        "{batches} and {events} as written",
        batches=ngettext("{number:,} batch", "{number:,} batches", verdict.batches),
        events=ngettext("{number:,} event", "{number:,} events", verdict.events),
    )
    return Check("log", ok=True, detail=read)


def check_words(found: Check) -> str:
    """Whether it is in order, its name, and what was seen."""
    verdict = _("ok   ") if found.ok else _("WRONG")
    return f"{verdict}  {found.name}: {found.detail}"


def health_document(store: str, checks: Iterable[Check]) -> Document:
    """What a check of the store found."""
    listed = [asdict(check) for check in checks]
    return {"schema": SCHEMA, "store": store, "ok": all(check["ok"] for check in listed), "checks": listed}
