"""Writes orders that come from files, a chunk at a time, as sets.

What is new goes in the way that the engine takes most at once; what may be there already travels as one JSON
parameter, and is compared and updated inside the database.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from orderctl.core.ids import new_id
from orderctl.core.text import fold
from orderctl.database.connection import Connection, Dialect, Fragment, Row, RowExistsError, packed, recordset
from orderctl.database.guards import ARRIVING
from orderctl.database.line_digests import lines_digest
from orderctl.errors import OrderctlError
from orderctl.importing.fields import PROTECTIONS
from orderctl.importing.figures import ImportCounts, Unsaid
from orderctl.language import _
from orderctl.language.stored import kept
from orderctl.orders.orders import DETAILS, IMPORTED, Buyer, Order, Status, forms_of
from orderctl.orders.queries import LINES, stream_orders

CHUNK = 2_000
_MOST_BUYERS = 20_000
_PROVISIONAL = Status.NEEDS_OC
# The columns that hold no text, for rows that travel as JSON.
_TYPES = {
    "ordered_at": "timestamptz",
    "delivery_from": "date",
    "delivery_to": "date",
    "total": "bigint",
    "quantity": "bigint",
    "archived_at": "timestamptz",
    **dict.fromkeys(PROTECTIONS, "integer"),
}
_LINE = ("order_id", *LINES.names)
# What an update leaves alone.
_KEPT_COLUMNS = {"id", "archived_at"}


def fingerprint(order: Order) -> str:
    """A digest of what a file says of an order; two imports of the same content have the same."""
    content = (
        *_said_of(order, order.status.value, instant=datetime.isoformat, day=date.isoformat).values(),
        _contents(order),
        sorted(order.tags),
        *([sorted(order.unsaid)] if order.unsaid else []),
    )  # fmt: skip
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class _Known:
    """What the store holds of an order that a file brings again."""

    status: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sorted:
    """Orders of a file by what is to be done with them; those that change are complete, with their fingerprints."""

    new: list[Order]
    changed: list[Order]
    prints: dict[str, str]
    counts: ImportCounts


class OrderImport:
    """Orders from files into the connection's account. No rejected order is touched, and no stored one rejected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._written: dict[str, Buyer] = {}

    def store(
        self, orders: Sequence[Order], *, actor: str, at: datetime, detail: str, lower_counts: bool = False
    ) -> ImportCounts:
        """Create new orders, update changed ones. What a file does not say stays; tags are added."""
        event = {
            "event": new_id(),
            "actor": actor,
            "at": self._connection.dialect.instant(at),
            "detail": kept(detail, DETAILS),
        }
        counts = ImportCounts()
        for chunk in _chunks(orders):
            self._store_buyers(order.buyer for order in chunk if order.buyer)
            found = self._sorted(chunk, lower_counts=lower_counts, lock=self._connection.dialect.lock("o"))
            self._write(found, event)
            counts += found.counts
        return counts

    def foresee(self, orders: Sequence[Order], *, lower_counts: bool) -> ImportCounts:
        """What `store` would do."""
        counts = ImportCounts()
        for chunk in _chunks(orders):
            counts += self._sorted(chunk, lower_counts=lower_counts, lock="").counts
        return counts

    def _sorted(self, orders: Sequence[Order], *, lower_counts: bool, lock: str) -> _Sorted:
        orders, known = self._identified(orders, lock)
        final = {order_id for order_id, stored in known.items() if stored.status == Status.REJECTED}
        prints = {order.id: fingerprint(order) for order in orders}
        new, other = [], {}
        for order in orders:
            if order.id not in known:
                new.append(order)
            elif order.id not in final and known[order.id].fingerprint != prints[order.id]:
                other[order.id] = order
        changed, counts_kept, rejected_at_source = [], 0, []
        for stored in self._stored(list(other)):
            order = other[stored.id]
            whole = _completed(order, stored, lower_counts=lower_counts)
            kept = any(getattr(order, name) < getattr(whole, name) for name in PROTECTIONS if name not in order.unsaid)
            counts_kept += kept
            if stays_open := _is_rejected_at_source(order):
                rejected_at_source.append(order.id)
            if _differ(whole, stored):
                changed.append(whole)
                prints[order.id] = fingerprint(_as_kept(order, whole)) if kept or stays_open else prints[order.id]
        counts = ImportCounts(
            created=len(new),
            updated=len(changed),
            unchanged=len(orders) - len(new) - len(changed) - len(final),
            rejected_left_alone=len(final),
            counts_kept=counts_kept,
            rejected_at_source=tuple(rejected_at_source),
            unsaid=_unsaid(orders, known, final),
        )
        return _Sorted(new=new, changed=changed, prints=prints, counts=counts)

    def _identified(self, orders: Sequence[Order], lock: str) -> tuple[Sequence[Order], dict[str, _Known]]:
        """The orders by the ids that they have in the store, and which are there.

        Earlier versions kept an id as its file wrote it, with accents apart (NFD) too: such an order stays the same.
        """
        apart = {order.id: form for order in orders for form in forms_of(order.id) if form != order.id}
        known = self._known([*(order.id for order in orders), *apart.values()], lock)
        kept = {order_id: form for order_id, form in apart.items() if order_id not in known and form in known}
        if not kept:
            return orders, known
        return [replace(order, id=kept.get(order.id, order.id)) for order in orders], known

    def _write(self, found: _Sorted, event: dict[str, object]) -> None:
        self._insert(found.new, found.prints)
        self._update(found.changed, found.prints, event)
        written = [*found.new, *found.changed]
        self._connection.insert("order_line", _LINE, _lines(written))
        self._merge_rows("order_tag", _tags(written), "DO NOTHING")
        self._arrive_rejected([order.id for order in found.new if order.status is Status.REJECTED], event)

    def _stored(self, ids: list[str]) -> Iterator[Order]:
        """Stored orders, whole; there are none to read in most imports."""
        if not ids:
            return iter(())
        dialect = self._connection.dialect
        return stream_orders(
            self._connection, Fragment(f"id {dialect.among('stored')}", {"stored": dialect.bind_ids(ids)})
        )

    def _known(self, ids: list[str], lock: str) -> dict[str, _Known]:
        """The stored orders among these."""
        dialect = self._connection.dialect
        rows = self._connection.execute(
            "SELECT o.id, o.status, o.fingerprint FROM orders AS o WHERE o.account = :account"
            f" AND o.id IN ({dialect.ids('ids')}) ORDER BY o.id {lock}",
            {"ids": dialect.bind_ids(ids)},
        )
        return {row[0]: _Known(row[1], row[2]) for row in rows.fetchall()}

    def _store_buyers(self, buyers: Iterable[Buyer]) -> None:
        merged: dict[str, Buyer] = {}
        for buyer in buyers:
            earlier = merged.get(buyer.id)
            merged[buyer.id] = buyer if earlier in (None, buyer) else _merged(earlier, buyer)
        # A file names its buyers again and again: the same words, written twice in one transaction, change nothing.
        merged = {buyer_id: buyer for buyer_id, buyer in merged.items() if self._written.get(buyer_id) != buyer}
        kept = ", ".join(
            f"{column} = coalesce(excluded.{column}, buyer.{column})"
            for column in ("email", "contact", "country", "language")
        )
        # Where a file knows no name, the id stands in for it; that does not replace a name.
        named = "excluded.name NOT IN ('', excluded.id)"
        rows = [_buyer_row(merged[buyer_id]) for buyer_id in sorted(merged)]
        self._merge_rows(
            "buyer",
            rows,
            "(account, id) DO UPDATE SET "
            f"name = CASE WHEN {named} THEN excluded.name ELSE buyer.name END, "
            f"name_folded = CASE WHEN {named} THEN excluded.name_folded ELSE buyer.name_folded END, {kept}",
        )
        if len(self._written) > _MOST_BUYERS:
            self._written.clear()
        self._written |= merged

    def _insert(self, orders: list[Order], prints: dict[str, str]) -> None:
        if not orders:
            return
        rows = [self._new_row(order, prints[order.id]) for order in orders]
        try:
            self._connection.insert("orders", tuple(rows[0]), [tuple(row.values()) for row in rows])
        except RowExistsError as error:
            raise OrderctlError(
                _("another program imported some of the same orders at the same moment; nothing was changed"),
                hint=_("run the import again"),
            ) from error

    def _new_row(self, order: Order, digest: str) -> dict[str, object]:
        """The row of a new order; one that arrives rejected becomes it last."""
        if order.status is Status.REJECTED:
            return _order_row(order, _PROVISIONAL, digest, self._connection.dialect) | {"version": ARRIVING}
        return _order_row(order, order.status, digest, self._connection.dialect) | {"version": order.version}

    def _update(self, orders: list[Order], prints: dict[str, str], event: dict[str, object]) -> None:
        if not orders:
            return
        dialect = self._connection.dialect
        rows = [_order_row(order, order.status, prints[order.id], dialect) for order in orders]
        changes = ", ".join(f"{column} = r.{column}" for column in rows[0] if column not in _KEPT_COLUMNS)
        self._connection.execute(
            # MATERIALIZED: otherwise SQLite reads every order of the account, and for each of them all the rows.
            f"WITH r AS MATERIALIZED ({recordset(dialect, _typed(rows[0]))})"
            f" UPDATE orders SET {changes}, version = orders.version + 1, changed_at = :at FROM r"
            " WHERE orders.account = :account AND orders.id = r.id AND orders.status <> 'rejected'",
            {"rows": packed(rows), "at": event["at"]},
        )
        self._connection.execute(
            f"DELETE FROM order_line WHERE account = :account AND order_id IN ({dialect.ids('ids')})",
            {"ids": dialect.bind_ids([order.id for order in orders])},
        )

    def _arrive_rejected(self, ids: list[str], event: dict[str, object]) -> None:
        """New orders that come as rejected ones become it last: from then on the guards let nothing through."""
        if not ids:
            return
        dialect = self._connection.dialect
        arrived = f"account = :account AND version = {ARRIVING} AND id IN ({dialect.ids('ids')})"
        self._connection.execute(
            "INSERT INTO order_event (account, order_id, id, kind, to_status, detail, actor, at)"
            f" SELECT account, id, :event, '{IMPORTED}', 'rejected', :detail, :actor, :at FROM orders WHERE {arrived}",
            {"ids": dialect.bind_ids(ids), **event},
        )
        self._connection.execute(
            f"UPDATE orders SET status = 'rejected', rejected_at = :at, version = 1 WHERE {arrived}",
            {"ids": dialect.bind_ids(ids), "at": event["at"]},
        )

    def _merge_rows(self, table: str, rows: list[dict[str, object]], conflict: str) -> None:
        if not rows:
            return
        named = ", ".join(rows[0])
        # `WHERE true`: without it SQLite takes the ON of ON CONFLICT for that of a join.
        self._connection.execute(
            f"INSERT INTO {table} (account, {named}) SELECT :account, {named}"
            f" FROM ({recordset(self._connection.dialect, _typed(rows[0]))}) AS r WHERE true ON CONFLICT {conflict}",
            {"rows": packed(rows)},
        )


