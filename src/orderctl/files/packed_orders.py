"""Orders as bytes, some hundred at a time, for a scratch file of this process.

Field by field: pickled as they are, orders take as long as building them anew.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import TypeVar

from orderctl.domain.orders import Buyer, Order, OrderLine

_ORDER = tuple(field.name for field in fields(Order) if field.name not in {"buyer", "lines"})
_BUYER = tuple(field.name for field in fields(Buyer))
_LINE = tuple(field.name for field in fields(OrderLine))
_of_order, _of_buyer, _of_line = (attrgetter(*names) for names in (_ORDER, _BUYER, _LINE))
T = TypeVar("T", Order, Buyer, OrderLine)


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
    of_order, of_buyer = _setters(Order, (*_ORDER, "buyer", "lines")), _setters(Buyer, _BUYER)
    of_line = _setters(OrderLine, _LINE)
    for order, buyer, lines in pickle.loads(content):  # noqa: S301 - see above
        whole = (
            *order,
            buyer and _restored(Buyer, of_buyer, buyer),
            tuple([_restored(OrderLine, of_line, line) for line in lines]),
        )
        yield _restored(Order, of_order, whole)


def _setters(kind: type, names: Sequence[str]) -> list[Callable[[object, object], None]]:
    return [getattr(kind, name).__set__ for name in names]


def _restored(kind: type[T], setters: Sequence[Callable[[object, object], None]], values: Sequence[object]) -> T:
    """A value as it was: filled slot by slot, as pickle would, and not built a second time."""
    made = object.__new__(kind)
    for put, value in zip(setters, values, strict=True):
        put(made, value)
    return made
