"""The floor of reading many orders: one statement, streamed to standard output. Arguments: store, status, what."""

import csv
import sys

store, status, what = sys.argv[1:]
WANTED = "FROM orders WHERE account = 'main' AND status = '{}' AND archived_at IS NULL".format(
    status.replace("'", "''")
)
COLUMNS = "id, buyer_id, status, reference, season, ordered_at, delivery_from, country, currency, total, quantity"
SQL = {
    "count": f"SELECT count(*) {WANTED}",
    "ids": f"SELECT id {WANTED} ORDER BY ordered_at DESC, id DESC",
    "csv": f"SELECT {COLUMNS} {WANTED} ORDER BY ordered_at DESC, id DESC",
}
if "://" in store:
    import psycopg

    base = psycopg.connect(store)
    cursor = base.cursor(name="floor")
    cursor.itersize = 5_000
    found = cursor.execute(SQL[what])
else:
    import sqlite3

    found = sqlite3.connect(store).execute(SQL[what])
if what == "csv":
    csv.writer(sys.stdout).writerows(found)
else:
    while rows := found.fetchmany(5_000):
        sys.stdout.write("".join(f"{row[0]}\n" for row in rows))
