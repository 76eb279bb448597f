"""Mails as rows of the outbox, and the content of their letters (design.md, section 7)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from hashlib import sha256
from itertools import groupby, islice

from orderctl.core.money import add_up
from orderctl.database.connection import Columns, Connection, Fragment, Row, read_instant
from orderctl.delivery.outbox import DeliveryState
from orderctl.delivery.queries import matching, of_batch
from orderctl.language.stored import told
from orderctl.mail.outbox import (
    DETAILS,
    MAILS,
    Letter,
    LetterContext,
    Mail,
    MailQuery,
    MailsDigest,
    Misdirected,
    QueuedMail,
)
from orderctl.orders.orders import Buyer, OrderSummary, listed_addresses
from orderctl.orders.queries import BUYER_COLUMNS, SUMMARY_COLUMNS, read_buyer, read_summary
from orderctl.selection.notes import words_of

_MAIL = Columns(
    "id, batch_id, buyer_id, recipient, language, message_id, state, attempts, next_attempt_at, created_at, updated_at,"
    " last_error, subject, text, html",
    state=DeliveryState,
    last_error=partial(told, templates=DETAILS),
    **dict.fromkeys(("next_attempt_at", "created_at", "updated_at"), read_instant),
)
_MOST_EARLIER = 10
_COLUMNS = (
    f"{_MAIL.sql}, (SELECT count(*) FROM mail_order WHERE mail_order.account = :account"
    " AND mail_order.mail_id = mail.id)"
)
# The ids of a batch's mails differ only in their number, so the longer id has the greater number.
_NEWEST_FIRST = "created_at DESC, batch_id DESC, length(id) DESC, id DESC"


def claimed_mails(connection: Connection, mail_ids: Sequence[str]) -> tuple[Mail, ...]:
    """The mails of these ids, longest due first."""
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account AND id IN ({connection.dialect.ids('wanted')})"
        " ORDER BY next_attempt_at, id",
        {"wanted": connection.dialect.bind_ids(mail_ids)},
    )
    return for_writing(connection, tuple(map(_mail, found)))


def for_writing(connection: Connection, mails: Sequence[Mail]) -> tuple[Mail, ...]:
    """The mails with what their headers and envelopes name besides: the earlier ones, and the copies by buyer."""
    found = connection.execute(
        f"SELECT id, cc, bcc FROM buyer WHERE account = :account AND id IN ({connection.dialect.ids('buyers')})"
        " AND (cc <> '' OR bcc <> '')",
        {"buyers": connection.dialect.bind_ids(list({mail.buyer_id for mail in mails}))},
    )
    copies = {buyer_id: (listed_addresses(cc), listed_addresses(bcc)) for buyer_id, cc, bcc in found}
    with_copies = [
        replace(mail, cc=copies[mail.buyer_id][0], bcc=copies[mail.buyer_id][1]) if mail.buyer_id in copies else mail
        for mail in mails
    ]
    return with_earlier(connection, with_copies)


def with_earlier(connection: Connection, mails: Sequence[Mail]) -> tuple[Mail, ...]:
    """The mails with the Message-IDs of earlier ones to their buyers about the same orders, at most ten each.

    The same order is also one that was entered anew under the buyer's own number. What is found depends on nothing that
    changes later, so that a message can be written again as it went out.
    """
    dialect = connection.dialect
    # Nothing is later than the newest batch, which most of them are of: its orders need no look.
    newest = max(((mail.created_at, mail.batch_id) for mail in mails), default=(None, ""))[1]
    before = connection.execute(
        "SELECT o.buyer_id, o.id, o.reference, mail.message_id, mail.created_at, mail.batch_id FROM orders AS o"
        " JOIN mail_order ON mail_order.account = :account AND mail_order.order_id = o.id"
        " JOIN mail ON mail.account = :account AND mail.id = mail_order.mail_id AND mail.buyer_id = o.buyer_id"
        f" WHERE o.account = :account AND o.buyer_id IN ({dialect.ids('buyers')}) AND o.batch_id IS NOT NULL"
        " AND o.batch_id <> :newest",
        {
            "buyers": dialect.bind_ids(list({mail.buyer_id for mail in mails})),
            "newest": newest,
        },
    ).fetchall()
    if not before:
        return tuple(mails)
    of_orders: dict[tuple[str, str, str], list[Row]] = {}
    for row in before:
        for key in _keys(*row[:3]):
            of_orders.setdefault(key, []).append(row[3:])
    buyers = {mail.id: mail.buyer_id for mail in mails}
    found: dict[str, list[Row]] = {}
    for mail_id, order_id, reference in connection.execute(
        "SELECT mail_order.mail_id, o.id, o.reference FROM mail_order CROSS JOIN orders AS o"
        " WHERE mail_order.account = :account AND o.account = :account AND o.id = mail_order.order_id"
        f" AND mail_order.mail_id IN ({dialect.ids('mails')})",
        {"mails": dialect.bind_ids([mail.id for mail in mails])},
    ):
        for key in _keys(buyers[mail_id], order_id, reference):
            found.setdefault(mail_id, []).extend(of_orders.get(key, ()))
    return tuple(replace(mail, earlier=_earlier(mail, found.get(mail.id, ()))) for mail in mails)


def _keys(buyer_id: str, order_id: str, reference: str) -> Iterator[tuple[str, str, str]]:
    """What an order is known by: its id, and the buyer's own number if there is one."""
    yield buyer_id, "id", order_id
    if reference:
        yield buyer_id, "reference", reference


