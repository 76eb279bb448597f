"""What letters are made of, read from the store: for mails that are queued, and for a sample of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orderctl.domain.money import add_up
from orderctl.domain.orders import Buyer, OrderSummary
from orderctl.domain.outbox import LetterFacts
from orderctl.domain.reasons import words_of
from orderctl.domain.rejection import Targets
from orderctl.store import rows
from orderctl.store.sql import Connection, Fragment

_BUYER = "SELECT id, name, email, contact, country, language FROM buyer WHERE account = :account"


def queued_facts(connection: Connection, mail_ids: Sequence[str]) -> dict[str, LetterFacts]:
    """The facts of the letters of mails that are queued; a mail whose buyer is gone is left out."""
    wanted = {"mails": connection.dialect.bind_ids(mail_ids)}
    told = _told(connection, wanted)
    found = connection.execute(
        "SELECT mail.id, batch.message, batch.reason, batch.reason_code,"
        " buyer.id, buyer.name, buyer.email, buyer.contact, buyer.country, buyer.language FROM mail"
        " JOIN batch ON batch.account = mail.account AND batch.id = mail.batch_id"
        " JOIN buyer ON buyer.account = mail.account AND buyer.id = mail.buyer_id"
        f" WHERE mail.account = :account AND mail.id IN ({connection.dialect.ids('mails')})",
        wanted,
    )
    facts = {}
    for mail_id, message, reason, reason_code, *of_buyer in found:
        of_mail = told.get(mail_id, _Told())
        brand = of_mail.brands[0] if len(set(of_mail.brands)) == 1 else ""
        made = _facts(rows.buyer(tuple(of_buyer)), tuple(of_mail.orders), brand, message, words_of(reason, reason_code))
        facts[mail_id] = replace(made, notes=tuple(of_mail.notes))
    return facts


@dataclass(frozen=True, slots=True)
class _Told:
    """The orders that a mail speaks of, the brand of each, and what is said to single ones."""

    orders: list[OrderSummary] = field(default_factory=list)
    brands: list[str] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)


def _told(connection: Connection, wanted: Mapping[str, object]) -> dict[str, _Told]:
    """What each mail speaks of, by the orders' ids."""
    columns = ", ".join(f"orders.{column.strip()}" for column in rows.SUMMARY_COLUMNS.split(","))
    found = connection.execute(
        # CROSS, so that SQLite goes from the few to the many.
        f"SELECT {columns}, '', orders.brand, mail_order.mail_id, mail_order.message FROM mail_order CROSS JOIN orders"
        " WHERE mail_order.account = :account AND orders.account = :account AND orders.id = mail_order.order_id"
        f" AND mail_order.mail_id IN ({connection.dialect.ids('mails')}) ORDER BY orders.id",
        wanted,
    )
    told: dict[str, _Told] = {}
    for row in found:
        of_mail = told.setdefault(row[-2], _Told())
        of_mail.orders.append(rows.summary(row[:-3]))
        of_mail.brands.append(row[-3])
        if row[-1]:
            of_mail.notes.append((row[0], row[-1]))
    return told


def _sampled(connection: Connection, buyer_id: str, orders: Fragment) -> LetterFacts | None:
    """The facts of a letter to one buyer about those orders; None if the buyer is gone."""
    row = connection.execute(f"{_BUYER} AND id = :buyer", {"buyer": buyer_id}).fetchone()
    if row is None:
        return None
    found = connection.execute(rows.summaries_sql(orders.sql, "id"), orders.params)
    return _facts(rows.buyer(row), tuple(map(rows.summary, found)), _brand(connection, orders), "", "")


def sample_facts(connection: Connection, targets: Targets, limit: int) -> tuple[LetterFacts, ...]:
    """The facts of the mails to the first few buyers of a plan, each with all of their planned orders."""
    dialect = connection.dialect
    planned = f"id IN (SELECT key FROM ({dialect.pairs('targets')}) AS target)"
    buyers = connection.execute(
        "SELECT orders.buyer_id FROM orders JOIN buyer"
        " ON buyer.account = orders.account AND buyer.id = orders.buyer_id"
        f" WHERE orders.account = :account AND orders.{planned} AND buyer.email IS NOT NULL"
        " GROUP BY orders.buyer_id ORDER BY count(*) DESC, orders.buyer_id LIMIT :sample",
        {"targets": targets.packed, "sample": limit},
    ).fetchall()
    sampled = (
        _sampled(
            connection,
            buyer_id,
            Fragment(f"buyer_id = :sampled AND {planned}", {"sampled": buyer_id, "targets": targets.packed}),
        )
        for (buyer_id,) in buyers
    )
    return tuple(facts for facts in sampled if facts is not None)


def _brand(connection: Connection, orders: Fragment) -> str:
    """The brand of the orders, where they have one and the same."""
    found = connection.execute(
        f"SELECT DISTINCT brand FROM orders WHERE account = :account AND {orders.sql} LIMIT 2", orders.params
    ).fetchall()
    return str(found[0][0]) if len(found) == 1 else ""


def _facts(buyer: Buyer, orders: tuple[OrderSummary, ...], brand: str, message: str, reason: str) -> LetterFacts:
    return LetterFacts(
        buyer=buyer,
        orders=orders,
        totals=add_up(order.amount for order in orders),
        message=message,
        reason=reason,
        brand=brand,
        language=buyer.language or "",
    )
