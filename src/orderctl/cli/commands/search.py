"""`orderctl search`, `orderctl show` and `orderctl reconcile`."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated

import typer

from orderctl.cli.apps import single
from orderctl.cli.context import Context
from orderctl.cli.options import (
    AsOrders,
    AsReport,
    FilterWords,
    OrderFormat,
    SavedName,
    order_format,
    suggest_columns,
    suggest_order,
    suggest_sort,
)
from orderctl.cli.sources import filter_text_of, parse_filter, read_id_argument, read_max_age
from orderctl.core.text import safe
from orderctl.database.store import Store
from orderctl.errors import ExitCode, UsageError
from orderctl.filters.filters import OrderFilter
from orderctl.filters.parser import is_term
from orderctl.filters.queries import compile_filter
from orderctl.language import N_, _, ngettext
from orderctl.orders.contradictions import Contradicted, contradictions
from orderctl.orders.document import order_document
from orderctl.orders.queries import get_order, order_events
from orderctl.search.columns import DEFAULT_COLUMNS, Column, columns_of, fields_of, parse_columns
from orderctl.search.queries import Page, count_orders, list_fields, list_ids, list_orders
from orderctl.settings import LARGEST
from orderctl.writeback.outbox import WriteBackQuery
from orderctl.writeback.queries import conflicts, list_writebacks

PAGE = 50
COUNTED = 10_000


@single(
    "orderctl search status:needs-oc season:26SS",
    "orderctl search country:FR 'total:1000..' --sort -total --limit 10",
    "orderctl search country:FR --after PO-10050",
    "orderctl search tag:late --format ids | orderctl reject --ids - --dry-run",
)
def search(
    context: Context,
    words: FilterWords = None,
    saved: SavedName = None,
    as_: AsOrders = None,
    columns: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Columns, e.g. id,buyer,total.", autocompletion=suggest_columns)
    ] = None,
    sort: Annotated[
        str,
        typer.Option(metavar="NAME", help="Column to sort by; - before it: descending.", autocompletion=suggest_sort),
    ] = "-ordered",
    limit: Annotated[
        int | None, typer.Option(min=0, max=LARGEST, help=f"At most so many; 0: all. {PAGE} in a table.")
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="Only what is sorted after this order: the next page.", autocompletion=suggest_order
        ),
    ] = None,
    count: Annotated[bool, typer.Option("--count", help="Print only how many match.")] = False,
    null: Annotated[bool, typer.Option("--null", "-0", help="End ids with NUL instead of a line break.")] = False,
) -> None:
    """Find orders: a table on a terminal, ids in a pipe."""
    shown = parse_columns(columns) if columns else ()
    with context.open_store() as store:
        wanted = parse_filter(context, filter_text_of(store, words, saved))
        page = Page(sort=sort, limit=limit or None, after=after)
        format_ = "ids" if null and as_ is None else order_format(context, as_)
        if count:
            with store.snapshot() as connection:
                context.output.lines([str(count_orders(connection, wanted))])
        elif format_ == "table":
            _table(context, store, wanted, shown, replace(page, limit=PAGE) if limit is None else page)
        elif format_ == "ids":
            _ids(context, store, wanted, page, null=null)
        else:
            _rows(context, store, wanted, page, shown or columns_of(DEFAULT_COLUMNS), format_)


def _ids(context: Context, store: Store, wanted: OrderFilter, page: Page, *, null: bool) -> None:
    from orderctl.selection.id_file import id_line

    with store.snapshot() as connection:
        ids = list_ids(connection, wanted, page)
        context.output.lines(ids if null else map(id_line, ids), end="\0" if null else "\n")


def _rows(
    context: Context, store: Store, wanted: OrderFilter, page: Page, columns: Sequence[Column], format_: OrderFormat
) -> None:
    from orderctl.search.writers import WRITERS

    with store.snapshot() as connection:
        blocks = list_fields(connection, wanted, page, fields_of(columns))
        WRITERS[format_](blocks, columns, context.output.stream)


def _table(context: Context, store: Store, wanted: OrderFilter, shown: Sequence[Column], page: Page) -> None:
    """Show the first orders in a table, and on standard error how many there are."""
    with store.snapshot() as connection:
        head = list(islice(list_orders(connection, wanted, page, fields_of(shown)), page.limit))
        if head:
            from orderctl.search.view import order_table

            context.screen.page(order_table(head, columns=shown))
        if page.limit is None or len(head) < page.limit:
            context.screen.tell(ngettext("{number:,} order", "{number:,} orders", len(head)))
        else:
            # Counting a million orders takes time, and a person waits: above some thousands, "more than" is enough.
            total = count_orders(connection, wanted, at_most=COUNTED + 1)
            if total > COUNTED:
                of = _("more than {number:,} orders", number=COUNTED)
            else:
                of = ngettext("{number:,} order", "{number:,} orders", total)
            following = shlex.quote(head[-1].id) if head else ""
            told = _(
                "{shown:,} of {orders}; --limit 0 shows all, --after {last} the next",
                shown=len(head),
                orders=of,
                last=following,
            )
            context.screen.tell(safe(told))


@single("orderctl show 10021", "orderctl show 10021 --format json | jq .refused")
def show(
    context: Context,
    order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.", autocompletion=suggest_order)],
    as_: AsReport = "text",
) -> None:
    """Show one order: lines, tags, log, and whether it can be rejected."""
    wanted, max_age = read_id_argument(order_id), read_max_age(context)
    with context.open_store() as store, store.snapshot() as connection:
        order = get_order(connection, wanted)
        if order is None:
            raise UsageError(
                _("there is no order {id!r} in this store", id=wanted),
                hint=f"orderctl search {safe(shlex.quote(wanted))}"
                if is_term(wanted)
                else _("orderctl search finds it by other words"),
            )
        events = order_events(connection, order.id)
        now = context.clock.of(connection)
        told = next(list_writebacks(connection, WriteBackQuery(order_id=order.id, limit=1)), None)
    seen_since = None if max_age is None else now - max_age
    if as_ != "text":
        from orderctl.writeback.view import writeback_document

        document = order_document(order, events, seen_since)
        context.output.document(document | {"writeback": told and writeback_document(told)}, as_)
    else:
        from orderctl.orders.view import order_details
        from orderctl.writeback.view import writeback_words

        words = writeback_words(told) if told else ""
        context.screen.page(order_details(order, events, now=now, seen_since=seen_since, written_back=words))


_RECONCILED = (
    *("id", "contradiction", "status", "source", "seen", "source_status"),
    *("source_delivery_notes", "source_invoices"),
)


@single(
    "orderctl reconcile",
    "orderctl reconcile source:shopify --format json",
    "orderctl reconcile --format ids | orderctl archive --ids -   # settled: not listed again",
)
def reconcile(context: Context, words: FilterWords = None, saved: SavedName = None, as_: AsOrders = None) -> None:
    """List the orders of which their source says otherwise; ends with 3 if there are any. Archived ones are settled."""
    format_ = order_format(context, as_)
    with context.open_store() as store:
        wanted = parse_filter(context, filter_text_of(store, words, saved))
        with store.snapshot() as connection:
            among = compile_filter(wanted, connection.dialect)
            said = {each.id: each for each in contradictions(connection, among)}
            # Those that their system did not cancel, and of which no source says more.
            refused = [each for each in conflicts(connection, among) if each.id not in said]
            found = sorted((*said.values(), *refused), key=lambda each: each.id)
    if format_ == "table":
        _reconciled_table(context, found)
    elif format_ == "ids":
        from orderctl.selection.id_file import id_line

        context.output.lines(id_line(each.id) for each in found)
    else:
        from orderctl.search.writers import write_rows

        write_rows(format_, _RECONCILED, (each.row() for each in found), context.output.stream)
    raise typer.Exit(ExitCode.UNEXPECTED_PLAN if found else ExitCode.DONE)


def _reconciled_table(context: Context, found: Sequence[Contradicted]) -> None:
    from orderctl.terminal.amounts import timestamp, when
    from orderctl.terminal.layout import text_table

    rows = [(each.id, _(each.contradiction.words), each.source, timestamp(each.said.at)) for each in found]
    if rows:
        context.screen.page(text_table((N_("Order"), N_("What"), N_("Source"), when()), rows))
    context.screen.tell(
        ngettext(
            "{number:,} order of which its source says otherwise",
            "{number:,} orders of which their sources say otherwise",
            len(rows),
        )
        if rows
        else _("the sources say nothing against the orders here")
    )
