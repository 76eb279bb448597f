"""Imports the orders of a file into the store: all of them or none, unless bad ones are left out."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from orderctl.core.times import Progress
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store
from orderctl.errors import ExitCode, UsageError
from orderctl.files.csv import escape_formula
from orderctl.files.safe import create_file, text_in
from orderctl.importing.figures import ImportCounts, OrderSource, ProblemGroup, RowProblem, SourceFigures
from orderctl.importing.queries import OrderImport, Sighting
from orderctl.language import _
from orderctl.mail.queries import misdirected
from orderctl.orders.document import SCHEMA, Document
from orderctl.orders.orders import SaidOrder
from orderctl.rejection.execute import wait_for_turn

T = TypeVar("T")
CHUNK = 2_000
PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRejection:
    """How the plan for the orders that the file alone rejects ended; `document` is None if it was not reported."""

    exit_code: int
    document: Document | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did: the words, the JSON document and the exit code are made from it.

    `problems` holds the first few; the source lists them all, and the file `errors` too. `stored` is false if nothing
    was written, because of the problems or because it was only a check. `rejection` is None if there was no plan.
    """

    file: FileImport
    counts: ImportCounts
    problems: tuple[ProblemGroup, ...]
    skip_bad: bool
    stored: bool
    errors: str = ""
    rejection: SourceRejection | None = None

    @property
    def exit_code(self) -> int:
        """Bad rows count more than how a rejection ended, unless they are to be left out."""
        if self.figures.problems and not self.skip_bad:
            return ExitCode.WRONG_CALL
        return self.rejection.exit_code if self.rejection else ExitCode.DONE

    @property
    def not_planned(self) -> tuple[str, ...]:
        """The ids of the orders that the file rejects and the store does not, and no plan was made for."""
        return () if self.rejection else self.counts.rejected_at_source

    @property
    def figures(self) -> SourceFigures:
        """What the file holds."""
        return self.file.source.figures


@dataclass(frozen=True, slots=True, kw_only=True)
class FileImport:
    """The orders of a file as they are to be written, and by whom.

    `said_by` is the name of the source whose word they are, and `said_at` when it was given; None is now. `complete`:
    the file has all orders of that source, and `allow_empty`: there may be none. `among`: it has what there is of these
    orders, and no other. What protects an order in the store stays, unless `lower_counts`.
    """

    source: OrderSource
    actor: str
    clock: Clock
    detail: str
    said_by: str = ""
    said_at: datetime | None = None
    complete: bool = False
    allow_empty: bool = False
    among: tuple[str, ...] = ()
    lower_counts: bool = False
    progress: Progress | None = None

    def write(self, connection: Connection) -> ImportCounts:
        """Write all orders of the file; each call begins with the first one."""
        return self.write_before(connection, lambda _connection: None)[0]

    def write_before(self, connection: Connection, work: Callable[[Connection], T]) -> tuple[ImportCounts, T]:
        """The same, and then do the work.

        The acts are recorded after that: whoever has their turn must not wait for rows, which the work locks.
        """
        if small_cache := connection.dialect.small_cache:
            # Orders come sorted by id: a larger cache fills up, and makes nothing faster.
            connection.execute(small_cache)
        counts, at = ImportCounts(), self.clock.of(connection)
        known = frozenset(misdirected(connection))
        seen, done = Sighting(source=self.said_by, at=self._said_at(at)), 0
        writer = OrderImport(connection)
        for chunk in _chunks(self.source.said()):
            counts += writer.store(
                chunk, actor=self.actor, at=at, detail=self.detail, lower_counts=self.lower_counts, seen=seen
            )
            done += len(chunk)
            if self.progress:
                self.progress(done, self.source.figures.orders)
        if self.complete or self.among:
            counts += writer.mark_gone(seen, actor=self.actor, at=at, detail=self.detail, among=self.among)
        mended = tuple(mails for mails in misdirected(connection) if mails not in known)
        result = work(connection)
        writer.record_acts(seen, actor=self.actor, at=at, detail=self.detail)
        return counts + ImportCounts(misdirected=mended), result

    def foresee(self, store: Store) -> ImportCounts:
        """What writing them would do. Which orders would be gone, only a trial tells: it is rolled back."""
        counts = ImportCounts()
        if self.complete and not self.source.figures.problems:

            def try_it(connection: Connection) -> None:
                nonlocal counts
                counts = self.write(connection)

            with store.foreseen(try_it):
                return counts
        with store.snapshot() as connection:
            said_at = self._said_at(self.clock.of(connection))
            for chunk in _chunks(self.source.said()):
                counts += OrderImport(connection).foresee(chunk, said_at, lower_counts=self.lower_counts)
        return counts

    def check_complete(self) -> None:
        """Raise UsageError if a file that has all orders has none, and nobody said that this may be so."""
        figures = self.source.figures
        if self.complete and not (figures.orders or figures.problems or self.allow_empty):
            raise UsageError(
                _("the file has no orders, and --complete would mark all of {source} as gone", source=self.said_by),
                hint=_("if there are none any more, add --allow-empty"),
            )

    def _said_at(self, now: datetime) -> datetime:
        """A file of the future was said now."""
        return now if self.said_at is None else min(self.said_at, now)


