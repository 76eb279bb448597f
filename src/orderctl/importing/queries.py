"""Writes orders that come from files, a chunk at a time, as sets.

What is new goes in the way that the engine takes most at once; what may be there already travels as one JSON
parameter, and is compared and updated inside the database.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from orderctl.core.ids import new_id
from orderctl.core.text import fold
from orderctl.database.acts import Act, record_act
from orderctl.database.connection import (
    Connection,
    Dialect,
    Fragment,
    Row,
    RowExistsError,
    packed,
    read_instant,
    recordset,
)
from orderctl.database.guards.conditions import ARRIVING
from orderctl.database.line_digests import digested, order_digest
from orderctl.errors import OrderctlError
from orderctl.importing.fields import PROTECTIONS
from orderctl.importing.figures import ImportCounts, Unsaid
from orderctl.language import _
from orderctl.language.stored import kept
from orderctl.orders.contradictions import Said, contradiction
from orderctl.orders.erasures import without_erased
from orderctl.orders.orders import (
    DETAILS,
    GONE,
    IMPORTED,
    SEEN_AGAIN,
    Buyer,
    OrderLine,
    SaidOrder,
    Status,
    forms_of,
    searched_text,
)
from orderctl.orders.queries import LINES, stream_orders

T = TypeVar("T")
CHUNK = 2_000
_MOST_BUYERS = 20_000
# What is kept of a buyer where a file does not say it.
_OF_BUYERS = ("email", "contact", "country", "language", "cc", "bcc")
_CACHED = 1_000
_ARRIVE_AS = {Status.REJECTED.value: Status.NEEDS_OC.value}
# The types of the columns that are not text, for rows that are passed as JSON.
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
# What a file says of an order itself, in the order of its columns; fingerprints are made in this order.
_BUYER, _STATUS, _ORDERED, _FROM, _TO, _NOTE = map(
    SaidOrder._fields.index, ("buyer", "status", "ordered_at", "delivery_from", "delivery_to", "note")
)
_AMOUNTS = slice(SaidOrder._fields.index("currency"), SaidOrder._fields.index("quantity") + 1)
_OF_ORDERS = tuple("buyer_id" if name == "buyer" else name for name in SaidOrder._fields[: _NOTE + 1])
_COLUMNS = (*_OF_ORDERS, "folded", "fingerprint", "lines_digest", "archived_at")
_SAID = ("order_id", "source", "seen_at", "import_id", "status", "delivery_notes", "invoices")
# The columns that an update writes whatever has changed.
_DERIVED = {"folded", "fingerprint", "lines_digest"}


_as_json = json.JSONEncoder(default=lambda value: value.isoformat()).encode


def fingerprints(orders: Sequence[SaidOrder]) -> list[str]:
    """A digest of what a file says of each order; two imports of the same content have the same.

    It is that of a JSON array, put together a column at a time; what all orders say alike is put in once.
    """
    if not orders:
        return []
    __, *columns = [_written(column, _as_json) for column in _said_by_column(orders)]
    lines, tags, unsaid = zip(*(order[_NOTE + 2 :] for order in orders), strict=True)
    columns.append([_as_json(digested(_contents(each))) for each in lines] if any(lines) else "[]")
    columns += [_written(tags, lambda each: _as_json(sorted(each))), _written(unsaid, _further)]
    parts = ["%s", *(each.replace("%", "%%") if isinstance(each, str) else "%s" for each in columns)]
    form = f"[{', '.join(parts[:-1])}{parts[-1]}]"
    varying = (each for each in columns if not isinstance(each, str))
    rows = zip([_as_json(order.id) for order in orders], *varying, strict=True)
    return [hashlib.sha256((form % values).encode()).hexdigest() for values in rows]


def _written(column: Sequence[T], write: Callable[[T], str]) -> str | list[str]:
    """Each value as a text, or the text of the one value that all are. Whole numbers have only such beside them."""
    if column.count(column[0]) == len(column):
        return write(column[0])
    if isinstance(column[0], int):
        return list(map(str, column))
    known = {value: write(value) for value in {*column}}
    return [known[value] for value in column]


# All orders of a file share what it does not say.
@lru_cache(maxsize=_CACHED)
def _further(unsaid: frozenset[str]) -> str:
    return f", {_as_json(sorted(unsaid))}" if unsaid else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """That a source spoke of orders: which one, when, and the import that heard it."""

    source: str = ""
    at: datetime
    import_id: str = field(default_factory=new_id)


# Status, delivery notes and invoices as a source says them; None is what it does not say.
_Words = tuple[str | None, int | None, int | None]


class _Known(NamedTuple):
    """What the store holds of an order that a file brings again."""

    id: str
    status: str
    fingerprint: str
    rejected_at: object
    is_archived: bool
    is_gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sorted:
    """Orders of a file by what is to be done with them; those that change are complete, with their fingerprints.

    Of those that are in the store, `same` are the ids of which the file says what was said before, and `told` the
    others, as the file has them. `columns` are those in which any of `changed` differs from what is stored.
    """

    new: list[SaidOrder]
    same: list[str]
    told: list[SaidOrder]
    changed: list[SaidOrder]
    columns: set[str]
    prints: dict[str, str]
    counts: ImportCounts


class OrderImport:
    """Orders from files into the connection's account. No rejected order is touched, and no stored one rejected."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._written: dict[str, Buyer] = {}
        self._logged: dict[str, list[str]] = {}  # the ids of the orders that have an event, by its kind

    def store(
        self,
        orders: Sequence[SaidOrder],
        *,
        actor: str,
        at: datetime,
        detail: str,
        lower_counts: bool = False,
        seen: Sighting | None = None,
    ) -> ImportCounts:
        """Create new orders, update changed ones. What a file does not say stays; tags are added.

        `seen`: whose word the orders are, and of when; of now if it is not given. What a file says of a buyer who was
        erased stays out.
        """
        seen = seen or Sighting(at=at)
        event = self._event(seen, actor, at, detail)
        counts = ImportCounts()
        for said in _chunks(orders):
            chunk, erased = without_erased(self._connection, said)
            self._store_buyers(order.buyer for order in chunk if order.buyer)
            lock = self._connection.dialect.lock("o")
            found = self._sorted(chunk, seen.at, lower_counts=lower_counts, lock=lock)
            self._write(found, event)
            self._note_sighting(found, seen)
            self._see_again(found.counts.seen_again, event)
            counts += replace(found.counts, erased=erased)
        return counts

    def foresee(self, orders: Sequence[SaidOrder], seen_at: datetime, *, lower_counts: bool) -> ImportCounts:
        """What `store` would do with what a source said then."""
        counts = ImportCounts()
        for said in _chunks(orders):
            chunk, erased = without_erased(self._connection, said)
            found = self._sorted(chunk, seen_at, lower_counts=lower_counts, lock="")
            counts += replace(found.counts, erased=erased)
        return counts

    def mark_gone(
        self, seen: Sighting, *, actor: str, at: datetime, detail: str, among: Sequence[str] = ()
    ) -> ImportCounts:
        """Mark the orders that this source has spoken of before, and not in this import, which has all there is.

        Not those of which it has spoken since: a file says nothing of what came after it. `among`: the import has all
        there is of these orders, and says nothing of others.
        """
        dialect = self._connection.dialect
        missing = (
            "SELECT order_id FROM order_source WHERE account = :account AND source = :source"
            " AND import_id <> :import AND seen_at <= :seen_at"
        )
        bound = {"source": seen.source, "import": seen.import_id, "seen_at": dialect.instant(seen.at)}
        if among:
            missing += f" AND order_id {dialect.among('among')}"
            bound["among"] = dialect.bind_ids(list(among))
        found = self._connection.execute(
            f"SELECT o.id FROM orders AS o WHERE o.account = :account AND o.status <> '{Status.REJECTED}'"
            f" AND o.gone_at IS NULL AND o.id IN ({missing}) ORDER BY o.id {dialect.lock('o')}",
            bound,
        )
        ids = tuple(order_id for (order_id,) in found.fetchall())
        self._log(GONE, "gone_at = :at", ids, self._event(seen, actor, at, detail))
        # A rejected order that its source no longer has is not open there any more.
        self._connection.execute(
            f"UPDATE order_source SET status = NULL WHERE account = :account AND order_id IN ({missing})"
            f" AND order_id IN (SELECT id FROM orders WHERE account = :account AND status = '{Status.REJECTED}')",
            bound,
        )
        return ImportCounts(gone=ids)

    def record_acts(self, seen: Sighting, *, actor: str, at: datetime, detail: str) -> None:
        """Record what the import did to orders besides writing them: one act for each kind of event, at its end."""
        for kind, ids in sorted(self._logged.items()):
            act = Act(kind=kind, subject=seen.import_id, actor=actor, at=at, detail=kept(detail, DETAILS))
            record_act(self._connection, act.of_keys(ids))
        self._logged.clear()

    def _event(self, seen: Sighting, actor: str, at: datetime, detail: str) -> dict[str, object]:
        return {
            "event": seen.import_id,
            "actor": actor,
            "at": self._connection.dialect.instant(at),
            "detail": kept(detail, DETAILS),
        }

    def _sorted(self, orders: Sequence[SaidOrder], seen_at: datetime, *, lower_counts: bool, lock: str) -> _Sorted:
        orders, known = self._identified(orders, lock)
        told_before = self._told(known, seen_at) if known else {}
        final = {order_id for order_id, stored in known.items() if stored.status == Status.REJECTED}
        prints = dict(zip((order.id for order in orders), fingerprints(orders), strict=True))
        new = [order for order in orders if order.id not in known] if known else list(orders)
        same, told, other = [], [], {}
        for order in orders if known else ():
            order_id = order.id
            known_as = known.get(order_id)
            if known_as is None:
                continue
            if known_as.fingerprint != prints[order_id] and order_id not in final:
                other[order_id] = order
            # The fingerprint does not tell: it differs where the store kept something that the file does not say.
            if order_id not in told_before or told_before[order_id][:-1] != _said(order):
                told.append(order)
            else:
                same.append(order_id)
        changed, columns, counts_kept, rejected_at_source = [], set[str](), 0, []
        for stored in self._stored(list(other)):
            order = other[stored.id]
            whole = _completed(order, stored, lower_counts=lower_counts)
            kept = any(getattr(order, name) < getattr(whole, name) for name in PROTECTIONS if name not in order.unsaid)
            counts_kept += kept
            if stays_open := _is_rejected_at_source(order):
                rejected_at_source.append(order.id)
            if differing := _differing(whole, stored):
                changed.append(whole)
                columns |= differing
                if kept or stays_open:
                    [prints[order.id]] = fingerprints([_as_kept(order, whole)])
        counts = ImportCounts(
            created=len(new),
            updated=len(changed),
            unchanged=len(orders) - len(new) - len(changed) - len(final),
            rejected_left_alone=len(final),
            counts_kept=counts_kept,
            rejected_at_source=tuple(rejected_at_source),
            unsaid=_unsaid(orders, known, final),
            seen_again=tuple(order_id for order_id, known_as in known.items() if known_as.is_gone),
            older=sum(bool(heard) for *__, heard in told_before.values()),
            against_us=_against_us(orders, known, final, seen_at),
        )
        return _Sorted(new=new, same=same, told=told, changed=changed, columns=columns, prints=prints, counts=counts)

    def _identified(self, orders: Sequence[SaidOrder], lock: str) -> tuple[Sequence[SaidOrder], dict[str, _Known]]:
        """The orders by the ids that they have in the store, and which are there.

        Earlier versions kept an id as its file wrote it, with accents apart (NFD) too: such an order stays the same.
        """
        other = (order.id for order in orders if not order.id.isascii())
        apart = {order_id: form for order_id in other for form in forms_of(order_id) if form != order_id}
        known = self._known([*(order.id for order in orders), *apart.values()], lock)
        kept = {order_id: form for order_id, form in apart.items() if order_id not in known and form in known}
        if not kept:
            return orders, known
        return [order._replace(id=kept.get(order.id, order.id)) for order in orders], known

    def _write(self, found: _Sorted, event: dict[str, object]) -> None:
        self._insert(found.new, found.prints)
        self._update(found, event)
        written = [*found.new, *found.changed]
        if lines := [(order.id, *content) for order in written for content in _contents(order.lines)]:
            self._connection.insert("order_line", dict(zip(_LINE, zip(*lines, strict=True), strict=True)))
        self._merge_rows("order_tag", _tags(written), "DO NOTHING")
        self._arrive_rejected([order.id for order in found.new if order.status is Status.REJECTED], event)

    def _note_sighting(self, found: _Sorted, seen: Sighting) -> None:
        """Write what the source says of each order, also of those that stay as they are."""
        dialect = self._connection.dialect
        by = {"source": seen.source, "seen_at": dialect.instant(seen.at), "import_id": seen.import_id}
        if found.new:
            ids = [order.id for order in found.new]
            said = zip(_SAID[4:], zip(*map(_said, found.new), strict=True), strict=True)
            by_all = {name: [value] * len(ids) for name, value in by.items()}
            self._connection.insert("order_source", {"order_id": ids, **by_all, **dict(said)})
        if found.same:
            self._connection.execute(
                "UPDATE order_source SET source = :source, seen_at = :seen_at, import_id = :import_id"
                f" WHERE account = :account AND order_id {dialect.among('same')}",
                {**by, "same": dialect.bind_ids(found.same)},
            )
        if found.told:
            rows = [dict(zip(_SAID[4:], _said(order), strict=True)) | {"order_id": order.id} for order in found.told]
            changes = ", ".join(f"{column} = excluded.{column}" for column in _SAID[1:])
            self._connection.execute(
                f"INSERT INTO order_source (account, {', '.join(_SAID)}) SELECT :account, order_id, :source, :seen_at,"
                f" :import_id, {', '.join(_SAID[4:])} FROM ({recordset(dialect, _typed(rows[0]))}) AS r WHERE true"
                f" ON CONFLICT (account, order_id) DO UPDATE SET {changes}",
                {**by, "rows": packed(rows)},
            )

    def _see_again(self, ids: Sequence[str], event: dict[str, object]) -> None:
        """Orders that were gone are there again."""
        self._log(SEEN_AGAIN, "gone_at = NULL", ids, event)

    def _log(self, kind: str, change: str, ids: Sequence[str], event: dict[str, object]) -> None:
        """Change orders that are locked, with an event for each."""
        if not ids:
            return
        self._logged.setdefault(kind, []).extend(ids)
        dialect = self._connection.dialect
        self._connection.execute(
            "INSERT INTO order_event (account, order_id, id, kind, detail, actor, at)"
            f" SELECT account, id, :event, '{kind}', :detail, :actor, :at FROM orders"
            f" WHERE account = :account AND id {dialect.among('ids')}",
            {"ids": dialect.bind_ids(ids), **event},
        )
        self._connection.execute(
            f"UPDATE orders SET {change}, changed_at = :at, version = version + 1"
            f" WHERE account = :account AND id {dialect.among('ids')}",
            {"ids": dialect.bind_ids(ids), "at": event["at"]},
        )

    def _stored(self, ids: list[str]) -> Iterator[SaidOrder]:
        """Stored orders, as files say them; there are none to read in most imports."""
        if not ids:
            return iter(())
        dialect = self._connection.dialect
        chosen = Fragment(f"id {dialect.among('stored')}", {"stored": dialect.bind_ids(ids)})
        return map(SaidOrder.of, stream_orders(self._connection, chosen))

    def _known(self, ids: list[str], lock: str) -> dict[str, _Known]:
        """The stored orders among these."""
        dialect = self._connection.dialect
        rows = self._connection.execute(
            "SELECT o.id, o.status, o.fingerprint, o.rejected_at, o.archived_at IS NOT NULL, o.gone_at IS NOT NULL"
            f" FROM orders AS o WHERE o.account = :account AND o.id {dialect.among('ids')} ORDER BY o.id {lock}",
            {"ids": dialect.bind_ids(ids)},
        )
        return {known.id: known for known in map(_Known._make, rows)}

    def _told(self, ids: Iterable[str], seen_at: datetime) -> dict[str, Row]:
        """What sources last said of these orders, as `_Words`, and whether they have spoken since that time."""
        dialect = self._connection.dialect
        # No join: without statistics PostgreSQL reads all that sources said again for each order.
        rows = self._connection.execute(
            "SELECT order_id, status, delivery_notes, invoices, seen_at > :seen_at FROM order_source"
            f" WHERE account = :account AND order_id {dialect.among('ids')}",
            {"ids": dialect.bind_ids(list(ids)), "seen_at": dialect.instant(seen_at)},
        )
        return {order_id: tuple(told) for order_id, *told in rows}

    def _store_buyers(self, buyers: Iterable[Buyer]) -> None:
        merged: dict[str, Buyer] = {}
        for buyer in buyers:
            earlier = merged.get(buyer.id)
            if earlier is not buyer:  # most are one object
                merged[buyer.id] = buyer if earlier is None or earlier == buyer else _merged(earlier, buyer)
        # Files repeat their buyers: one that this transaction has already written is skipped.
        merged = {buyer_id: buyer for buyer_id, buyer in merged.items() if self._written.get(buyer_id) != buyer}
        kept = ", ".join(f"{column} = coalesce(excluded.{column}, buyer.{column})" for column in _OF_BUYERS)
        # Without a name in the file the id is used, which must not replace a name.
        named = "excluded.name NOT IN ('', excluded.id)"
        rows = [{**vars(merged[each]), "name_folded": fold(merged[each].name)} for each in sorted(merged)]
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

    def _insert(self, orders: list[SaidOrder], prints: dict[str, str]) -> None:
        if not orders:
            return
        columns = _by_column(orders, prints, self._connection.dialect)
        # One that arrives rejected becomes it last.
        columns.append([ARRIVING if status == Status.REJECTED else 1 for status in columns[_STATUS]])
        columns[_STATUS] = [_ARRIVE_AS.get(status, status) for status in columns[_STATUS]]
        try:
            self._connection.insert("orders", dict(zip((*_COLUMNS, "version"), columns, strict=True)))
        except RowExistsError as error:
            raise OrderctlError(
                _("another program imported some of the same orders at the same moment; nothing was changed"),
                hint=_("run the import again"),
            ) from error

    def _update(self, found: _Sorted, event: dict[str, object]) -> None:
        if not found.changed:
            return
        dialect = self._connection.dialect
        columns = dict(zip(_COLUMNS, _by_column(found.changed, found.prints, dialect), strict=True))
        columns = {name: column for name, column in columns.items() if name in {"id", *found.columns, *_DERIVED}}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        changes = ", ".join(f"{column} = r.{column}" for column in columns if column != "id")
        ids = dialect.bind_ids([order.id for order in found.changed])
        # Without statistics PostgreSQL reads every order of the account for the join alone.
        few = "" if dialect.name == "sqlite" else f" AND orders.id {dialect.among('ids')}"
        self._connection.execute(
            # MATERIALIZED: otherwise SQLite reads every order of the account, and for each of them all the rows.
            f"WITH r AS MATERIALIZED ({recordset(dialect, _typed(rows[0]))})"
            f" UPDATE orders SET {changes}, version = orders.version + 1, changed_at = :at FROM r"
            f" WHERE orders.account = :account AND orders.id = r.id AND orders.status <> 'rejected'{few}",
            {"rows": packed(rows), "at": event["at"], "ids": ids},
        )
        self._connection.execute(
            f"DELETE FROM order_line WHERE account = :account AND order_id {dialect.among('ids')}", {"ids": ids}
        )

    def _arrive_rejected(self, ids: list[str], event: dict[str, object]) -> None:
        """New orders that come as rejected ones become it last: from then on the guards let nothing through."""
        if not ids:
            return
        self._logged.setdefault(IMPORTED, []).extend(ids)
        dialect = self._connection.dialect
        arrived = f"account = :account AND version = {ARRIVING} AND id {dialect.among('ids')}"
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


