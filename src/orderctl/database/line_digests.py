"""The digests of orders' lines as they are in the store now, a block of orders at a time."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from orderctl.database.connection import Connection, packed, recordset

# So many orders share the statement that reads their lines, and are in memory at a time.
TOGETHER = 1_000
# What a digest is made of stays as it is, whatever is read of a line elsewhere.
_LINE_COLUMNS = "number, sku, name, color, size, quantity, unit_price"
_DIGEST = {"id": "text", "digest": "text"}


def digests_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The digest of the lines of each of these orders."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT order_id, {_LINE_COLUMNS} FROM order_line WHERE account = :account"
        f" AND order_id IN ({dialect.ids('ids')}) ORDER BY order_id, number",
        {"ids": dialect.bind_ids(ids)},
    )
    of_lines = {
        order_id: lines_digest(order_id, [row[1:] for row in lines])
        for order_id, lines in groupby(found, itemgetter(0))
    }
    return {order_id: of_lines.get(order_id) or lines_digest(order_id, ()) for order_id in ids}


def digest_open_orders(connection: Connection) -> None:
    """Write the digest of each order of the account that is not rejected, for a store that has none yet."""
    last = ""
    while rows := connection.execute(
        "SELECT id FROM orders WHERE account = :account AND id > :last AND status <> 'rejected'"
        f" ORDER BY id LIMIT {TOGETHER}",
        {"last": last},
    ).fetchall():
        ids = [order_id for (order_id,) in rows]
        digests = [{"id": order_id, "digest": digest} for order_id, digest in digests_of(connection, ids).items()]
        connection.execute(
            # MATERIALIZED: otherwise SQLite reads every order of the account, and for each of them all the rows.
            f"WITH r AS MATERIALIZED ({recordset(connection.dialect, _DIGEST)})"
            " UPDATE orders SET lines_digest = r.digest FROM r WHERE orders.account = :account AND orders.id = r.id",
            {"rows": packed(digests)},
        )
        last = ids[-1]


_LINES_DIGEST_LENGTH = 16
_of_lines = json.JSONEncoder(default=repr).encode


def lines_digest(order_id: str, lines: Iterable[Sequence[object]]) -> str:
    """A digest of an order's lines: number, SKU, name, colour, size, quantity and price of each, by their numbers.

    Never change it: those of every order that was ever rejected were made so. The id is in it, so that a forger
    has to find other lines for one order, and not for any of a million. A value that is none of ours, which only
    somebody's own SQL brings, is taken as Python shows it.
    """
    content = _of_lines((order_id, *lines)).encode()
    return hashlib.sha256(content).hexdigest()[:_LINES_DIGEST_LENGTH]
