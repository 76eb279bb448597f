"""Figures as tables with bars: one table for each currency, scaled to its largest amount."""

from collections.abc import Iterator, Sequence

from rich.bar import Bar
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.text import Text

from orderctl.language import N_, _, ngettext
from orderctl.stats.statistics import Breakdown, Dimension, Figure, Question, Statistics, Subject
from orderctl.terminal.amounts import shown_amount
from orderctl.terminal.layout import GAP, RuledTable, TableColumn
from orderctl.terminal.styles import FAINT, HEADING, Sentence, plain

_NARROWEST_BAR, _WIDEST = 6, 110
_LONGEST_LABEL = 28
_PIECES_LEAVE, _BARS_LEAVE = 1, 2  # the column with the higher number is omitted first
_HEADERS = {
    Dimension.STATUS: N_("Status"),
    Dimension.MONTH: N_("Month"),
    Dimension.DELIVERY: N_("Delivery month"),
    Dimension.SEASON: N_("Season"),
    Dimension.BUYER: N_("Buyer"),
    Dimension.COUNTRY: N_("Country"),
    Dimension.REASON: N_("Reason"),
    Dimension.ACTOR: N_("Actor"),
}
_NONE = N_("(none)")
_NOTHING = {Dimension.BUYER: N_("(no buyer)"), Dimension.REASON: N_("(no reason)")}


def statistics_view(statistics: Statistics) -> Group:
    """All figures, from the totals to the number of orders that are not counted."""
    return Group(*_parts(statistics))


def _parts(statistics: Statistics) -> Iterator[RenderableType]:
    of_rejections = statistics.subject is Subject.REJECTIONS
    if not statistics.totals:
        yield plain(_("no rejection yet") if of_rejections else _("no order to count"))
    for figure in statistics.totals:
        yield Sentence.assemble(
            (f"{shown_amount(figure.amount, figure.currency)} {figure.currency}", HEADING),
            f"  {_counted(figure, of_rejections=of_rejections)}",
        )
    widths = _widths(statistics.breakdowns)
    for breakdown in statistics.breakdowns:
        for currency in breakdown.currencies:
            yield Text()
            yield Constrain(_chart(breakdown, currency, widths), _WIDEST)
    if statistics.left_out:
        yield Text()
        yield plain(statistics.left_out, FAINT)


def _counted(figure: Figure, *, of_rejections: bool) -> str:
    """The number of orders and of pieces."""
    number = figure.orders
    orders = (
        ngettext("{number:,} order rejected", "{number:,} orders rejected", number)
        if of_rejections
        else ngettext("{number:,} order", "{number:,} orders", number)
    )
    return _(
        "{orders}, {pieces}", orders=orders, pieces=ngettext("{number:,} piece", "{number:,} pieces", figure.quantity)
    )


def _widths(breakdowns: Sequence[Breakdown]) -> tuple[int, ...]:
    """The widths of labels, orders, pieces and amounts in all charts, so that all bars begin in one column."""
    labels, numbers = 0, [0, 0, 0]
    for breakdown in breakdowns:
        question = breakdown.question
        labels = max(labels, sum(_label_widths(breakdown)) + GAP * (len(question.by) - 1))
        for figure in (*breakdown.figures, *breakdown.rest):
            numbers = [max(width, len(text)) for width, text in zip(numbers, _numbers(figure), strict=True)]
    return labels, *numbers


def _label_widths(breakdown: Breakdown) -> list[int]:
    columns = zip(*(_labels(figure, breakdown.question) for figure in breakdown.figures), strict=True)
    found = [max(label.cell_len for label in column) for column in columns]
    headers = [cell_len(_(_HEADERS[dimension])) for dimension in breakdown.question.by]
    return [min(_LONGEST_LABEL, max(pair)) for pair in zip(found or headers, headers, strict=True)]


def _chart(breakdown: Breakdown, currency: str, widths: tuple[int, ...]) -> RuledTable:
    """One currency's figures; the longest bar is its largest amount."""
    figures = [figure for figure in breakdown.figures if figure.currency == currency]
    largest = max((abs(figure.amount) for figure in figures), default=0)
    room = widths[0]
    columns = []
    for dimension, width in zip(breakdown.question.by, _label_widths(breakdown), strict=True):
        last = dimension is breakdown.question.by[-1]
        columns.append(TableColumn(title=_(_HEADERS[dimension]), cut=True, at_least=room if last else width))
        room -= width + GAP
    headers = ((_("Orders"), 0), (_("Pieces"), _PIECES_LEAVE), (currency, 0))
    for (header, leaving), width in zip(headers, widths[1:], strict=True):
        columns.append(TableColumn(title=header, right=True, whole=True, at_least=width, gives_way=leaving))
    columns.append(TableColumn(least=_NARROWEST_BAR, gives_way=_BARS_LEAVE, fills=True))
    table = RuledTable(columns)
    for figure in figures:
        table.add_row(*_labels(figure, breakdown.question), *_numbers(figure), _AmountBar(figure.amount, largest))
    for rest in breakdown.rest:
        if rest.currency == currency:
            told = (_("{number:,} more", number=rest.groups), *("" for __ in breakdown.question.by[1:]))
            table.add_row(*(plain(cell, FAINT) for cell in (*told, *_numbers(rest), "")))
    return table


def _labels(figure: Figure, question: Question) -> Sequence[Text]:
    return [
        plain(label) if label else Text(_(_NOTHING.get(dimension, _NONE)), style=FAINT)
        for dimension, label in zip(question.by, figure.labels, strict=True)
    ]


def _numbers(figure: Figure) -> tuple[str, str, str]:
    return f"{figure.orders:,}", f"{figure.quantity:,}", shown_amount(figure.amount, figure.currency)


class _AmountBar:
    """A bar as long as its share of the largest amount. A negative amount is red."""

    def __init__(self, amount: int, largest: int) -> None:
        self._amount = amount
        self._largest = largest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        part = abs(self._amount) / self._largest if self._largest else 0
        color = "red" if self._amount < 0 else "cyan"
        if options.ascii_only:
            yield Text("#" * round(part * options.max_width), style=color)
        else:
            yield Bar(1, 0, part, color=color)
