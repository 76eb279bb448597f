"""Writes figures as CSV: one row a figure, the totals first."""

from collections.abc import Iterator
from typing import TextIO

from orderctl.domain.money import plain_amount
from orderctl.domain.statistics import Figure, Statistics
from orderctl.files.table_writers import csv_rows, inert

_HEADER = ("by", "key", "label", "currency", "orders", "quantity", "amount")
_REST = "(rest)"


def write_figures(statistics: Statistics, out: TextIO) -> None:
    """Totals, breakdowns, and below each what its limit left out, so that every part adds up to the totals."""
    writer = csv_rows(out)
    writer.writerow(_HEADER)
    writer.writerows(_rows(statistics))


def _rows(statistics: Statistics) -> Iterator[tuple[str | int, ...]]:
    for figure in statistics.totals:
        yield _row("", figure)
    for breakdown in statistics.breakdowns:
        for figure in breakdown.figures:
            yield _row(breakdown.question.name, figure)
        for rest in breakdown.rest:
            yield _row(f"{breakdown.question.name} {_REST}", rest)


def _row(by: str, figure: Figure) -> tuple[str | int, ...]:
    keys, labels = (" / ".join(parts) for parts in (figure.keys, figure.labels))
    amount = plain_amount(figure.amount, figure.currency)
    return (by, inert(keys), inert(labels), figure.currency, figure.orders, figure.quantity, amount)
