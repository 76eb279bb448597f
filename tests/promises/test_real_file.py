"""A real export of 40,000 order lines, with all its dirt, and a look-alike that is made here.

Where the real file is not at hand, its look-alike still has the same columns and the same dirt. Both go through
the whole program in promises/test_main_job.py.
"""

from datetime import UTC, datetime
from pathlib import Path

from orderctl.database.store import Store
from orderctl.importing.figures import SourceRequest
from orderctl.importing.service import FileImport, import_orders
from orderctl.importing.source import open_source
from orderctl.orders.orders import Buyer, Status
from orderctl.orders.queries import get_order
from support.factories import NOW, FixedClock
from support.real_file import MAP, make_look_alike


def test_the_cells_of_the_look_alike(store: Store, tmp_path: Path) -> None:
    request = SourceRequest(map_file=str(MAP))
    with open_source(make_look_alike(tmp_path / "retail.xlsx"), request, read_at=NOW) as source:
        import_orders(store, FileImport(source=source, actor="ann", clock=FixedClock(), detail="retail"), skip_bad=True)
    with store.snapshot() as connection:
        first, cancelled, debt, voucher, globe = (
            get_order(connection, order_id) for order_id in ("573415", "C536379", "A563185", "551454", "551455")
        )
    assert first.buyer == Buyer(id="13607", name="Customer 13607", country="GB", language="en")
    assert first.ordered_at == datetime(2011, 7, 1, 8, 29, tzinfo=UTC)
    assert (first.total, first.quantity, first.country) == (3_808, 3, "GB")
    assert [(line.sku, line.name) for line in first.lines] == [
        ("21166", "COOK WITH WINE METAL SIGN"),
        ("POST", "POSTAGE"),
    ]
    assert (cancelled.status, cancelled.total, cancelled.quantity) == (Status.REJECTED, -2_900, -4)
    assert (debt.status, debt.total, debt.buyer) == (Status.NEEDS_OC, -1_106_206, None)
    assert (voucher.total, voucher.country) == (30, "Unspecified")
    assert (globe.country, globe.lines[0].name) == ("ZA", "=HYPERLINK()")
