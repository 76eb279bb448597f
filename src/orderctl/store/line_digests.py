"""The digests of orders' lines as they are in the store now, a block of orders at a time."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from orderctl.domain.log import lines_digest
from orderctl.store.rows import LINE_COLUMNS
from orderctl.store.sql import Connection, packed, recordset

# So many orders share the statement that reads their lines, and are in memory at a time.
TOGETHER = 1_000
_DIGEST = {"id": "text", "digest": "text"}


def digests_of(connection: Connection, ids: Sequence[str]) -> dict[str, str]:
    """The digest of the lines of each of these orders."""
    dialect = connection.dialect
    found = connection.execute(
        f"SELECT order_id, {LINE_COLUMNS} FROM order_line WHERE account = :account"
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
