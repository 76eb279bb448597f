"""`orderctl stats`."""

from enum import StrEnum
from typing import Annotated

import typer

from orderctl.cli.apps import App
from orderctl.cli.options import FilterWords, SavedName, context_of
from orderctl.cli.sources import filter_text_of, parse_filter
from orderctl.settings import LARGEST
from orderctl.stats.queries import statistics_of
from orderctl.stats.statistics import DIMENSIONS, Subject, parse_question, statistics_document, write_figures

app = App()


class StatsFormat(StrEnum):
    """The formats of figures."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@app.command(
    epilog="Examples:\n\norderctl stats\n\norderctl stats season:26SS --by country --by buyer --top 10\n\n"
    "orderctl stats --by month,status --format csv > figures.csv\n\norderctl stats --rejections --by reason"
)
def stats(
    ctx: typer.Context,
    words: FilterWords = None,
    saved: SavedName = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(DIMENSIONS[Subject.ORDERS])}; several at once with commas; repeatable.",
        ),
    ] = None,
    top: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=LARGEST, help="Only the N largest, in each currency.")
    ] = None,
    rejections: Annotated[
        bool, typer.Option("--rejections", help="Figures of the rejections; --by reason and actor too.")
    ] = False,
    as_: Annotated[
        StatsFormat | None,
        typer.Option("--format", help="table on a terminal, csv in a pipe, unless said otherwise."),
    ] = None,
) -> None:
    """Count orders and add up their amounts, per currency. Rejected orders are never counted."""
    context = context_of(ctx)
    subject = Subject.REJECTIONS if rejections else Subject.ORDERS
    questions = [parse_question(name, subject, top) for name in by or ()]
    with context.open_store() as store:
        wanted = parse_filter(context, filter_text_of(store, words, saved))
        found = statistics_of(store, wanted, subject, questions, top=top)
    format_ = as_ or (StatsFormat.TABLE if context.output.is_terminal else StatsFormat.CSV)
    if format_ is StatsFormat.JSON:
        context.output.document(statistics_document(found, wanted.text), format_)
        return
    if format_ is StatsFormat.CSV:
        write_figures(found, context.output.stream)
        if found.left_out:
            context.screen.tell(found.left_out)
        return
    from orderctl.stats.charts import statistics_view

    context.screen.page(statistics_view(found))