def _chunks(orders: Sequence[SaidOrder]) -> Iterator[Sequence[SaidOrder]]:
    return (orders[start : start + CHUNK] for start in range(0, len(orders), CHUNK))


def _completed(order: SaidOrder, stored: SaidOrder, *, lower_counts: bool) -> SaidOrder:
    """An order of a file with what the file does not say from the stored one.

    What protects an order never falls without a word: its counts stay as high as they were, unless `lower_counts`.
    Nor does a file reject an order that is there: it keeps its status.
    """
    kept = {name: getattr(stored, name) for name in order.unsaid}
    if _is_rejected_at_source(order):
        kept["status"] = stored.status
    if not lower_counts:
        kept |= {name: getattr(stored, name) for name in PROTECTIONS if getattr(order, name) < getattr(stored, name)}
    return order._replace(**kept) if kept else order


def _is_rejected_at_source(order: SaidOrder) -> bool:
    """Whether the file itself says that an order is rejected; what stands in for a missing column says nothing."""
    return order.status is Status.REJECTED and "status" not in order.unsaid


def _differing(order: SaidOrder, stored: SaidOrder) -> set[str]:
    """What an import of this order changes of the stored one: tags are added only, and archiving is left alone."""
    said = zip(_OF_ORDERS, _said_of(order), _said_of(stored), strict=True)
    found = {name for name, value, there in said if value != there}
    if order.lines != stored.lines:
        found.add("lines")
    return found if order.tags <= stored.tags else {*found, "tags"}


