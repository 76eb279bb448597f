"""Whether the log is as it was written: each batch against its seal, each event against its leaf."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orderctl.domain.log import LEAF_LENGTH, Batch, event_line, leaf, seal
from orderctl.domain.orders import OrderEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """One record that is not as it was written: which one, and what is wrong with it."""

    record: str
    problem: str


def check_chain(batches: Iterable[Batch]) -> Iterator[Tampering]:
    """The batches, oldest first: each stands at the next position and names the digest of the one before."""
    previous, position = "", 0
    for batch in batches:
        position += 1
        if batch.position != position:
            yield Tampering(
                record=f"batch {batch.id}", problem=f"stands at position {batch.position}, expected {position}"
            )
            position = batch.position
        if batch.previous != previous:
            yield Tampering(record=f"batch {batch.id}", problem="does not follow the batch before it")
        previous = batch.digest


def check_batch(batch: Batch, events: Sequence[OrderEvent], order_ids: Iterable[str]) -> Iterator[Tampering]:
    """One batch with its events and the orders that say they were rejected by it, both in the order of ids."""
    sealed = seal(batch, events)
    if (sealed.digest, sealed.leaves) == (batch.digest, batch.leaves):
        yield from _strays(batch, events, order_ids)
        return
    found = list(_wrong_events(batch, events, order_ids))
    yield from found or [Tampering(record=f"batch {batch.id}", problem="was edited: its digest does not match")]


def _wrong_events(batch: Batch, events: Sequence[OrderEvent], order_ids: Iterable[str]) -> Iterator[Tampering]:
    """Events whose leaf is not among those of the seal, and orders of the batch that have no event."""
    written = _leaves(batch.leaves)
    known = set(written)
    present = {event.order_id: leaf(event_line(event)) for event in events}
    rejected = set(order_ids)
    for order_id, mark in present.items():
        if mark not in known:
            problem = "was edited" if order_id in rejected else "was inserted"
            yield Tampering(record=_event(batch, order_id), problem=problem)
    for order_id in sorted(rejected - present.keys()):
        yield Tampering(record=_event(batch, order_id), problem="was removed")


def _strays(batch: Batch, events: Sequence[OrderEvent], order_ids: Iterable[str]) -> Iterator[Tampering]:
    """Orders that say they were rejected by a batch whose log knows nothing of it, or the other way round."""
    logged, rejected = {event.order_id for event in events}, set(order_ids)
    for order_id in sorted(rejected ^ logged):
        problem = "says it was rejected by a batch that did not" if order_id in rejected else "is not rejected any more"
        yield Tampering(record=f"order {order_id}", problem=f"{problem} ({batch.id})")


def _leaves(text: str) -> list[str]:
    return [text[start : start + LEAF_LENGTH] for start in range(0, len(text), LEAF_LENGTH)]


def _event(batch: Batch, order_id: str) -> str:
    return f"event of order {order_id} in batch {batch.id}"
