"""The record of what was done: batches, and the digest that chains them (design.md, sections 2 and 5)."""

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from json.encoder import encode_basestring_ascii

from orderctl.orders.orders import OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One executed rejection, as the store keeps it.

    `position` counts the batches of the account from 1; `digest` covers the batch, its events and
    `previous`, the digest of the batch before (empty for the first). `request_key` is the caller's own.
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
    reason_code: str = ""
    request_key: str = ""
    request_digest: str = ""


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """A batch with its events, for export; no batch: the events that none made. Read once, in order."""

    batch: Batch | None
    events: Iterable[OrderEvent]


@dataclass(frozen=True, slots=True)
class BatchDigest:
    """What proves a batch: its digest, and a short digest of each event, so that a changed one can be named."""

    digest: str
    leaves: str


LEAF_LENGTH = 8
_LEAF_BYTES = LEAF_LENGTH // 2
_BLOCK = 1_000
# The event of an order that came as rejected: it has no batch.
IMPORTED = "imported-as-rejected"
# What a digest covers. Never change these: the digests of every batch that was ever written depend on them.
DIGESTED_FIELDS = (
    "id",
    "position",
    "at",
    "actor",
    "approver",
    "host",
    "program",
    "mode",
    "source",
    "reason",
    "message",
    "mail_per_order",
    "planned",
    "rejected",
    "skipped",
    "mails",
    "previous",
)
# Fields that came later, each with its default: digested where they are set, so that older digests still hold.
DIGESTED_LATER: dict[str, object] = {"reason_code": "", "request_key": "", "request_digest": ""}
NOT_DIGESTED = ("digest", "leaves")


def digest_batch(batch: Batch, events: Iterable[OrderEvent]) -> BatchDigest:
    """Seal a batch: SHA-256 over its header and over its events in the order of their order ids."""
    digester = BatchDigester()
    digester.add(map(event_line, events))
    return digester.finish(batch)


class BatchDigester:
    """A digest in the making: takes a batch's lines as they come, before its header is known.

    The digest begins with the header, so the lines are kept until then, compressed: they are much alike.
    """

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._lines: list[bytes] = []

    def add(self, lines: Iterable[bytes]) -> None:
        """Take the lines that follow, in the order of the order ids."""
        rest = iter(lines)
        while block := list(islice(rest, _BLOCK)):
            self._leaves.append(b"".join([blake2b(line, digest_size=_LEAF_BYTES).digest() for line in block]))
            self._lines.append(zlib.compress(b"".join(block), 1))

    def finish(self, batch: Batch) -> BatchDigest:
        """The digest of the batch whose lines these are."""
        digest = hashlib.sha256(header_line(batch))
        for block in self._lines:
            digest.update(zlib.decompress(block))
        return BatchDigest(digest.hexdigest(), b"".join(self._leaves).hex())


class AlikeLines:
    """The lines of events that are much alike; `event` makes one of an order id, a lines digest and what follows."""

    def __init__(self, event: Callable[..., OrderEvent]) -> None:
        self._event = event
        self._middles: dict[tuple[object, ...], str] = {}

    def of(self, marked: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
        """The lines of these: an order id, the digest of the order's lines and what follows them each."""
        middles, quoted = self._middles, encode_basestring_ascii
        for order_id, lines, *rest in marked:
            middle = middles.get((lines != "", *rest)) or self._middle(lines, rest)
            end = f"{quoted(lines)}]\n" if lines else ""
            yield f"[{quoted(order_id)}{middle}{end}".encode()

    def _middle(self, lines: str, rest: Sequence[str]) -> str:
        """What follows the order id in a line, as far as the digest; remembered, unless each order is told another."""
        if len(self._middles) >= _BLOCK:
            self._middles.clear()
        line = event_line(self._event("", lines, *rest)).decode().removeprefix('[""')
        middle = line.removesuffix(f"{encode_basestring_ascii(lines)}]\n") if lines else line
        self._middles[(lines != "", *rest)] = middle
        return middle


def header_line(batch: Batch) -> bytes:
    """A batch as the bytes that are digested: a JSON object of the fields that are digested."""
    header = {name: getattr(batch, name) for name in DIGESTED_FIELDS}
    header |= {name: getattr(batch, name) for name, unset in DIGESTED_LATER.items() if getattr(batch, name) != unset}
    return json.dumps(header | {"at": batch.at.isoformat()}, sort_keys=True).encode()


def event_line(event: OrderEvent) -> bytes:
    """An event as the bytes that are digested: JSON quotes its fields, so no two events share a line."""
    fields: tuple[str | None, ...] = (
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
    # Both came later: digested where they are set, so that older digests still hold. Their number tells them apart.
    if event.lines_digest:
        fields = (*fields, event.reason_code, event.lines_digest)
    elif event.reason_code:
        fields = (*fields, event.reason_code)
    return json.dumps(fields).encode() + b"\n"


def leaf(line: bytes) -> str:
    """The short digest of one event's line."""
    return blake2b(line, digest_size=_LEAF_BYTES).hexdigest()
