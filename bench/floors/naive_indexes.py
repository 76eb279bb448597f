"""Gives a copy of a store the index of open orders that it had in the first release. Argument: the store."""

import sqlite3
import sys

import psycopg

store = sys.argv[1]
statements = (
    "DROP INDEX ix_orders_open",
    "DROP INDEX ix_orders_confirmed",
    """CREATE INDEX ix_orders_open ON orders (account, season, currency, buyer_id, status, total)
    WHERE status NOT IN ('returned-to-cart', 'rejected')""",
)
base = psycopg.connect(store, autocommit=True) if "://" in store else sqlite3.connect(store, isolation_level=None)
for statement in statements:
    base.execute(statement)
base.close()
