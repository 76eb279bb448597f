"""Turns the arguments of a command into a choice of orders (design.md, section 5)."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orderctl import __version__
from orderctl.cli.context import Context
from orderctl.cli.ending import call_instead
from orderctl.cli.options import (
    AllowEmpty,
    Everything,
    FilterText,
    IdsFile,
    Minus,
    Only,
    Plus,
    SavedName,
    SelectionName,
    suggest_order,
)
from orderctl.core.times import parse_duration
from orderctl.database.store import Store
from orderctl.errors import UsageError, os_reason
from orderctl.filters.filters import OrderFilter
from orderctl.filters.parser import is_term, join_words
from orderctl.filters.parser import parse_filter as read_filter
from orderctl.filters.saved import all_filters, get_filter
from orderctl.language import _, english
from orderctl.orders.orders import parse_order_id
from orderctl.selection.notes import ReasonCodes, read_codes
from orderctl.selection.queries import ids_as_stored, selection_size, selections_of, unknown_ids
from orderctl.selection.selection import DEFAULT_SELECTION, Choice, FilterScope, IdList, IdScope, Scope, SelectionScope
from orderctl.selection.service import refuse_everything

if TYPE_CHECKING:
    from orderctl.rejection.plan import Provenance

_SHOWN_IDS = 5
_LONGEST_CODE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The options that say which orders are meant.

    `notes`: read the reasons and messages beside the ids of a file too.
    """

    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Order ids.", autocompletion=suggest_order)] = (
        None
    )
    ids_file: IdsFile = None
    saved: SavedName = None
    filter_text: FilterText = None
    name: SelectionName = None
    everything: Everything = False
    plus: Plus = None
    only: Only = None
    minus: Minus = None
    excepted: Annotated[
        list[str] | None,
        typer.Option("--except", metavar="ID", help="Take an id out again; repeatable.", autocompletion=suggest_order),
    ] = None
    excepted_file: Annotated[
        str | None, typer.Option("--except-ids", metavar="FILE", help="Take the ids of a file, or of - out again.")
    ] = None
    allow_empty: AllowEmpty = False
    notes: bool = False

    @property
    def given(self) -> list[str]:
        """The sources that were given, by their names on the command line."""
        named = {
            "ids": bool(self.ids),
            "--ids": self.ids_file is not None,
            "--saved": self.saved is not None,
            "--filter": self.filter_text is not None,
            "--name": self.name is not None,
        }
        return [name for name, is_given in named.items() if is_given]

    @property
    def sets(self) -> list[str]:
        """The options with a set that were given."""
        named = {"--plus": self.plus, "--only": self.only, "--minus": self.minus}
        return [name for name, given in named.items() if given]


def choose(context: Context, store: Store, source: Source) -> Choice:
    """The choice of the arguments; without a source, the default selection.

    Raises UsageError for two sources that are not joined by `--plus`, an unknown saved filter, an empty selection, and
    an empty filter without `--all`.
    """
    choice = read_choice(context, store, source)
    refuse_empty_selection(store, choice)
    return choice


def read_choice(context: Context, store: Store, source: Source) -> Choice:
    """The same as `choose`, but selections may be empty."""
    _refuse_ambiguous(source)
    scope = _scope(context, store, source)
    if isinstance(scope, IdScope):
        scope = replace(scope, given=_as_stored(store, scope.given))
    plus, only, minus = (
        [_set(context, store, text, source) for text in texts or ()]
        for texts in (source.plus, source.only, source.minus)
    )
    listed = [each.given for each in minus if isinstance(each, IdScope)]
    return Choice(
        scope=scope,
        plus=tuple(plus),
        only=tuple(only),
        minus=tuple(each for each in minus if not isinstance(each, IdScope)),
        excluded=IdList.joined([_as_stored(store, _excluded(source)), *listed]),
    )


def _refuse_ambiguous(source: Source) -> None:
    """Raise UsageError for sources of which nobody can say how they go together, or that read the same input."""
    given = source.given
    if len(given) > 1:
        raise UsageError(
            _("{one} and {other} are two sources of orders", one=given[0], other=given[1]),
            hint=_("--plus SET joins a second one, --only SET keeps what is in both; see orderctl help reject"),
        )
    if source.plus and not (given or source.everything):
        raise UsageError(
            _("--plus joins orders to others, and there are none"),
            hint=_("say which ones first: ids, --ids, --saved, --filter, or --name for a selection"),
        )
    files = {"--ids -": source.ids_file, "--except-ids -": source.excepted_file}
    reading = [name for name, file in files.items() if file == "-"]
    for name, texts in (("--plus @-", source.plus), ("--only @-", source.only), ("--minus @-", source.minus)):
        reading += [name for text in texts or () if text == "@-"]
    if len(reading) > 1:
        raise UsageError(
            _("{one} and {other} cannot both read standard input", one=reading[0], other=reading[1]),
            hint=_("put one into a file"),
        )


