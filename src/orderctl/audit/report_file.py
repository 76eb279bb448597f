"""Writes the report of one batch: pages to file away, or one page for a browser that needs no network."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orderctl.audit.report import BatchReport, Chart
from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.pdf import (
    HALF,
    LINE_END,
    PADDING,
    SMALL,
    WIDTH,
    Column,
    Document,
    Flow,
    Piece,
    Shade,
    Strip,
    heading,
    paragraph,
    row,
    shaded,
    side_by_side,
    write_document,
)
from orderctl.files.safe import create_file
from orderctl.language import N_, _, language, ngettext


def write_report(report: BatchReport, path: Path, *, force: bool) -> None:
    """Write a PDF or an HTML page, by the file's ending. Raises UsageError if it is neither, or the name is taken."""
    ending = path.suffix.lower()
    if ending not in {".pdf", ".html"}:
        raise UsageError(
            _("a report is a .pdf or an .html, not {name!r}", name=path.name), hint=_("end its name in one of them")
        )
    with create_file(path, force=force) as out:
        if ending == ".pdf":
            write_document(lay_out_report(report), out)
        else:
            out.write(_page(report).encode())


def _page(report: BatchReport) -> str:
    """Every value is escaped by the environment; `safe` shows what would turn or hide text."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    return environment.get_template("batch_report.html").render(
        report=report, say=_, unlisted=unlisted, language=language() or "en"
    )


_LABELS = 96.0
_FIGURE, _SECTION = 17.0, 11.0
_BAR_X, _BAR_WIDTH, _AMOUNT_X = 150.0, 200.0, 448.0
_COLUMNS = (
    Column(header=N_("Order"), x=0, width=88),
    Column(header=N_("Buyer"), x=94, width=152),
    Column(header=N_("Reference"), x=252, width=80),
    Column(header=N_("Season"), x=338, width=42),
    Column(header=N_("Country"), x=384, width=36),
    Column(header=N_("Amount"), x=424, width=WIDTH - 424, right=True),
)


def lay_out_report(report: BatchReport) -> Document:
    """Who, when and why; the figures; charts; the orders; the digest."""
    title = _("Rejection report {id}", id=report.batch.id)
    flow = Flow(head=side_by_side([paragraph(title, WIDTH, size=SMALL)]))
    flow.add(heading(_("Rejection report"), f"{report.batch.at:%Y-%m-%d}"))
    flow.add(_figures(report))
    flow.add(_facts(report.facts))
    flow.add(
        _facts(
            [
                (_("Digest"), report.batch.digest),
                (_("Digest before"), report.batch.previous or _("none: the first")),
            ]
        )
    )
    for number, chart in enumerate(report.charts):
        flow.add([*(_section(_("Rejected amount")) if not number else []), *_chart(chart)])
    header = shaded(row([_(column.header) for column in _COLUMNS], bold=True, of=_COLUMNS), Shade.HEADER)
    flow.add([*_section(_("Orders ({number:,})", number=report.batch.rejected)), *header])
    for order in report.listed:
        cells = [order.id, order.buyer_name, order.reference, order.season, order.country or "", str(order.amount)]
        flow.add([Strip(height=PADDING), *row(cells, of=_COLUMNS), LINE_END], again=header)
    if report.unlisted:
        words = unlisted(report)
        flow.add([Strip(height=PADDING), *side_by_side([paragraph(words, WIDTH)])])
    return Document(title=title, brand="", pages=tuple(map(tuple, flow.pages)))


def unlisted(report: BatchReport) -> str:
    """Where the orders are that the list leaves out."""
    return ngettext(
        "{number:,} more order of this batch: {command}",
        "{number:,} more orders of this batch: {command}",
        report.unlisted,
        command=f"orderctl log {report.batch.id}",
    )


def _figures(report: BatchReport) -> list[Strip]:
    """The counts in a row, large, and the totals below."""
    step = WIDTH / len(report.counts)
    numbers = [
        [Piece(x=place * step, text=text, size=_FIGURE, bold=True)] for place, (__, text) in enumerate(report.counts)
    ]
    labels = [[Piece(x=place * step, text=label, size=SMALL)] for place, (label, __) in enumerate(report.counts)]
    totals = "  +  ".join(map(str, report.totals))
    return [
        *shaded([*side_by_side(numbers, after=0), *side_by_side(labels, after=0)], Shade.HEADER),
        Strip(height=8),
        *side_by_side([paragraph(totals, WIDTH, size=_SECTION, bold=True)], after=8),
    ]


def _facts(facts: Sequence[tuple[str, str]]) -> list[Strip]:
    strips: list[Strip] = []
    for label, text in facts:
        lines = paragraph(text, WIDTH - _LABELS, x=_LABELS)
        strips += side_by_side([[Piece(x=0, text=label, bold=True)], lines], after=1.5)
    return [*strips, Strip(height=6)]


def _section(title: str) -> list[Strip]:
    return [Strip(height=6), *side_by_side([paragraph(title, HALF, size=_SECTION, bold=True)], after=2)]


def _chart(chart: Chart) -> list[Strip]:
    return [
        *side_by_side([[Piece(x=0, text=chart.title, size=SMALL, bold=True)]], after=2),
        *_bars(chart),
        Strip(height=8),
    ]


def _bars(chart: Chart) -> Iterator[Strip]:
    for bar in chart.bars:
        label = paragraph(bar.label, _BAR_X - 8, size=SMALL)[:1] or [Piece(x=0, text="", size=SMALL)]
        pieces = [
            *label,
            Piece(x=_BAR_X, text="", size=SMALL, bar=bar.share * _BAR_WIDTH),
            Piece(x=_AMOUNT_X, text=str(bar.amount), size=SMALL, right=True),
            Piece(x=WIDTH, text=ngettext("{number:,} order", "{number:,} orders", bar.orders), size=SMALL, right=True),
        ]
        (strip, *__) = side_by_side([[piece] for piece in pieces], after=0)
        yield replace(strip, height=strip.height + 2.5)
