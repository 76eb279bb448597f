"""What letters are made of, read from the store: for mails that are queued, and for a sample of a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orderctl.domain.money import add_up
from orderctl.domain.orders import Buyer, OrderSummary
from orderctl.domain.outbox import LetterFacts
from orderctl.domain.reasons import words_of
from orderctl.domain.rejection import RejectionPlan
from orderctl.store import rows
from orderctl.store.sql import Connection, Fragment

_BUYER = "SELECT id, name, email, contact, country, language FROM buyer WHERE account = :account"
_LONG_LETTER = 200
_MOST_SAMPLES = 50


def queued_facts(connection: Connection, mail_ids: Sequence[str]) -> dict[str, LetterFacts]:
    """The facts of the letters of mails that are queued; a mail whose buyer is gone is left out."""
    wanted = {"mails": connection.dialect.bind_ids(mail_ids)}
    told = _told(connection, wanted)
    found = connection.execute(
        # The few mails first: without statistics PostgreSQL joins all of a batch, and each with every buyer.
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


def _sampled(connection: Connection, buyer_id: str, order_ids: Sequence[str]) -> LetterFacts | None:
    """The facts of a letter to one buyer about those orders; None if the buyer is gone."""
    row = connection.execute(f"{_BUYER} AND id = :buyer", {"buyer": buyer_id}).fetchone()
    if row is None:
        return None
    dialect = connection.dialect
    orders = Fragment(f"id IN ({dialect.ids('sampled')})", {"sampled": dialect.bind_ids(order_ids)})
    found = connection.execute(rows.summaries_sql(orders.sql, "id"), orders.params)
    return _facts(rows.buyer(row), tuple(map(rows.summary, found)), _brand(connection, orders), "", "")


def sample_facts(connection: Connection, plan: RejectionPlan) -> tuple[LetterFacts, ...]:
    """For each language of the plan, the facts of one of its mails: to the buyer with the most orders.

    Where that would be a very long letter, one is preferred that is not.
    """
    dialect = connection.dialect
    planned = f"id IN (SELECT key FROM ({dialect.pairs('targets')}) AS target)"
    order_ids: dict[str, list[str]] = {}
    for buyer_id, order_id in connection.execute(
        # CROSS JOIN: SQLite looks each target up, instead of walking the index of the buyers over all orders.
        f"WITH hit AS MATERIALIZED (SELECT o.buyer_id, count(*) AS orders FROM ({dialect.pairs('targets')}) AS target"
        " CROSS JOIN orders AS o WHERE o.account = :account AND o.id = target.key GROUP BY o.buyer_id),"
        " placed AS (SELECT hit.buyer_id, row_number() OVER (PARTITION BY coalesce(buyer.language, '')"
        " ORDER BY CASE WHEN orders > :long THEN orders ELSE -orders END, hit.buyer_id) AS place"
        " FROM hit JOIN buyer ON buyer.account = :account AND buyer.id = hit.buyer_id"
        " WHERE buyer.email IS NOT NULL)"
        " SELECT buyer_id, id FROM orders WHERE account = :account AND buyer_id IN"
        f" (SELECT buyer_id FROM placed WHERE place = 1 ORDER BY buyer_id LIMIT :most) AND {planned}"
        " ORDER BY buyer_id, id",
        {"targets": plan.targets.packed, "long": _LONG_LETTER, "most": _MOST_SAMPLES},
    ):
        order_ids.setdefault(buyer_id, []).append(order_id)
    sampled = (
        _sampled(connection, buyer_id, ids[: 1 if plan.mail.per_order else None]) for buyer_id, ids in order_ids.items()
    )
    return tuple(sorted((facts for facts in sampled if facts), key=lambda facts: (facts.language, facts.buyer.id)))


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
