"""What the shell offers for each kind of argument; see `shell_completion`."""

from collections.abc import Callable, Iterable
from functools import partial

import typer

from orderctl.cli.context import Context, config_file
from orderctl.filters.suggestions import Suggested, Suggestion, is_plain, suggest_terms
from orderctl.search.columns import COLUMNS
from orderctl.settings import profile_names

_MOST = 60


def suggest_filter(ctx: typer.Context, incomplete: str) -> Iterable[Suggested]:
    """Fields of the filter language, and values of the field that is being written."""
    return suggest_terms(incomplete, partial(_values, _context(ctx)))


def _from_store(*kinds: Suggestion) -> Callable[[typer.Context, str], Iterable[str]]:
    """Names and ids that the store knows."""

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


def suggest_columns(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001 - as Typer calls it
    """Columns, any number of them between commas."""
    before, comma, __ = incomplete.rpartition(",")
    taken = set(before.split(","))
    return [f"{before}{comma}{name}" for name in COLUMNS if name not in taken]


def suggest_sort(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """Columns to sort by, either way."""
    from orderctl.filters.queries import SORTS

    return [f"{sign}{name}" for sign in ("", "-") for name in SORTS]


def suggest_profile(ctx: typer.Context, incomplete: str) -> Iterable[str]:  # noqa: ARG001
    """The profiles of the settings."""
    return profile_names(config_file())


def _values(context: Context, kind: Suggestion, prefix: str) -> tuple[str, ...]:
    """Values of the store that begin with the prefix: a few, read straight from the engine."""
    from orderctl.database.store import make_engine
    from orderctl.filters.suggestion_queries import suggest

    engine = make_engine(context.address)
    try:
        with engine.reading(context.settings.text("account")) as connection:
            return suggest(connection, kind, prefix, actor=context.actor, limit=_MOST)
    finally:
        engine.close()


def _context(ctx: typer.Context) -> Context:
    """The context of the store and the profile that the line names so far."""
    given = ctx.find_root().params
    return Context(store=given.get("store"), profile=given.get("profile"), quiet=True)