def _earlier(mail: Mail, found: Iterable[Row]) -> tuple[str, ...]:
    """The Message-IDs of those that are older than the mail, oldest first."""
    dated = sorted({(read_instant(at), batch_id, message_id) for message_id, at, batch_id in found})
    return tuple(own for at, batch_id, own in dated if (at, batch_id) < (mail.created_at, mail.batch_id))[
        -_MOST_EARLIER:
    ]


def release_held(connection: Connection, now: datetime) -> int:
    """Make the held mails due whose orders are all cancelled in their systems; returns how many."""
    released = connection.execute(
        f"UPDATE mail SET state = '{DeliveryState.WAITING}', updated_at = :now WHERE account = :account"
        f" AND state = '{DeliveryState.HELD}' AND NOT EXISTS (SELECT 1 FROM mail_order AS spoken JOIN writeback AS w"
        " ON w.account = :account AND w.batch_id = mail.batch_id AND w.order_id = spoken.order_id"
        f" WHERE spoken.account = :account AND spoken.mail_id = mail.id AND w.state <> '{DeliveryState.SENT}')",
        {"now": connection.dialect.instant(now)},
    )
    return released.rowcount


def list_mails(connection: Connection, query: MailQuery) -> Iterator[Mail]:
    """The mails, newest first; those of one batch by descending number."""
    where = matching(connection.dialect, MAILS, query)
    limit = "" if query.limit is None else " LIMIT :most"
    found = connection.stream(
        f"SELECT {_COLUMNS} FROM mail WHERE account = :account{where.sql} ORDER BY {_NEWEST_FIRST}{limit}",
        {**where.params, "most": query.limit} if limit else where.params,
    )
    return map(_mail, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A mail, the reports of its coming back that were recorded, and the addresses that it went to before."""

    mail: Mail
    reports: set[str]
    earlier: frozenset[str]


def heard_of(connection: Connection, message_ids: Sequence[str]) -> dict[str, Heard]:
    """The mails with these Message-IDs, by Message-ID. It holds the id of the mail, by which it is looked up."""
    ids = tuple(dict.fromkeys(each.strip("<>").removeprefix("orderctl.").partition("@")[0] for each in message_ids))
    mails = {mail.id: mail for mail in for_writing(connection, tuple(list_mails(connection, MailQuery(ids=ids))))}
    events = connection.execute(
        "SELECT mail_id, report, from_recipient FROM mail_event WHERE account = :account"
        f" AND mail_id IN ({connection.dialect.ids('mails')}) AND (report <> '' OR from_recipient <> '')",
        {"mails": connection.dialect.bind_ids(list(mails))},
    ).fetchall()
    wanted = set(message_ids)
    return {
        mail.message_id: Heard(
            mail=mail,
            reports={report for mail_id, report, _from in events if mail_id == mail.id and report},
            earlier=frozenset(before.lower() for mail_id, _report, before in events if mail_id == mail.id and before),
        )
        for mail in mails.values()
        if mail.message_id in wanted
    }


def misdirected(connection: Connection) -> tuple[Misdirected, ...]:
    """The mails that were refused or came back, and whose buyers have another address now, by buyer and address."""
    states = f"'{DeliveryState.REFUSED}', '{DeliveryState.BOUNCED}'"
    found = connection.execute(
        "SELECT buyer.id, buyer.name, mail.recipient, buyer.email, mail.id FROM mail JOIN buyer"
        " ON buyer.account = :account AND buyer.id = mail.buyer_id WHERE mail.account = :account"
        f" AND mail.state IN ({states}) AND buyer.email IS NOT NULL AND buyer.email <> mail.recipient"
        " ORDER BY buyer.id, mail.recipient, mail.created_at, mail.id"
    ).fetchall()
    return tuple(
        Misdirected(buyer_id=key[0], buyer=key[1], recipient=key[2], email=key[3], mail_ids=tuple(row[4] for row in of))
        for key, of in groupby(found, key=lambda row: tuple(row[:4]))
    )


def digest_queued(connection: Connection, batch_id: str) -> MailsDigest:
    """The digest of the mails that this transaction queued for a batch. No address was changed yet.

    As `MailsDigest.add` over `queued_mails`, but SQL writes what is digested: it takes half the time.
    """
    digest, notes = MailsDigest(), dict[str, str]()
    told_of, queued = of_batch("mail_id", batch_id), of_batch("id", batch_id)
    orders = connection.stream(
        f"SELECT {_packed(connection, 'mail_id', 'order_id')}, CASE WHEN message <> '' THEN"
        f" {_packed(connection, 'order_id', 'message')} END FROM mail_order"
        f" WHERE account = :account AND {told_of.sql} ORDER BY mail_id, order_id",
        told_of.params,
    )
    while together := list(islice(orders, _TOGETHER)):
        digest.add_orders([row[0] for row in together])
        for of_mail, note in together:
            if note is not None:
                mail_id = json.loads(of_mail)[0]
                notes[mail_id] = notes.get(mail_id, "") + note
    columns = ("id", "buyer_id", "recipient", "language", "message_id", "salt")
    mails = connection.stream(
        f"SELECT {'id' if notes else 'NULL'}, {_packed(connection, *columns)} FROM mail"
        f" WHERE account = :account AND {queued.sql} ORDER BY id",
        queued.params,
    )
    while together := list(islice(mails, _TOGETHER)):
        lines = (f"{line}{notes.get(mail_id, '')}" for mail_id, line in together) if notes else (r[1] for r in together)
        digest.add_proofs([sha256(line.encode()).hexdigest() for line in lines])
    return digest


_TOGETHER = 1_000
# What the program makes itself holds nothing that JSON escapes. PostgreSQL takes 0.7 microseconds to find that out.
_OURS = frozenset({"id", "mail_id", "message_id", "salt"})


def _packed(connection: Connection, *columns: str) -> str:
    """An expression for what `packed_texts` makes of these columns."""
    if connection.dialect.name == "sqlite":
        return f"json_array({', '.join(columns)})"
    texts = " || ',' || ".join(
        f"'\"' || {column} || '\"'" if column in _OURS else f"CAST(to_json({column}) AS text)" for column in columns
    )
    return f"'[' || {texts} || ']'"


def queued_mails(
    connection: Connection,
    moves: Mapping[str, Sequence[tuple[str, str]]],
    *,
    batch_id: str | None = None,
    buyer_id: str | None = None,
) -> Iterator[QueuedMail]:
    """The mails of a batch or to a buyer as they were queued, sorted by id. `moves` are those of `address_moves`."""
    one, wanted = ("batch_id", batch_id) if buyer_id is None else ("buyer_id", buyer_id)
    found = connection.stream(
        "SELECT m.id, m.buyer_id, m.recipient, m.language, m.message_id, m.salt, m.digest, o.order_id, o.message"
        " FROM mail AS m LEFT JOIN mail_order AS o ON o.account = :account AND o.mail_id = m.id"
        f" WHERE m.account = :account AND m.{one} = :wanted ORDER BY m.id, o.order_id",
        {"wanted": wanted},
    )
    for mail_id, rows in groupby(found, key=lambda row: row[0]):
        of_mail = list(rows)
        owner, goes_to, language, message_id, salt, digest = of_mail[0][1:7]
        moved = tuple(moves.get(mail_id, ()))
        yield QueuedMail(
            id=mail_id,
            buyer_id=owner,
            recipient=moved[0][0] if moved else goes_to,
            language=language,
            message_id=message_id,
            salt=salt,
            digest=digest,
            goes_to=goes_to,
            moves=moved,
            orders=tuple((row[7], row[8]) for row in of_mail if row[7] is not None),
        )


def queue_note(connection: Connection, mail_id: str, recipient: str, domain: str, letter: Letter, at: datetime) -> None:
    """Queue a mail that is of no batch, with what it says: nothing but its delivery changes later."""
    connection.execute(
        "INSERT INTO mail (account, id, recipient, message_id, state, next_attempt_at, created_at, updated_at,"
        " subject, text, html)"
        " VALUES (:account, :id, :recipient, :message_id, :state, :at, :at, :at, :subject, :text, :html)",
        {
            "id": mail_id,
            "recipient": recipient,
            "message_id": f"<orderctl.{mail_id}@{domain}>",
            "state": DeliveryState.WAITING.value,
            "at": connection.dialect.instant(at),
            **asdict(letter),
        },
    )


def unlike_sent(connection: Connection) -> Iterator[tuple[str, str]]:
    """The id and the batch of each mail whose letter, or the digest of it, is not as it was handed over."""
    found = connection.stream(
        "SELECT id, batch_id, subject, text, html, sent_digest FROM mail WHERE account = :account"
        " AND sent_digest <> '' ORDER BY id"
    )
    for mail_id, batch_id, subject, text, html, digest in found:
        letter = Letter(subject=subject, text=text, html=html)
        if letter.sent_digest(mail_id, str(digest)[: len(digest) // 2]) != digest:
            yield mail_id, batch_id


def address_moves(connection: Connection, among: Fragment | None = None) -> dict[str, list[tuple[str, str]]]:
    """Each mail that goes to another address than it was queued for: from where and to where, oldest first.

    `among` selects the ids of the mails that are looked at; without it all are.
    """
    only, bound = (f" AND mail_id IN ({among.sql})", among.params) if among else ("", {})
    found = connection.execute(
        "SELECT mail_id, from_recipient, to_recipient FROM mail_event WHERE account = :account"
        f" AND from_recipient <> ''{only} ORDER BY mail_id, at, id",
        bound,
    )
    moves: dict[str, list[tuple[str, str]]] = {}
    for mail_id, before, after in found.fetchall():
        moves.setdefault(mail_id, []).append((before, after))
    return moves


def mail_order_ids(connection: Connection, mail_id: str) -> tuple[str, ...]:
    """The ids of the orders that the mail is about, sorted."""
    found = connection.execute(
        "SELECT order_id FROM mail_order WHERE account = :account AND mail_id = :mail ORDER BY order_id",
        {"mail": mail_id},
    )
    return tuple(str(order_id) for (order_id,) in found)


def _mail(row: Row) -> Mail:
    values = _MAIL.values(row)
    letter = {name: values.pop(name) for name in ("subject", "text", "html")}
    composed = letter["subject"] is not None
    return Mail(**values, letter=Letter(**letter) if composed else None, orders=row[-1])


def queued_letters(connection: Connection, mail_ids: Sequence[str]) -> dict[str, LetterContext]:
    """The content of the letters of queued mails, by mail id. A mail that is gone, or whose buyer is, is left out."""
    wanted = {"mails": connection.dialect.bind_ids(mail_ids)}
    told = _told(connection, wanted)
    found = connection.execute(
        # MATERIALIZED: without statistics PostgreSQL joins all mails of a batch, each with every buyer.
        "WITH wanted AS MATERIALIZED (SELECT id, batch_id, buyer_id FROM mail"
        f" WHERE account = :account AND id IN ({connection.dialect.ids('mails')}))"
        f" SELECT wanted.id, batch.message, batch.reason, batch.reason_code, {BUYER_COLUMNS.of('buyer')} FROM wanted"
        " JOIN batch ON batch.account = :account AND batch.id = wanted.batch_id"
        " JOIN buyer ON buyer.account = :account AND buyer.id = wanted.buyer_id",
        wanted,
    )
    facts = {}
    for mail_id, message, reason, reason_code, *of_buyer in found:
        of_mail = told.get(mail_id, _Told())
        brand = of_mail.brands[0] if len(set(of_mail.brands)) == 1 else ""
        buyer, why = read_buyer(tuple(of_buyer)), words_of(reason, reason_code)
        made = letter_context(buyer, tuple(of_mail.orders), brand=brand, message=message, reason=why)
        facts[mail_id] = replace(made, notes=tuple(of_mail.notes))
    return facts


@dataclass(frozen=True, slots=True)
class _Told:
    """The orders that a mail is about, their brands, and the messages on single orders."""

    orders: list[OrderSummary] = field(default_factory=list)
    brands: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def _told(connection: Connection, wanted: Mapping[str, object]) -> dict[str, _Told]:
    """The orders of each mail, sorted by order id."""
    columns = ", ".join(f"orders.{column.strip()}" for column in SUMMARY_COLUMNS.split(","))
    found = connection.execute(
        # CROSS JOIN: SQLite must start from the few mails.
        f"SELECT {columns}, '', orders.brand, mail_order.mail_id, mail_order.message FROM mail_order CROSS JOIN orders"
        " WHERE mail_order.account = :account AND orders.account = :account AND orders.id = mail_order.order_id"
        f" AND mail_order.mail_id IN ({connection.dialect.ids('mails')}) ORDER BY orders.id",
        wanted,
    )
    told: dict[str, _Told] = {}
    for row in found:
        of_mail = told.setdefault(row[-2], _Told())
        of_mail.orders.append(read_summary(row[:-3]))
        of_mail.brands.append(row[-3])
        if row[-1]:
            of_mail.notes.append((row[0], row[-1]))
    return told


def letter_context(
    buyer: Buyer, orders: tuple[OrderSummary, ...], *, brand: str, message: str = "", reason: str = ""
) -> LetterContext:
    """The content of a letter to the buyer about these orders, in the buyer's language."""
    return LetterContext(
        buyer=buyer,
        orders=orders,
        totals=add_up(order.amount for order in orders),
        message=message,
        reason=reason,
        brand=brand,
        language=buyer.language or "",
    )
