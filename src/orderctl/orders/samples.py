"""Sample orders of an imaginary brand, for the demo and for trials. They are the same each time."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import count

from orderctl.orders.orders import Buyer, Order, OrderLine, Status

BRAND = "Nordlys"
SEED = 26


@dataclass(frozen=True, slots=True)
class _Market:
    """A country of buyers, and the names of its towns and shops.

    `price_factor` converts euro cents to minor units, in hundredths.
    """

    country: str
    language: str
    currency: str
    price_factor: int
    towns: tuple[str, ...]
    shops: tuple[str, ...]


_MARKETS = (
    _Market("FR", "fr", "EUR", 100, ("Paris", "Lyon", "Nantes", "Biarritz"), ("Maison {}", "Atelier {}", "{} & Fils")),
    _Market("DE", "de", "EUR", 100, ("Berlin", "München", "Köln", "Hamburg"), ("{} Mode", "Kaufhaus {}", "{} GmbH")),
    _Market("GB", "en", "GBP", 86, ("London", "Leeds", "Bath", "Edinburgh"), ("{} & Sons", "The {} Store", "{} Ltd")),
    _Market("US", "en", "USD", 108, ("New York", "Portland", "Austin"), ("{} Goods", "{} Supply Co.", "Shop {}")),
    _Market("JP", "ja", "JPY", 165, ("東京", "大阪", "京都", "福岡"), ("{}商店", "セレクト{}", "{}百貨店")),
    _Market("IT", "it", "EUR", 100, ("Milano", "Torino", "Bologna"), ("Boutique {}", "{} Moda", "Casa {}")),
    _Market("DK", "da", "DKK", 746, ("København", "Aarhus"), ("{} ApS", "Hus {}")),
)
_WORDS = {
    "ja": ("雲", "桜", "北", "青空", "みどり", "月", "森"),
    "": ("Linden", "Marlowe", "Ostara", "Brise", "Café Noé", "Halvorsen", "Aster", "Quill", "Fjord", "Verano"),
}
_STYLES = (
    ("LN-10", "Linen shirt", 3_800),
    ("LN-22", "Linen trousers", 5_200),
    ("WO-31", "Lambswool jumper", 6_900),
    ("WO-44", "Boiled wool coat", 14_500),
    ("CO-05", "Organic cotton tee", 1_650),
    ("CO-17", "Chore jacket", 7_400),
    ("SI-02", "Silk scarf", 2_900),
    ("KN-60", "Ribbed beanie", 1_450),
    ("DE-08", "Selvedge jeans", 6_600),
)
_COLORS = ("ecru", "ink", "moss", "rust", "black")
_SIZES = ("XS", "S", "M", "L", "XL")
# season -> the months in which it is ordered, and the month in which it is delivered
_SEASONS = {
    "25FW": ((date(2025, 1, 10), date(2025, 4, 20)), date(2025, 9, 1)),
    "26SS": ((date(2025, 7, 1), date(2025, 10, 31)), date(2026, 3, 1)),
    "26FW": ((date(2026, 1, 10), date(2026, 4, 20)), date(2026, 9, 1)),
}
_STATUS_WEIGHTS = {
    Status.NEEDS_OC: 24,
    Status.OC_CREATED: 22,
    Status.OC_APPROVED: 14,
    Status.OC_DECLINED: 6,
    Status.OC_CONFIRMED: 22,
    Status.RETURNED_TO_CART: 5,
    Status.REJECTED: 7,
}
_TAGS = ("late", "vip", "prepaid", "showroom", "reorder")
_NOTES = ("", "", "", "Please deliver in one go.", "Call before delivery.", "No linen, please: allergy of a customer.")


def sample_orders(number: int) -> Iterator[Order]:
    """`number` orders of about a hundred buyers in seven countries, over three seasons, in every status."""
    rng = random.Random(SEED)  # noqa: S311 - the same orders each time
    buyers = list(_buyers(rng))
    for order_number in range(1, number + 1):
        buyer, market = rng.choice(buyers)
        yield _order(rng, 10_000 + order_number, buyer, market)


def _buyers(rng: random.Random) -> Iterator[tuple[Buyer, _Market]]:
    numbers = count(1)
    for market in _MARKETS:
        for town in market.towns:
            for word in rng.sample(_WORDS.get(market.language, _WORDS[""]), 4):
                number = next(numbers)
                name = f"{rng.choice(market.shops).format(word)} {town}"
                # Some buyers have no address: their orders can be rejected, but no mail is sent.
                email = None if number % 23 == 0 else f"buying{number}@shop{number}.example"
                yield (
                    Buyer(
                        id=f"B{number:03}",
                        name=name,
                        email=email,
                        contact=f"Buying desk {town}",
                        country=market.country,
                        language=market.language,
                    ),
                    market,
                )


def _order(rng: random.Random, number: int, buyer: Buyer, market: _Market) -> Order:
    season = rng.choices(tuple(_SEASONS), weights=(20, 45, 35))[0]
    (opens, closes), delivery = _SEASONS[season]
    ordered = opens + timedelta(days=rng.randrange((closes - opens).days))
    at = datetime(ordered.year, ordered.month, ordered.day, rng.randrange(7, 19), rng.randrange(60), tzinfo=UTC)
    status = rng.choices(tuple(_STATUS_WEIGHTS), weights=tuple(_STATUS_WEIGHTS.values()))[0]
    lines = tuple(_lines(rng, market))
    confirmed = status is Status.OC_CONFIRMED
    return Order(
        id=str(number),
        buyer=buyer,
        brand=BRAND,
        status=status,
        reference=f"PO-{rng.randrange(1_000, 9_999)}",
        season=season,
        ordered_at=at,
        terms=rng.choice(("30 days net", "prepaid", "60 days net")),
        delivery_address=f"{buyer.name}, {rng.randrange(1, 99)} Main street",
        country=market.country,
        delivery_from=delivery,
        delivery_to=delivery + timedelta(days=rng.choice((14, 29, 45))),
        currency=market.currency,
        total=sum(line.quantity * line.unit_price for line in lines),
        quantity=sum(line.quantity for line in lines),
        delivery_notes=int(confirmed and rng.random() < 0.4),
        invoices=int(confirmed and rng.random() < 0.3),
        backlog_skus=int(status is Status.OC_CREATED and rng.random() < 0.05),
        note=rng.choice(_NOTES),
        lines=lines,
        tags=frozenset(rng.sample(_TAGS, rng.choice((0, 0, 0, 1, 1, 2)))),
        rejected_at=at if status is Status.REJECTED else None,
    )


def _lines(rng: random.Random, market: _Market) -> Iterator[OrderLine]:
    for number, (sku, name, price) in enumerate(rng.sample(_STYLES, rng.randrange(1, 6)), start=1):
        color, size = rng.choice(_COLORS), rng.choice(_SIZES)
        yield OrderLine(
            number=number,
            sku=f"{sku}-{color[:2].upper()}-{size}",
            name=name,
            color=color,
            size=size,
            quantity=rng.choice((2, 4, 6, 10, 12, 24)),
            unit_price=price * market.price_factor // 100,
        )
