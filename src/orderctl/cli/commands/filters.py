"""`orderctl filter save|list|show|delete`."""

from dataclasses import asdict
from typing import Annotated

import typer

from orderctl.cli.apps import group_app
from orderctl.cli.context import Context
from orderctl.cli.options import AsReport, FilterWords, suggest_saved
from orderctl.cli.sources import parse_filter, saved_expression
from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.filters.parser import join_words
from orderctl.filters.saved import SavedFilter, all_filters, delete_filter, get_filter, save_filter
from orderctl.language import N_, _
from orderctl.orders.document import SCHEMA
from orderctl.terminal.prompts import can_ask, demand_yes

app = group_app("Keep filters under a name, for everyone on the store.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The filter's name.", autocompletion=suggest_saved)]


@app.command("orderctl filter save dropped status:needs-oc 'sku:LN-10*'")
def save(
    context: Context,
    name: Name,
    words: FilterWords = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the filter of that name.")] = False,
) -> None:
    """Keep a filter under a name; another one of that name is replaced if you say so."""
    if not name.isprintable() or not name.strip():
        raise UsageError(
            _("the filter's name is empty or holds a control character"), hint="orderctl filter save NAME FILTER"
        )
    expression = join_words(words or ())
    if parse_filter(context, expression).is_empty:
        raise UsageError(_("the filter is empty"), hint="orderctl filter save NAME FILTER")
    saved = SavedFilter(name=name, expression=expression, actor=context.actor, saved_at=context.clock.now())
    with context.open_store() as store:
        with store.snapshot() as connection:
            found = get_filter(connection, name)
        if found is None or found.expression != expression:
            if found is not None and not force:
                _ask_to_replace(context, found, expression)
            over = found.expression if found else None
            if not store.write(lambda connection: save_filter(connection, saved, over=over)):
                raise UsageError(
                    _("somebody else has just saved, or deleted, {name!r}", name=name),
                    hint=_("look at it with orderctl filter list, then save it again"),
                )
    context.screen.tell(_("saved {name}: {expression}", name=name, expression=expression))


def _ask_to_replace(context: Context, found: SavedFilter, expression: str) -> None:
    """Ask, because others may use the filter. Raises UsageError without a terminal, DeclinedError for a no."""
    taken = _(
        "{name!r} was saved by {actor} on {day:%Y-%m-%d} as: {expression}",
        name=safe(found.name),
        actor=safe(found.actor),
        day=found.saved_at,
        expression=safe(found.expression),
    )
    if not can_ask():
        raise UsageError(taken, hint=_("take another name, or replace it with --force"))
    context.screen.insist(taken)
    demand_yes(_("Replace it with: {expression}?", expression=safe(expression)))


@app.command("orderctl filter list", "orderctl filter list --format json")
def list_(context: Context, as_: AsReport = "text") -> None:
    """List the saved filters."""
    with context.open_store() as store, store.snapshot() as connection:
        saved = all_filters(connection)
    if as_ != "text":
        documents = ({"schema": SCHEMA, **asdict(each), "saved_at": each.saved_at.isoformat()} for each in saved)
        context.output.documents(documents, as_)
        return
    if not context.output.is_terminal:
        context.output.lines(f"{each.name}\t{each.expression}" for each in saved)
        return
    if not saved:
        context.screen.tell(_("no saved filters; orderctl filter save NAME FILTER keeps one"))
        return
    from orderctl.terminal.amounts import timestamp, when
    from orderctl.terminal.layout import text_table

    titles = (N_("Name"), N_("Filter"), N_("Saved by"), when())
    rows = ((each.name, each.expression, each.actor, timestamp(each.saved_at)) for each in saved)
    context.screen.table(lambda: text_table(titles, rows))


@app.command("orderctl filter show dropped")
def show(context: Context, name: Name) -> None:
    """Print the expression of a saved filter."""
    with context.open_store() as store:
        context.output.lines([saved_expression(store, name)])


@app.command("orderctl filter delete dropped")
def delete(context: Context, name: Name) -> None:
    """Forget a saved filter."""
    with context.open_store() as store:
        if not store.write(lambda connection: delete_filter(connection, name)):
            saved_expression(store, name)
    context.screen.tell(_("deleted {name}", name=name))