def _typed(columns: Iterable[str]) -> dict[str, str]:
    return {column: _TYPES.get(column, "text") for column in columns}


def _chunks(orders: Sequence[Order]) -> Iterator[Sequence[Order]]:
    return (orders[start : start + CHUNK] for start in range(0, len(orders), CHUNK))


def _completed(order: Order, stored: Order, *, lower_counts: bool) -> Order:
    """An order of a file with what the file does not say from the stored one.

    What protects an order never falls without a word: its counts stay as high as they were, unless `lower_counts`.
    Nor does a file reject an order that is there: it keeps its status.
    """
    kept = {name: getattr(stored, name) for name in order.unsaid}
    if _is_rejected_at_source(order):
        kept["status"] = stored.status
    if not lower_counts:
        kept |= {name: getattr(stored, name) for name in PROTECTIONS if getattr(order, name) < getattr(stored, name)}
    return replace(order, **kept) if kept else order


def _is_rejected_at_source(order: Order) -> bool:
    """Whether the file itself says that an order is rejected; what stands in for a missing column says nothing."""
    return order.status is Status.REJECTED and "status" not in order.unsaid


def _differ(order: Order, stored: Order) -> bool:
    """Whether an import of this order changes the stored one: tags are added only, and archiving is left alone."""
    said, there = (
        _said_of(each, each.status, instant=datetime.isoformat, day=date.isoformat) for each in (order, stored)
    )
    return said != there or order.lines != stored.lines or not order.tags <= stored.tags


