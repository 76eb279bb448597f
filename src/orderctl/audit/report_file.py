"""Writes the report of one batch as a PDF or as one HTML page that needs no network."""

from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from reportlab.lib.colors import Color
from reportlab.platypus import CondPageBreak, Flowable, KeepTogether, Spacer, Table

from orderctl.audit.report import BatchReport, Chart
from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.pdf import (
    GAP,
    ROW,
    SHADE,
    SMALL,
    WIDTH,
    Pages,
    Text,
    facts_table,
    heading,
    ruled_table,
    shaded_table,
    table,
)
from orderctl.files.safe import create_file
from orderctl.language import N_, _, language, ngettext


def write_report(report: BatchReport, path: Path, *, force: bool) -> None:
    """Write a PDF or HTML file, by its ending. Raises UsageError for another ending or a name that is taken."""
    ending = path.suffix.lower()
    if ending not in {".pdf", ".html"}:
        raise UsageError(
            _("a report is a .pdf or an .html, not {name!r}", name=path.name), hint=_("end its name in one of them")
        )
    with create_file(path, force=force) as out:
        if ending == ".pdf":
            title = _("Rejection report {id}", id=report.batch.id)
            pages = Pages(out)
            pages.add(list(_story(report)), title=title)
            pages.finish(title)
        else:
            out.write(_page(report).encode())


def _page(report: BatchReport) -> str:
    """The HTML page. The environment escapes every value; `safe` makes text that turns or hides others visible."""
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
_CHART = 150.0, 200.0, 97.0, WIDTH - 447
_BAR, _BAR_WIDTH, _BAR_HEIGHT = Color(0.78, 0.33, 0.27), 196.0, 9.0
# The height that a section needs on a page, in points: its title, the header of its table and a row.
_BEGUN = 72.0
# The columns and their widths in points. The last is a number.
_COLUMNS = {
    N_("Order"): 94,
    N_("Buyer"): 158,
    N_("Reference"): 86,
    N_("Season"): 46,
    N_("Country"): 40,
    N_("Amount"): 91,
}


def _story(report: BatchReport) -> Iterator[Flowable]:
    """Who, when and why; the figures; charts; the orders; the digest."""
    batch = report.batch
    yield heading(_("Rejection report"), f"{batch.at:%Y-%m-%d}")
    figures = [[Text(figure, size=_FIGURE, bold=True), Text(label, size=SMALL)] for label, figure in report.counts]
    yield shaded_table([figures], [WIDTH / len(figures)] * len(figures), SHADE)
    yield from (Text("  +  ".join(map(str, report.totals)), size=_SECTION, bold=True), Spacer(0, GAP))
    yield facts_table(report.facts, labels=_LABELS)
    yield facts_table(report.digests, labels=_LABELS)
    for number, chart in enumerate(report.charts):
        yield KeepTogether([*([] if number else _section(_("Rejected amount"))), *_chart(chart)])
    yield from (CondPageBreak(_BEGUN), *_section(_("Orders ({number:,})", number=batch.rejected)))
    orders = (
        [order.id, order.buyer_name, order.reference, order.season, order.country or "", str(order.amount)]
        for order in report.listed
    )
    yield ruled_table([_(name) for name in _COLUMNS], orders, list(_COLUMNS.values()), numbers=1)
    if report.unlisted:
        yield Text(unlisted(report))


def unlisted(report: BatchReport) -> str:
    """Where to find the orders that the list leaves out."""
    return ngettext(
        "{number:,} more order of this batch: {command}",
        "{number:,} more orders of this batch: {command}",
        report.unlisted,
        command=f"orderctl log {report.batch.id}",
    )


def _section(title: str) -> list[Flowable]:
    return [Spacer(0, 6), Text(title, size=_SECTION, bold=True), Spacer(0, 2)]


def _chart(chart: Chart) -> list[Flowable]:
    bars = [
        [
            Text(bar.label, size=SMALL),
            Table([[""]], bar.share * _BAR_WIDTH, _BAR_HEIGHT, [("BACKGROUND", (0, 0), (0, 0), _BAR)]),
            Text(str(bar.amount), size=SMALL, right=True),
            Text(ngettext("{number:,} order", "{number:,} orders", bar.orders), size=SMALL, right=True),
        ]
        for bar in chart.bars
    ]
    return [Text(chart.title, size=SMALL, bold=True), Spacer(0, 2), table(bars, _CHART, cell=ROW)]
