"""The audit log: batches, and the digest that chains them (design.md, sections 2 and 5b)."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from json.encoder import encode_basestring_ascii

from orderctl.core.identity import Identity
from orderctl.language import _, english
from orderctl.mail.outbox import QueuedMail
from orderctl.orders.orders import OrderEvent


@dataclass(frozen=True, slots=True)
class Head:
    """The newest batch of a log: its number and its digest, which covers all before it."""

    position: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One executed rejection, as stored.

    `position` numbers the batches of the account from 1. `digest` covers the batch, its events and `previous`, the
    digest of the batch before (empty for the first): the events by their own digest, or in batches of earlier versions,
    whose `events_digest` is empty, themselves. `request_key` is the key that the caller gave. With a `salt`, the texts
    that may be erased are digested as `salted_digest`; `texts_digest` is what that was before they were erased.
    `mails_digest` covers the mails that it queued; batches of earlier versions, and those without mails, have none.
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
    salt: str = ""
    texts_digest: str = ""
    actor_login: str = ""
    events_digest: str = ""
    mails_digest: str = ""
    mail_leaves: str = ""

    @property
    def salted_digest(self) -> str:
        """The digest of the texts that may be erased, with the salt; empty for a batch that has none."""
        if not self.salt:
            return self.texts_digest
        texts = json.dumps([self.salt, *(getattr(self, name) for name in SALTED_FIELDS)])
        return hashlib.sha256(texts.encode()).hexdigest()

    @property
    def by(self) -> Identity:
        """The actor with their login."""
        return Identity(actor=self.actor, login=self.actor_login)

    @property
    def as_head(self) -> Head:
        """The head of the log whose newest batch this is."""
        return Head(self.position, self.digest)


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """A batch with its events and the mails that it covers, for export. Can be read once.

    Without a batch: the events outside batches.
    """

    batch: Batch | None
    events: Iterable[OrderEvent]
    mails: Iterable[QueuedMail] = ()


@dataclass(frozen=True, slots=True)
class BatchDigest:
    """The digest of a batch, and its leaves: a short digest of each event, to find the one that changed."""

    digest: str
    leaves: str
    events_digest: str = ""


LEAF_LENGTH = 8
_LEAF_BYTES = LEAF_LENGTH // 2
# So many events are digested together. Never change it: the digests of all events depend on it.
BLOCK = 1_000
# The fields that a digest covers. Never change them: the digests of all batches depend on them.
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
# What may be erased. A batch with a salt has one digest of these instead: `salted_digest`.
SALTED_FIELDS = ("source", "reason", "message", "request_digest")
# Fields that were added later, with their defaults. They are digested only if set, so that older digests stay valid.
DIGESTED_LATER: dict[str, object] = {
    "reason_code": "",
    "request_key": "",
    "request_digest": "",
    "actor_login": "",
    "events_digest": "",
    "mails_digest": "",
}
NOT_DIGESTED = ("digest", "leaves", "salt", "texts_digest", "mail_leaves")


def digest_batch(batch: Batch, events: Iterable[OrderEvent]) -> BatchDigest:
    """The digest of a batch with these events, which must be sorted by order id."""
    digester = BatchDigester()
    digester.add(map(event_line, events))
    return digester.finish(batch)


def digest_again(batch: Batch, events: Iterable[OrderEvent]) -> BatchDigest:
    """The digest of a stored batch by the rule of its version; an `events_digest` that it has is computed anew."""
    if batch.events_digest:
        return digest_batch(batch, events)
    digest, leaves = hashlib.sha256(header_line(batch)), list[str]()
    for line in map(event_line, events):
        digest.update(line)
        leaves.append(leaf(line))
    return BatchDigest(digest.hexdigest(), "".join(leaves), "")


class BatchDigester:
    """Computes the digest of a batch from the lines of its events as they come, before its header is known."""

    def __init__(self) -> None:
        self._leaves: list[bytes] = []
        self._events = EventsDigest()

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines, sorted by order id."""
        rest = iter(lines)
        while block := list(islice(rest, BLOCK)):
            self._leaves.append(b"".join([blake2b(line, digest_size=_LEAF_BYTES).digest() for line in block]))
            self._events.add(block)

    def finish(self, batch: Batch) -> BatchDigest:
        """The digest of the batch that these lines belong to."""
        events = self._events.hexdigest()
        header = hashlib.sha256(header_line(replace(batch, events_digest=events)))
        return BatchDigest(header.hexdigest(), b"".join(self._leaves).hex(), events)


