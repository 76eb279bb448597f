"""The floor of an import: `csv` reads the file, set-based statements (SQLite) or COPY (PostgreSQL) write it.

Arguments: the store, the file.
"""

import csv
import json
import sqlite3
import sys
from pathlib import Path

store, file = sys.argv[1:]
CHUNK = 2_000
COLUMNS = ("id", "buyer_id", "status", "season", "ordered", "currency", "total", "quantity", "note")
TARGET = (
    "orders (account, id, buyer_id, brand, status, reference, season, ordered_at, terms, delivery_address,"
    " billing_address, currency, total, quantity, delivery_notes, invoices, backlog_skus, note, folded, fingerprint)"
)
with Path(file).open(newline="", encoding="utf-8") as source:
    rows = list(csv.DictReader(source))
buyers = {row["buyer_id"]: (row["buyer_id"], row["buyer_name"], row["buyer_name"].lower()) for row in rows}
if "://" in store:
    import psycopg

    with psycopg.connect(store) as raw, raw.cursor() as cursor:
        with cursor.copy("COPY buyer (account, id, name, name_folded) FROM STDIN") as copy:
            for buyer in buyers.values():
                copy.write_row(("main", *buyer))
        with cursor.copy(f"COPY {TARGET} FROM STDIN") as copy:
            for row in rows:
                copy.write_row(
                    ("main", row["id"], row["buyer_id"], "", row["status"], "", row["season"],
                     f"{row['ordered']}T00:00:00Z", "", "", "", row["currency"], round(float(row["total"]) * 100),
                     row["quantity"], 0, 0, 0, row["note"], f"{row['id']}\n{row['note']}".lower(), row["id"])
                )  # fmt: skip
    sys.exit()
values = ", ".join(f"value ->> '$.{name}' AS {name}" for name in COLUMNS)
base = sqlite3.connect(store, isolation_level=None)
for pragma in ("synchronous = FULL", "secure_delete = OFF", "cache_size = -65536"):
    base.execute(f"PRAGMA {pragma}")
base.execute("BEGIN IMMEDIATE")
base.executemany("INSERT INTO buyer (account, id, name, name_folded) VALUES ('main', ?, ?, ?)", buyers.values())
for start in range(0, len(rows), CHUNK):
    base.execute(
        f"INSERT INTO {TARGET} SELECT 'main', id, buyer_id, '', status, '', season, ordered || 'T00:00:00.000000Z', '',"
        " '', '', currency, CAST(round(total * 100) AS INTEGER), CAST(quantity AS INTEGER), 0, 0, 0, note,"
        f" lower(id || char(10) || note), id FROM (SELECT {values} FROM json_each(:rows))",
        {"rows": json.dumps(rows[start : start + CHUNK])},
    )
base.execute("COMMIT")
