"""Orders as bytes, some hundred at a time, for a scratch file of this process.

Field by field: pickled as they are, orders take as long as building them anew.
"""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import fields
from operator import attrgetter

from orderctl.domain.orders import Buyer, Order, OrderLine

_ORDER = tuple(field.name for field in fields(Order) if field.name not in {"buyer", "lines"})
_BUYER = tuple(field.name for field in fields(Buyer))
_LINE = tuple(field.name for field in fields(OrderLine))
_of_order, _of_buyer, _of_line = (attrgetter(*names) for names in (_ORDER, _BUYER, _LINE))


def packed(orders: Sequence[Order]) -> bytes:
    """The orders as bytes."""
    return pickle.dumps(
        [
            (_of_order(order), order.buyer and _of_buyer(order.buyer), [_of_line(line) for line in order.lines])
            for order in orders
        ]
    )


def unpacked(content: bytes) -> Iterator[Order]:
    """The orders that `packed` took, and nothing that came from elsewhere."""
    for order, buyer, lines in pickle.loads(content):  # noqa: S301 - see above
        yield Order(
            **dict(zip(_ORDER, order, strict=True)),
            buyer=buyer and Buyer(**dict(zip(_BUYER, buyer, strict=True))),
            lines=tuple(OrderLine(**dict(zip(_LINE, line, strict=True))) for line in lines),
        )
