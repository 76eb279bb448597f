"""Asks what the columns of an unknown file mean, shows how it would be read, and keeps the map."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from orderctl.cli.context import Context, maps_folder
from orderctl.files.safe import create_file, create_folder, safe_file_name, scratch_folder
from orderctl.importing.column_map import kept_maps, map_names
from orderctl.importing.figures import SourceRequest
from orderctl.importing.guess import MEANINGS
from orderctl.importing.map_draft import MapDraft, Question, draft_map
from orderctl.importing.source import FileSource, open_source
from orderctl.language import N_, _, ngettext
from orderctl.orders.eligibility import Mode, refusal
from orderctl.orders.orders import Status
from orderctl.terminal.prompts import ask, choose

_SHOWN_ORDERS = 3
_LONGEST_NAME = 60
_CURRENCY_LETTERS = 3


def ask_for_map(context: Context, path: Path, request: SourceRequest, *, keep: bool) -> FileSource:
    """The file, read by a map that is drafted and asked for; with `keep` it gets a name, and is found by its header.

    Raises DeclinedError, KeyboardInterrupt and UsageError; then nothing is kept.
    """
    draft = _asked(context, path, request)
    written = "".join(f"{line}\n" for line in draft.lines()).encode()
    with scratch_folder() as folder:
        (folder / "map.toml").write_bytes(written)
        asked = replace(request, map_file=str(folder / "map.toml"))
        with context.screen.progress(N_("Reading")) as reading:
            source = open_source(path, asked, read_at=context.clock.now(), progress=reading)
    try:
        _show_reading(context, source)
        if keep:
            name = _ask_name(path)
            create_folder(maps_folder())
            with create_file(maps_folder() / f"{name}.toml", force=False) as file:
                file.write(written)
            context.screen.tell(_("kept as the column map {name}, for each file with this header", name=name))
            source.map_name = name
    except BaseException:
        source.__exit__()
        raise
    return source


def _asked(context: Context, path: Path, request: SourceRequest) -> MapDraft:
    """The draft with everything answered that is open in it."""
    answers = {f"{name}=": value for name, value in request.defaults.items()}
    today = context.clock.now().date()
    draft = draft_map(path, today, request, answers)
    _show_guess(context, path, draft)
    while question := next(draft.questions(), None):
        answers[question.key] = _answer(question)
        draft = draft_map(path, today, request, answers, draft)
    while word := _word_to_change(draft):
        kinds = {kind: f"{status}: {_(why)}" for kind, (status, why) in MEANINGS.items()}
        answers[f"status: {word}"] = choose(_("What does {word!r} mean?", word=word), kinds)
        draft = draft_map(path, today, request, answers, draft)
    return draft


def _show_guess(context: Context, path: Path, draft: MapDraft) -> None:
    from orderctl.terminal.layout import text_table

    context.screen.insist(_("No column map knows {name}; its columns look like this:", name=path.name))
    titles = (N_("Column"), N_("Field"), N_("Why"), N_("Holds"))
    context.screen.insist(text_table(titles, draft.found()), long=True)


def _answer(question: Question) -> str:
    if question.choices:
        return choose(question.words, question.choices)
    return str(ask("text", question.words, validate=_is_currency)).strip().upper()


def _is_currency(text: str) -> bool | str:
    code = text.strip()
    letters = len(code) == _CURRENCY_LETTERS and code.isascii() and code.isalpha()
    return letters or _("a currency has three letters, as in EUR")


def _word_to_change(draft: MapDraft) -> str:
    """The word of the file's statuses whose meaning is to be another; empty if all are right, or are our own."""
    words = [each for each in draft.status_words() if not each.is_ours]
    if not words:
        return ""
    right = _("all of them as proposed")
    shown = {right: ""}
    for each in words:
        rows = ngettext("{number:,} row", "{number:,} rows", each.rows)
        shown[each.word] = f"{rows}: {each.proposal} ({_(each.why)})"
    chosen = choose(
        _("What do the statuses of the file mean? Enter takes the proposals; choose a word to change it."), shown
    )
    return "" if chosen == right else chosen


def _show_reading(context: Context, source: FileSource) -> None:
    """The first orders as they would be stored, and how many there are of which kind."""
    from orderctl.terminal.amounts import shown_money, timestamp
    from orderctl.terminal.layout import text_table

    titles = (N_("Order"), N_("Buyer"), N_("Status"), N_("Ordered"), N_("Total"), N_("Pieces"))
    rows: list[tuple[str, ...]] = [
        (
            order.id,
            order.buyer.name if order.buyer else "",
            _(order.status.brand_sees),
            timestamp(order.ordered_at),
            shown_money(order.amount),
            f"{order.quantity:,}",
        )
        for order in islice(source.orders(), _SHOWN_ORDERS)
    ]
    context.screen.insist(_("The first orders, as they would be stored:"), text_table(titles, rows))
    context.screen.insist(_counts(source))


def _counts(source: FileSource) -> str:
    open_ = sum(refusal(order, Mode.BULK) is None for order in source.orders())
    rejected = sum(order.status is Status.REJECTED for order in source.orders())
    return _(
        "{rows}, {orders}: {open:,} could be rejected in bulk, {rejected:,} arrive rejected, {bad:,} cannot be read",
        rows=ngettext("{number:,} row", "{number:,} rows", source.figures.rows),
        orders=ngettext("{number:,} order", "{number:,} orders", source.figures.orders),
        open=open_,
        rejected=rejected,
        bad=source.figures.bad_orders,
    )


def _ask_name(path: Path) -> str:
    """A new name for the map; Enter takes that of the file."""
    taken = {*map_names(), *kept_maps(maps_folder())}
    stem = safe_file_name(path.name.partition(".")[0])[:_LONGEST_NAME].replace(" ", "-").lower()
    free = next(name for name in _numbered(stem) if name not in taken)

    def check(text: str) -> bool | str:
        if text.strip() != safe_file_name(text) or not text.strip():
            return _("letters, digits and hyphens")
        return text.strip() not in taken or _("there is a map of that name")

    return str(ask("text", _("Keep this map under the name"), default=free, validate=check)).strip()


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    number = 2
    while True:
        yield f"{stem}-{number}"
        number += 1
