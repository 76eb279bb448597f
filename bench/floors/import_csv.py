"""The floor of an import into SQLite: `csv` reads the file, set-based statements write it.

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
base = sqlite3.connect(store, isolation_level=None)
for pragma in ("synchronous = FULL", "cache_size = -65536"):
    base.execute(f"PRAGMA {pragma}")
with Path(file).open(newline="", encoding="utf-8") as source:
    rows = list(csv.DictReader(source))
values = ", ".join(f"value ->> '$.{name}' AS {name}" for name in COLUMNS)
base.execute("BEGIN IMMEDIATE")
base.executemany(
    "INSERT INTO buyer (account, id, name, name_folded) VALUES ('main', ?, ?, ?) ON CONFLICT DO NOTHING",
    ((row["buyer_id"], row["buyer_name"], row["buyer_name"].lower()) for row in rows),
)
for start in range(0, len(rows), CHUNK):
    base.execute(
        "INSERT INTO orders (account, id, buyer_id, brand, status, reference, season, ordered_at, terms,"
        " delivery_address, billing_address, currency, total, quantity, delivery_notes, invoices, backlog_skus, note,"
        " folded, fingerprint) SELECT 'main', id, buyer_id, '', status, '', season, ordered || 'T00:00:00.000000Z', '',"
        " '', '', currency, CAST(round(total * 100) AS INTEGER), CAST(quantity AS INTEGER), 0, 0, 0, note,"
        f" lower(id || char(10) || note), id FROM (SELECT {values} FROM json_each(:rows))",
        {"rows": json.dumps(rows[start : start + CHUNK])},
    )
base.execute("COMMIT")
print(len(rows))
