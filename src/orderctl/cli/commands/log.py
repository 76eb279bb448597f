"""`orderctl log [ORDER|BATCH]`, `log verify|checkpoint|export|report|reentry`."""

import shlex
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer

from orderctl.audit.checkpoint import (
    CA_SETTING,
    KEY_SETTING,
    SERVER_SETTING,
    Checkpoint,
    SigningKey,
    Timestamps,
    consistency_text,
    inclusion_text,
    make_key,
    read_checkpoint,
)
from orderctl.audit.document import batch_document, tampering_document, verdict_document, write_record
from orderctl.audit.heads import seen_head
from orderctl.audit.log import Batch
from orderctl.audit.queries import batch_events, batch_summaries, get_batch, list_batches, newest_act, newest_head
from orderctl.audit.report import report_on
from orderctl.audit.service import record_of, take_checkpoint, verify_log
from orderctl.audit.verdicts import batch_verdicts, groups_document, verdict_groups, verdict_of_id, write_verdicts
from orderctl.audit.verification import LogVerdict, Noted, Tampering
from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, suggest_batch, suggest_order_or_batch
from orderctl.core.text import safe
from orderctl.database.acts import read_acts
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.delivery.endings import BATCHES_LISTED, batch_ending, find_batch
from orderctl.delivery.queries import count_states
from orderctl.errors import OrderctlError, UsageError
from orderctl.exporting.service import NEW_ID, ExportFormat, ExportRequest, reentered_orders, write_export
from orderctl.files.safe import create_file, output_file
from orderctl.filters.parser import is_term
from orderctl.language import N_, _, ngettext
from orderctl.mail.outbox import MAILS, MailQuery
from orderctl.orders.document import SCHEMA, event_document
from orderctl.orders.erasures import erasures
from orderctl.orders.orders import OrderEvent
from orderctl.orders.queries import get_order, order_events
from orderctl.settings import LARGEST

app = group_app(
    "Who rejected what, when and why: `log` lists the batches, `log ORDER` and `log BATCH` show one.",
    "orderctl log",
    "orderctl log 10021",
    "orderctl log verify",
    "orderctl log show verify   # an order of that name",
    with_default=True,
)
_SHOWN = 20
Output = Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="The file; - for standard output.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]


LogFormat = Literal["text", "json", "jsonl", "csv"]


@app.command(
    "orderctl log",
    "orderctl log 10021",
    "orderctl log 2gi7a8q4 --format json",
    "orderctl log 2gi7a8q4 10021 10022 --format csv   # what became of these two",
)
def show(
    context: Context,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[ORDER|BATCH]",
            help="An order's id, or a batch's or its ending.",
            autocompletion=suggest_order_or_batch,
        ),
    ] = None,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Behind a batch: what became of these ids in it.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, max=LARGEST, help="At most so many batches; 0: all.")] = _SHOWN,
    full: Annotated[bool, typer.Option("--full", help="Of a batch: what became of every id.")] = False,
    as_: Annotated[LogFormat, typer.Option("--format", help="csv: what became of every id of a batch.")] = "text",
) -> None:
    """The batches, one batch and what became of its ids, or one order's log; the word `show` may be left out."""
    with context.open_store() as store, store.snapshot() as connection:
        batch_id = _batch_id(connection, subject) if subject else None
        if batch_id is None and (ids or full or as_ == "csv"):
            raise UsageError(
                _("ids, --full and --format csv are for one batch"), hint=_("name it first: orderctl log BATCH ID")
            )
        if subject is None:
            _batches(context, list_batches(connection, limit or None), as_)
            return
        if batch_id is not None and (batch := get_batch(connection, batch_id)):
            _batch(context, connection, batch, ids or None, as_, full=full)
            return
        order = get_order(connection, subject)
        if order is None:
            raise UsageError(
                _("there is no order and no batch {subject!r} in this store", subject=subject),
                hint=f"orderctl search {safe(shlex.quote(subject))}"
                if is_term(subject)
                else _("orderctl log lists batches"),
            )
        _order(context, order.id, order_events(connection, order.id), as_)


