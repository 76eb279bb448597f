"""Orders from a file into the store: all of them or none, unless the bad ones are to be left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from orderctl.domain.import_figures import ImportCounts, RowProblem, SourceFigures
from orderctl.domain.orders import Order
from orderctl.ports import OrderSource, Progress, Store, UnitOfWork

CHUNK = 2_000
PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What came of an import. `problems` holds the first few; the source lists them all.

    `stored` is false when nothing was written: because of the problems, or because it was a check only.
    """

    figures: SourceFigures
    counts: ImportCounts
    problems: tuple[RowProblem, ...]
    stored: bool


def import_orders(
    store: Store,
    source: OrderSource,
    *,
    skip_bad: bool,
    actor: str,
    at: datetime,
    detail: str,
    check_only: bool = False,
    lower_counts: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Write the orders of a checked file in one transaction.

    With a bad row nothing is written, unless `skip_bad` leaves out the orders that have one. The store
    may run the transaction again, so each run reads the source from its start. `check_only` writes nothing. What
    protects an order in the store stays, unless `lower_counts`.
    """
    figures = source.figures
    problems = tuple(islice(source.problems(), PROBLEMS_SHOWN))
    if figures.problems and not (skip_bad or check_only):
        return ImportReport(figures=figures, counts=ImportCounts(), problems=problems, stored=False)
    if check_only:
        foreseen = ImportCounts()
        with store.snapshot() as work:
            for chunk in _chunks(source.orders()):
                foreseen += work.imports.foresee(chunk, lower_counts=lower_counts)
        return ImportReport(figures=figures, counts=foreseen, problems=problems, stored=False)

    def store_all(work: UnitOfWork) -> ImportCounts:
        counts = ImportCounts()
        done = 0
        for chunk in _chunks(source.orders()):
            counts += work.imports.store(chunk, actor=actor, at=at, detail=detail, lower_counts=lower_counts)
            done += len(chunk)
            if progress:
                progress(done, figures.orders)
        return counts

    counts = store.write(store_all) if figures.orders else ImportCounts()
    return ImportReport(figures=figures, counts=counts, problems=problems, stored=True)


def _chunks(orders: Iterator[Order]) -> Iterator[list[Order]]:
    while chunk := list(islice(orders, CHUNK)):
        yield chunk
