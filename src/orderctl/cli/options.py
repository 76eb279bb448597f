"""Options that several commands have, and the values that shell completion offers for them."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Annotated, Literal

import typer

from orderctl.cli.context import Context, config_file
from orderctl.filters.suggestions import Suggested, Suggestion, is_plain, suggest_terms
from orderctl.search.columns import COLUMNS
from orderctl.settings import LARGEST, profile_names

_MOST = 60


def suggest_filter(ctx: typer.Context, incomplete: str) -> Iterable[Suggested]:
    """Fields of the filter language, or values of the field before the cursor."""
    return suggest_terms(incomplete, partial(_values, _context(ctx)))


def _from_store(*kinds: Suggestion) -> Callable[[typer.Context, str], Iterable[str]]:
    """A completion that offers names and ids of these kinds from the store."""

    def suggest(ctx: typer.Context, incomplete: str) -> Iterable[str]:
        context = _context(ctx)
        return [value for kind in kinds for value in _values(context, kind, incomplete) if is_plain(value)]

    return suggest


suggest_order = _from_store(Suggestion.ORDER)
suggest_order_or_batch = _from_store(Suggestion.BATCH, Suggestion.ORDER)
suggest_batch = _from_store(Suggestion.BATCH)
suggest_plan = _from_store(Suggestion.PLAN)
suggest_mail = _from_store(Suggestion.MAIL)
suggest_tag = _from_store(Suggestion.TAG)
suggest_saved = _from_store(Suggestion.SAVED_FILTER)
suggest_selection = _from_store(Suggestion.SELECTION)


def suggest_set(ctx: typer.Context, incomplete: str) -> Iterable[Suggested]:
    """Selections, and terms of a filter."""
    return [*((name, "") for name in suggest_selection(ctx, incomplete)), *suggest_filter(ctx, incomplete)]


def suggest_columns(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001 - as Typer calls it
    """Columns, separated by commas."""
    before, comma, __ = incomplete.rpartition(",")
    taken = set(before.split(","))
    return [f"{before}{comma}{name}" for name in COLUMNS if name not in taken]


def suggest_sort(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Columns to sort by, ascending and descending."""
    from orderctl.filters.queries import SORTS

    return [f"{sign}{name}" for sign in ("", "-") for name in SORTS]


def suggest_profile(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The profiles of the settings."""
    return profile_names(config_file())


def _values(context: Context, kind: Suggestion, prefix: str) -> tuple[str, ...]:
    """Up to 60 values of the store that begin with the prefix. The engine is read directly, which is faster."""
    from orderctl.database.store import make_engine
    from orderctl.filters.suggestion_queries import suggest

    engine = make_engine(context.address)
    try:
        with engine.reading(context.settings.text("account")) as connection:
            return suggest(connection, kind, prefix, actor=context.actor, limit=_MOST)
    finally:
        engine.close()


def _context(ctx: typer.Context) -> Context:
    """A context with the store and the profile that the command line names."""
    given = ctx.find_root().params
    return Context(store=given.get("store"), profile=given.get("profile"), quiet=True)


OrderFormat = Literal["table", "ids", "csv", "json", "jsonl"]


AsOrders = Annotated[
    OrderFormat | None, typer.Option("--format", help="table on a terminal, ids in a pipe, unless said otherwise.")
]


def order_format(context: Context, as_: OrderFormat | None) -> OrderFormat:
    """The format that was said, else a table on a terminal and ids in a pipe."""
    return as_ or ("table" if context.output.is_terminal else "ids")


ReportFormat = Literal["text", "json", "jsonl"]


FilterWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILTER", help="Terms of a filter; side by side they mean and.", autocompletion=suggest_filter
    ),
]
IdsFile = Annotated[
    str | None, typer.Option("--ids", metavar="FILE", help="Read order ids from a file, or - for standard input.")
]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Take a list of ids that is empty.")]
SavedName = Annotated[
    str | None, typer.Option("--saved", metavar="NAME", help="A saved filter.", autocompletion=suggest_saved)
]
FilterText = Annotated[
    str | None,
    typer.Option("--filter", metavar="EXPR", help="A filter, as one argument.", autocompletion=suggest_filter),
]
SelectionName = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The selection's name.", autocompletion=suggest_selection)
]
Everything = Annotated[bool, typer.Option("--all", help="Allow an empty filter, which takes every order.")]
Plus = Annotated[
    list[str] | None,
    typer.Option(
        "--plus",
        metavar="SET",
        help="Join more orders: a selection, a filter, saved:NAME, or @FILE with ids; repeatable.",
        autocompletion=suggest_set,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="SET", help="Keep only what is in this set too; repeatable.", autocompletion=suggest_set
    ),
]
Minus = Annotated[
    list[str] | None,
    typer.Option("--minus", metavar="SET", help="Take a set out again; repeatable.", autocompletion=suggest_set),
]
IgnoreUnknown = Annotated[bool, typer.Option("--ignore-unknown", help="Leave out ids the store does not know.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Pick = Annotated[bool, typer.Option("--pick", help="Tick the orders one by one in a list.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Show the plan and stop.")]
Recheck = Annotated[
    bool, typer.Option("--recheck/--no-recheck", help="Ask their systems again just before anything is written.")
]
Full = Annotated[bool, typer.Option("--full", help="Show every order, and every one that is skipped.")]
MaxOrders = Annotated[int | None, typer.Option(metavar="N", min=0, max=LARGEST, help="Refuse a larger plan.")]
MaxAge = Annotated[
    str | None, typer.Option(metavar="TIME", help="Skip orders of which no source has spoken for longer, as in 24h.")
]
BatchId = Annotated[
    str | None,
    typer.Option(
        "--batch",
        metavar="BATCH",
        help="Only mails of this batch: its id, or the ending.",
        autocompletion=suggest_batch,
    ),
]
PlanId = Annotated[
    str, typer.Argument(metavar="PLAN", help="The plan's id, or its ending.", autocompletion=suggest_plan)
]
AsReport = Annotated[
    ReportFormat, typer.Option("--format", help="text for people; json: one document; jsonl: one a line.")
]