def _set(context: Context, store: Store, text: str, source: Source) -> Scope:
    """The orders of `--plus`, `--only` or `--minus`: `@FILE`, `saved:NAME`, a filter, or a selection's name."""
    if text.startswith("@"):
        scope = _file_scope(context, store, text[1:], source)
        return replace(scope, given=_as_stored(store, scope.given))
    kind, colon, name = text.partition(":")
    if kind == "saved" and colon:
        expression = saved_expression(store, name)
        return FilterScope(filter=parse_filter(context, expression), words=_filter_words(name, expression))
    if any(map(is_term, text.split())):
        wanted = parse_filter(context, text)
        return FilterScope(filter=wanted, words=_filter_words(None, wanted.text))
    return _selection_scope(context, text)


def _as_stored(store: Store, given: IdList) -> IdList:
    """The ids as the store writes them: accents may be composed or decomposed (NFC, NFD)."""
    odd = [order_id for order_id in given.ids if not order_id.isascii()]
    if not odd:
        return given
    with store.snapshot() as connection:
        return given.renamed(ids_as_stored(connection, odd))


def _excluded(source: Source) -> IdList:
    named = read_id_arguments(source.excepted or ()).ids
    if source.excepted_file is None:
        return IdList.collect(named)
    return IdList.collect((*named, *_read_ids(source.excepted_file, None, allow_empty=source.allow_empty).ids))


def _scope(context: Context, store: Store, source: Source) -> Scope:
    if source.ids:
        ids = read_id_arguments(source.ids)
        _refuse_terms(store, source.ids)
        shown, more = ", ".join(ids.ids[:_SHOWN_IDS]), len(ids.ids) - _SHOWN_IDS
        words = _("ids {ids} and {number} more", ids=shown, number=more) if more > 0 else _("ids {ids}", ids=shown)
        return IdScope(given=ids, words=words, origin=_("an argument"))
    if source.ids_file is not None:
        return _file_scope(context, store, source.ids_file, source)
    if source.saved is not None:
        return _filter_scope(context, saved_expression(store, source.saved), source)
    if source.filter_text is not None or source.everything:
        return _filter_scope(context, source.filter_text or "", source)
    return _selection_scope(context, source.name or DEFAULT_SELECTION)


def _selection_scope(context: Context, name: str) -> SelectionScope:
    return SelectionScope(actor=context.actor, name=name, words=_("selection {name}", name=name))


def _file_scope(context: Context, store: Store, file: str, source: Source) -> IdScope:
    words = _("ids from standard input") if file == "-" else _("ids from {file}", file=file)
    codes = reason_codes(context, store) if source.notes else None
    return IdScope(given=_read_ids(file, codes, allow_empty=source.allow_empty), words=words)


def _read_ids(source: str, codes: ReasonCodes | None, *, allow_empty: bool) -> IdList:
    """Order ids from a file, or from standard input for `-`. Raises UsageError with file and line.

    With `codes`, the reasons and messages of a CSV are read too. `allow_empty`: the file may hold no ids.
    """
    from orderctl.selection.id_file import read_ids

    if source == "-":
        return read_ids(sys.stdin.buffer, _("standard input"), codes, allow_empty=allow_empty)
    try:
        with Path(source).open("rb") as stream:
            return read_ids(stream, source, codes, allow_empty=allow_empty)
    except OSError as error:
        raise UsageError(
            _("{source} cannot be read: {why}", source=source, why=os_reason(error)),
            hint=_("a filter goes behind --filter, and select takes it as it is")
            if is_term(source)
            else _("check the path"),
        ) from error


def reason_codes(context: Context, store: Store) -> ReasonCodes:
    """The codes of reasons in the settings that the store's policy allows. Raises UsageError."""
    from orderctl.rejection.policy import current_policy

    with store.snapshot() as connection:
        policy = current_policy(connection)
    return read_codes(context.settings.texts("reasons")).within(policy.reason_codes)


def read_max_age(context: Context, text: str | None = None) -> timedelta | None:
    """How old the word of a source may be: by `--max-age`, or by the settings; None if it does not matter.

    Raises UsageError.
    """
    where, written = ("--max-age", text) if text is not None else ("max_age", context.settings.text("max_age"))
    if text is None and not written:
        return None
    try:
        return parse_duration(written or "", bare_hours=True)
    except ValueError as error:
        raise UsageError(
            _("{where} {text!r} {problem}", where=where, text=written, problem=error),
            hint=_("for example: 24h, 90m, 3d, or hours"),
        ) from None