def _batch_id(connection: Connection, subject: str) -> str | None:
    """The id of the batch that is meant. The id of an order may equal the ending of one: whole ids come first."""
    if get_batch(connection, subject) is not None:
        return subject
    return None if get_order(connection, subject) else batch_ending(connection, subject)


@app.command(
    "orderctl log verify",
    "orderctl log verify --format json",
    "orderctl log verify --anchor 3f1c...   # the digest that an earlier run printed",
    'orderctl log verify --since checkpoint.txt --key "$(cat checkpoint.pub)"   # what log checkpoint wrote then',
)
def verify(
    context: Context,
    anchor: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="A batch's digest, kept elsewhere, that must still be there.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A checkpoint, kept elsewhere, that the log must continue.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="PUBLIC", help="The public key that must have signed the checkpoint.")
    ] = None,
    accept_head: Annotated[
        bool,
        typer.Option("--accept-head", help="Take the store's newest batch, though you saw a later one or another."),
    ] = False,
    as_: AsReport = "text",
) -> None:
    """Prove that nobody edited the log; names each record that is not as it was written, and ends with 1."""
    checkpoint, stamped = _read_checkpoint(since, key), _read_stamp(context, since)
    with context.open_store() as store:
        seen = seen_head(store, context.state_folder, context.screen.warn)
        noted = Noted(anchor=anchor, checkpoint=checkpoint, seen=None if accept_head else seen.last)
        if as_ == "text":
            verdict = _verified(
                context, store, noted, lambda found: context.output.lines([f"{found.record}: {found.problem}"])
            )
            context.output.lines(_summary(verdict, noted, stamped, signed=key is not None))
        else:
            with context.output.listing(as_) as write:
                verdict = _verified(context, store, noted, lambda found: write(tampering_document(found)))
                write(verdict_document(verdict))
        if accept_head or not verdict.tampered:
            seen.note(verdict.head.as_head if verdict.head else None)
    if verdict.tampered:
        raise OrderctlError(
            ngettext(
                "the log is not as it was written: {number:,} record",
                "the log is not as it was written: {number:,} records",
                verdict.tampered,
            ),
            hint=_("is it an old backup? orderctl log verify --accept-head takes it as it is")
            if verdict.went_back
            else _("keep a copy of the store as it is, and see orderctl help log"),
        )


@app.command(
    "orderctl log checkpoint",
    "orderctl log checkpoint -o checkpoint.txt",
    "orderctl log checkpoint --new-key checkpoint.key > checkpoint.pub",
    "orderctl log checkpoint --prove 2gi7a8q4 -o 2gi7a8q4.tlog-proof",
)
def checkpoint(
    context: Context,
    output: Output = "-",
    new_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Make a key in this private file, and print the public one.")
    ] = None,
    prove: Annotated[
        str | None, typer.Option(metavar="BATCH", help="With the proof that this batch is in the log.")
    ] = None,
    since: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With the proof that the log continues this checkpoint.")
    ] = None,
    force: Force = False,
) -> None:
    """Write how long the log is and the root of its digests, signed, to be kept where nobody can change it."""
    if sum(given is not None for given in (new_key, prove, since)) > 1:
        raise UsageError(_("--new-key, --prove and --since are three different things"), hint=_("give one of them"))
    before = _read_checkpoint(since, None)
    with context.open_store() as store:
        context.check_head(store)
        with store.snapshot() as connection:
            made, leaves = take_checkpoint(connection, store.account, context.clock.of(connection))
            proven = find_batch(connection, prove) if prove else None
    if new_key is not None:
        _make_key(context, made.origin, new_key, force=force)
        return
    if (key_file := context.settings.path(KEY_SETTING)) is None:
        context.screen.tell(_("not signed: the setting {key} names no key", key=KEY_SETTING))
    else:
        made = made.sign(SigningKey.read(key_file))
    text = str(made)
    if proven is not None:
        text = inclusion_text(made, [*leaves.values()], [*leaves].index(proven))
    elif before is not None:
        text = consistency_text(made, before, [*leaves.values()])
    path = None if output == "-" else output
    with output_file(path, force=force) as out:
        out.write(text.encode())
    if path is not None:
        context.screen.tell(_("wrote the checkpoint of number {number:,} to {file}", number=made.size, file=path))
    if proven is None and before is None:
        _stamp(context, text.encode(), path, force=force)


