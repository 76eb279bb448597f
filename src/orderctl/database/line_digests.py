"""Digests of the lines of orders, computed from the store a block of orders at a time."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from orderctl.database.connection import Connection, packed, recordset

# How many orders are read by one statement and are in memory at a time.
TOGETHER = 1_000
# Every digest depends on these columns, and on the decimals of a quantity that has any: never change them.
_LINE_COLUMNS = "number, sku, name, color, size, quantity, unit_price"
_DIGEST = {"id": "text", "digest": "text"}


def digests_of(
    connection: Connection, ids: Sequence[str], *, quantity_decimals: str = "quantity_decimals"
) -> dict[str, str]:
    """The lines digest of each of these orders, by its id. `quantity_decimals` is "0" where there is no such column."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT order_id, {_LINE_COLUMNS}, {quantity_decimals} FROM order_line WHERE account = :account"
        f" AND order_id IN ({dialect.ids('ids')}) ORDER BY order_id, number",
        {"ids": dialect.bind_ids(ids)},
    )
    of_lines = {
        order_id: lines_digest(order_id, digested(row[1:] for row in lines))
        for order_id, lines in groupby(found, itemgetter(0))
    }
    return {order_id: of_lines.get(order_id) or lines_digest(order_id, ()) for order_id in ids}


def digest_open_orders(connection: Connection) -> None:
    """Write the lines digest of each order of the account that is not rejected, in a store of revision 0010."""
    last = ""
    while rows := connection.execute(
        "SELECT id FROM orders WHERE account = :account AND id > :last AND status <> 'rejected'"
        f" ORDER BY id LIMIT {TOGETHER}",
        {"last": last},
    ).fetchall():
        ids = [order_id for (order_id,) in rows]
        found = digests_of(connection, ids, quantity_decimals="0")
        digests = [{"id": order_id, "digest": digest} for order_id, digest in found.items()]
        connection.execute(
            # MATERIALIZED: otherwise SQLite reads all the rows again for each order of the account.
            f"WITH r AS MATERIALIZED ({recordset(connection.dialect, _DIGEST)})"
            " UPDATE orders SET lines_digest = r.digest FROM r WHERE orders.account = :account AND orders.id = r.id",
            {"rows": packed(digests)},
        )
        last = ids[-1]


_LINES_DIGEST_LENGTH = 16
_of_lines = json.JSONEncoder(default=repr).encode


def digested(lines: Iterable[Sequence[object]]) -> list[Sequence[object]]:
    """Lines as their digests have them: the decimals of a quantity, which stand last, only where there are any."""
    return [line if line[-1] else line[:-1] for line in lines]


def lines_digest(order_id: str, lines: Iterable[Sequence[object]]) -> str:
    """The digest of an order's lines, as `digested`: number, SKU, name, colour, size, quantity, unit price, decimals.

    Never change it: the digests of all rejected orders were made like this. It covers the id, so that a forger must
    find other lines for this order and not for any of a million. A value of an unexpected type, which only somebody's
    own SQL writes, is digested as Python prints it.
    """
    content = _of_lines((order_id, *lines)).encode()
    return hashlib.sha256(content).hexdigest()[:_LINES_DIGEST_LENGTH]
