"""Turns the arguments of a command into a choice of orders (design.md, section 5)."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from orderctl import __version__
from orderctl.cli.context import Context
from orderctl.cli.ending import call_instead
from orderctl.cli.options import (
    AllowEmpty,
    Everything,
    Excepted,
    ExceptedFile,
    FilterText,
    IdsFile,
    OrderIds,
    SavedName,
    SelectionName,
    takes,
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
from orderctl.selection.queries import ids_as_stored, selection_size, unknown_ids
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

    ids: OrderIds = None
    ids_file: IdsFile = None
    saved: SavedName = None
    filter_text: FilterText = None
    name: SelectionName = None
    everything: Everything = False
    excepted: Excepted = None
    excepted_file: ExceptedFile = None
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


def choose(context: Context, store: Store, source: Source) -> Choice:
    """The choice of the arguments; without a source, the default selection.

    Raises UsageError for two sources, an unknown saved filter, an empty selection, and an empty filter without `--all`.
    """
    choice = read_choice(context, store, source)
    refuse_empty_selection(store, choice)
    return choice


def read_choice(context: Context, store: Store, source: Source) -> Choice:
    """The same as `choose`, but the selection may be empty."""
    given = source.given
    if len(given) > 1:
        raise UsageError(
            _("{one} and {other} are two sources of orders", one=given[0], other=given[1]),
            hint=_("give one of them"),
        )
    if source.ids_file == source.excepted_file == "-":
        raise UsageError(_("--ids - and --except-ids - cannot both read standard input"), hint=_("put one into a file"))
    scope, excluded = _scope(context, store, source), _excluded(source)
    if isinstance(scope, IdScope):
        scope = replace(scope, given=_as_stored(store, scope.given))
    return Choice(scope=scope, excluded=_as_stored(store, excluded))


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
        from_file = _("ids from {file}", file=source.ids_file)
        words = _("ids from standard input") if source.ids_file == "-" else from_file
        codes = reason_codes(context, store) if source.notes else None
        given = _read_ids(source.ids_file, codes, allow_empty=source.allow_empty)
        return IdScope(given=given, words=words)
    if source.saved is not None:
        return _filter_scope(context, saved_expression(store, source.saved), source)
    if source.filter_text is not None or source.everything:
        return _filter_scope(context, source.filter_text or "", source)
    name = source.name or DEFAULT_SELECTION
    return SelectionScope(actor=context.actor, name=name, words=_("selection {name}", name=name))


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


def provenance(context: Context, source: str, *, selection: str = "") -> "Provenance":
    """Who acts, and from where, for the log. `selection`: the name of the selection that the orders come from."""
    from orderctl.rejection.plan import Provenance

    return Provenance(
        account=context.settings.text("account"),
        actor=context.actor,
        host=socket.gethostname(),
        program=f"orderctl {__version__}",
        source=english(source),
        selection=selection,
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


def refuse_empty_selection(store: Store, choice: Choice) -> None:
    """Raise UsageError if the choice is an empty selection."""
    scope = choice.scope
    if not isinstance(scope, SelectionScope):
        return
    with store.snapshot() as connection:
        size = selection_size(connection, scope.actor, scope.name)
    if not size:
        raise UsageError(
            _("the selection {name!r} is empty", name=scope.name),
            hint=_("give order ids, --ids, --saved or --filter, or: orderctl select"),
        )


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


takes_source = takes("source", Source, without={"notes"})
