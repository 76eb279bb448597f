"""The floor of an Excel export: the same orders and lines by sqlite3 and xlsxwriter alone.

Arguments: the store, the day before which orders were placed, the file.
"""

import sqlite3
import sys

import xlsxwriter

store, before, target = sys.argv[1:]
ORDERS = (
    "o.id, b.id, b.name, b.email, b.contact, b.country, b.language, o.brand, o.status, o.reference, o.season,"
    " o.ordered_at, o.terms, o.delivery_address, o.billing_address, o.country, o.delivery_from, o.delivery_to,"
    " o.currency, o.total, o.quantity, o.delivery_notes, o.invoices, o.backlog_skus, o.note"
)
LINES = (
    "l.order_id, l.number, l.sku, l.name, l.color, l.size, l.quantity, l.unit_price, l.quantity * l.unit_price,"
    " o.currency"
)
WANTED = "o.account = 'main' AND o.ordered_at < ? ORDER BY o.id"
base = sqlite3.connect(store)
book = xlsxwriter.Workbook(
    target,
    {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    },
)
sheets = {
    "Orders": f"SELECT {ORDERS} FROM orders o LEFT JOIN buyer b ON b.account = o.account AND b.id = o.buyer_id",
    "Lines": f"SELECT {LINES} FROM orders o JOIN order_line l ON l.account = o.account AND l.order_id = o.id",
}
for name, sql in sheets.items():
    sheet = book.add_worksheet(name)
    for number, row in enumerate(base.execute(f"{sql} WHERE {WANTED}", (before,))):
        for column, value in enumerate(row):
            if value is not None and value != "":
                sheet.write(number, column, value)
book.close()