def provenance(context: Context, source: str, *, selections: Sequence[str] = ()) -> "Provenance":
    """Who acts, and from where, for the log. `selections`: the names of those that orders come from."""
    from orderctl.rejection.plan import Provenance

    return Provenance(
        account=context.settings.text("account"),
        actor=context.actor,
        host=socket.gethostname(),
        program=f"orderctl {__version__}",
        source=english(source),
        selection=selections[0] if selections else "",
        more_selections=tuple(selections[1:]),
    )


def parse_filter(context: Context, text: str) -> OrderFilter:
    """Parse a filter, with today's date and the names of countries. Raises FilterError."""
    return read_filter(text, today=context.clock.now().date(), country_code=_country_code)


def _country_code(name: str) -> str | None:
    if len(name) <= _LONGEST_CODE:
        return None
    from orderctl.core.countries import country_code

    code = country_code(name)
    return None if code == name else code


def refuse_empty_selection(store: Store, choice: Choice, *, but: str | None = None) -> None:
    """Raise UsageError if a selection of the choice is empty, which a misspelt one is. `but`: one that may be."""
    scopes = (choice.scope, *choice.plus, *choice.only, *choice.minus)
    selections = [scope for scope in scopes if isinstance(scope, SelectionScope) and scope.name != but]
    if not selections:
        return
    with store.snapshot() as connection:
        empty = [each.name for each in selections if not selection_size(connection, each.actor, each.name)]
        known = [each.name for each in selections_of(connection, selections[0].actor)]
    if not empty:
        return
    if selections[0] is choice.scope and empty[0] == selections[0].name:
        hint = _("give order ids, --ids, --saved or --filter, or: orderctl select")
    else:
        hint = _("the selections: {names}; a filter has a field, as in tag:late", names=", ".join(known) or "-")
    raise UsageError(_("the selection {name!r} is empty", name=empty[0]), hint=hint)


def _refuse_terms(store: Store, words: Sequence[str]) -> None:
    """Raise UsageError if some of the ids are terms of a filter, unless there are orders with such ids."""
    terms = [word for word in words if is_term(word)]
    if not terms:
        return
    with store.snapshot() as connection:
        unknown = unknown_ids(connection, read_id_arguments(terms).ids)
    if unknown:
        raise UsageError(
            _("{word!r} is a term of a filter, and order ids are expected here", word=unknown[0]),
            hint=call_instead(words, "--filter", join_words(words)),
        )


def _filter_scope(context: Context, text: str, source: Source) -> FilterScope:
    wanted = parse_filter(context, text)
    refuse_everything(wanted, everything=source.everything)
    return FilterScope(filter=wanted, words=_filter_words(source.saved, wanted.text))


def _filter_words(saved: str | None, text: str) -> str:
    if saved is not None:
        named = _("saved filter {name} [{filter}]", name=saved, filter=text)
        return named if text else _("saved filter {name} [all orders]", name=saved)
    return _("filter [{filter}]", filter=text) if text else _("filter [all orders]")


def filter_text_of(store: Store, words: Sequence[str] | None, saved: str | None) -> str:
    """The filter of the words and of a saved filter; orders have to match both."""
    typed = join_words(words or ())
    if saved is None:
        return typed
    expression = saved_expression(store, saved)
    return f"({expression}) {typed}" if typed and expression else expression or typed


def saved_expression(store: Store, name: str) -> str:
    """The expression of a saved filter. Raises UsageError if there is no such filter."""
    with store.snapshot() as connection:
        saved = get_filter(connection, name)
        known = [each.name for each in all_filters(connection)]
    if saved is None:
        listed = _("the saved filters: {names}", names=", ".join(known))
        raise UsageError(
            _("there is no saved filter {name!r}", name=name),
            hint=listed if known else _("save one: orderctl filter save NAME FILTER"),
        )
    return saved.expression


def read_id_arguments(texts: Sequence[str]) -> IdList:
    """Order ids from arguments. Raises UsageError with the one that is not valid."""
    return IdList.collect(read_id_argument(text) for text in texts)


def read_id_argument(text: str) -> str:
    """An order id from an argument. Raises UsageError."""
    try:
        return parse_order_id(text)
    except ValueError as error:
        raise UsageError(
            _("the order id {text!r} {problem}", text=text, problem=error), hint=_("orderctl search shows the ids")
        ) from None
