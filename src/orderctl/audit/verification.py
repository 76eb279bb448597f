"""Compares the log with its digests: each batch with its digest, each event with its leaf."""

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby

from orderctl.audit.checkpoint import Checkpoint, Extent, GrowingTree, entry_hash
from orderctl.audit.log import (
    LEAF_LENGTH,
    Batch,
    EventsDigest,
    Head,
    MarkedOrder,
    event_line,
    header_line,
    leaf,
    went_back,
)
from orderctl.database.acts import Act
from orderctl.language import N_, _, english, ngettext
from orderctl.mail.outbox import MailsDigest, QueuedMail
from orderctl.orders.erasures import Erasure
from orderctl.orders.orders import OrderEvent, Status

MOST_NAMED = 1_000
_REMOVED = N_("was removed")


class Kind(StrEnum):
    """The kinds of records that may have been changed."""

    BATCH = "batch"
    EVENT = "event"
    ORDER = "order"
    MAILS = "mails"
    ERASURE = "erasure"
    ANCHOR = "anchor"
    CHECKPOINT = "checkpoint"
    HEAD = "head"
    ACT = "act"
    MAIL = "mail"
    WRITEBACK = "writeback"
    PLAN = "plan"
    POLICY = "policy"
    MEMBER = "member"


_RECORDS = {
    Kind.EVENT: N_("event of order {order}"),
    Kind.ORDER: N_("order {order}"),
    Kind.BATCH: N_("batch {batch}"),
    Kind.MAILS: N_("mails of batch {batch}"),
    Kind.ERASURE: N_("erasure {erasure}"),
    Kind.ANCHOR: N_("anchor"),
    Kind.CHECKPOINT: N_("checkpoint"),
    Kind.HEAD: N_("head"),
    Kind.ACT: N_("act {number} ({what})"),
    Kind.MAIL: N_("log of mail {subject}"),
    Kind.WRITEBACK: N_("log of write-back {subject}"),
    Kind.PLAN: N_("plan {subject}"),
    Kind.POLICY: N_("policy {subject}"),
    Kind.MEMBER: N_("membership {subject}"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """One record that was changed after it was written, and what is wrong with it.

    `act` is the number of an act; `subject` is the id of a mail, a write-back or a plan, or the number of a policy.
    """

    kind: Kind
    problem: str
    batch_id: str | None = None
    order_id: str | None = None
    event_id: str | None = None
    act: int | None = None
    act_kind: str | None = None
    subject: str | None = None
    erasure: int | None = None

    @property
    def record(self) -> str:
        """The record in words."""
        if self.kind is Kind.MAILS and self.subject:
            return _("mail {subject}", subject=self.subject)
        if self.kind is Kind.EVENT and self.batch_id:
            return _("event of order {order} in batch {batch}", order=self.order_id, batch=self.batch_id)
        told = {"number": self.act, "what": self.act_kind, "subject": self.subject, "erasure": self.erasure}
        return _(_RECORDS[self.kind], order=self.order_id, batch=self.batch_id, **told)


@dataclass(slots=True, kw_only=True)
class LogVerdict:
    """What a verification read and found. `loose` counts the events outside batches, of which the acts tell.

    `earlier` counts the rows that were there before acts were recorded: the first act covers all of them together.
    `unknown_lines` counts the orders that were rejected by a version that kept no digest of their lines, and
    `unknown_mails` the mails of one that kept none of them. `erasures` counts the erased buyers, and `erased` the
    batches that are held against the record of an erasure. `anchored` and `continues` say whether the anchor and the
    checkpoint were found; None if there was none to look for. `went_back`: the batch that the user saw last is not
    there.
    """

    batches: int = 0
    events: int = 0
    loose: int = 0
    imported: int = 0
    unknown_lines: int = 0
    unknown_mails: int = 0
    acts: int = 0
    earlier: int = 0
    erasures: int = 0
    erased: int = 0
    head: Batch | None = None
    act_head: Head | None = None
    anchored: bool | None = None
    continues: bool | None = None
    went_back: bool = False
    tampered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What was noted elsewhere of an earlier state of the log, and must still be there.

    `anchor` is the digest of a batch, `checkpoint` covers the first batches, `seen` is the newest that the user saw.
    """

    anchor: str | None = None
    checkpoint: Checkpoint | None = None
    seen: Head | None = None


class _Beginning:
    """Compares the beginning of a chain with what a checkpoint says of it."""

    def __init__(self, noted: Extent) -> None:
        self._noted = noted
        self._tree = GrowingTree()
        self._root: bytes | None = None
        self._take_root()

    def add(self, digest: str) -> None:
        """Take the next digest of the chain."""
        self._tree.add(entry_hash(digest.encode()))
        self._take_root()

    @property
    def missing(self) -> int | None:
        """How long the chain is, if it is too short; None if it is not."""
        return self._tree.size if self._tree.size < self._noted.size else None

    @property
    def is_other(self) -> bool:
        """Whether the chain is long enough, and not the one of the checkpoint."""
        return self.missing is None and self._root != self._noted.root

    def _take_root(self) -> None:
        if self._tree.size == self._noted.size:
            self._root = self._tree.root


class Continuation:
    """Compares the batches and the acts, oldest first, with what was noted elsewhere."""

    def __init__(self, noted: Noted, origin: str) -> None:
        self._noted = noted
        self._origin = origin
        checkpoint = noted.checkpoint
        self._batches = _Beginning(Extent(checkpoint.size, checkpoint.root)) if checkpoint else None
        self._acts = _Beginning(checkpoint.acts) if checkpoint and checkpoint.acts else None
        self._anchored = self._seen = False

    def take(self, batch: Batch) -> None:
        """Take the next batch."""
        noted = self._noted
        self._anchored = self._anchored or batch.digest == (noted.anchor or "").strip().lower()
        self._seen = self._seen or batch.as_head == noted.seen
        if self._batches:
            self._batches.add(batch.digest)

    def take_act(self, act: Act) -> None:
        """Take the next act."""
        if self._acts:
            self._acts.add(act.digest)

    def check(self, verdict: LogVerdict) -> Iterator[Tampering]:
        """Compare the whole chains, and note the results in the verdict."""
        noted, head = self._noted, verdict.head.as_head if verdict.head else None
        if noted.anchor is not None:
            verdict.anchored = self._anchored
            if not self._anchored:
                problem = _("no batch has this digest: one that was there is gone, or was written anew")
                yield Tampering(kind=Kind.ANCHOR, problem=problem)
        if noted.checkpoint is not None:
            found = list(self._against(noted.checkpoint))
            verdict.continues = not found
            yield from (Tampering(kind=Kind.CHECKPOINT, problem=problem) for problem in found)
        verdict.went_back = noted.seen is not None and not self._seen
        if verdict.went_back and noted.seen:
            yield Tampering(kind=Kind.HEAD, problem=went_back(noted.seen, head))

    def _against(self, checkpoint: Checkpoint) -> Iterator[str]:
        if checkpoint.origin != self._origin:
            yield _("is of the log {theirs}, and this is {ours}", theirs=checkpoint.origin, ours=self._origin)
        if self._batches and self._batches.missing is not None:
            yield _(
                "its newest batch is number {noted:,}, and that of the store {held:,}: the last ones were cut off,"
                " or an old backup was put back",
                noted=checkpoint.size,
                held=self._batches.missing,
            )
        elif self._batches and self._batches.is_other:
            yield _(
                "covers other batches than the store has up to number {noted:,}: the chain was computed anew",
                noted=checkpoint.size,
            )
        if self._acts and checkpoint.acts:
            noted = checkpoint.acts.size
            if self._acts.missing is not None:
                yield _(
                    "its newest act is number {noted:,}, and that of the store {held:,}: the last ones were cut off,"
                    " or an old backup was put back",
                    noted=noted,
                    held=self._acts.missing,
                )
            elif self._acts.is_other:
                yield _(
                    "covers other acts than the store has up to number {noted:,}: the chain was computed anew",
                    noted=noted,
                )


def check_erasures(found: Iterable[Erasure]) -> Iterator[Tampering]:
    """Check the erasures, oldest first: each must have its digest, and name the digest of the one before."""
    before = None
    for erasure in found:
        position, previous = (before.position + 1, before.digest) if before else (1, "")
        before = erasure
        if erasure.with_digest().digest != erasure.digest:
            yield Tampering(kind=Kind.ERASURE, erasure=erasure.position, problem=_("was edited"))
        if (erasure.position, erasure.previous) != (position, previous):
            problem = _("does not follow the one before it: one was removed")
            yield Tampering(kind=Kind.ERASURE, erasure=erasure.position, problem=problem)


class Chain:
    """Checks the batches, oldest first: each must have the next position and name the digest of the one before."""

    def __init__(self) -> None:
        self.head: Batch | None = None

    def check(self, batch: Batch) -> Iterator[Tampering]:
        """Check the next batch."""
        before, self.head = self.head, batch
        expected = before.position + 1 if before else 1
        if batch.position > expected:
            problem = ngettext(
                "{number:,} batch before it, from number {first} on, is missing",
                "{number:,} batches before it, from number {first} on, are missing",
                batch.position - expected,
                first=expected,
            )
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        elif batch.position < expected:
            problem = _("stands at number {position}, where another batch stands", position=batch.position)
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        if before is None and batch.previous:
            problem = _("names a batch before it, and is the first")
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        elif before is not None and batch.previous != before.digest:
            problem = _("does not follow batch {batch}", batch=before.id)
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        if before is not None and batch.at < before.at:
            problem = _(
                "is of {at:%Y-%m-%d %H:%M:%S} UTC, and batch {batch} before it of {before:%Y-%m-%d %H:%M:%S} UTC:"
                " a clock was wrong",
                at=batch.at,
                batch=before.id,
                before=before.at,
            )
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)


def check_mails(
    batch: Batch, mails: Iterable[QueuedMail], marks: Mapping[str, str], *, named: bool
) -> Iterator[Tampering]:
    """Check the mails of a batch, sorted by id, against its digest of them.

    `marks` has what stands where texts of an erased buyer were, by id. `named`: an erasure names the batch.
    """
    leaves, digest, wrong, odd = _Leaves(batch.mail_leaves), MailsDigest(), _Named(), _Named()
    for mail in mails:
        digest.add(mail)
        if not leaves.take(mail.proof[:LEAF_LENGTH]):
            wrong.add(_of_mail(batch, mail, _("is not as it was queued")))
        elif (mail.is_partly_erased and not named) if mail.salt else mail.goes_to != marks.get(mail.buyer_id):
            odd.add(_of_mail(batch, mail, _("was erased, and no erasure tells of it")))
        elif not mail.is_followed:
            odd.add(_of_mail(batch, mail, _("goes to another address, and its log has no such change")))
    if digest.hexdigest() != batch.mails_digest:
        yield from _all_of(wrong, batch.id, Kind.MAILS)
        if not wrong.found and not leaves.left:
            problem = _("they tell of other orders than they were queued for")
            yield Tampering(kind=Kind.MAILS, batch_id=batch.id, problem=problem)
    elif leaves.wrong or leaves.left:
        problem = _("its short digests of mails were edited")
        yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
    yield from _all_of(odd, batch.id, Kind.MAILS)


def _of_mail(batch: Batch, mail: QueuedMail, problem: str) -> Tampering:
    return Tampering(kind=Kind.MAILS, batch_id=batch.id, subject=mail.id, problem=problem)


@dataclass(slots=True)
class _Named:
    """The changed records of one batch: the first ones are named, the others counted."""

    found: list[Tampering] = field(default_factory=list)
    more: int = 0

    def add(self, tampering: Tampering) -> None:
        if len(self.found) < MOST_NAMED:
            self.found.append(tampering)
        else:
            self.more += 1


class BatchCheck:
    """Checks one batch in one pass over its events and orders, in constant memory.

    `stays` is the digest over what an erasure left of it; None if it was not erased. What was salted is held against
    its own digest too.
    """

    def __init__(self, batch: Batch, stays: str | None = None) -> None:
        self._batch = batch
        plain = header_line(replace(batch, texts_digest=""))
        self._proofs = [(hashlib.sha256(plain), batch.digest if stays is None else stays)]
        if stays is not None and batch.texts_digest:
            self._proofs.append((hashlib.sha256(header_line(batch)), batch.digest))
        # The digest of a batch of an earlier version covers the lines of its events themselves.
        self._events_digest = EventsDigest() if batch.events_digest else None
        self._leaves = _Leaves(batch.leaves)
        self.events = 0
        self.unknown_lines = 0
        self._explained = 0
        self._events_wrong, self._orders_wrong = _Named(), _Named()

    def run(self, events: Iterable[OrderEvent], orders: Iterable[MarkedOrder]) -> Iterator[Tampering]:
        """Check the events and orders, both sorted by order id."""
        marked = iter(orders)
        order = next(marked, None)
        for order_id, of_order in groupby(events, lambda event: event.order_id):
            while order is not None and order.id < order_id:
                self._without_event(order)
                order = next(marked, None)
            mine = order if order is not None and order.id == order_id else None
            recorded = self._check_events(order_id, of_order, mine)
            if mine is not None:
                self._check_mark(mine)
                self._check_lines(mine, recorded)
                order = next(marked, None)
        while order is not None:
            self._without_event(order)
            order = next(marked, None)
        yield from self._verdict()

    def _check_events(self, order_id: str, events: Iterable[OrderEvent], order: MarkedOrder | None) -> str | None:
        """Check that the order has one event in this batch, as written; returns the lines digest in it."""
        matched, wrong, recorded = 0, list[str](), None
        for event in events:
            self.events += 1
            line = event_line(event)
            if self._events_digest is not None:
                self._events_digest.add((line,))
            else:
                for digest, __ in self._proofs:
                    digest.update(line)
            if self._leaves.take(leaf(line)):
                matched += 1
                recorded = event.lines_digest
            else:
                wrong.append(event.id)
        if order is None and matched:
            problem = _(
                "is not marked as rejected any more, or is gone: batch {batch} rejected it", batch=self._batch.id
            )
            self._wrong_order(order_id, problem)
        if wrong and order is not None and not matched:
            edited = self._batch.id if self._batch.id in wrong else wrong[0]
            wrong.remove(edited)
            self._explained += 1
            self._wrong_event(order_id, edited, _("was edited"))
        for event_id in wrong:
            self._wrong_event(order_id, event_id, _("was inserted"))
        self.unknown_lines += recorded == ""
        return recorded

    def _check_mark(self, order: MarkedOrder) -> None:
        if order.status != Status.REJECTED:
            problem = _("is not rejected any more: batch {batch} rejected it", batch=self._batch.id)
            self._wrong_order(order.id, problem)
        elif order.rejected_at != self._batch.at:
            problem = _("says another time of rejection than its batch {batch}", batch=self._batch.id)
            self._wrong_order(order.id, problem)

    def _check_lines(self, order: MarkedOrder, recorded: str | None) -> None:
        """Compare the order's lines with the digest in its event; without an intact event, with its own digest."""
        expected = order.lines_digest if recorded is None else recorded
        if expected and order.lines not in {None, expected}:
            problem = _("its lines or amounts are not those that batch {batch} rejected", batch=self._batch.id)
            self._wrong_order(order.id, problem)
        elif order.lines_digest != expected:
            problem = _(
                "the digest of its lines and amounts is not the one in the log of batch {batch}", batch=self._batch.id
            )
            self._wrong_order(order.id, problem)

    def _without_event(self, order: MarkedOrder) -> None:
        self._explained += 1
        self._wrong_event(order.id, self._batch.id, _(_REMOVED))

    def _verdict(self) -> Iterator[Tampering]:
        batch = self._batch
        as_written = self._events_digest is None or self._events_digest.hexdigest() == batch.events_digest
        if as_written and all(digest.hexdigest() == expected for digest, expected in self._proofs):
            if self._leaves.wrong:
                problem = _("its short digests of events were edited")
                yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
            yield from self._strays()
            yield from _all_of(self._orders_wrong, batch.id, Kind.ORDER)
            return
        removed = self._leaves.left - self._explained
        if removed > 0:
            problem = ngettext(
                "{number:,} event of it was removed, and the orders of them no longer name it",
                "{number:,} events of it were removed, and the orders of them no longer name it",
                removed,
            )
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        elif not self._events_wrong.found:
            problem = _("was edited: its digest does not match")
            yield Tampering(kind=Kind.BATCH, batch_id=batch.id, problem=problem)
        yield from _all_of(self._events_wrong, batch.id, Kind.EVENT)
        yield from _all_of(self._orders_wrong, batch.id, Kind.ORDER)

    def _strays(self) -> Iterator[Tampering]:
        """Orders that name this batch, although its log is complete and does not have them."""
        for wrong in self._events_wrong.found:
            if english(wrong.problem) == _REMOVED:
                problem = _("says it was rejected by batch {batch}, which did not", batch=self._batch.id)
                yield Tampering(kind=Kind.ORDER, order_id=wrong.order_id, batch_id=self._batch.id, problem=problem)

    def _wrong_event(self, order_id: str, event_id: str, problem: str) -> None:
        self._events_wrong.add(
            Tampering(kind=Kind.EVENT, batch_id=self._batch.id, order_id=order_id, event_id=event_id, problem=problem)
        )

    def _wrong_order(self, order_id: str, problem: str) -> None:
        self._orders_wrong.add(Tampering(kind=Kind.ORDER, batch_id=self._batch.id, order_id=order_id, problem=problem))


class _Leaves:
    """Matches events with the leaves of a digest. The leaves are sorted only if one is not in its place."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._sorted: array[int] | None = None
        self._taken = 0
        self.wrong = False

    @property
    def left(self) -> int:
        """How many leaves no event has matched."""
        return len(self._text) // LEAF_LENGTH - self._taken

    def take(self, mark: str) -> bool:
        """Whether the leaf of an event is among those that were written; each counts once."""
        if self._sorted is None and self._text[self._place : self._place + LEAF_LENGTH] == mark:
            self._place += LEAF_LENGTH
            self._taken += 1
            return True
        if self._sorted is None:
            self._sorted = _sorted_numbers(self._text[self._place :])
            self.wrong = True
        number = int(mark, 16)
        place = bisect_left(self._sorted, number)
        known = place < len(self._sorted) and self._sorted[place] == number
        self._taken += known
        return known


def _sorted_numbers(leaves: str) -> "array[int]":
    numbers: array[int] = array("Q")
    for start in range(0, len(leaves), LEAF_LENGTH):
        text = leaves[start : start + LEAF_LENGTH]
        # The leaves may have been edited, so anything may be here.
        numbers.append(int(text, 16) if text and _is_hex(text) else 0)
    return array("Q", sorted(numbers))


def _is_hex(text: str) -> bool:
    return not text.strip("0123456789abcdef")


def _all_of(named: _Named, batch_id: str, kind: Kind) -> Iterator[Tampering]:
    yield from named.found
    if named.more:
        more = {
            Kind.EVENT: N_("{number:,} more events of it are wrong"),
            Kind.ORDER: N_("{number:,} more orders of it are wrong"),
            Kind.MAILS: N_("{number:,} more mails of it are wrong"),
        }
        yield Tampering(kind=Kind.BATCH, batch_id=batch_id, problem=_(more[kind], number=named.more))
