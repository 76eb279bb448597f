"""Where an order here and what its source last said of it do not agree: one table with two readings.

`contradiction` reads it in Python, for an order that an import brings; `contradictions` in SQL, for the whole store.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from orderctl.database.connection import Connection, Fragment, read_instant
from orderctl.language import N_
from orderctl.orders.orders import Status


class Contradiction(StrEnum):
    """The ways in which they do not agree, the gravest first. All but the last are about an order rejected here.

    `NOT_CANCELLED` is what the system of the order answered when it was told, and no import.
    """

    INVOICED = "invoiced-there"
    DELIVERED = "delivered-there"
    OPEN = "open-there"
    NOT_CANCELLED = "not-cancelled-there"
    CANCELLED = "cancelled-there"

    @property
    def words(self) -> str:
        """What it says, not yet translated."""
        return _WORDS[self]


_WORDS = {
    Contradiction.INVOICED: N_("rejected here, invoiced at the source"),
    Contradiction.DELIVERED: N_("rejected here, delivered at the source"),
    Contradiction.OPEN: N_("rejected here, open at the source"),
    Contradiction.NOT_CANCELLED: N_("rejected here, and its system did not cancel it"),
    Contradiction.CANCELLED: N_("open here, cancelled at the source"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a source says of an order, and when; None is what it does not say."""

    at: datetime
    status: Status | None = None
    delivery_notes: int | None = None
    invoices: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradicted:
    """An order with its status, and what its source last said against it."""

    id: str
    contradiction: Contradiction
    status: Status
    said: Said
    source: str

    def row(self) -> dict[str, object]:
        """The order for other programs, as one flat row."""
        return {
            "id": self.id,
            "contradiction": self.contradiction.value,
            "status": self.status.value,
            "source": self.source,
            "seen": self.said.at.isoformat(),
            "source_status": self.said.status.value if self.said.status else "",
            "source_delivery_notes": self.said.delivery_notes,
            "source_invoices": self.said.invoices,
        }


_CLOSED = (Status.RETURNED_TO_CART, Status.REJECTED)


def contradiction(status: Status, rejected_at: datetime | None, said: Said) -> Contradiction | None:
    """How an order of this status and what its source says do not agree; None if they do.

    What the source said before a rejection does not speak against it, but for a delivery or an invoice: those stay.
    """
    if status is not Status.REJECTED:
        return Contradiction.CANCELLED if status not in _CLOSED and said.status is Status.REJECTED else None
    if said.status is Status.REJECTED:
        return None
    if said.invoices:
        return Contradiction.INVOICED
    if said.delivery_notes:
        return Contradiction.DELIVERED
    is_later = rejected_at is None or said.at > rejected_at
    return Contradiction.OPEN if is_later and said.status is not None and said.status not in _CLOSED else None


_CLOSED_SQL = f"('{Status.RETURNED_TO_CART}', '{Status.REJECTED}')"
_CONTRADICTION = (
    f"CASE WHEN o.status <> '{Status.REJECTED}' THEN"
    f" CASE WHEN o.status NOT IN {_CLOSED_SQL} AND s.status = '{Status.REJECTED}' THEN '{Contradiction.CANCELLED}' END"
    f" WHEN s.status = '{Status.REJECTED}' THEN NULL"
    f" WHEN s.invoices > 0 THEN '{Contradiction.INVOICED}'"
    f" WHEN s.delivery_notes > 0 THEN '{Contradiction.DELIVERED}'"
    f" WHEN s.status NOT IN {_CLOSED_SQL} AND s.seen_at > o.rejected_at THEN '{Contradiction.OPEN}' END"
)


def contradictions(connection: Connection, among: Fragment) -> Iterator[Contradicted]:
    """The orders that meet a condition over `orders` and of which their sources say otherwise, sorted by id."""
    found = connection.stream(
        "SELECT id, contradiction, status, seen_at, said_status, delivery_notes, invoices, source FROM ("
        f"SELECT o.id, {_CONTRADICTION} AS contradiction, o.status, s.seen_at, s.status AS said_status,"
        " s.delivery_notes, s.invoices, s.source FROM order_source AS s"
        " JOIN orders AS o ON o.account = :account AND o.id = s.order_id WHERE s.account = :account"
        f" AND o.id IN (SELECT id FROM orders WHERE account = :account AND {among.sql})"
        ") AS said WHERE contradiction IS NOT NULL ORDER BY id",
        among.params,
    )
    for order_id, kind, status, at, said_status, delivery_notes, invoices, source in found:
        yield Contradicted(
            id=order_id,
            contradiction=Contradiction(kind),
            status=Status(status),
            said=Said(
                at=read_instant(at),
                status=Status(said_status) if said_status else None,
                delivery_notes=delivery_notes,
                invoices=invoices,
            ),
            source=source,
        )
