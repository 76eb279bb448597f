"""Makes a database of a real Tryton, as a program: `tryton_database.py CONFIG NUMBER` makes so many quotations.

They are of 20 EUR, for eight buyers. The first 60 are of January, the others of February. The user `orderctl` may read,
confirm and cancel them.
"""

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

DATABASE, USER, PASSWORD = "sales", "orderctl", "a long pass phrase 7"
OF_JANUARY = 60


def make(config_file, number):
    sys.modules["email_validator"] = None  # it would ask name servers for the buyers' domain
    from trytond import config  # noqa: PLC0415 - only this program has it

    config.update_etc(config_file)
    (Path(config.get("database", "path")) / f"{DATABASE}.sqlite").touch()
    from trytond.pool import Pool  # noqa: PLC0415 - after the configuration
    from trytond.transaction import Transaction  # noqa: PLC0415

    Pool.start()
    pool = Pool(DATABASE)
    with Transaction().start(DATABASE, 0) as transaction:
        transaction.database.init()
        transaction.commit()
    pool.init(update=["sale"], activatedeps=True)
    with Transaction().start(DATABASE, 1, context={"_check_access": False}) as transaction:
        company, currency = _company(pool)
        with transaction.set_context(company=company.id, companies=[company.id]):
            _user(pool, company)
            _sales(pool, company, currency, number)
        transaction.commit()


def _company(pool):
    (currency,) = pool.get("currency.currency").create(
        [{"name": "Euro", "symbol": "E", "code": "EUR", "digits": 2, "rounding": Decimal("0.01")}]
    )
    (own,) = pool.get("party.party").create([{"name": "Brand"}])
    (company,) = pool.get("company.company").create([{"party": own.id, "currency": currency.id}])
    return company, currency


def _user(pool, company):
    groups = [group.id for group in pool.get("res.group").search([("name", "like", "Sales%")])]
    pool.get("res.user").create(
        [
            {
                "name": "orderctl",
                "login": USER,
                "password": PASSWORD,
                "companies": [("add", [company.id])],
                "company": company.id,
                "groups": [("add", groups)],
            }
        ]
    )


def _sales(pool, company, currency, number):
    buyers = pool.get("party.party").create(
        [
            {
                "name": f"Shop {each}",
                "code": f"B{each}",
                "addresses": [("create", [{"street": "Rue 1", "city": "Paris"}])],
                "contact_mechanisms": [("create", [{"type": "email", "value": f"b{each}@buyers.example"}])],
            }
            for each in range(8)
        ]
    )
    (unit,) = pool.get("product.uom").search([("name", "=", "Unit")], limit=1)
    goods = {"name": "Shirt", "type": "goods", "default_uom": unit.id, "salable": True, "sale_uom": unit.id}
    (template,) = pool.get("product.template").create(
        [goods | {"list_price": Decimal(10), "products": [("create", [{"suffix_code": "LN-10"}])]}]
    )
    line = {"type": "line", "product": template.products[0].id, "quantity": 2, "unit": unit.id}
    sale = pool.get("sale.sale")
    sales = sale.create(
        [
            {
                "company": company.id,
                "currency": currency.id,
                "party": buyers[each % 8].id,
                "invoice_address": buyers[each % 8].addresses[0].id,
                "shipment_address": buyers[each % 8].addresses[0].id,
                "sale_date": date(2026, 1 if each < OF_JANUARY else 2, 1 + each % 28),
                "invoice_method": "manual",  # an invoice needs accounts
                "lines": [("create", [line | {"unit_price": Decimal(10)}])],
            }
            for each in range(number)
        ]
    )
    sale.quote(sales)


if __name__ == "__main__":
    make(sys.argv[1], int(sys.argv[2]))
