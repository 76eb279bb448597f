"""Orders for the tests, and the one way in which tests put them into a store."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from itertools import count

from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.importing.figures import ProblemGroup, RowProblem, SourceFigures
from orderctl.importing.queries import OrderImport, Sighting
from orderctl.orders.orders import Buyer, Order, OrderLine, SaidOrder, Status

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
_numbers = count(1)

ACME = Buyer(id="acme", name="Acme Paris", email="achats@acme.example", country="FR", language="fr")
KUMO = Buyer(id="kumo", name="雲商店", email="order@kumo.example", country="JP", language="ja")
MUTE = Buyer(id="mute", name="No Address Ltd", email=None, country="GB", language="en")


class FixedClock:
    """A clock that stands still."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def of(self, connection: Connection) -> datetime:  # noqa: ARG002 - of both engines: the tests say what time it is
        return self.at

    for_record = of


def make_order(order_id: str | None = None, **changes: object) -> Order:
    """An order that may be rejected in bulk, unless `changes` say otherwise."""
    number = next(_numbers)
    fields: dict[str, object] = {
        "id": order_id or f"A{number:05}",
        "buyer": ACME,
        "brand": "nord",
        "status": Status.NEEDS_OC,
        "reference": f"PO-{number}",
        "season": "26SS",
        "ordered_at": datetime(2026, 1, 15, 12, 0, tzinfo=UTC),
        "country": "FR",
        "delivery_from": date(2026, 9, 1),
        "delivery_to": date(2026, 9, 30),
        "currency": "EUR",
        "total": 12_050,
        "quantity": 5,
        "seen_at": NOW,  # as `put` imports it
        "lines": (
            OrderLine(number=1, sku="AB-12", name="Linen shirt", color="white", size="M", quantity=5, unit_price=2_410),
        ),
    }
    return Order(**{**fields, **changes})


def put(store: Store, *orders: Order) -> None:
    """Import the orders."""
    put_all(store, orders)


def put_all(store: Store, orders: Iterable[Order], source: str = "") -> None:
    rows, seen = [SaidOrder.of(order) for order in orders], Sighting(source=source, at=NOW)
    by = {"actor": "test", "at": NOW, "detail": "test"}

    def write(connection: Connection) -> None:
        writer = OrderImport(connection)
        writer.store(rows, **by, seen=seen)
        writer.record_acts(seen, **by)

    store.write(write)


class ListedSource:
    """Orders to import that need no file."""

    def __init__(self, *orders: Order) -> None:
        self._orders = orders
        self.figures = SourceFigures(rows=len(orders), orders=len(orders))

    def orders(self) -> Iterator[Order]:
        return iter(self._orders)

    def said(self) -> Iterator[SaidOrder]:
        return map(SaidOrder.of, self.orders())

    def problems(self) -> Iterator[RowProblem]:
        return iter(())

    def problem_groups(self, most: int) -> tuple[ProblemGroup, ...]:  # noqa: ARG002
        return ()
