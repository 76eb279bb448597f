"""Reads the content of letters from the store, for queued mails and for samples of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orderctl.core.money import add_up
from orderctl.database.connection import Connection
from orderctl.mail.outbox import LetterContext
from orderctl.orders.orders import Buyer, OrderSummary
from orderctl.orders.queries import SUMMARY_COLUMNS, read_buyer, read_summary
from orderctl.selection.notes import words_of

_BUYER = "SELECT id, name, email, contact, country, language FROM buyer WHERE account = :account"


def queued_letters(connection: Connection, mail_ids: Sequence[str]) -> dict[str, LetterContext]:
    """The content of the letters of queued mails, by mail id. A mail that is gone, or whose buyer is, is left out."""
    wanted = {"mails": connection.dialect.bind_ids(mail_ids)}
    told = _told(connection, wanted)
    found = connection.execute(
        # MATERIALIZED: without statistics PostgreSQL joins all mails of a batch, each with every buyer.
        "WITH wanted AS MATERIALIZED (SELECT id, batch_id, buyer_id FROM mail"
        f" WHERE account = :account AND id IN ({connection.dialect.ids('mails')}))"
        " SELECT wanted.id, batch.message, batch.reason, batch.reason_code,"
        " buyer.id, buyer.name, buyer.email, buyer.contact, buyer.country, buyer.language FROM wanted"
        " JOIN batch ON batch.account = :account AND batch.id = wanted.batch_id"
        " JOIN buyer ON buyer.account = :account AND buyer.id = wanted.buyer_id",
        wanted,
    )
    facts = {}
    for mail_id, message, reason, reason_code, *of_buyer in found:
        of_mail = told.get(mail_id, _Told())
        brand = of_mail.brands[0] if len(set(of_mail.brands)) == 1 else ""
        made = _facts(read_buyer(tuple(of_buyer)), tuple(of_mail.orders), brand, message, words_of(reason, reason_code))
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


def _facts(buyer: Buyer, orders: tuple[OrderSummary, ...], brand: str, message: str, reason: str) -> LetterContext:
    return LetterContext(
        buyer=buyer,
        orders=orders,
        totals=add_up(order.amount for order in orders),
        message=message,
        reason=reason,
        brand=brand,
        language=buyer.language or "",
    )
