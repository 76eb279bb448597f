"""Verifies the whole log in one snapshot, in constant memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Generic, TypeVar

from orderctl.audit.acts import check_acts
from orderctl.audit.checkpoint import Checkpoint, GrowingTree, SigningKey, entry_hash, origin_of
from orderctl.audit.log import LoggedBatch
from orderctl.audit.queries import (
    act_digests,
    batch_chain,
    chained_digests,
    chained_events,
    log_size,
    loose_events,
    lost_batches,
    mails_by_batch,
    marked_orders,
    newest_head,
    reopened_orders,
    unbatched_orders,
    unproven_orders,
)
from orderctl.audit.verification import (
    BatchCheck,
    Chain,
    Continuation,
    Kind,
    LogVerdict,
    Noted,
    Tampering,
    check_erasures,
    check_mails,
)
from orderctl.core.times import Progress
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.language import _, enumerated, ngettext
from orderctl.mail.outbox import Letter
from orderctl.mail.queries import address_moves, queue_note, queued_mails, unlike_sent
from orderctl.orders.erasures import erasures
from orderctl.orders.orders import OrderEvent

T = TypeVar("T")
_REPORT_EVERY = 5_000


def verify_log(
    store: Store, *, report: Callable[[Tampering], None], progress: Progress, noted: Noted | None = None
) -> LogVerdict:
    """Verify the whole log of the account. `report` is called for each record that was changed.

    `noted` proves that the chain up to a place that was noted elsewhere is the same as then.
    """
    verdict = LogVerdict()
    with store.snapshot() as connection:
        origin = origin_of(newest_head(connection)[0], store.account)
        continuation = Continuation(noted or Noted(), origin)
        for tampering in _tamperings(connection, verdict, continuation, progress):
            verdict.tampered += 1
            report(tampering)
    return verdict


def take_checkpoint(connection: Connection, account: str, at: datetime) -> tuple[Checkpoint, dict[str, bytes]]:
    """The checkpoint of the log as it is, unsigned, and the hash of each batch's digest by its id."""
    leaves = {batch_id: entry_hash(digest.encode()) for batch_id, digest in chained_digests(connection)}
    acts = GrowingTree(entry_hash(digest.encode()) for digest in act_digests(connection))
    store_id, __ = newest_head(connection)
    return Checkpoint.of(origin_of(store_id, account), GrowingTree(leaves.values()), acts, at), leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditor:
    """Who gets a checkpoint of the log after each batch, by mail; without a key it is not signed."""

    address: str
    message_domain: str
    clock: Clock
    key: SigningKey | None = None

    def queue_checkpoint(self, connection: Connection, batch_id: str) -> None:
        """Queue the mail, in the transaction of the batch."""
        at = self.clock.of(connection)
        made, __ = take_checkpoint(connection, connection.account, at)
        note = str(made.sign(self.key) if self.key else made)
        # Plain English for the filters of mail programs. On PostgreSQL a trigger lets nothing else go to an auditor.
        letter = Letter(subject=f"orderctl checkpoint {made.size}", text=note, html="")
        queue_note(connection, f"{mails_to_auditor(batch_id)}.1", self.address, self.message_domain, letter, at)


def mails_to_auditor(batch_id: str) -> str:
    """What stands for the batch in the id of its mail to the auditor: it is none of the batch's own mails."""
    return f"{batch_id}-checkpoint"