def _as_kept(order: SaidOrder, whole: SaidOrder) -> SaidOrder:
    """What the file says, with what the store kept against it: so the same file differs from the store again."""
    against = {name for name in (*PROTECTIONS, "status") if name not in order.unsaid}
    return order._replace(**{name: getattr(whole, name) for name in against})


def _unsaid(orders: Iterable[SaidOrder], known: dict[str, _Known], final: set[str]) -> dict[str, Unsaid]:
    """Of how many orders the file does not say what protects them."""
    kept, new = Counter[str](), Counter[str]()
    silences = Counter((order.unsaid, order.id in known) for order in orders if order.unsaid and order.id not in final)
    for (unsaid, is_known), number in silences.items():
        for name in unsaid.intersection(PROTECTIONS):
            (kept if is_known else new)[name] += number
    return {name: Unsaid(kept=kept[name], new=new[name]) for name in PROTECTIONS if kept[name] or new[name]}


def _said(order: SaidOrder) -> _Words:
    """What a file says of an order; what stands in for a missing column says nothing."""
    unsaid = order.unsaid
    return (
        None if "status" in unsaid else order.status._value_,
        None if "delivery_notes" in unsaid else order.delivery_notes,
        None if "invoices" in unsaid else order.invoices,
    )


def _against_us(
    orders: Iterable[SaidOrder], known: dict[str, _Known], final: set[str], at: datetime
) -> dict[str, tuple[str, ...]]:
    """The orders that are rejected here, and not in the file, by how they contradict; archived ones are settled."""
    found: dict[str, list[str]] = {}
    for order in orders:
        if order.id in final and not known[order.id].is_archived:
            status, notes, invoices = _said(order)
            said = Said(at=at, status=Status(status) if status else None, delivery_notes=notes, invoices=invoices)
            kind = contradiction(Status.REJECTED, read_instant(known[order.id].rejected_at), said)
            if kind is not None:
                found.setdefault(kind.value, []).append(order.id)
    return {kind: tuple(ids) for kind, ids in sorted(found.items())}


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
        cc=earlier.cc if later.cc is None else later.cc,
        bcc=earlier.bcc if later.bcc is None else later.bcc,
    )


