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
    leaves: str
    previous: str


@dataclass(frozen=True, slots=True)
class Seal:
    """What proves a batch: its digest, and a short digest of each event, so that a changed one can be named."""

    digest: str
    leaves: str


LEAF_LENGTH = 8


def seal(batch: Batch, events: Iterable[OrderEvent]) -> Seal:
    """Seal a batch: SHA-256 over its fields and over its events in the order of their order ids.

    The batch's own `digest` and `leaves` are left out of it.
    """
    header = asdict(batch) | {"at": batch.at.isoformat()}
    del header["digest"], header["leaves"]
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    leaves = []
    for event in events:
        line = event_line(event)
        digest.update(line)
        leaves.append(leaf(line))
    return Seal(digest.hexdigest(), "".join(leaves))


def event_line(event: OrderEvent) -> bytes:
    """An event as the bytes that are digested: JSON quotes its fields, so no two events share a line."""
    fields = (
        event.order_id,
        event.id,
        event.batch_id,
        event.kind,
        event.from_status,
        event.to_status,
        event.detail,
        event.actor,
        event.at.isoformat(),
    )
    return json.dumps(fields).encode() + b"\n"


def leaf(line: bytes) -> str:
    """The short digest of one event's line."""
    return hashlib.blake2b(line, digest_size=LEAF_LENGTH // 2).hexdigest()