def import_orders(store: Store, file: FileImport, *, skip_bad: bool, check_only: bool = False) -> ImportReport:
    """Write the orders of a checked file in one transaction.

    With a bad row nothing is written, unless `skip_bad` leaves out the orders that have one; a complete file has none
    to leave out. The store may run the transaction again, so each run reads the source from its start. `check_only`
    writes nothing. Raises UsageError for a complete file without an order.
    """
    figures = file.source.figures
    file.check_complete()
    counts = ImportCounts()
    stored = not (check_only or (figures.problems and (file.complete or not skip_bad)))
    if check_only:
        counts = file.foresee(store)
    elif stored and (figures.orders or file.complete):
        counts = store.write(file.write)
    problems = file.source.problem_groups(PROBLEMS_SHOWN)
    return ImportReport(file=file, counts=counts, problems=problems, skip_bad=skip_bad, stored=stored)


class StoreAfterImport(Store):
    """The store as it will be after an import: the first write imports the file too, in one transaction.

    Until then, snapshots include the file, whose rows are rolled back. So a plan that is made on this store counts what
    the file says, and is executed together with the import.
    """

    def __init__(self, store: Store, file: FileImport) -> None:
        self.account, self.label = store.account, store.label
        self.counts: ImportCounts | None = None  # None until the file is imported
        self._store = store
        self._file = file

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """One consistent view that includes the file."""
        with self._store.foreseen(self._file.write) if self.counts is None else self._store.snapshot() as connection:
            yield connection

    @contextmanager
    def foreseen(self, change: Callable[[Connection], object]) -> Iterator[Connection]:
        """The same after a change that is rolled back."""

        def both(connection: Connection) -> None:
            wait_for_turn(connection)
            self._file.write_before(connection, change)

        with self._store.foreseen(both if self.counts is None else change) as connection:
            yield connection

    def write(self, work: Callable[[Connection], T], *, landed: Callable[[Connection], T | None] | None = None) -> T:
        """Run `work` in one transaction; the first transaction imports the file before it."""
        if self.counts is not None:
            return self._store.write(work, landed=landed)
        counts = ImportCounts()

        def both(connection: Connection) -> T:
            nonlocal counts
            # Take the turn before the rows of orders: whoever has the turn may wait for these rows.
            wait_for_turn(connection)
            counts, done = self._file.write_before(connection, work)
            return done

        result = self._store.write(both, landed=landed)
        self.counts = counts
        return result

    def __enter__(self) -> Self:
        """Nothing is opened."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Whoever opened the store closes it."""


def _chunks(orders: Iterator[SaidOrder]) -> Iterator[list[SaidOrder]]:
    while chunk := list(islice(orders, CHUNK)):
        yield chunk


_COLUMNS = ("file", "row", "column", "value", "reason")


def write_error_report(path: Path, problems: Iterable[RowProblem], *, force: bool = False) -> None:
    """Write one line for each problem. Raises UsageError if the name is taken, unless `force`."""
    with create_file(path, force=force) as out, text_in(out) as text:
        lines = csv.writer(text)
        lines.writerow(_COLUMNS)
        for problem in problems:
            cells = (problem.file, problem.column, problem.value, problem.reason)
            name, column, value, reason = map(escape_formula, cells)
            lines.writerow((name, problem.row, column, value, reason))


def import_document(report: ImportReport) -> Document:
    """What an import read and did; `errors` names the file that lists every problem."""
    said_at = report.file.said_at
    return {
        "schema": SCHEMA,
        "stored": report.stored,
        "source": report.file.said_by,
        "as_of": said_at and said_at.isoformat(),
        "complete": report.file.complete,
        **asdict(report.figures),
        "first_problems": [asdict(group) for group in report.problems],
        **asdict(report.counts),
        "errors": report.errors or None,
        "rejection": report.rejection and report.rejection.document,
    }