def _as_kept(order: Order, whole: Order) -> Order:
    """What the file says, with what the store kept against it: so the same file differs from the store again."""
    against = {name for name in (*PROTECTIONS, "status") if name not in order.unsaid}
    return replace(order, **{name: getattr(whole, name) for name in against})


def _unsaid(orders: Iterable[Order], known: dict[str, _Known], final: set[str]) -> dict[str, Unsaid]:
    """Of how many orders the file does not say what protects them."""
    kept, new = Counter[str](), Counter[str]()
    silences = Counter((order.unsaid, order.id in known) for order in orders if order.unsaid and order.id not in final)
    for (unsaid, is_known), number in silences.items():
        for name in unsaid.intersection(PROTECTIONS):
            (kept if is_known else new)[name] += number
    return {name: Unsaid(kept=kept[name], new=new[name]) for name in PROTECTIONS if kept[name] or new[name]}


def _merged(earlier: Buyer | None, later: Buyer) -> Buyer:
    """The later of two accounts of one buyer, with what only the earlier one knows."""
    if earlier is None:
        return later
    return replace(
        later,
        name=earlier.name if later.name in {"", later.id} else later.name,
        email=later.email or earlier.email,
        contact=later.contact or earlier.contact,
        country=later.country or earlier.country,
        language=later.language or earlier.language,
    )