def _by_column(orders: Sequence[SaidOrder], prints: Mapping[str, str], dialect: Dialect) -> list[Sequence[Any]]:
    """The values of `_COLUMNS`, a column at a time."""
    said = _said_by_column(orders)
    amounts = zip(*said[_AMOUNTS], strict=True)
    digests = [
        order_digest(order.id, of_order, digested(sorted(_contents(order.lines))) if order.lines else ())
        for order, of_order in zip(orders, amounts, strict=True)
    ]
    said[_ORDERED] = list(map(dialect.instant, said[_ORDERED]))
    for place in (_FROM, _TO):
        said[place] = [day and dialect.day(day) for day in said[place]]
    archived = [order.archived_at and dialect.instant(order.archived_at) for order in orders]
    return [*said, list(map(searched_text, orders)), [prints[order.id] for order in orders], digests, archived]


def _contents(lines: Iterable[OrderLine]) -> list[Row]:
    """What the lines of an order say, in the order of their fields, which is that of `LINES`; their numbers first."""
    return [tuple(vars(line).values()) for line in lines]


def _tags(orders: Iterable[SaidOrder]) -> list[dict[str, object]]:
    return [{"order_id": order.id, "tag": tag} for order in orders for tag in sorted(order.tags)]


def _said_of(order: SaidOrder) -> Row:
    """What a file says of an order itself, by `_OF_ORDERS`."""
    return (order.id, order.buyer.id if order.buyer else None, *order[_BUYER + 1 : _NOTE + 1])


def _said_by_column(orders: Sequence[SaidOrder]) -> list[Any]:
    """The same of several orders, a column at a time."""
    columns: list[Any] = list(zip(*orders, strict=True))[: _NOTE + 1]
    columns[_BUYER] = [buyer and buyer.id for buyer in columns[_BUYER]]
    columns[_STATUS] = [status._value_ for status in columns[_STATUS]]  # plain texts, which need no look-up
    return columns
