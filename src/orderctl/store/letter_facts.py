"""What letters are made of, read from the store: for a mail that is queued, and for a sample of a plan."""

from orderctl.domain.money import add_up
from orderctl.domain.orders import Buyer, OrderSummary
from orderctl.domain.outbox import LetterFacts
from orderctl.domain.rejection import Targets
from orderctl.store import rows
from orderctl.store.sql import Connection, Fragment

_BUYER = "SELECT id, name, email, contact, country, language FROM buyer WHERE account = :account"


def letter_facts(
    connection: Connection, buyer_id: str, orders: Fragment, *, message: str, reason: str
) -> LetterFacts | None:
    """The facts of a letter to one buyer about those orders; None if the buyer is gone."""
    row = connection.execute(f"{_BUYER} AND id = :buyer", {"buyer": buyer_id}).fetchone()
    if row is None:
        return None
    buyer = rows.buyer(row)
    found = connection.execute(rows.summaries_sql(orders.sql, "id"), orders.params)
    return _facts(buyer, tuple(map(rows.summary, found)), _brand(connection, orders), message, reason)


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
        letter_facts(
            connection,
            buyer_id,
            Fragment(f"buyer_id = :sampled AND {planned}", {"sampled": buyer_id, "targets": targets.packed}),
            message="",
            reason="",
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
