"""Writes the problems of an import as CSV, for whoever mends the file."""

import csv
from collections.abc import Iterable
from io import TextIOWrapper
from pathlib import Path

from orderctl.domain.import_figures import RowProblem
from orderctl.files.safe_files import create_file
from orderctl.files.table_writers import inert

_COLUMNS = ("file", "row", "column", "value", "reason")


def write_error_report(path: Path, problems: Iterable[RowProblem], *, force: bool = False) -> int:
    """Write one line a problem; gives how many. Raises UsageError if the name is taken, unless `force`."""
    count = 0
    with create_file(path, force=force) as out:
        text = TextIOWrapper(out, encoding="utf-8", newline="")
        lines = csv.writer(text)
        lines.writerow(_COLUMNS)
        for problem in problems:
            cells = (problem.file, problem.column, problem.value, problem.reason)
            name, column, value, reason = map(inert, cells)
            lines.writerow((name, problem.row, column, value, reason))
            count += 1
        text.flush()
        text.detach()
    return count
