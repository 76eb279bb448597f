"""Tryton: sales cancelled with `Sale.cancel`, one transaction, on SQLite. Argument: how many."""

import json
import os
import sys
import time
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

number = int(sys.argv[1])
os.environ["TRYTOND_DATABASE_URI"] = "sqlite://"
from trytond.config import config  # noqa: E402

config.set("database", "uri", "sqlite://")
config.set("database", "path", str(Path.cwd()))
Path("bench.sqlite").touch()

from trytond.pool import Pool  # noqa: E402
from trytond.transaction import Transaction  # noqa: E402

Pool.start()
pool = Pool("bench")
with Transaction().start("bench", 0) as transaction:
    transaction.database.init()
    transaction.commit()
pool.init(update=["sale"], activatedeps=True)
with Transaction().start("bench", 1, context={"_check_access": False}) as transaction:
    get = pool.get
    (currency,) = get("currency.currency").create(
        [{"name": "Euro", "symbol": "E", "code": "EUR", "digits": 2, "rounding": Decimal("0.01")}]
    )
    (party,) = get("party.party").create([{"name": "Acme", "addresses": [("create", [{}])]}])
    (company,) = get("company.company").create([{"party": party.id, "currency": currency.id}])
    with transaction.set_context(company=company.id):
        Sale = get("sale.sale")
        sales = Sale.create(
            [
                {
                    "company": company.id,
                    "currency": currency.id,
                    "party": party.id,
                    "invoice_address": party.addresses[0].id,
                    "shipment_address": party.addresses[0].id,
                    "sale_date": datetime.now(UTC).date(),
                }
                for _ in range(number)
            ]
        )
        transaction.commit()
        started, cpu = time.perf_counter(), time.process_time()
        Sale.cancel(sales)
        transaction.commit()
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        assert all(sale.state == "cancelled" for sale in Sale.browse(sales))
print(json.dumps({"orders": number, "seconds": seconds, "cpu_seconds": cpu}))
