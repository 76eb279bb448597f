"""Erasures of the personal data of buyers: the record of each, the mark that it leaves, and what names a buyer.

The rules are in design.md, section 5c.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from orderctl.core.text import fold
from orderctl.database.connection import Columns, Connection, readable_instant
from orderctl.orders.orders import Buyer, Order, SaidOrder

# The kind of event of an order whose buyer was erased.
ERASED = "erased"


def mark_of(at: datetime) -> str:
    """What stands where a text was erased. The guards of the store know these words: never change them."""
    return f"erased on {at.astimezone(UTC):%Y-%m-%d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """One erasure: whose data, when and by whom, and how many orders, letters and plans had any.

    `batches` holds, for each batch whose texts were erased too, the digest over what stays of it. `digest` covers all
    of it and `previous`, the digest of the erasure before. `position` counts from 1 in each account.
    """

    position: int
    at: datetime
    actor: str
    actor_login: str
    buyer_id: str
    orders: int
    mails: int
    plans: int
    batches: Mapping[str, str] = field(default_factory=dict)
    previous: str = ""
    digest: str = ""

    @property
    def mark(self) -> str:
        """What stands where its texts were."""
        return mark_of(self.at)

    def with_digest(self) -> "Erasure":
        """The erasure with SHA-256 over all of its fields."""
        covered = [getattr(self, name) for name in _DIGESTED] + [self.at.isoformat(), sorted(self.batches.items())]
        return replace(self, digest=hashlib.sha256(json.dumps(covered).encode()).hexdigest())


# Never change them: the digests of all erasures depend on them.
_DIGESTED = ("position", "actor", "actor_login", "buyer_id", "orders", "mails", "plans", "previous")
_UNREADABLE = datetime.fromtimestamp(0, UTC)  # stands for an instant that somebody edited: no digest matches it


def _read_batches(text: str) -> dict[str, str]:
    try:
        return {str(batch_id): str(digest) for batch_id, digest in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):  # edited: the digest does not match then
        return {}


_COLUMNS = Columns(
    "position, at, actor, actor_login, buyer_id, orders, mails, plans, batches, previous, digest",
    at=lambda value: readable_instant(value) or _UNREADABLE,
    batches=_read_batches,
)


def erasures(connection: Connection) -> tuple[Erasure, ...]:
    """Every erasure of the account, oldest first. One that somebody edited has another digest than it should."""
    found = connection.execute(f"SELECT {_COLUMNS.sql} FROM erasure WHERE account = :account ORDER BY position")
    return tuple(Erasure(**_COLUMNS.values(row)) for row in found.fetchall())


def insert_erasure(connection: Connection, erasure: Erasure) -> None:
    """Record an erasure, before the texts become marks: the guards look for it."""
    _COLUMNS.insert(connection, "erasure", erasure, batches=json.dumps(dict(erasure.batches)))


def erased_buyers(connection: Connection, buyer_ids: Iterable[str]) -> dict[str, str]:
    """The mark of each of these buyers who is erased, by id."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT buyer_id, at FROM erasure WHERE account = :account AND buyer_id IN ({dialect.ids('ids')})",
        {"ids": dialect.bind_ids(sorted(set(buyer_ids)))},
    )
    return {buyer_id: mark_of(readable_instant(at) or _UNREADABLE) for buyer_id, at in found.fetchall()}


class Words:
    """The words that name a buyer: name, contact and mail addresses, as whole words, in any case and without accents.

    A name that is nothing but the id names nobody: the id stays.
    """

    def __init__(self, buyer: Buyer, *addresses: str) -> None:
        given = {fold(each.strip()) for each in (buyer.name, buyer.contact, buyer.email, *addresses) if each}
        self.wanted = sorted(given - {fold(buyer.id), ""}, key=len, reverse=True)
        listed = "|".join(map(re.escape, self.wanted))
        self._pattern = re.compile(rf"(?<!\w)(?:{listed})(?!\w)") if self.wanted else None

    def are_in(self, text: str) -> bool:
        """Whether the text names the buyer; JSON is read as what it stands for."""
        return self.are_in_folded(fold(_plain(text)))

    def are_in_folded(self, text: str) -> bool:
        """Whether a text names the buyer that is plain and folded already."""
        return bool(self._pattern and text and self._pattern.search(text))

    def blanked(self, text: str, mark: str) -> str:
        """The mark instead of a text that names the buyer."""
        return mark if self.are_in(text) else text

    def _blanked_text(self, text: str, mark: str) -> str:
        """A text in JSON, which may be packed JSON itself."""
        if not self.are_in(text):
            return text
        try:
            packed = json.loads(text) if text.startswith(("{", "[")) else None
        except ValueError:
            packed = None
        return mark if packed is None else json.dumps(self.blanked_json(packed, mark))

    def blanked_json(self, value: object, mark: str) -> object:
        """A JSON value with the mark instead of each text in it that names the buyer. Keys stay: they are ids."""
        if isinstance(value, str):
            return self._blanked_text(value, mark)
        if isinstance(value, list):
            return [self.blanked_json(each, mark) for each in value]
        if isinstance(value, dict):
            return {key: self.blanked_json(each, mark) for key, each in value.items()}
        return value


