"""`orderctl export` and `orderctl stats`: orders and figures for other programs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from orderctl.cli.apps import single
from orderctl.cli.context import Context
from orderctl.cli.options import FilterWords, IgnoreUnknown, SavedName
from orderctl.cli.sources import Source, choose, filter_text_of, parse_filter
from orderctl.errors import UsageError
from orderctl.exporting.service import ExportFormat, ExportRequest, export_orders, write_export
from orderctl.language import N_, _, ngettext
from orderctl.settings import LARGEST
from orderctl.stats.queries import statistics_of
from orderctl.stats.statistics import DIMENSIONS, Subject, parse_question, statistics_document, write_figures

_BY_ENDING = {f".{each.value}": each for each in ExportFormat if each is not ExportFormat.OC_PDF}


@single(
    "orderctl export --filter 'season:26SS' -o orders.xlsx",
    "orderctl export --saved dropped --format csv --lines > lines.csv",
    "orderctl search tag:late | orderctl export --ids - --format pdf --per-order -o papers",
    "orderctl export 10021 --format oc-pdf -o 10021-oc.pdf",
)
def export(
    context: Context,
    source: Source,
    ignore_unknown: IgnoreUnknown = False,
    as_: Annotated[
        ExportFormat | None, typer.Option("--format", help="What to write; by the ending of --output if not said.")
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="The file, or - for standard output.")
    ] = "-",
    lines: Annotated[bool, typer.Option("--lines", help="CSV: a row a line of the orders, not an order.")] = False,
    per_order: Annotated[bool, typer.Option("--per-order", help="PDF: a file an order, in the folder PATH.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV: leave texts alone that a spreadsheet would run as formulas.")
    ] = False,
) -> None:
    """Write orders as Excel, CSV, JSON lines or PDF. Without a source: the default selection."""
    request = _checked(
        context,
        ExportRequest(
            format=_format(as_, output),
            path=None if output == "-" else output,
            by_line=lines,
            per_order=per_order,
            force=force,
            raw=raw,
        ),
    )
    with context.open_store() as store:
        choice = choose(context, store, source)
        with context.screen.progress(N_("Exporting")) as progress:
            count = export_orders(
                store,
                choice,
                lambda orders: write_export(orders, request),
                progress=progress,
                ignore_unknown=ignore_unknown,
            )
    if request.path is not None:
        context.screen.tell(ngettext("{number:,} order written", "{number:,} orders written", count))


def _format(said: ExportFormat | None, output: str) -> ExportFormat:
    found = said or _BY_ENDING.get(Path(output).suffix.lower())
    if found is None:
        raise UsageError(_("the format is missing"), hint=f"--format {'|'.join(ExportFormat)}")
    return found


def _checked(context: Context, request: ExportRequest) -> ExportRequest:
    """The request. Raises UsageError if its options contradict each other."""
    if (request.by_line or request.raw) and request.format is not ExportFormat.CSV:
        raise UsageError(
            _("--lines and --raw are about CSV, not {format}", format=request.format), hint=_("leave them out")
        )
    if request.per_order and not request.format.is_document:
        raise UsageError(_("--per-order is about PDF, not {format}", format=request.format), hint=_("leave it out"))
    if request.per_order and request.path is None:
        raise UsageError(_("--per-order writes files, but there is no folder"), hint=_("name one: --output FOLDER"))
    if request.path is None and not request.format.is_text and context.output.is_terminal:
        raise UsageError(
            _("a terminal cannot show {format}", format=request.format), hint=_("name a file: --output FILE")
        )
    return request


@single(
    "orderctl stats",
    "orderctl stats season:26SS --by country --by buyer --top 10",
    "orderctl stats --by month,status --format csv > figures.csv",
    "orderctl stats --rejections --by reason",
)
def stats(
    context: Context,
    words: FilterWords = None,
    saved: SavedName = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help=f"{', '.join(DIMENSIONS[Subject.ORDERS])}; several at once with commas; repeatable."
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=LARGEST, help="Only the N largest, in each currency.")
    ] = None,
    rejections: Annotated[
        bool, typer.Option("--rejections", help="Figures of the rejections; --by reason and actor too.")
    ] = False,
    as_: Annotated[
        Literal["table", "csv", "json"] | None,
        typer.Option("--format", help="table on a terminal, csv in a pipe, unless said otherwise."),
    ] = None,
) -> None:
    """Count orders and add up their amounts, per currency. Rejected orders are never counted."""
    subject = Subject.REJECTIONS if rejections else Subject.ORDERS
    questions = [parse_question(name, subject, top) for name in by or ()]
    with context.open_store() as store:
        wanted = parse_filter(context, filter_text_of(store, words, saved))
        found = statistics_of(store, wanted, subject, questions, top=top)
    format_ = as_ or ("table" if context.output.is_terminal else "csv")
    if format_ == "json":
        context.output.document(statistics_document(found, wanted.text), format_)
        return
    if format_ == "csv":
        write_figures(found, context.output.stream)
        if found.left_out:
            context.screen.tell(found.left_out)
        return
    from orderctl.stats.charts import statistics_view

    context.screen.page(statistics_view(found))
