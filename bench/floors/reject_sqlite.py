"""The floor of a bulk rejection on SQLite: three set-based statements, no plan, no guards, no proof.

Arguments: the store, where the orders come from (days=N or ids=FILE), and whether each order is mailed (1 or 0).
"""

import json
import sqlite3
import sys
from pathlib import Path

store, source, mailed = sys.argv[1:]
kind, _, value = source.partition("=")
base = sqlite3.connect(store, isolation_level=None)
for pragma in ("synchronous = FULL", "secure_delete = OFF", "cache_size = -65536"):
    base.execute(f"PRAGMA {pragma}")
bound = {"batch": "floor", "at": "2026-01-01T00:00:00.000000Z"}
table, wanted = "orders", "account = 'main' AND status IN ('needs-oc', 'oc-created') AND invoices = 0"
if kind == "days":
    wanted += " AND ordered_at < strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1672531200 + 86400 * :days, 'unixepoch')"
    bound["days"] = int(value)
else:
    wanted += " AND id IN (SELECT value FROM json_each(:ids))"
    table = "orders INDEXED BY sqlite_autoindex_orders_1"  # else it walks the index of the statuses
    bound["ids"] = json.dumps(Path(value).read_text().split())
base.execute("BEGIN IMMEDIATE")
base.execute(
    "INSERT INTO order_event (account, order_id, id, batch_id, kind, from_status, to_status, actor, at)"
    f" SELECT account, id, :batch, :batch, 'rejected', status, 'rejected', 'floor', :at FROM {table} WHERE {wanted}",
    bound,
)
changed = base.execute(
    f"UPDATE {table} SET status = 'rejected', rejected_at = :at, batch_id = :batch, version = version + 1"
    f" WHERE {wanted}",
    bound,
).rowcount
if mailed == "1":
    base.execute(
        "INSERT INTO mail (account, id, batch_id, buyer_id, recipient, message_id, state, next_attempt_at, created_at,"
        " updated_at) SELECT o.account, :batch || o.id, :batch, o.buyer_id, b.email, :batch || o.id, 'waiting', :at,"
        " :at, :at FROM orders AS o JOIN buyer AS b ON b.account = o.account AND b.id = o.buyer_id"
        " WHERE o.account = 'main' AND o.batch_id = :batch AND b.email IS NOT NULL",
        bound,
    )
base.execute("COMMIT")
print(changed)
