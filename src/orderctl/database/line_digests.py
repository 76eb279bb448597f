"""Digests of the lines and amounts of orders, computed from the store a block of orders at a time."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from orderctl.database.connection import Connection, packed, recordset

# How many orders are read by one statement and are in memory at a time.
TOGETHER = 1_000
# Every digest depends on these columns, and on the decimals of a quantity that has any: never change them.
_LINE_COLUMNS = "number, sku, name, color, size, quantity, unit_price"
_DIGEST = {"id": "text", "digest": "text"}


def digests_of(
    connection: Connection, ids: Mapping[str, bool], *, quantity_decimals: str = "quantity_decimals"
) -> dict[str, str]:
    """The digest of each of these orders, by its id; of its lines alone where the value is false.

    `quantity_decimals` is "0" where there is no such column.
    """
    dialect = connection.dialect
    asked = {"ids": dialect.bind_ids(list(ids))}
    whole = connection.execute(
        f"SELECT id, currency, total, quantity FROM orders WHERE account = :account AND id IN ({dialect.ids('ids')})",
        {"ids": dialect.bind_ids([order_id for order_id, with_total in ids.items() if with_total])},
    )
    amounts = {order_id: tuple(told) for order_id, *told in whole}
    found = connection.execute(
        f"SELECT order_id, {_LINE_COLUMNS}, {quantity_decimals} FROM order_line WHERE account = :account"
        f" AND order_id IN ({dialect.ids('ids')}) ORDER BY order_id, number",
        asked,
    )
    of_lines = {order_id: digested(row[1:] for row in lines) for order_id, lines in groupby(found, itemgetter(0))}
    return {
        order_id: order_digest(order_id, amounts.get(order_id, ()), of_lines.get(order_id, ()))
        if with_total
        else lines_digest(order_id, of_lines.get(order_id, ()))
        for order_id, with_total in ids.items()
    }


def digest_open_orders(connection: Connection, *, quantity_decimals: str = "quantity_decimals") -> None:
    """Write the digest of each order of the account that is not rejected."""
    last = ""
    while rows := connection.execute(
        "SELECT id FROM orders WHERE account = :account AND id > :last AND status <> 'rejected'"
        f" ORDER BY id LIMIT {TOGETHER}",
        {"last": last},
    ).fetchall():
        ids = [order_id for (order_id,) in rows]
        found = digests_of(connection, dict.fromkeys(ids, True), quantity_decimals=quantity_decimals)
        digests = [{"id": order_id, "digest": digest} for order_id, digest in found.items()]
        connection.execute(
            # MATERIALIZED: otherwise SQLite reads all the rows again for each order of the account.
            f"WITH r AS MATERIALIZED ({recordset(connection.dialect, _DIGEST)})"
            " UPDATE orders SET lines_digest = r.digest FROM r WHERE orders.account = :account AND orders.id = r.id",
            {"rows": packed(digests)},
        )
        last = ids[-1]


_LINES_DIGEST_LENGTH = 16
_WITH_TOTAL = "t"
_of_lines = json.JSONEncoder(default=repr).encode


def digested(lines: Iterable[Sequence[object]]) -> list[Sequence[object]]:
    """Lines as their digests have them: the decimals of a quantity, which stand last, only where there are any."""
    return [line if line[-1] else line[:-1] for line in lines]


def lines_digest(order_id: str, lines: Iterable[Sequence[object]]) -> str:
    """The digest of an order's lines, as `digested`: number, SKU, name, colour, size, quantity, unit price, decimals.

    Orders that a version before revision 0019 rejected have it: never change it. It covers the id, so that a forger
    must find other lines for this order and not for any of a million. A value of an unexpected type, which only
    somebody's own SQL writes, is digested as Python prints it.
    """
    content = _of_lines((order_id, *lines)).encode()
    return hashlib.sha256(content).hexdigest()[:_LINES_DIGEST_LENGTH]


def order_digest(order_id: str, amounts: Sequence[object], lines: Iterable[Sequence[object]]) -> str:
    """The digest of an order's currency, total and number of pieces, and of its lines. Never change it either."""
    # Piece by piece: the encoder takes a text as it is, and of a list it takes longer to begin than to write it.
    written = ", ".join([str(each) if type(each) is int else _of_lines(each) for each in amounts])
    further = "".join([f", {_of_lines(line)}" for line in lines])
    content = f"[{_of_lines(order_id)}, [{written}]{further}]".encode()
    return f"{_WITH_TOTAL}{hashlib.sha256(content).hexdigest()[:_LINES_DIGEST_LENGTH]}"


def has_total(digest: str) -> bool:
    """Whether a digest covers the total of its order, and not the lines alone."""
    return digest.startswith(_WITH_TOTAL)
