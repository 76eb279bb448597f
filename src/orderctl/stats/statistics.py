"""Statistics as values: counts and amounts for each currency. Rejected orders count only among rejections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TextIO

from orderctl.core.money import Money, plain_amount
from orderctl.errors import UsageError
from orderctl.files.csv import csv_rows, escape_formula
from orderctl.language import _, ngettext
from orderctl.orders.document import SCHEMA, Document
from orderctl.orders.orders import Status


class Subject(StrEnum):
    """What is counted: orders that are not rejected, or rejections."""

    ORDERS = "orders"
    REJECTIONS = "rejections"


class Dimension(StrEnum):
    """The property by which figures are grouped. `month` is that of the order, or of the rejection."""

    STATUS = "status"
    MONTH = "month"
    SEASON = "season"
    BUYER = "buyer"
    COUNTRY = "country"
    DELIVERY = "delivery"
    REASON = "reason"
    ACTOR = "actor"

    @property
    def has_order(self) -> bool:
        """Whether its values have an order of their own and are not sorted by amount."""
        return self in {Dimension.STATUS, Dimension.MONTH, Dimension.SEASON, Dimension.DELIVERY}


_OF_REJECTIONS = (Dimension.REASON, Dimension.ACTOR)
DIMENSIONS = {
    Subject.ORDERS: tuple(each for each in Dimension if each not in _OF_REJECTIONS),
    Subject.REJECTIONS: tuple(each for each in Dimension if each is not Dimension.STATUS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The dimensions by which to group figures, and how many groups to keep in each currency.

    `limit` keeps the largest amounts, or the latest groups if `latest` is set.
    """

    by: tuple[Dimension, ...]
    limit: int | None = None
    latest: bool = False

    @property
    def name(self) -> str:
        """The question as the command line writes it."""
        return ",".join(self.by)

    @property
    def by_amount(self) -> bool:
        """Whether the answer is sorted by amount."""
        return (self.limit is not None and not self.latest) or not self.by[0].has_order


_RECENT, _LARGEST = 6, 3
OVERVIEWS = {
    Subject.ORDERS: (
        Question(by=(Dimension.STATUS,)),
        Question(by=(Dimension.MONTH,), limit=_RECENT, latest=True),
        Question(by=(Dimension.BUYER,), limit=_LARGEST),
    ),
    Subject.REJECTIONS: (
        Question(by=(Dimension.MONTH,), limit=_RECENT, latest=True),
        Question(by=(Dimension.MONTH, Dimension.REASON), limit=2 * _RECENT, latest=True),
        Question(by=(Dimension.MONTH, Dimension.ACTOR), limit=2 * _RECENT, latest=True),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Orders of one currency in a group, or in several `groups` together. `amount` is in minor units.

    `keys` are the values of the dimensions, `labels` the same for people.
    """

    keys: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    currency: str
    orders: int
    quantity: int
    amount: int
    groups: int = 1

    @property
    def money(self) -> Money:
        """The amount with its currency."""
        return Money(self.currency, self.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """The answer to a question. `rest` is what the limit left out, for each currency."""

    question: Question
    figures: tuple[Figure, ...]
    rest: tuple[Figure, ...] = ()

    @property
    def currencies(self) -> tuple[str, ...]:
        """The currencies of its figures, in order."""
        return tuple(sorted({figure.currency for figure in self.figures}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Totals by currency, and breakdowns; `rejected` orders match the filter but do not count."""

    subject: Subject
    totals: tuple[Figure, ...]
    breakdowns: tuple[Breakdown, ...]
    rejected: int = 0

    @property
    def rejected_left_out(self) -> int:
        """How many rejected orders do not count."""
        return self.rejected if self.subject is Subject.ORDERS else 0

    @property
    def left_out(self) -> str:
        """How many orders do not count, in words; empty if none."""
        number = self.rejected_left_out
        if not number:
            return ""
        return ngettext(
            "{number:,} rejected order is not counted", "{number:,} rejected orders are not counted", number
        )


def parse_question(text: str, subject: Subject, limit: int | None) -> Question:
    """Read `month` or `month,status`. Raises UsageError with the known names."""
    names = [name.strip().lower() for name in text.split(",")]
    known = DIMENSIONS[subject]
    for name in names:
        if name not in known:
            hint = _("the names: {known}; several at once with commas", known=", ".join(known))
            if name in _OF_REJECTIONS:
                hint = _("it is known of rejections: --rejections")
            raise UsageError(_("figures cannot be told apart by {name!r}", name=name), hint=hint)
    if len(set(names)) != len(names):
        raise UsageError(_("--by {text} names one thing twice", text=text), hint=_("name each once"))
    return Question(by=tuple(map(Dimension, names)), limit=limit)


def in_order(figures: Sequence[Figure], question: Question) -> tuple[Figure, ...]:
    """The figures sorted by currency, then by amount or by the order of their values."""
    readers = [_POSITIONS.get(dimension, str) for dimension in question.by]

    def position(figure: Figure) -> tuple[object, ...]:
        values = tuple(read(key) for read, key in zip(readers, figure.keys, strict=True))
        return (figure.currency, -figure.amount if question.by_amount else 0, values)

    return tuple(sorted(figures, key=position))


_LIFE = {status.value: number for number, status in enumerate(Status)}
_POSITIONS: dict[Dimension, Callable[[str], object]] = {Dimension.STATUS: lambda key: _LIFE[key]}

_HEADER = ("by", "key", "label", "currency", "orders", "quantity", "amount")
_REST = "(rest)"


def write_figures(statistics: Statistics, out: TextIO) -> None:
    """Write totals and breakdowns as CSV. Each breakdown with its `rest` adds up to the totals."""
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
    return (by, escape_formula(keys), escape_formula(labels), figure.currency, figure.orders, figure.quantity, amount)


def statistics_document(statistics: Statistics, filter_text: str) -> Document:
    """Figures per currency; `rest` is what a limit left out."""
    return {
        "schema": SCHEMA,
        "subject": statistics.subject.value,
        "filter": filter_text,
        "rejected_left_out": statistics.rejected_left_out,
        "totals": [_figure_document(figure) for figure in statistics.totals],
        "by": [
            {
                "by": list(breakdown.question.by),
                "figures": [
                    dict(zip(breakdown.question.by, figure.keys, strict=True))
                    | {"label": " / ".join(figure.labels)}
                    | _figure_document(figure)
                    for figure in breakdown.figures
                ],
                "rest": [_figure_document(figure) | {"groups": figure.groups} for figure in breakdown.rest],
            }
            for breakdown in statistics.breakdowns
        ],
    }


def _figure_document(figure: Figure) -> Document:
    return {
        "currency": figure.currency,
        "orders": figure.orders,
        "quantity": figure.quantity,
        "minor": figure.amount,
        "amount": plain_amount(figure.amount, figure.currency),
    }