def _stamp(context: Context, note: bytes, path: str | None, *, force: bool) -> None:
    """Write a timestamp of the checkpoint beside its file, where a server is set. Raises OrderctlError without one."""
    url, ca_file = context.settings.text(SERVER_SETTING), context.settings.path(CA_SETTING)
    if not url:
        return
    if path is None:
        context.screen.tell(_("no timestamp: it would stand beside a file, and none is named with -o"))
        return
    if ca_file is None:
        raise UsageError(
            _("no timestamp: {key} is not set", key=CA_SETTING),
            hint=_("name the certificates of the authority, as it gives them out"),
        )
    answer, beside = Timestamps(url=url, ca_file=ca_file).take(note), f"{path}{_STAMPED}"
    with create_file(Path(beside), force=force) as out:
        out.write(answer)
    context.screen.tell(_("wrote its timestamp to {file}", file=beside))


_STAMPED = ".tsr"  # as openssl calls an answer of RFC 3161


def _read_stamp(context: Context, path: Path | None) -> datetime | None:
    """When the checkpoint in a file was there, by the timestamp beside it; None without one. Raises OrderctlError."""
    beside = path and path.with_name(f"{path.name}{_STAMPED}")
    if path is None or beside is None or not beside.is_file():
        return None
    ca_file = context.settings.path(CA_SETTING)
    if ca_file is None:
        context.screen.warn(_("{file} is not checked: {key} is not set", file=beside, key=CA_SETTING))
        return None
    return Timestamps(ca_file=ca_file).check(beside.read_bytes(), path.read_bytes())


def _make_key(context: Context, name: str, path: Path, *, force: bool) -> None:
    private, public = make_key(name)
    with create_file(path, force=force) as out:
        out.write(private.encode())
    context.output.lines([public])
    told = _("wrote the private key to {file}; set {key} to it, and keep the public one", file=path, key=KEY_SETTING)
    context.screen.tell(told)


def _read_checkpoint(path: Path | None, key: str | None) -> Checkpoint | None:
    """The checkpoint in a file, whose signature is checked if a key is given. Raises UsageError, OrderctlError."""
    if path is None:
        if key is not None:
            raise UsageError(_("--key is for a checkpoint, and there is none"), hint=_("give it with --since FILE"))
        return None
    found = read_checkpoint(path)
    if key is not None:
        found.check_signature(key)
    return found


@app.command("orderctl log export -o log.jsonl", "orderctl log export --format csv > log.csv")
def export(
    context: Context,
    output: Output = "-",
    as_: Annotated[
        Literal["jsonl", "csv"] | None, typer.Option("--format", help="By the file's ending if not said.")
    ] = None,
    force: Force = False,
) -> None:
    """Write every batch, event, act and erasure with its digests, for an auditor: JSON lines or CSV."""
    path = None if output == "-" else output
    format_ = as_ or ("csv" if output.lower().endswith(".csv") else "jsonl")
    with context.open_store() as store, store.snapshot() as connection:
        written = write_record(
            record_of(connection), read_acts(connection), erasures(connection), path, format_, force=force
        )
    told = _(
        "{batches}, {rows}, written to {file}",
        batches=ngettext("{number:,} batch", "{number:,} batches", written["batch"]),
        rows=ngettext("{number:,} row", "{number:,} rows", sum(written.values())),
        file=_("standard output") if path is None else safe(path),
    )
    context.screen.tell(told)


