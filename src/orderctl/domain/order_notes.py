"""What is said of single orders of a rejection: a reason of their own for the log, a message for the buyer."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from orderctl.domain.errors import UsageError
from orderctl.domain.reasons import Reason
from orderctl.language import say

LONGEST_NOTE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNote:
    """One order's own reason and message; either may be empty, and then the one of the batch holds."""

    id: str
    reason: Reason = field(default_factory=Reason)
    message: str = ""


@dataclass(frozen=True, slots=True)
class OrderNotes:
    """Notes on the orders that have one, each order once, in the order of their ids.

    Kept as one JSON array that the database reads itself; `reasons` and `messages` count them.
    """

    packed: str = "[]"
    reasons: int = 0
    messages: int = 0

    @classmethod
    def pack(cls, notes: Iterable[OrderNote]) -> "OrderNotes":
        """Keep the notes that say something."""
        said = sorted((note for note in notes if note.reason.text or note.message), key=lambda note: note.id)
        if not said:
            return cls()
        return cls(
            json.dumps(list(map(_record, said))),
            reasons=sum(1 for note in said if note.reason.text),
            messages=sum(1 for note in said if note.message),
        )

    def __iter__(self) -> Iterator[OrderNote]:
        """The notes."""
        for record in json.loads(self.packed):
            reason = Reason(record["reason"], record["reason_code"])
            yield OrderNote(id=record["id"], reason=reason, message=record["message"])

    def __bool__(self) -> bool:
        """Whether any order has one."""
        return bool(self.reasons or self.messages)

    def renamed(self, names: Mapping[str, str]) -> "OrderNotes":
        """The notes with these ids for those. Raises UsageError where two on one order say different things."""
        kept: dict[str, OrderNote] = {}
        for note in self:
            order_id = names.get(note.id, note.id)
            renamed = replace(note, id=order_id)
            if kept.setdefault(order_id, renamed) != renamed:
                raise UsageError(
                    say("the order {order_id} is given twice, with different reasons or messages", order_id=order_id),
                    hint=say("keep one of them"),
                )
        return OrderNotes.pack(kept.values())

    def among(self, ids: Container[str]) -> "OrderNotes":
        """The notes on these orders only."""
        return OrderNotes.pack(note for note in self if note.id in ids)


def _record(note: OrderNote) -> dict[str, str]:
    return {"id": note.id, "reason": note.reason.text, "reason_code": note.reason.code, "message": note.message}
