"""`orderctl log export` and `log report`: the log as files."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from orderctl.bootstrap.files import write_record, write_report
from orderctl.cli.options import program_of
from orderctl.domain.batch_report import report_on
from orderctl.domain.errors import UsageError
from orderctl.domain.text import safe
from orderctl.language import say, say_count
from orderctl.ports import MailQuery
from orderctl.services.finding import BATCHES_LISTED, find_batch
from orderctl.services.verifying import record_of


class RecordFormat(StrEnum):
    """How the log is written for an auditor."""

    JSONL = "jsonl"
    CSV = "csv"


Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


def export(
    ctx: typer.Context,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file; - for standard output.")
    ] = "-",
    as_: Annotated[RecordFormat | None, typer.Option("--format", help="By the file's ending if not said.")] = None,
    force: Force = False,
) -> None:
    """Write every batch and event with its digests, for an auditor: JSON lines or CSV."""
    program = program_of(ctx)
    path = None if output == "-" else output
    format_ = as_ or (RecordFormat.CSV if output.lower().endswith(".csv") else RecordFormat.JSONL)
    with program.open_store() as store, store.snapshot() as work:
        written = write_record(record_of(work), path, format_, force=force)
    told = say(
        "{batches}, {rows}, written to {file}",
        batches=say_count("{number:,} batch", "{number:,} batches", written["batch"]),
        rows=say_count("{number:,} row", "{number:,} rows", sum(written.values())),
        file=say("standard output") if path is None else safe(path),
    )
    program.screen.tell(told)


def report(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .pdf or an .html.")],
    batch_id: Annotated[
        str | None, typer.Argument(metavar="[BATCH]", help="The batch's id, or its ending; the newest if none.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a report of one batch: who, when, why, the orders, and a chart of what was rejected."""
    program = program_of(ctx)
    with program.open_store() as store, store.snapshot() as work:
        rejections = work.rejections
        batch = rejections.batch(find_batch(work, batch_id)) if batch_id else next(rejections.batches(1), None)
        if batch is None:
            raise UsageError(say("nothing was rejected yet"), hint=say(BATCHES_LISTED))
        found = report_on(
            batch, work.record.batch_summaries(batch.id), work.outbox.counts(MailQuery(batch_id=batch.id))
        )
    write_report(found, output, force=force)
    program.screen.tell(say("wrote the report of batch {batch} to {file}", batch=batch.id, file=output))
