"""Writes the problems of an import as CSV, for whoever mends the file."""

import csv
import os
from collections.abc import Iterable
from pathlib import Path

from orderctl.domain.errors import UsageError
from orderctl.domain.importing import RowProblem

_COLUMNS = ("file", "row", "column", "value", "reason")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_error_report(path: Path, problems: Iterable[RowProblem], *, force: bool = False) -> int:
    """Write one line a problem; gives how many. Never follows a link, replaces a file only with `force`."""
    if force and (path.is_file() or path.is_symlink()):
        path.unlink()
    try:
        # O_EXCL: a file or a link that somebody puts there in between is not written to.
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already", hint="give another name, or --force") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", hint="give another name or folder") from None
    count = 0
    with os.fdopen(opened, "w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(_COLUMNS)
        for problem in problems:
            cells = (problem.file, problem.column, problem.value, problem.reason)
            name, column, value, reason = (_harmless(cell) for cell in cells)
            lines.writerow((name, problem.row, column, value, reason))
            count += 1
    return count


def _harmless(cell: str) -> str:
    """A spreadsheet runs a cell that begins like a formula; an apostrophe makes it text."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
