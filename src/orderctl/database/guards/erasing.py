"""What an erasure may change of rows that are frozen otherwise (design.md, section 5c).

A text may become the mark of an erasure, or empty. The erasure is recorded, and is of this buyer or names the batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from orderctl.database.guards.conditions import WITH_COPIES

STAYS_ERASED = "an erased buyer stays erased"
_OF_BUYER = "e.buyer_id = OLD.buyer_id"
_OF_ORDER = "e.buyer_id = (SELECT buyer_id FROM orders WHERE account = OLD.account AND id = OLD.order_id)"
_OF_WRITEBACK = (
    "e.buyer_id = (SELECT o.buyer_id FROM writeback AS w JOIN orders AS o ON o.account = w.account"
    " AND o.id = w.order_id WHERE w.account = OLD.account AND w.id = OLD.writeback_id)"
)
_MARKS = {
    "sqlite": "'erased on ' || substr(e.at, 1, 10)",
    "postgresql": "'erased on ' || to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
}
_SAME = {"sqlite": "IS", "postgresql": "IS NOT DISTINCT FROM"}


def _in_batches(column: str) -> str:
    return f"e.batches LIKE '%\"' || {column} || '\"%'"


def _of_mail(column: str) -> str:
    return f"(SELECT {column} FROM mail WHERE account = OLD.account AND id = OLD.mail_id)"


_OF_MAIL = f"(e.buyer_id = {_of_mail('buyer_id')} OR {_in_batches(_of_mail('batch_id'))})"


@dataclass(frozen=True, slots=True)
class Erasable:
    """The columns of a table by what an erasure does with them.

    `of` finds its erasure. `texts` become the mark or empty; `derived` are computed anew from them; `kept` stay.
    """

    of: str
    texts: tuple[str, ...]
    kept: tuple[str, ...]
    derived: tuple[str, ...] = ()
    has_rowid: bool = False


_EVENT = ("account", "order_id", "id", "batch_id", "kind", "from_status", "to_status", "reason_code", "actor", "at")
_BATCH = (
    *("account", "id", "position", "at", "actor", "actor_login", "approver", "host", "program", "mode"),
    *("reason_code", "mail_per_order"),
)
_MAIL = ("account", "id", "batch_id", "buyer_id", "language", "message_id", "state", "attempts", "next_attempt_at")
_WRITEBACK = ("account", "id", "batch_id", "order_id", "system", "state", "attempts", "next_attempt_at", "lease_until")
ERASABLE = {
    "mail": Erasable(
        f"({_OF_BUYER} OR {_in_batches('OLD.batch_id')})",
        ("recipient", "subject", "text", "html", "last_error", "salt", "sent_digest"),
        (*_MAIL, "lease_until", "token", "created_at", "updated_at"),
        ("digest",),
        has_rowid=True,
    ),
    "mail_order": Erasable(_OF_MAIL, ("message",), ("account", "mail_id", "order_id")),
    "mail_event": Erasable(
        _OF_MAIL,
        ("reason", "from_recipient", "to_recipient", "salt"),
        ("account", "mail_id", "id", "action", "from_state", "to_state", "actor", "actor_login", "at", "report"),
        ("digest",),
    ),
    "order_event": Erasable(
        f"({_OF_ORDER} OR {_in_batches('OLD.batch_id')})", ("detail",), (*_EVENT, "actor_login", "lines_digest")
    ),
    "batch": Erasable(
        _in_batches("OLD.id"),
        ("source", "reason", "message", "request_digest", "salt"),
        (*_BATCH, "planned", "rejected", "skipped", "mails", "digest", "previous", "request_key"),
        ("leaves", "texts_digest", "events_digest", "request_plan", "mails_digest", "mail_leaves"),
        has_rowid=True,
    ),
    "act": Erasable(
        "1 = 1",
        ("detail", "salt"),
        ("account", "position", "at", "actor", "login", "kind", "subject", "number", "content", "previous", "digest"),
        ("detail_digest",),
    ),
    "writeback": Erasable(
        _OF_ORDER, ("system_key", "last_error"), (*_WRITEBACK, "token", "created_at", "updated_at"), has_rowid=True
    ),
    "writeback_event": Erasable(
        _OF_WRITEBACK,
        ("reason",),
        ("account", "writeback_id", "id", "action", "from_state", "to_state", "actor", "actor_login", "at"),
    ),
    "batch_origin": Erasable(_in_batches("OLD.batch_id"), ("source",), ("account", "batch_id", "number", "lines")),
}
_ORDER_TEXTS = ("reference", "delivery_address", "billing_address", "note")
_ORDER_DERIVED = ("folded", "fingerprint")


def of_orders(frozen: Sequence[str]) -> Erasable:
    """What an erasure may change of a rejected order, of whose columns these are frozen."""
    kept = tuple(column for column in frozen if column not in (*_ORDER_TEXTS, *_ORDER_DERIVED))
    return Erasable(_OF_BUYER, _ORDER_TEXTS, kept, _ORDER_DERIVED, has_rowid=True)


def is_erasure(dialect: str, erasable: Erasable) -> str:
    """The change of a row is an erasure that is recorded, and nothing else."""
    same, mark = _SAME[dialect], _MARKS[dialect]
    kept = (*erasable.kept, *(("rowid",) if erasable.has_rowid and dialect == "sqlite" else ()))
    stays = " AND ".join(f"NEW.{column} {same} OLD.{column}" for column in kept)
    blank = " AND ".join(f"(NEW.{text} {same} OLD.{text} OR NEW.{text} IN ('', {mark}))" for text in erasable.texts)
    return (
        f"{stays} AND EXISTS (SELECT 1 FROM erasure AS e WHERE e.account = OLD.account AND {erasable.of} AND {blank})"
    )


def is_named_again(dialect: str, revision: int) -> str:
    """A buyer who was erased gets a name or an address again."""
    copies = " AND NEW.cc IS NULL AND NEW.bcc IS NULL" if revision >= WITH_COPIES else ""
    blank = f"NEW.name = {_MARKS[dialect]} AND NEW.email IS NULL AND NEW.contact IS NULL{copies}"
    return (
        f"EXISTS (SELECT 1 FROM erasure AS e WHERE e.account = NEW.account AND e.buyer_id = NEW.id AND NOT ({blank}))"
    )