@app.command("orderctl log report -o report.pdf", "orderctl log report 2gi7a8q4 -o report.html")
def report(
    context: Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="A .pdf or an .html.")],
    batch_id: Annotated[
        str | None, typer.Argument(metavar="[BATCH]", help="The batch's id, or its ending; the newest if none.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a report of one batch: who, when, why, the orders, and a chart of what was rejected."""
    with context.open_store() as store, store.snapshot() as connection:
        batch = (
            get_batch(connection, find_batch(connection, batch_id))
            if batch_id
            else next(list_batches(connection, 1), None)
        )
        if batch is None:
            raise UsageError(_("nothing was rejected yet"), hint=_(BATCHES_LISTED))
        __, head = newest_head(connection)
        found = report_on(
            batch,
            batch_summaries(connection, batch.id),
            count_states(connection, MAILS, MailQuery(batch_id=batch.id)),
            head=head,
            act_head=newest_act(connection),
        )
    from orderctl.audit.report_file import write_report

    write_report(found, output, force=force)
    context.screen.tell(_("wrote the report of batch {batch} to {file}", batch=batch.id, file=output))


def _verified(context: Context, store: Store, noted: Noted, tell: Callable[[Tampering], None]) -> LogVerdict:
    with context.screen.progress(N_("Verifying")) as progress:
        return verify_log(store, noted=noted, report=tell, progress=progress)


_ENTERED = {f".{each}": each for each in (ExportFormat.CSV, ExportFormat.XLSX, ExportFormat.JSONL)}


@app.command(
    "orderctl log reentry 2gi7a8q4 -o orders.csv", "orderctl log reentry 2gi7a8q4 -o orders.xlsx --new-id 'NEW-{id}'"
)
def reentry(
    context: Context,
    batch_id: Annotated[
        str, typer.Argument(metavar="BATCH", help="The batch's id, or its ending.", autocompletion=suggest_batch)
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to import: .csv, .xlsx or .jsonl.")
    ],
    new_id: Annotated[str, typer.Option(metavar="RULE", help="The new ids; {id} stands for the old one.")] = NEW_ID,
    force: Force = False,
) -> None:
    """Write the orders that a batch rejected as new orders, for `import`: new ids, nothing confirmed yet."""
    format_ = _ENTERED.get(Path(output).suffix.lower())
    if format_ is None:
        raise UsageError(_("{file}: its ending is no format that import takes", file=output), hint=", ".join(_ENTERED))
    request = ExportRequest(format=format_, path=output, by_line=format_ is ExportFormat.CSV, force=force)
    with context.open_store() as store, store.snapshot() as connection:
        batch = get_batch(connection, find_batch(connection, batch_id))
        assert batch is not None  # noqa: S101 - found in the same snapshot
        write_export(reentered_orders(connection, batch, new_id), request)
    written = ngettext(
        "{number:,} order written as a new one; enter it with: orderctl import {file}",
        "{number:,} orders written as new ones; enter them with: orderctl import {file}",
        batch.rejected,
        file=shlex.quote(output),
    )
    context.screen.tell(written)


def _summary(verdict: LogVerdict, noted: Noted, stamped: datetime | None, *, signed: bool) -> Iterator[str]:
    """What was read, and the digest to keep."""
    counted = {
        "batches": ngettext("{number:,} batch", "{number:,} batches", verdict.batches),
        "events": ngettext("{number:,} event", "{number:,} events", verdict.events),
    }
    continued = noted.checkpoint if verdict.continues else None
    if verdict.tampered:
        yield _("read {batches} and {events} of them", **counted)
    else:
        yield _("as written: {batches} and {events} of them", **counted)
    if verdict.anchored:
        yield _("the anchor is in the chain: nothing up to it was changed or removed")
    if continued and signed:
        size = continued.size
        yield _("the log continues the checkpoint of number {number:,}, whose signature is valid", number=size)
    elif continued:
        size = continued.size
        yield _("the log continues the checkpoint of number {number:,}; its signature was not checked", number=size)
    if stamped and continued:
        at = stamped.astimezone(UTC)
        yield _("its timestamp says that it was there on {at:%Y-%m-%d %H:%M:%S} UTC", at=at)
    yield from _beside(verdict)
    if noted.anchor is None and noted.checkpoint is None and not verdict.tampered:
        yield _(
            "not known: whether the newest batches or acts were cut off, or all was written anew"
            " (--since CHECKPOINT tells)"
        )
    if continued and continued.acts is None:
        yield _("not known: whether acts were cut off: the checkpoint is of an earlier version")
    if (newest := verdict.act_head) and not verdict.tampered:
        yield _("newest act: number {position:,}, {digest}", position=newest.position, digest=newest.digest)
    if (head := verdict.head) and not verdict.tampered:
        yield _("head: batch {batch}, number {position:,}", batch=head.id, position=head.position)
        yield _("keep elsewhere, for --anchor: {digest}", digest=head.digest)


def _beside(verdict: LogVerdict) -> Iterator[str]:
    """What was read beside the batches, and what no digest of today covers."""
    if verdict.acts or verdict.loose:
        acts = ngettext("{number:,} act", "{number:,} acts", verdict.acts)
        yield ngettext(
            "{acts} besides rejecting, and {number:,} event of orders (imported as rejected: {imported:,})",
            "{acts} besides rejecting, and {number:,} events of orders (imported as rejected: {imported:,})",
            verdict.loose,
            acts=acts,
            imported=verdict.imported,
        )
    if verdict.earlier:
        yield ngettext(
            "{number:,} record is from before acts were recorded; one digest covers it",
            "{number:,} records are from before acts were recorded; one digest covers all of them",
            verdict.earlier,
        )
    if verdict.unknown_lines:
        yield ngettext(
            "no digest covers the lines of {number:,} order, which an earlier version rejected",
            "no digest covers the lines of {number:,} orders, which an earlier version rejected",
            verdict.unknown_lines,
        )
    if verdict.unknown_mails:
        yield ngettext(
            "no digest covers {number:,} mail, which an earlier version queued",
            "no digest covers {number:,} mails, which an earlier version queued",
            verdict.unknown_mails,
        )
    if verdict.erasures:
        yield ngettext(
            "the data of {number:,} buyer was erased; batches held against the record of it: {batches:,}",
            "the data of {number:,} buyers was erased; batches held against the record of it: {batches:,}",
            verdict.erasures,
            batches=verdict.erased,
        )


def _batches(context: Context, batches: Iterable[Batch], as_: LogFormat) -> None:
    if as_ != "text":
        context.output.documents(map(batch_document, batches), as_)
    elif listed := list(batches):
        from orderctl.audit.view import batch_table

        context.screen.table(lambda: batch_table(listed))
    else:
        context.screen.tell(_("nothing was rejected yet"))


def _batch(
    context: Context, connection: Connection, batch: Batch, ids: list[str] | None, as_: LogFormat, *, full: bool
) -> None:
    """One batch with its events and verdicts, or what became of some ids in it."""
    if as_ == "csv":
        write_verdicts(batch_verdicts(connection, batch, ids), context.output.stream)
        return
    if as_ != "text" and ids:
        context.output.documents(map(verdict_of_id, batch_verdicts(connection, batch, ids)), as_)
        return
    groups, events = verdict_groups(connection, batch), batch_events(connection, batch.id)
    if as_ != "text":
        told = {
            "events": list(map(event_document, events)),
            "verdict_counts": groups_document(batch, groups),
            "verdicts": list(map(verdict_of_id, batch_verdicts(connection, batch))),
        }
        context.output.document(batch_document(batch) | told, as_)
        return
    from orderctl.audit.view import batch_details, verdict_table

    if full or ids:
        context.screen.table(lambda: verdict_table(batch_verdicts(connection, batch, ids)))
    else:
        context.screen.page(batch_details(batch, list(events), groups))


def _order(context: Context, order_id: str, events: tuple[OrderEvent, ...], as_: LogFormat) -> None:
    if as_ != "text":
        document = {"schema": SCHEMA, "order": order_id, "events": list(map(event_document, events))}
        context.output.document(document, as_)
    elif events:
        from orderctl.orders.view import event_table

        context.screen.table(lambda: event_table(events))
    else:
        context.screen.tell(_("nothing is logged for order {id}", id=order_id))
