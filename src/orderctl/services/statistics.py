"""Figures of orders and of rejections, on one snapshot."""

from collections.abc import Sequence
from dataclasses import replace

from orderctl.domain.filters import OrderFilter, with_archived
from orderctl.domain.statistics import OVERVIEWS, Question, Statistics, Subject
from orderctl.ports import Store


def statistics_of(
    store: Store, wanted: OrderFilter, subject: Subject, questions: Sequence[Question], *, top: int | None = None
) -> Statistics:
    """Totals and breakdowns; without questions an overview, whose lists of the largest are `top` long.

    A rejection counts for ever: archiving its order does not take it out of the figures of rejections.
    """
    if subject is Subject.REJECTIONS:
        wanted = with_archived(wanted)
    overview = [replace(each, limit=top) if top and each.by_amount else each for each in OVERVIEWS[subject]]
    with store.snapshot() as work:
        return Statistics(
            subject=subject,
            totals=work.figures.totals(wanted, subject),
            breakdowns=tuple(work.figures.breakdown(wanted, subject, question) for question in questions or overview),
            rejected=work.figures.rejected(wanted),
        )
