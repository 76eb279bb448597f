"""Writes the log for an auditor, streamed: every sealed field, so that the digests can be computed again."""

import json
import sys
from collections import Counter
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


def write_record(batches: Iterable[SealedBatch], path: str | None, format_: str, *, force: bool) -> Counter[str]:
    """Write to a new private file, or to standard output; gives how many records of each kind.

    Raises UsageError if the name is taken.
    """
    written: Counter[str] = Counter()
    with _target(path, force=force) as out:
        text = TextIOWrapper(out, encoding="utf-8", newline="")
        {"jsonl": _write_lines, "csv": _write_table}[format_](_records(batches, written), text)
        text.flush()
        text.detach()
    return written


def _records(batches: Iterable[SealedBatch], written: Counter[str]) -> Iterator[dict[str, object]]:
    """Each batch before its events; counted in `written`."""
    for sealed in batches:
        if sealed.batch is not None:
            document = asdict(sealed.batch) | {"at": sealed.batch.at.isoformat()}
            del document["leaves"]
            written["batch"] += 1
            yield {"record": "batch", **document}
        for event in sealed.events:
            written["event"] += 1
            yield {
                "record": "event",
                **asdict(event),
                "at": event.at.isoformat(),
                "leaf": leaf(event_line(event)),
            }


def _write_lines(records: Iterable[dict[str, object]], out: TextIO) -> None:
    encode = json.JSONEncoder().encode
    out.writelines(f"{encode({'schema': SCHEMA, **record})}\n" for record in records)


def _write_table(records: Iterable[dict[str, object]], out: TextIO) -> None:
    writer = csv_rows(out)
    writer.writerow(_COLUMNS)
    for record in records:
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
