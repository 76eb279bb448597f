"""Exports orders: reads them in one snapshot, changes nothing."""

from collections.abc import Callable, Iterable, Iterator

from orderctl.domain.errors import UsageError
from orderctl.domain.orders import Order
from orderctl.domain.selection import Choice, IdScope
from orderctl.domain.text import count_of
from orderctl.ports import Progress, Store

_REPORT_EVERY = 100
_SHOWN_IDS = 5


def export_orders(store: Store, choice: Choice, write: Callable[[Iterable[Order]], None], *, progress: Progress) -> int:
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
        if isinstance(choice.scope, IdScope):
            _refuse_unknown(work.selections.unknown(choice.scope.given.ids))
        write(counted(work.orders.chosen(choice)))
    return count


def _refuse_unknown(ids: tuple[str, ...]) -> None:
    if ids:
        more = f" and {len(ids) - _SHOWN_IDS:,} more" if len(ids) > _SHOWN_IDS else ""
        raise UsageError(
            f"the store does not know {count_of(len(ids), 'order')}: {', '.join(map(repr, ids[:_SHOWN_IDS]))}{more}",
            hint="leave them out",
        )