class EventsDigest:
    """SHA-256 over the SHA-256 of each block of lines.

    By blocks, because PostgreSQL computes it too, and would have to hold all lines at once.
    """

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._rest: list[bytes] = []

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines, sorted by order id."""
        self._rest.extend(lines)
        while len(self._rest) >= BLOCK:
            self._close(self._rest[:BLOCK])
            del self._rest[:BLOCK]

    def hexdigest(self) -> str:
        """The digest of all lines. None can be added after it."""
        if self._rest:
            self._close(self._rest)
            self._rest = []
        return self._whole.hexdigest()

    def _close(self, block: list[bytes]) -> None:
        self._whole.update(hashlib.sha256(b"".join(block)).digest())


class AlikeLines:
    """Builds the lines of events that are much alike, faster than `event_line`.

    `event` makes an event of an order id, a lines digest and further fields.
    """

    def __init__(self, event: Callable[..., OrderEvent]) -> None:
        self._event = event
        self._middles: dict[tuple[object, ...], str] = {}

    def of(self, marked: Iterable[tuple[str, ...]]) -> Iterator[bytes]:
        """The lines of these events, each given as an order id, a lines digest and further fields."""
        middles, quoted = self._middles, encode_basestring_ascii
        for order_id, lines, *rest in marked:
            middle = middles.get((lines != "", *rest)) or self._middle(lines, rest)
            end = f"{quoted(lines)}]\n" if lines else ""
            yield f"[{quoted(order_id)}{middle}{end}".encode()

    def _middle(self, lines: str, rest: Sequence[str]) -> str:
        """The part of a line between the order id and the lines digest, cached. Each order may have its own."""
        if len(self._middles) >= BLOCK:
            self._middles.clear()
        line = event_line(self._event("", lines, *rest)).decode().removeprefix('[""')
        middle = line.removesuffix(f"{encode_basestring_ascii(lines)}]\n") if lines else line
        self._middles[(lines != "", *rest)] = middle
        return middle


def header_line(batch: Batch) -> bytes:
    """The bytes of a batch that are digested: a JSON object."""
    header = {name: getattr(batch, name) for name in DIGESTED_FIELDS}
    header |= {name: getattr(batch, name) for name, unset in DIGESTED_LATER.items() if getattr(batch, name) != unset}
    if salted := batch.salted_digest:
        header = {name: value for name, value in header.items() if name not in SALTED_FIELDS} | {"salted": salted}
    return json.dumps(header | {"at": batch.at.isoformat()}, sort_keys=True).encode()


def event_line(event: OrderEvent) -> bytes:
    """The bytes of an event that are digested. JSON quotes the fields, so no two events have the same line."""
    fields: tuple[str | None, ...] = (
        event.order_id,
        event.id,
        event.batch_id,
        event.kind,
        event.from_status,
        event.to_status,
        english(event.detail),
        event.actor,
        event.at.isoformat(),
    )
    # Both were added later. They are digested only if set, so that older digests stay valid; their number tells them
    # apart.
    if event.lines_digest:
        fields = (*fields, event.reason_code, event.lines_digest)
    elif event.reason_code:
        fields = (*fields, event.reason_code)
    return json.dumps(fields).encode() + b"\n"


def leaf(line: bytes) -> str:
    """The short digest of one event's line."""
    return blake2b(line, digest_size=_LEAF_BYTES).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedOrder:
    """What an order says about its own rejection and its lines.

    `lines_digest` is the digest that is stored with it, `lines` that of its lines now; None if none is stored.
    """

    id: str
    batch_id: str | None
    status: str
    rejected_at: datetime | None
    lines_digest: str
    lines: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostBatch:
    """A batch that is missing, and how many records still refer to it."""

    id: str
    orders: int
    events: int
    mails: int


def went_back(seen: Head, newest: Head | None) -> str:
    """What shows that a log is not the one that was seen."""
    if newest is None or newest.position < seen.position:
        return _(
            "this computer saw batch number {seen:,}, and the newest is number {newest:,}",
            seen=seen.position,
            newest=newest.position if newest else 0,
        )
    return _("batch number {seen:,} is not the one that this computer saw", seen=seen.position)