class Names:
    """The words of many buyers by the buyer's id; each text is read once, however many there are."""

    def __init__(self, words: Mapping[str, Words]) -> None:
        self._words = words
        wanted = [(buyer_id, _PIECE.findall(each)) for buyer_id, of in words.items() for each in of.wanted]
        common = Counter(piece for __, pieces in wanted for piece in pieces)
        # A text that names a buyer has every piece of the name, so it has the rarest one.
        self._by_piece: dict[str, set[str]] = {}
        self._without = {buyer_id for buyer_id, pieces in wanted if not pieces}
        for buyer_id, pieces in wanted:
            if pieces:
                self._by_piece.setdefault(min(pieces, key=lambda piece: common[piece]), set()).add(buyer_id)

    def named_in(self, text: str) -> set[str]:
        """The buyers whom the text names; JSON is read as what it stands for."""
        if not text:
            return set()
        folded = fold(_plain(text))
        perhaps = set(self._without)
        for piece in self._by_piece.keys() & set(_PIECE.findall(folded)):
            perhaps |= self._by_piece[piece]
        return {buyer_id for buyer_id in perhaps if self._words[buyer_id].are_in_folded(folded)}


_PIECE = re.compile(r"\w+")


def _plain(text: str) -> str:
    """The text, or the texts in it if it is JSON: what an escape stands for is no letter before a name."""
    if not text.startswith(("{", "[")) or "\\" not in text:
        return text
    try:
        return "\n".join(_texts(json.loads(text)))
    except ValueError:
        return text


def _texts(value: object) -> Iterator[str]:
    """The texts in a JSON value, keys too; one may be packed JSON itself."""
    if isinstance(value, str):
        yield _plain(value)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield _plain(key)
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _unaddressed(buyer: Buyer) -> Buyer:
    return replace(buyer, email=None, contact=None, cc=None, bcc=None)


def blanked_order(order: Order, mark: str) -> Order:
    """An order of an erased buyer as the store takes it from a file: without what the file says of the person."""
    buyer = order.buyer
    if buyer is None:
        return order
    words = Words(buyer)
    return replace(
        order,
        buyer=replace(_unaddressed(buyer), name=mark),
        reference=words.blanked(order.reference, mark),
        delivery_address=order.delivery_address and mark,
        billing_address=order.billing_address and mark,
        note=order.note and mark,
    )


def without_erased(connection: Connection, said: Sequence[SaidOrder]) -> tuple[Sequence[SaidOrder], tuple[str, ...]]:
    """The orders of a file, those of erased buyers blanked; and the erased buyers of whom it still says anything."""
    marks = erased_buyers(connection, (order.buyer.id for order in said if order.buyer))
    if not marks:
        return said, ()
    blanked, told = [], set[str]()
    for each in said:
        if not each.buyer or each.buyer.id not in marks:
            blanked.append(each)
            continue
        order = each.order()
        blank = blanked_order(order, marks[each.buyer.id])
        if _says_more(order, blank):
            told.add(each.buyer.id)
        blanked.append(SaidOrder.of(blank))
    return blanked, tuple(sorted(told))


def _says_more(order: Order, blank: Order) -> bool:
    """Whether a file says more of an erased buyer than the mark: our own export says no more."""
    if order.buyer and order.buyer.name == order.buyer.id:  # the file names nobody
        blank = replace(blank, buyer=_unaddressed(order.buyer))
    return order != blank
