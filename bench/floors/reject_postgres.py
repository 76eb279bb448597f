"""The floor of a bulk rejection on PostgreSQL: one or two set-based statements, no plan, no guards, no proof.

Arguments: the store, where the orders come from (days=N or ids=FILE), and whether each order is mailed (1 or 0).
"""

import sys
from pathlib import Path

import psycopg

store, source, mailed = sys.argv[1:]
kind, _, value = source.partition("=")
bound: dict[str, object] = {"batch": "floor"}
wanted = "o.account = 'main' AND o.status IN ('needs-oc', 'oc-created') AND o.invoices = 0"
if kind == "days":
    wanted += " AND o.ordered_at < timestamptz '2023-01-01 00:00:00Z' + make_interval(days => %(days)s)"
    bound["days"] = int(value)
else:
    wanted += " AND o.id = ANY(%(ids)s)"
    bound["ids"] = Path(value).read_text().split()
with psycopg.connect(store, options="-c timezone=UTC") as base:
    changed = base.execute(
        f"WITH chosen AS (SELECT o.id, o.status FROM orders AS o WHERE {wanted} FOR UPDATE),"
        " changed AS (UPDATE orders AS o SET status = 'rejected', rejected_at = now(), batch_id = %(batch)s,"
        " version = o.version + 1 FROM chosen WHERE o.account = 'main' AND o.id = chosen.id"
        " RETURNING o.id, chosen.status AS was)"
        " INSERT INTO order_event (account, order_id, id, batch_id, kind, from_status, to_status, actor, at)"
        " SELECT 'main', id, %(batch)s, %(batch)s, 'rejected', was, 'rejected', 'floor', now() FROM changed",
        bound,
    ).rowcount
    if mailed == "1":
        base.execute(
            "INSERT INTO mail (account, id, batch_id, buyer_id, recipient, message_id, state, next_attempt_at,"
            " created_at, updated_at) SELECT o.account, %(batch)s || o.id, %(batch)s, o.buyer_id, b.email,"
            " %(batch)s || o.id, 'waiting', now(), now(), now() FROM orders AS o"
            " JOIN buyer AS b ON b.account = o.account AND b.id = o.buyer_id"
            " WHERE o.account = 'main' AND o.batch_id = %(batch)s AND b.email IS NOT NULL",
            bound,
        )
print(changed)
