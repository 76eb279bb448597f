"""Rows of a file set aside on disk, so that those of one order come together in constant memory."""

import pickle
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from typing import Self

from orderctl.errors import UsageError
from orderctl.files.safe import ScratchFolder
from orderctl.importing.figures import ProblemGroup, RowProblem, SourceFigures
from orderctl.importing.orders import TOGETHER, Block, StagedRow
from orderctl.language import Said, _, english
from orderctl.orders.orders import SaidOrder

# Problems with the same values in these columns are counted together.
_ALIKE = "field, column_name, value, reason, english"
_TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE staged (order_id TEXT NOT NULL, number INTEGER NOT NULL, fields INTEGER NOT NULL, cells BLOB NOT NULL);
CREATE TABLE built (number INTEGER NOT NULL, columns BLOB NOT NULL);
CREATE TABLE problem (
  number INTEGER NOT NULL, field TEXT, column_name TEXT, value TEXT, reason TEXT, english TEXT,
  left_out INTEGER NOT NULL
);
CREATE TABLE bad (order_id TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (order_id, number)) WITHOUT ROWID;
BEGIN;
"""


class Staging:
    """A scratch database in a private folder of its own, which is deleted at the end."""

    def __init__(self, folder: Path | None) -> None:
        self._home = ScratchFolder(folder)
        self._base = sqlite3.connect(self._home.path / "rows.db", isolation_level=None)
        self._base.executescript(_TABLES)
        self._spoilt = False
        self._fields: dict[tuple[str, ...], int] = {}
        self.refused = 0

    @property
    def folder(self) -> Path:
        """The private folder."""
        return self._home.path

    def __enter__(self) -> Self:
        """The rows are forgotten at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Delete the scratch database."""
        self._base.close()
        self._home.close()

    def put(self, blocks: Iterable[tuple[list[str], Block]]) -> None:
        """Set rows aside under the ids of their orders."""
        with self._room():
            for ids, (numbers, columns, __) in blocks:
                # Most rows have the same fields, whose names are kept once.
                fields = self._fields.setdefault(tuple(columns), len(self._fields))
                cells = zip(*columns.values(), strict=True) if columns else repeat((), len(ids))
                rows = zip(ids, numbers, repeat(fields), map(pickle.dumps, cells), strict=False)
                self._base.executemany("INSERT INTO staged VALUES (?, ?, ?, ?)", rows)

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise UsageError(
                _("the rows cannot be set aside in {name}: {error}", name=self._home.path, error=error),
                hint=_("free some space, or let TMPDIR name a folder that has some"),
            ) from None

    def rows(self) -> Iterator[list[StagedRow]]:
        """The rows of some orders at a time, sorted by the ids of these, then in the order of the file."""
        names = list(self._fields)
        found = self._base.execute("SELECT order_id, number, fields, cells FROM staged ORDER BY order_id, rowid")
        held: list[StagedRow] = []
        while read := found.fetchmany(TOGETHER):
            # What this process wrote, in a folder that nobody else can enter.
            held += [(order_id, number, names[fields], pickle.loads(cells)) for order_id, number, fields, cells in read]  # noqa: S301
            # More rows of the last order may follow.
            end = next((place for place in range(len(held), 0, -1) if held[place - 1][0] != held[-1][0]), 0)
            if end:
                yield held[:end]
                held = held[end:]
        if held:
            yield held

    def keep(self, orders: Iterable[SaidOrder]) -> None:
        """Set orders aside that were built, in the order in which they come."""
        coming = iter(orders)
        with self._room():
            while batch := list(islice(coming, TOGETHER)):
                # A column at a time; what all orders of the batch have is kept once.
                columns = [
                    column[:1] if column[0] is column[-1] and column.count(column[0]) == len(column) else column
                    for column in zip(*batch, strict=True)
                ]
                self._base.execute("INSERT INTO built VALUES (?, ?)", (len(batch), pickle.dumps(columns)))

    def orders(self) -> Iterator[SaidOrder]:
        """The orders that were kept, in that order."""
        for count, content in self._base.execute("SELECT number, columns FROM built ORDER BY rowid"):
            columns = pickle.loads(content)  # noqa: S301 - see above
            whole = (column * (count // len(column)) for column in columns)
            yield from map(SaidOrder._make, zip(*whole, strict=True))

    def complain(self, problems: Sequence[RowProblem], order_id: str | None = None) -> None:
        """Keep problems, and which order they spoil."""
        self._base.executemany(
            "INSERT INTO problem VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (each.row, each.field, each.column, each.value, each.reason, english(each.reason), each.left_out)
                for each in problems
            ],
        )
        if order_id is not None:
            self._spoilt = True
            self._base.executemany(
                "INSERT OR IGNORE INTO bad VALUES (?, ?)", [(order_id, problem.row) for problem in problems]
            )

    def refuse(self, problem: RowProblem) -> None:
        """Keep the problem of a row of which nobody can say to which order it belongs."""
        self.refused += 1
        self.complain([problem])

    def bad_rows(self, order_id: str) -> set[int]:
        """The rows of an order that have a problem."""
        if not self._spoilt:
            return set()
        return {row for (row,) in self._base.execute("SELECT number FROM bad WHERE order_id = ?", (order_id,))}

    def problems(self, file: str) -> Iterator[RowProblem]:
        """All problems, in the order of the file."""
        found = self._base.execute("SELECT * FROM problem ORDER BY number, rowid")
        for row, name, column, value, reason, __, left_out in found:
            here = {"column": column, "value": value, "reason": reason, "field": name}
            yield RowProblem(file=file, row=row, left_out=bool(left_out), **here)

    def problem_groups(self, file: str, most: int) -> tuple[ProblemGroup, ...]:
        """Equal problems together, those of the most rows first; without the rows that are only left out."""
        found = self._base.execute(
            f"SELECT {_ALIKE}, count(DISTINCT number) AS times, min(number) AS first FROM problem WHERE NOT left_out"
            f" GROUP BY {_ALIKE} ORDER BY times DESC, first, min(rowid) LIMIT ?",
            (most,),
        )
        return tuple(
            ProblemGroup(
                file=file,
                field=name,
                column=column,
                value=value,
                reason=Said.of(reason, in_english),
                rows=rows,
                first_row=first,
            )
            for name, column, value, reason, in_english, rows, first in found
        )

    def figures(self, rows: int) -> SourceFigures:
        """What was set aside, of so many rows."""
        found = self._base.execute(
            "SELECT (SELECT count(DISTINCT order_id) FROM staged),"
            " (SELECT count(DISTINCT order_id) FROM bad),"
            " (SELECT count(DISTINCT number) FROM problem), (SELECT count(*) FROM problem),"
            f" (SELECT count(*) FROM (SELECT DISTINCT {_ALIKE} FROM problem WHERE NOT left_out)),"
            " (SELECT count(*) FROM problem WHERE left_out)"
        )
        orders, bad_orders, bad_rows, problems, different, left_out = found.fetchone()
        return SourceFigures(
            rows=rows,
            orders=orders - bad_orders,
            bad_orders=bad_orders,
            rows_without_order=self.refused,
            bad_rows=bad_rows,
            problems=problems,
            different_problems=different,
            rows_of_bad_orders=left_out,
        )
