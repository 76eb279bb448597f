"""Writes the log for an auditor, streamed: every sealed field, so that the digests can be computed again."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from orderctl.domain.log import Batch, SealedBatch, event_line, leaf
from orderctl.domain.orders import OrderEvent
from orderctl.files.safe_files import create_file
from orderctl.files.table_writers import SCHEMA, csv_rows, inert

_BATCH = tuple(field.name for field in fields(Batch) if field.name != "leaves")
_EVENT = tuple(field.name for field in fields(OrderEvent))
_COLUMNS = ("record", *_EVENT, "leaf", *(name for name in _BATCH if name not in _EVENT))


def write_record(batches: Iterable[SealedBatch], path: str | None, format_: str, *, force: bool) -> None:
    """Write to a new private file, or to standard output. Raises UsageError if the name is taken."""
    with _target(path, force=force) as out:
        text = TextIOWrapper(out, encoding="utf-8", newline="")
        {"jsonl": _write_lines, "csv": _write_table}[format_](batches, text)
        text.flush()
        text.detach()


def _records(batches: Iterable[SealedBatch]) -> Iterator[dict[str, object]]:
    """Each batch before its events."""
    for sealed in batches:
        if sealed.batch is not None:
            document = asdict(sealed.batch) | {"at": sealed.batch.at.isoformat()}
            del document["leaves"]
            yield {"record": "batch", **document}
        for event in sealed.events:
            yield {
                "record": "event",
                **asdict(event),
                "at": event.at.isoformat(),
                "leaf": leaf(event_line(event)),
            }


def _write_lines(batches: Iterable[SealedBatch], out: TextIO) -> None:
    encode = json.JSONEncoder().encode
    out.writelines(f"{encode({'schema': SCHEMA, **record})}\n" for record in _records(batches))


def _write_table(batches: Iterable[SealedBatch], out: TextIO) -> None:
    writer = csv_rows(out)
    writer.writerow(_COLUMNS)
    for record in _records(batches):
        cells = (record.get(column) for column in _COLUMNS)
        writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in cells])


@contextmanager
def _target(path: str | None, *, force: bool) -> Iterator[BinaryIO]:
    if path is not None:
        with create_file(Path(path), force=force) as out:
            yield out
        return
    yield sys.stdout.buffer
    sys.stdout.flush()
