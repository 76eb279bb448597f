"""The record of what was done: batches, and the digest that chains them (design.md, sections 2 and 5)."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

from orderctl.domain.orders import OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One executed rejection, as the store keeps it.

    `position` counts the batches of the account from 1; `digest` covers the batch, its events and
    `previous`, the digest of the batch before (empty for the first).
    """

    id: str
    position: int
    at: datetime
    actor: str
    approver: str
    host: str
    program: str
    mode: str
    source: str
    reason: str
    message: str
    mail_per_order: bool
    planned: int
    rejected: int
    skipped: int
    mails: int
    digest: str
    previous: str


def seal(batch: Batch, events: Iterable[OrderEvent]) -> str:
    """The batch's digest: SHA-256 over its fields and over its events in the order of their order ids."""
    header = asdict(batch) | {"at": batch.at.isoformat()}
    del header["digest"]
    digest = hashlib.sha256(_line(header))
    for event in events:
        digest.update(_line(asdict(event) | {"at": event.at.isoformat()}))
    return digest.hexdigest()


def _line(fields: dict[str, object]) -> bytes:
    # JSON quotes what is inside a field, so no two records share a line.
    return json.dumps(fields, sort_keys=True).encode() + b"\n"