class AuditedStore(Store):
    """A store in which the transaction of a batch queues a checkpoint for the auditor too."""

    def __init__(self, store: Store, auditor: Auditor, batch_id: str) -> None:
        self.account, self.label = store.account, store.label
        self._store, self._auditor, self._batch_id = store, auditor, batch_id

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One consistent view of the store as it is."""
        with self._store.snapshot() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T], *, landed: Callable[[Connection], T | None] | None = None) -> T:
        """Run `work`, which makes the batch, and queue its checkpoint in the same transaction."""

        def both(connection: Connection) -> T:
            done = work(connection)
            self._auditor.queue_checkpoint(connection, self._batch_id)
            return done

        return self._store.write(both, landed=landed)


def record_of(connection: Connection) -> Iterator[LoggedBatch]:
    """The whole log, batch by batch in the order of the chain, then the events outside batches."""
    events = _Groups(chained_events(connection), _owner)
    moves = address_moves(connection)
    for batch in batch_chain(connection):
        mails = queued_mails(connection, moves, batch_id=batch.id) if batch.mails_digest else ()
        yield LoggedBatch(batch, (event for __, event in events.of(batch.id)), mails)
    yield LoggedBatch(None, loose_events(connection))


def _tamperings(
    connection: Connection, verdict: LogVerdict, continuation: Continuation, progress: Progress
) -> Iterator[Tampering]:
    yield from _batches(connection, verdict, continuation, _counted(connection, progress))
    yield from _lost(connection)
    yield from check_acts(connection, verdict, continuation)
    for order_id in unproven_orders(connection):
        yield Tampering(kind=Kind.ORDER, order_id=order_id, problem=_("is rejected, and the log does not say by whom"))
    for order_id in reopened_orders(connection):
        yield Tampering(kind=Kind.ORDER, order_id=order_id, problem=_("came as rejected and is not any more"))
    for order in unbatched_orders(connection):
        if order.lines != order.lines_digest:
            problem = _("its lines or amounts are not those that it came with")
            yield Tampering(kind=Kind.ORDER, order_id=order.id, problem=problem)
    for mail_id, batch_id in unlike_sent(connection):
        problem = _("its letter, or the digest of it, is not as it was when it was sent")
        yield Tampering(kind=Kind.MAILS, batch_id=batch_id or None, subject=mail_id, problem=problem)
    yield from continuation.check(verdict)


def _batches(
    connection: Connection, verdict: LogVerdict, continuation: Continuation, tick: Callable[[int], None]
) -> Iterator[Tampering]:
    """Check the chain, and each batch against its events, its orders and its mails."""
    chain, mails, erased = Chain(), mails_by_batch(connection), erasures(connection)
    yield from check_erasures(erased)
    stays = {batch_id: digest for erasure in erased for batch_id, digest in erasure.batches.items()}
    marks, moves = {erasure.buyer_id: erasure.mark for erasure in erased}, address_moves(connection)
    verdict.erasures = len(erased)
    events = _Groups(chained_events(connection), _owner)
    orders = _Groups(marked_orders(connection), lambda order: order.batch_id or "")
    for batch in batch_chain(connection):
        yield from chain.check(batch)
        verdict.erased += batch.id in stays and not batch.texts_digest
        check = BatchCheck(batch, stays.get(batch.id))
        yield from check.run((event for __, event in events.of(batch.id)), orders.of(batch.id))
        if mails.get(batch.id, 0) != batch.mails:
            problem = _(
                "the batch queued {queued:,}, and the outbox holds {held:,}",
                queued=batch.mails,
                held=mails.get(batch.id, 0),
            )
            yield Tampering(kind=Kind.MAILS, batch_id=batch.id, problem=problem)
        if batch.mails_digest:
            queued = queued_mails(connection, moves, batch_id=batch.id)
            yield from check_mails(batch, queued, marks, named=batch.id in stays)
        verdict.unknown_mails += 0 if batch.mails_digest else batch.mails
        verdict.batches += 1
        verdict.events += check.events
        verdict.unknown_lines += check.unknown_lines
        continuation.take(batch)
        tick(verdict.events)
    verdict.head = chain.head


def _lost(connection: Connection) -> Iterator[Tampering]:
    for lost in lost_batches(connection):
        named = [
            *([ngettext("{number:,} order", "{number:,} orders", lost.orders)] if lost.orders else []),
            *([ngettext("{number:,} event", "{number:,} events", lost.events)] if lost.events else []),
            *([ngettext("{number:,} mail", "{number:,} mails", lost.mails)] if lost.mails else []),
        ]
        problem = _("was removed: {records} still refer to it", records=enumerated(named))
        yield Tampering(kind=Kind.BATCH, batch_id=lost.id, problem=problem)


class _Groups(Generic[T]):
    """Splits a stream that is sorted by batch into the items of each batch."""

    def __init__(self, items: Iterator[T], batch_of: Callable[[T], str]) -> None:
        self._groups = groupby(items, batch_of)
        self._next = next(self._groups, None)

    def of(self, batch_id: str) -> Iterator[T]:
        """The items of this batch. The batches must be asked for in the order of the stream."""
        if self._next is None or self._next[0] != batch_id:
            return
        yield from self._next[1]
        self._next = next(self._groups, None)


def _counted(connection: Connection, progress: Progress) -> Callable[[int], None]:
    """Report progress over the events, but not for each of them."""
    total, said = log_size(connection), 0

    def tick(done: int) -> None:
        nonlocal said
        if done - said >= _REPORT_EVERY:
            said = done
            progress(done, total)

    return tick


def _owner(item: tuple[str, OrderEvent]) -> str:
    return item[0]
