"""`orderctl import`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from orderctl.cli.apps import Without, single
from orderctl.cli.commands.reject import carry_out, whether_to_notify
from orderctl.cli.context import Context, maps_folder, pulls_folder
from orderctl.cli.options import AsReport, MaxAge, MaxOrders, ReportFormat, Yes
from orderctl.cli.run import Expected, Run, pulled
from orderctl.cli.sources import provenance, read_max_age, reason_codes
from orderctl.database.store import Store
from orderctl.errors import UsageError
from orderctl.files.cells import read_instant
from orderctl.importing.fields import FIELDS, UnknownTableError, how_to_say_currency
from orderctl.importing.figures import ImportCounts, ProblemGroup, SourceFigures, SourceRequest, Unsaid
from orderctl.importing.service import (
    FileImport,
    ImportReport,
    SourceRejection,
    StoreAfterImport,
    import_document,
    import_orders,
    write_error_report,
)
from orderctl.language import N_, _, english, ngettext
from orderctl.orders.contradictions import Contradiction
from orderctl.orders.document import Document
from orderctl.orders.orders import IMPORT_OF, parse_tag
from orderctl.rejection.service import RejectionRequest
from orderctl.selection.selection import Choice, IdList, IdScope
from orderctl.systems.pages import KeptPages
from orderctl.systems.systems import system_named
from orderctl.terminal.amounts import full_timestamp
from orderctl.terminal.prompts import can_ask

if TYPE_CHECKING:
    from orderctl.importing.source import FileSource

_PROTECTIONS = {
    "invoices": N_("invoices"),
    "delivery_notes": N_("delivery notes"),
    "backlog_skus": N_("backlog SKUs"),
}
_REASON = N_("rejected at the source")
_SHOWN_IDS = 10
_STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The options that say what the columns of a file mean."""

    from_: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Whose export it is; without it, by its header.")
    ] = None
    from_sql: Annotated[
        str | None, typer.Option("--from-sql", metavar="NAME", help="Read the database sources.NAME of the settings.")
    ] = None
    map_: Annotated[str | None, typer.Option("--map", metavar="FILE", help="What the columns mean, as TOML.")] = None
    default: Annotated[
        list[str] | None, typer.Option(metavar="FIELD=VALUE", help="What stands in for a missing column; repeatable.")
    ] = None
    timezone: Annotated[
        str | None, typer.Option(metavar="NAME", help="The zone of times that name none, such as Europe/Paris.")
    ] = None
    encoding: Annotated[
        str, typer.Option(metavar="NAME", help="How the text is encoded, such as cp1252; without it, found out.")
    ] = ""
    header_row: Annotated[
        int, typer.Option(metavar="N", min=0, max=10**9, help="The row that names the columns; without it, found out.")
    ] = 0
    sheet: Annotated[
        str, typer.Option(metavar="NAME", help="The sheet of a workbook; without it, the one with orders.")
    ] = ""
    decimal: Annotated[
        Literal["point", "comma"] | None, typer.Option(help="The mark before decimals; without it, found out.")
    ] = None

    def place(self, file: str | None) -> str:
        """The file, or the name of the database in its stead. Raises UsageError unless there is one of them."""
        if file is not None and self.from_sql is not None:
            raise UsageError(_("a file and --from-sql are two sources"), hint=_("give one of them"))
        name = self.from_sql or file
        if name is None:
            raise UsageError(_("the file is missing"), hint=_("orderctl import FILE, --from-sql NAME, or --list-maps"))
        return name

    def defaults(self) -> dict[str, str]:
        """The values of `--default` by field. Raises UsageError for two maps, and for an unknown field."""
        if self.map_ is not None and self.from_ is not None:
            raise UsageError(_("--map and --from are two column maps"), hint=_("give one of them"))
        given: dict[str, str] = {}
        for text in self.default or ():
            name, equals, value = text.partition("=")
            if not equals or name not in FIELDS:
                raise UsageError(
                    _("--default {text!r} is not FIELD=VALUE", text=text),
                    hint=_("such as currency=EUR; the fields: {fields}", fields=", ".join(FIELDS)),
                )
            given[name] = value
        return given

    def request(self, defaults: Mapping[str, str]) -> SourceRequest:
        """How the file is meant, with the values of `defaults`."""
        return SourceRequest(
            map_file=self.map_,
            map_name=self.from_,
            kept_maps=maps_folder(),
            time_zone=self.timezone,
            defaults=defaults,
            encoding=self.encoding,
            header_row=self.header_row,
            sheet=self.sheet,
            decimal_comma=None if self.decimal is None else self.decimal == "comma",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The options that say which orders of a file are imported, and what happens to the others."""

    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Take the good orders, leave the bad ones out.")] = False
    errors: Annotated[str | None, typer.Option(metavar="FILE", help="Write every bad row there, as CSV.")] = None
    force: Annotated[bool, typer.Option("--force", help="Replace an error report that is there.")] = False
    check: Annotated[bool, typer.Option("--check", help="Read and check the file, change nothing.")] = False
    lower_counts: Annotated[
        bool,
        typer.Option(
            "--lower-counts",
            help="Where the file counts fewer invoices, delivery notes or backlog SKUs, take its word.",
        ),
    ] = False

    def keep_problems(self, source: "FileSource", file: str) -> str:
        """Write the error report if there are problems; returns its path, or an empty string."""
        if not source.figures.problems:
            return ""
        path = self.errors or f"{_name(file)}.errors.csv"
        write_error_report(Path(path), source.problems(), force=self.force or not self.errors)
        return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """Whose word a file is, of when, and whether it is the whole of it, as the command line says it."""

    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the source is called; the column map's name, or the kind of the file."),
    ] = None
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="When the source said so; the file's own time if not given.")
    ] = None
    complete: Annotated[
        bool, typer.Option("--complete", help="The file is all there is: what its source no longer has is gone.")
    ] = False
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="With --complete: the file may have no order.")] = (
        False
    )

    def name(self, map_name: str, file: str) -> str:
        """The name of the source. Raises UsageError for one that no filter could find."""
        if self.source is None:
            return map_name or Path(file.removesuffix(".gz").removesuffix(".zip")).suffix.removeprefix(".").lower()
        try:
            return parse_tag(self.source)
        except ValueError as error:
            raise UsageError(
                _("--source {text!r} {problem}", text=self.source, problem=error), hint=_("a word, such as shopify")
            ) from None

    def at(self, file: Path | None) -> datetime | None:
        """When the source spoke, as UTC; None is now. Raises UsageError."""
        if self.as_of is None:
            return datetime.fromtimestamp(file.stat().st_mtime, UTC) if file else None
        try:
            return read_instant(self.as_of, (), UTC)
        except ValueError as error:
            raise UsageError(
                _("--as-of {text!r} {problem}", text=self.as_of, problem=error),
                hint=_("write 2026-11-28 or 2026-11-28T02:15:00Z"),
            ) from None

    def check(self, taken: Taken) -> None:
        """Refuse options that do not go together. Raises UsageError."""
        if self.complete and taken.skip_bad:
            raise UsageError(
                _("--complete takes a whole file, and not without the rows that are wrong"),
                hint=_("mend them, and leave out --skip-bad"),
            )
        if self.allow_empty and not self.complete:
            raise UsageError(_("--allow-empty: only with --complete"), hint=_("leave it out"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSource:
    """The options that say whether and how to reject orders that the file rejects and the store does not."""

    reject_at_source: Annotated[
        bool,
        typer.Option(
            "--reject-at-source", help="Reject the orders that are rejected in the file alone: plan, preview, question."
        ),
    ] = False
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why they are rejected; without it, rejected at the source.")
    ] = ""
    max_orders: MaxOrders = None
    max_age: MaxAge = None
    save_plan: Annotated[bool, typer.Option("--save-plan", help="Keep their plan for review, and import.")] = False
    yes: Yes = False

    def check(self, run: Run) -> None:
        """Raise UsageError for options that say how to reject if nothing is to be rejected."""
        if self.reject_at_source:
            run.check_can_ask(look="--check")
            return
        given = {
            "--reason": bool(self.reason),
            "--max-orders": self.max_orders is not None,
            "--max-age": self.max_age is not None,
            "--save-plan": self.save_plan,
            "--yes": self.yes,
        }
        if any(given.values()):
            options = ", ".join(option for option, is_given in given.items() if is_given)
            raise UsageError(
                _("{options}: only with --reject-at-source", options=options),
                hint=_("an import by itself asks nothing and rejects nothing"),
            )


@single(
    "orderctl import orders.csv --make-map > columns.toml",
    "orderctl import orders.xlsx --map columns.toml",
    "orderctl import orders_export.csv --from shopify",
    "orderctl import orders.csv --skip-bad --errors bad-rows.csv",
    "orderctl import orders.jsonl --check",
    "orderctl import orders_export.csv --complete --check",
    "orderctl import orders_export.csv --reject-at-source --max-orders 50 --yes",
    "orderctl import --from-sql erp",
)
def import_(
    context: Context,
    *,
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Orders: a workbook, CSV, JSON; - is standard input.")
    ] = None,
    columns: Columns,
    list_maps: Annotated[bool, typer.Option("--list-maps", help="List the exports that --from knows.")] = False,
    make_map: Annotated[
        bool, typer.Option("--make-map", help="Print a column map for the file to begin with, and stop.")
    ] = False,
    taken: Taken,
    spoken: Spoken,
    at_source: AtSource,
    as_: AsReport = "text",
) -> None:
    """Read orders from Excel, CSV, JSON lines or a database; all of them or none, unless --skip-bad."""
    if list_maps:
        _list_maps(context)
        return
    name = columns.place(file)
    if make_map:
        context.output.lines(_drafted(context, name, columns))
        return
    defaults = columns.defaults()
    expected = Expected(max_orders=at_source.max_orders).read(context)
    run = Run(
        context=context, expected=expected, dry_run=taken.check, yes=at_source.yes, as_=as_, save=at_source.save_plan
    )
    at_source.check(run)
    spoken.check(taken)
    with context.open_store() as store:
        with store.snapshot():
            pass  # fail before a long file is read if the store cannot be used
        with _read(context, name, columns, columns.request(defaults), check=taken.check) as source:
            context.screen.tell(*source.remarks)
            kept, map_name = taken.keep_problems(source, name), columns.map_ or source.map_name
            called = columns.from_sql or source.map_name or (Path(columns.map_).stem if columns.map_ else "")
            said_by = spoken.name(called, name)
            said_at = spoken.at(None if columns.from_sql or name == _STANDARD_INPUT else Path(name))
            read = _as_file(context, source, name, taken, spoken, said_by=said_by, said_at=said_at)
            if at_source.reject_at_source:
                report = _import_and_reject(context, store, read, run, taken, at_source)
            else:
                report = _imported(context, store, read, taken, check=taken.check)
    report = replace(report, errors=kept)
    _say(context, report, map_name, as_)
    raise typer.Exit(report.exit_code)


@single(
    "orderctl pull shop",
    "orderctl pull shop --check",
    "orderctl pull shop --complete --skip-bad --errors bad-orders.csv",
)
def pull(
    context: Context,
    *,
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system, as the settings call it.")],
    taken: Taken,
    spoken: Annotated[Spoken, Without({"source", "as_of"})],
    as_: AsReport = "text",
) -> None:
    """Read orders straight out of the system in which they live; all of them or none, unless --skip-bad."""
    settings = system_named(context.settings, system)
    spoken.check(taken)
    with context.open_store() as store:
        with store.snapshot():
            pass  # fail before much is read if the store cannot be used
        with KeptPages(pulls_folder(), settings.whose, context.clock.now()) as kept:
            if kept.began:
                at = full_timestamp(kept.began)
                context.screen.tell(_("The pull that was interrupted goes on. Its orders are as of {time}.", time=at))
            with pulled(context, settings, kept=kept) as source:
                context.screen.tell(*source.remarks)
                errors = taken.keep_problems(source, system)
                file = _as_file(context, source, system, taken, spoken, said_by=system, said_at=kept.began)
                report = _imported(context, store, file, taken, check=taken.check)
    report = replace(report, errors=errors)
    _say(context, report, source.map_name or settings.text("map"), as_)
    raise typer.Exit(report.exit_code)


def _drafted(context: Context, name: str, columns: Columns) -> Iterator[str]:
    """The lines of a map for the file, or for the columns of the query."""
    from orderctl.importing.map_draft import draft_map, draft_of

    today = context.clock.now().date()
    if not columns.from_sql:
        return draft_map(Path(name), today, columns.request({})).lines()
    from orderctl.files.sql_query import read_query, sql_source

    with read_query(sql_source(context.settings, name)) as table:
        return draft_of(table, today, about=name).lines()


def _read(context: Context, name: str, columns: Columns, request: SourceRequest, *, check: bool) -> "FileSource":
    """Read the file or the source; at a terminal, ask about a file that no map recognises."""
    from orderctl.importing.source import open_rows, open_source

    read_at = context.clock.now()
    try:
        with context.screen.progress(N_("Reading")) as reading:
            if columns.from_sql:
                from orderctl.files.sql_query import read_query, sql_source

                asked = sql_source(context.settings, columns.from_sql)
                rows = read_query(asked)
                source = open_rows(asked.name, rows, request, map_=asked.map, read_at=read_at, progress=reading)
            else:
                source = open_source(Path(name), request, read_at=read_at, progress=reading)
        if source.map_name:
            context.screen.tell(_("read by the column map {name}", name=source.map_name))
    except UnknownTableError:
        if columns.from_sql or not can_ask():
            raise
        from orderctl.cli.map_questions import ask_for_map

        source = ask_for_map(context, Path(name), request, keep=not check)
    return source


def _name(file: str) -> str:
    return "standard input" if file == _STANDARD_INPUT else Path(file).name


def _as_file(
    context: Context,
    source: "FileSource",
    name: str,
    taken: Taken,
    spoken: Spoken,
    *,
    said_by: str,
    said_at: datetime | None,
) -> FileImport:
    return FileImport(
        source=source,
        actor=context.actor,
        clock=context.clock,
        detail=_(IMPORT_OF, file=_name(name)),
        said_by=said_by,
        said_at=said_at,
        complete=spoken.complete,
        allow_empty=spoken.allow_empty,
        lower_counts=taken.lower_counts,
    )


def _imported(context: Context, store: Store, file: FileImport, taken: Taken, *, check: bool) -> ImportReport:
    with context.screen.progress(N_("Writing")) as writing:
        return import_orders(store, replace(file, progress=writing), skip_bad=taken.skip_bad, check_only=check)


def _import_and_reject(
    context: Context, store: Store, file: FileImport, run: Run, taken: Taken, at_source: AtSource
) -> ImportReport:
    """Import, and reject the orders that the file alone rejects, in one transaction after the question."""
    context.check_head(store)
    report = _imported(context, store, file, taken, check=True)
    ids = report.counts.rejected_at_source
    if not ids or (report.figures.problems and not taken.skip_bad):
        return _imported(context, store, file, taken, check=run.dry_run)
    words = _("rejected at the source, by the {import_}", import_=file.detail)
    # Where there are codes, one of them must be chosen.
    usual = "" if reason_codes(context, store).words else english(_REASON)
    why = run.read_reason(store, at_source.reason or usual, every_order_has_one=False)
    notify = whether_to_notify(None, run, said_something=False)
    request = RejectionRequest(
        choice=Choice(scope=IdScope(given=IdList(ids=ids), words=words)),
        by=provenance(context, words),
        max_age=read_max_age(context, at_source.max_age),
        reason=why.text,
        reason_code=why.code,
        notify=notify is not False,
    )
    after = StoreAfterImport(store, file)
    documents: list[Document] = []
    run = replace(run, ask_about_mails=notify is None, write=documents.append)
    try:
        code, __ = carry_out(after, request, run)
    except BaseException:  # its mails were interrupted after the report was made
        for document in documents:
            context.output.document(document, run.as_)
        raise
    if not run.dry_run:
        if after.counts is None:
            after.write(lambda __: None)  # none of them can be rejected; import the rest anyway
        report = replace(report, counts=after.counts or report.counts, stored=True)
    return replace(report, rejection=SourceRejection(exit_code=code, document=next(iter(documents), None)))


def _list_maps(context: Context) -> None:
    from orderctl.importing.column_map import kept_maps, map_names, named_map
    from orderctl.terminal.layout import text_table

    folder = maps_folder()
    maps = [(name, named_map(name, folder).about) for name in (*map_names(), *kept_maps(folder))]
    context.screen.table(lambda: text_table((N_("Name"), N_("Export")), ((name, _(about)) for name, about in maps)))


def _say(context: Context, report: ImportReport, map_name: str, as_: ReportFormat) -> None:
    """Say what came of it. `map_name` is the column map, if there is one."""
    if as_ != "text":
        context.output.document(import_document(report), as_)
    elif report.stored or not report.figures.problems:
        context.output.lines([_outcome(report)])
    screen = context.screen
    screen.tell(*_unsaid(report.counts))
    screen.warn(*_against_the_store(report))
    screen.tell(*_seen_again(report.counts))
    screen.warn(*_of_rejections(report))
    screen.warn(*_of_buyers(report.counts))
    screen.tell(*_left_out(report.figures))
    screen.warn(*_of_meanings(report.figures))
    if report.errors:
        _say_problems(context, report, map_name)


def _outcome(report: ImportReport) -> str:
    counts = report.counts
    read = _(
        "{rows}, {orders}",
        rows=ngettext("{number:,} row", "{number:,} rows", report.figures.rows),
        orders=ngettext("{number:,} order", "{number:,} orders", report.figures.orders),
    )
    words = _("{read}: all good", read=read)
    if report.stored:
        words = _(
            "{read}: {created:,} created, {updated:,} updated, {unchanged:,} unchanged, "
            "{left:,} rejected ones left alone",
            read=read,
            created=counts.created,
            updated=counts.updated,
            unchanged=counts.unchanged,
            left=counts.rejected_left_alone,
        )
    apart = len(report.not_planned)
    return _("{words}, {number:,} rejected in the file alone", words=words, number=apart) if apart else words


def _unsaid(counts: ImportCounts) -> Iterator[str]:
    """Which fields that protect orders the file lacks."""
    alike: dict[Unsaid, list[str]] = {}
    for name, unsaid in counts.unsaid.items():
        alike.setdefault(unsaid, []).append(_(_PROTECTIONS[name]))
    for unsaid, names in alike.items():
        orders = []
        if unsaid.kept:
            orders.append(ngettext("{number:,} order keeps theirs", "{number:,} orders keep theirs", unsaid.kept))
        if unsaid.new:
            orders.append(ngettext("{number:,} new one has none", "{number:,} new ones have none", unsaid.new))
        yield _("this file says nothing of {what}: {orders}", what=", ".join(names), orders=", ".join(orders))


def _against_the_store(report: ImportReport) -> Iterator[str]:
    """Where the file counts less than the store or is older, and which orders its source has no longer."""
    counts = report.counts
    if counts.counts_kept:
        yield ngettext(
            "the file counts fewer invoices, delivery notes or backlog SKUs for {number:,} order than the store, "
            "which keeps its own; if they were cancelled there, say --lower-counts",
            "the file counts fewer invoices, delivery notes or backlog SKUs for {number:,} orders than the store, "
            "which keeps its own; if they were cancelled there, say --lower-counts",
            counts.counts_kept,
        )
    if counts.older:
        yield ngettext(
            "the file is older than what the store has of {number:,} of its orders, and is taken all the same",
            "the file is older than what the store has of {number:,} of its orders, and is taken all the same",
            counts.older,
        )
    known = {"ids": _first_ids(counts.gone), "source": report.file.said_by}
    if counts.gone and report.stored:
        yield ngettext(
            "{number:,} order of {source} is gone from it ({ids}): it is not rejected until an import has it again",
            "{number:,} orders of {source} are gone from it ({ids}): they are not rejected until an import has them "
            "again",
            len(counts.gone),
            **known,
        )
    elif counts.gone:
        yield ngettext(
            "{number:,} order of {source} is not in the file ({ids}), and would be marked as gone",
            "{number:,} orders of {source} are not in the file ({ids}), and would be marked as gone",
            len(counts.gone),
            **known,
        )


def _seen_again(counts: ImportCounts) -> Iterator[str]:
    if counts.seen_again:
        yield ngettext(
            "{number:,} order that was gone is there again ({ids})",
            "{number:,} orders that were gone are there again ({ids})",
            len(counts.seen_again),
            ids=_first_ids(counts.seen_again),
        )


def _of_rejections(report: ImportReport) -> Iterator[str]:
    """The orders that the file rejects and the import does not, and those of which it is the other way round."""
    if ids := report.not_planned:
        yield ngettext(
            "{number:,} order is rejected in the file and not here ({ids}): it keeps its status; "
            "--reject-at-source rejects it, after a preview",
            "{number:,} orders are rejected in the file and not here ({ids}): they keep their status; "
            "--reject-at-source rejects them, after a preview",
            len(ids),
            ids=_first_ids(ids),
        )
    for kind, ids in report.counts.against_us.items():
        yield ngettext(
            "{number:,} order is {what} ({ids}); see: orderctl reconcile",
            "{number:,} orders are {what} ({ids}); see: orderctl reconcile",
            len(ids),
            what=_(Contradiction(kind).words),
            ids=_first_ids(ids),
        )


def _of_buyers(counts: ImportCounts) -> Iterator[str]:
    """The buyers who were erased here and not at the source, and mails to addresses that the file mends."""
    if counts.erased:
        yield ngettext(
            "{number:,} buyer was erased here, and the file still has their data ({ids}): it stays out of the "
            "store; erase it at the source too",
            "{number:,} buyers were erased here, and the file still has their data ({ids}): it stays out of the "
            "store; erase it at the source too",
            len(counts.erased),
            ids=_first_ids(counts.erased),
        )
    for mails in counts.misdirected:
        yield ngettext(
            "{number:,} refused or bounced mail went to the old address of {buyer}:"
            " orderctl mail retry --to {email} {ids}",
            "{number:,} refused or bounced mails went to the old address of {buyer}:"
            " orderctl mail retry --to {email} {ids}",
            len(mails.mail_ids),
            buyer=mails.buyer,
            email=mails.email,
            ids=" ".join(mails.mail_ids),
        )


def _left_out(figures: SourceFigures) -> Iterator[str]:
    """What the column map leaves out."""
    parts = []
    if number := figures.rows_left_out:
        parts.append(ngettext("{number:,} row that is no order", "{number:,} rows that are no orders", number))
    if number := figures.lines_left_out:
        parts.append(ngettext("{number:,} row that holds no line", "{number:,} rows that hold no lines", number))
    if parts:
        yield _("left out by the column map: {what}", what=", ".join(parts))


def _of_meanings(figures: SourceFigures) -> Iterator[str]:
    """Words for a status that the column map does not name, and amounts that are perhaps not what it says."""
    if figures.unknown_statuses:
        yield _(
            "words for a status that the column map does not name: {words}; their orders cannot be rejected in "
            "bulk, and their notes hold the word; a map with extends and [status] says what they mean",
            words=", ".join(f"{word!r} ({number:,})" for word, number in figures.unknown_statuses.items()),
        )
    if figures.differing_totals:
        first = [
            _(
                "row {row}, order {id}: {total}, its lines {lines}",
                row=each.row,
                id=each.order_id,
                total=each.total,
                lines=each.lines,
            )
            for each in figures.first_differences
        ]
        yield ngettext(
            "the total of {number:,} order is not the sum of its lines ({first})",
            "the totals of {number:,} orders are not the sums of their lines ({first})",
            figures.differing_totals,
            first="; ".join(first),
        )
    if figures.line_total_suspected:
        yield _(
            "the column {column!r} looks like the amounts of whole lines, not like prices: if it holds those, "
            "map it to line_total instead of unit_price",
            column=figures.line_total_suspected,
        )


def _first_ids(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")


def _say_problems(context: Context, report: ImportReport, map_name: str) -> None:
    """Tell the first different problems, what to do about them, and the file that lists all of them."""
    figures, screen = report.figures, context.screen
    for problem in report.problems:
        screen.warn(_problem_words(problem))
    if figures.different_problems > len(report.problems):
        screen.insist(_("… and {more:,} more", more=figures.different_problems - len(report.problems)))
    screen.insist(*_words_to_name(report.problems, map_name))
    if any(each.field == "currency" and not each.value for each in report.problems):
        screen.insist(how_to_say_currency(map_name))
    if number := figures.rows_of_bad_orders:
        words = ngettext(
            "{number:,} more row is left out because another row of its order is wrong",
            "{number:,} more rows are left out because another row of their order is wrong",
            number,
        )
        screen.insist(words)
    bad = []
    if figures.bad_orders or not figures.rows_without_order:
        bad.append(ngettext("{number:,} bad order", "{number:,} bad orders", figures.bad_orders))
    if number := figures.rows_without_order:
        bad.append(ngettext("{number:,} row without an order", "{number:,} rows without an order", number))
    what = ", ".join(bad)
    if report.stored:
        screen.insist(_("{what} left out; every problem is in {file}", what=what, file=report.errors))
        return
    words = _(
        "{what}; nothing was imported (--skip-bad takes the good ones); every problem is in {file}",
        what=what,
        file=report.errors,
    )
    screen.insist(words)


def _problem_words(problem: ProblemGroup) -> str:
    where = {"file": problem.file, "column": problem.column, "value": problem.value, "problem": problem.reason}
    if problem.rows == 1:
        return _("{file}, row {row}, {column}: {value!r} {problem}", row=problem.first_row, **where)
    return _(
        "{file}, {column}: {value!r} {problem}: {rows:,} rows (first: {first})",
        rows=problem.rows,
        first=problem.first_row,
        **where,
    )


def _words_to_name(problems: Sequence[ProblemGroup], map_name: str) -> Iterator[str]:
    """The words for a status that the column map has to name, as they may be put into it."""
    from orderctl.importing.column_map import quoted
    from orderctl.importing.guess import StatusWord, meaning_of

    words = [each for each in problems if each.field == "status" and each.value]
    if words:
        yield (
            _("with what each word means, put into the column map {name}:", name=map_name)
            if map_name
            else _("with what each word means, put into a column map (--make-map drafts one):")
        )
        yield "[status]"
        for each in words:
            proposed = StatusWord(each.value, each.rows, meaning_of(each.value))
            yield f"{quoted(proposed.word)} = {quoted(proposed.proposal)}"
