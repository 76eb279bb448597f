"""PLACEHOLDER (working, slow) until the import lands: overwrite me whole."""

import hashlib

from orderctl.domain.text import fold
from orderctl.ports import ImportCounts


class SqlImports:
    def __init__(self, connection):
        self._connection = connection

    def store(self, orders, *, actor, at, detail):
        c = self._connection
        d = c.dialect
        for o in orders:
            if o.buyer:
                c.execute(
                    "INSERT INTO buyer (account,id,name,name_folded,email,contact,country,language) VALUES (:account,:id,:name,:f,:email,:contact,:country,:language) ON CONFLICT (account,id) DO UPDATE SET name=excluded.name",
                    dict(
                        id=o.buyer.id,
                        name=o.buyer.name,
                        f=fold(o.buyer.name),
                        email=o.buyer.email,
                        contact=o.buyer.contact,
                        country=o.buyer.country,
                        language=o.buyer.language,
                    ),
                )
            p = dict(
                id=o.id,
                buyer_id=o.buyer.id if o.buyer else None,
                brand=o.brand,
                status="needs-oc" if o.status == "rejected" else o.status.value,
                reference=o.reference,
                season=o.season,
                ordered_at=d.instant(o.ordered_at),
                terms=o.terms,
                delivery_address=o.delivery_address,
                billing_address=o.billing_address,
                country=o.country,
                delivery_from=o.delivery_from and d.day(o.delivery_from),
                delivery_to=o.delivery_to and d.day(o.delivery_to),
                currency=o.currency,
                total=o.total,
                quantity=o.quantity,
                delivery_notes=o.delivery_notes,
                invoices=o.invoices,
                backlog_skus=o.backlog_skus,
                note=o.note,
                folded=fold(f"{o.id}\n{o.reference}\n{o.note}"),
                fingerprint=hashlib.sha256(repr(o).encode()).hexdigest(),
            )
            old = c.execute("SELECT status FROM orders WHERE account=:account AND id=:id", {"id": o.id}).fetchone()
            if old and old[0] == "rejected":
                continue
            if old:
                c.execute(
                    "UPDATE orders SET version=version+1,"
                    + ",".join(f"{k}=:{k}" for k in p if k != "id")
                    + " WHERE account=:account AND id=:id",
                    p,
                )
                continue
            c.execute(f"INSERT INTO orders (account,{','.join(p)}) VALUES (:account,{','.join(':' + k for k in p)})", p)
            for l in o.lines:
                c.execute(
                    "INSERT INTO order_line (account,order_id,number,sku,name,color,size,quantity,unit_price) VALUES (:account,:o,:number,:sku,:name,:color,:size,:quantity,:unit_price)",
                    dict(
                        o=o.id,
                        number=l.number,
                        sku=l.sku,
                        name=l.name,
                        color=l.color,
                        size=l.size,
                        quantity=l.quantity,
                        unit_price=l.unit_price,
                    ),
                )
            for t in o.tags:
                c.execute("INSERT INTO order_tag (account,order_id,tag) VALUES (:account,:o,:t)", dict(o=o.id, t=t))
            if o.status == "rejected":
                c.execute(
                    "UPDATE orders SET status='rejected', rejected_at=:at WHERE account=:account AND id=:id",
                    dict(id=o.id, at=d.instant(at)),
                )
        return ImportCounts(created=len(orders))
