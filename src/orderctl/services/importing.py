"""Orders from a file into the store: all of them or none, unless the bad ones are to be left out."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Self, TypeVar

from orderctl.domain.import_figures import ImportCounts, RowProblem, SourceFigures
from orderctl.domain.orders import Order
from orderctl.ports import Clock, OrderSource, Progress, Store, UnitOfWork

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """The orders of a file as they are to be written, and by whom.

    What protects an order in the store stays, unless `lower_counts`.
    """

    source: OrderSource
    actor: str
    clock: Clock
    detail: str
    lower_counts: bool = False
    progress: Progress | None = None

    def write(self, work: UnitOfWork) -> ImportCounts:
        """Write all of them, from the first one each time."""
        counts, at = ImportCounts(), self.clock.of(work)
        done = 0
        for chunk in _chunks(self.source.orders()):
            counts += work.imports.store(
                chunk, actor=self.actor, at=at, detail=self.detail, lower_counts=self.lower_counts
            )
            done += len(chunk)
            if self.progress:
                self.progress(done, self.source.figures.orders)
        return counts


def import_orders(store: Store, file: FileImport, *, skip_bad: bool, check_only: bool = False) -> ImportReport:
    """Write the orders of a checked file in one transaction.

    With a bad row nothing is written, unless `skip_bad` leaves out the orders that have one. The store
    may run the transaction again, so each run reads the source from its start. `check_only` writes nothing.
    """
    figures = file.source.figures
    problems = tuple(islice(file.source.problems(), PROBLEMS_SHOWN))
    if figures.problems and not (skip_bad or check_only):
        return ImportReport(figures=figures, counts=ImportCounts(), problems=problems, stored=False)
    if check_only:
        foreseen = ImportCounts()
        with store.snapshot() as work:
            for chunk in _chunks(file.source.orders()):
                foreseen += work.imports.foresee(chunk, lower_counts=file.lower_counts)
        return ImportReport(figures=figures, counts=foreseen, problems=problems, stored=False)
    counts = store.write(file.write) if figures.orders else ImportCounts()
    return ImportReport(figures=figures, counts=counts, problems=problems, stored=True)


class StoreAfterImport:
    """The store as it is once a file is imported: the first write imports the file too, in one transaction.

    Until then its snapshots show what is there together with the file, of which nothing stays. So a plan that is made
    on it counts what the file says, and is executed together with the import.
    """

    def __init__(self, store: Store, file: FileImport) -> None:
        self.account, self.label = store.account, store.label
        self.counts: ImportCounts | None = None  # what the import did; None as long as it has not
        self._store = store
        self._file = file

    def snapshot(self) -> AbstractContextManager[UnitOfWork]:
        """One consistent view, with the file in it."""
        return self._store.foreseen(self._file.write) if self.counts is None else self._store.snapshot()

    def foreseen(self, change: Callable[[UnitOfWork], object]) -> AbstractContextManager[UnitOfWork]:
        """The same after a change, of which nothing stays."""
        if self.counts is not None:
            return self._store.foreseen(change)
        return self._store.foreseen(lambda work: (self._file.write(work), change(work)))

    def write(self, work: Callable[[UnitOfWork], T], *, landed: Callable[[UnitOfWork], T | None] | None = None) -> T:
        """Run `work` in one transaction, and in the first one import the file before it."""
        if self.counts is not None:
            return self._store.write(work, landed=landed)
        counts = ImportCounts()

        def both(unit: UnitOfWork) -> T:
            nonlocal counts
            # Its turn comes before its orders: whoever has the turn may wait for these.
            unit.rejections.wait_for_turn()
            counts = self._file.write(unit)
            return work(unit)

        result = self._store.write(both, landed=landed)
        self.counts = counts
        return result

    def __enter__(self) -> Self:
        """Nothing is opened."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Whoever opened the store closes it."""


def _chunks(orders: Iterator[Order]) -> Iterator[list[Order]]:
    while chunk := list(islice(orders, CHUNK)):
        yield chunk
