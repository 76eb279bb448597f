"""Exports orders: reads them in one snapshot, changes nothing."""

from collections.abc import Callable, Iterable, Iterator

from orderctl.domain.orders import Order
from orderctl.domain.selection import Choice
from orderctl.ports import Progress, Store
from orderctl.services.selecting import refuse_unknown

_REPORT_EVERY = 100


def export_orders(
    store: Store,
    choice: Choice,
    write: Callable[[Iterable[Order]], None],
    *,
    progress: Progress,
    ignore_unknown: bool = False,
) -> int:
    """Hand the orders of the choice to `write`, sorted by id; gives how many.

    Raises UsageError, before anything is written, if the choice names an order that there is not.
    """
    count = 0

    def counted(orders: Iterator[Order]) -> Iterator[Order]:
        nonlocal count
        for order in orders:
            yield order
            count += 1
            if not count % _REPORT_EVERY:
                progress(count, None)

    with store.snapshot() as work:
        refuse_unknown(work, choice, ignore=ignore_unknown)
        write(counted(work.orders.chosen(choice)))
    return count
