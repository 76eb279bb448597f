"""Batches and the results of a verification as documents for other programs (design.md, section 8)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, TextIO

from orderctl.audit.log import Batch, LoggedBatch, event_line, leaf
from orderctl.database.acts import Act
from orderctl.files.csv import csv_rows, escape_formula
from orderctl.files.safe import output_file, text_in
from orderctl.language import english
from orderctl.mail.outbox import QueuedMail
from orderctl.mail.wording import Wording
from orderctl.orders.document import SCHEMA, Document
from orderctl.orders.erasures import Erasure
from orderctl.orders.orders import OrderEvent

if TYPE_CHECKING:
    from orderctl.audit.verification import LogVerdict, Tampering


def batch_document(batch: Batch) -> Document:
    """One batch, without the leaves of its digest."""
    messages = Wording.read(batch.message).document()
    document = asdict(batch) | {"schema": SCHEMA, "at": batch.at.isoformat(), "messages": messages}
    del document["leaves"], document["mail_leaves"]
    return document


def tampering_document(tampering: Tampering) -> Document:
    """One record that was changed after it was written."""
    return {"schema": SCHEMA, "type": "tampering", "record": tampering.record, **asdict(tampering)}


def verdict_document(verdict: LogVerdict) -> Document:
    """What a verification of the log read and found."""
    head = verdict.head
    return {
        "schema": SCHEMA,
        "type": "verdict",
        "outcome": "tampered" if verdict.tampered else "as-written",
        "tampered": verdict.tampered,
        "batches": verdict.batches,
        "events": verdict.events,
        "anchored": verdict.anchored,
        "continues": verdict.continues,
        "outside_batches": {"events": verdict.loose, "imported_as_rejected": verdict.imported},
        "acts": verdict.acts,
        "earlier": verdict.earlier,
        "unknown_lines": verdict.unknown_lines,
        "unknown_mails": verdict.unknown_mails,
        "erasures": {"buyers": verdict.erasures, "batches": verdict.erased},
        "head": head and {"batch": head.id, "position": head.position, "digest": head.digest},
        "act_head": verdict.act_head and asdict(verdict.act_head),
    }


_BATCH = tuple(field.name for field in fields(Batch) if field.name not in {"leaves", "mail_leaves"})
_EVENT = tuple(field.name for field in fields(OrderEvent))
_ACT = tuple(field.name for field in fields(Act))
_MAIL = ("buyer_id", "recipient", "language", "message_id", "salt", "orders")
_ERASURE = tuple(field.name for field in fields(Erasure))
_COLUMNS = tuple(dict.fromkeys(("record", *_EVENT, "leaf", *_BATCH, *_MAIL, *_ACT, *_ERASURE)))


def write_record(
    batches: Iterable[LoggedBatch],
    acts: Iterable[Act],
    erasures: Iterable[Erasure],
    path: str | None,
    format_: str,
    *,
    force: bool,
) -> Counter[str]:
    """Write the log to a new private file or to standard output; returns how many records of each kind.

    Raises UsageError if the file exists and `force` is not set.
    """
    written: Counter[str] = Counter()
    with output_file(path, force=force) as out, text_in(out) as text:
        {"jsonl": _write_lines, "csv": _write_table}[format_](_records(batches, acts, erasures, written), text)
    return written


def _records(
    batches: Iterable[LoggedBatch], acts: Iterable[Act], erasures: Iterable[Erasure], written: Counter[str]
) -> Iterator[dict[str, object]]:
    """Each batch, followed by its events; the events outside batches, the acts, the erasures. Counts them."""
    for logged in batches:
        if logged.batch is not None:
            document = asdict(logged.batch) | {"at": logged.batch.at.isoformat()}
            del document["leaves"], document["mail_leaves"]
            written["batch"] += 1
            yield {"record": "batch", **document}
        for event in logged.events:
            written["event"] += 1
            yield {
                "record": "event",
                **asdict(event),
                "detail": english(event.detail),
                "at": event.at.isoformat(),
                "leaf": leaf(event_line(event)),
            }
        for mail in logged.mails:
            written["mail"] += 1
            yield {"record": "mail", "batch_id": logged.batch and logged.batch.id, **_mail_record(mail)}
    for act in acts:
        written["act"] += 1
        yield {"record": "act", **asdict(act), "at": act.at.isoformat(), "batch_id": None}
    for erasure in erasures:
        written["erasure"] += 1
        yield {"record": "erasure", **asdict(erasure), "at": erasure.at.isoformat(), "batch_id": None}


def _mail_record(mail: QueuedMail) -> dict[str, object]:
    """A mail as it was queued; `digest` is its own, or what an erasure left of that."""
    fields = {name: getattr(mail, name) for name in ("id", "buyer_id", "recipient", "language", "message_id", "salt")}
    return {**fields, "digest": mail.proof, "orders": [list(told) for told in mail.orders]}


def _write_lines(records: Iterable[dict[str, object]], out: TextIO) -> None:
    encode = json.JSONEncoder().encode
    out.writelines(f"{encode({'schema': SCHEMA, **record})}\n" for record in records)


def _write_table(records: Iterable[dict[str, object]], out: TextIO) -> None:
    writer = csv_rows(out)
    writer.writerow(_COLUMNS)
    for record in records:
        cells = (record.get(column) for column in _COLUMNS)
        texts = (json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in cells)
        writer.writerow([escape_formula(cell) if isinstance(cell, str) else cell for cell in texts])