def _buyer_row(buyer: Buyer) -> dict[str, object]:
    return {
        "id": buyer.id,
        "name": buyer.name,
        "name_folded": fold(buyer.name),
        "email": buyer.email,
        "contact": buyer.contact,
        "country": buyer.country,
        "language": buyer.language,
    }


def _order_row(order: Order, status: str, digest: str, dialect: Dialect) -> dict[str, object]:
    """The values of an order's columns."""
    return {
        **_said_of(order, status, instant=dialect.instant, day=dialect.day),
        "folded": order.searched_text,
        "fingerprint": digest,
        "lines_digest": lines_digest(order.id, sorted(_contents(order))),
        "archived_at": order.archived_at and dialect.instant(order.archived_at),
    }


def _lines(orders: Iterable[Order]) -> list[Row]:
    """The values of `_LINE`."""
    return [(order.id, *content) for order in orders for content in _contents(order)]


def _contents(order: Order) -> list[Row]:
    """What the lines of an order say, their numbers first. Attribute by attribute: `attrgetter` takes longer."""
    return [
        (line.number, line.sku, line.name, line.color, line.size, line.quantity, line.unit_price)
        for line in order.lines
    ]


def _tags(orders: Iterable[Order]) -> list[dict[str, object]]:
    return [{"order_id": order.id, "tag": tag} for order in orders for tag in sorted(order.tags)]


def _said_of(
    order: Order, status: str, *, instant: Callable[[datetime], object], day: Callable[[date], object]
) -> dict[str, object]:
    """What a file says of an order itself, by column. Fingerprints are made of the same values, in this order."""
    return {
        "id": order.id,
        "buyer_id": order.buyer.id if order.buyer else None,
        "brand": order.brand,
        "status": status,
        "reference": order.reference,
        "season": order.season,
        "ordered_at": instant(order.ordered_at),
        "terms": order.terms,
        "delivery_address": order.delivery_address,
        "billing_address": order.billing_address,
        "country": order.country,
        "delivery_from": order.delivery_from and day(order.delivery_from),
        "delivery_to": order.delivery_to and day(order.delivery_to),
        "currency": order.currency,
        "total": order.total,
        "quantity": order.quantity,
        "delivery_notes": order.delivery_notes,
        "invoices": order.invoices,
        "backlog_skus": order.backlog_skus,
        "note": order.note,
    }
