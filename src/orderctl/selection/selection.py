"""The choice of orders that a command works on, and where it came from in words (design.md, section 6, step 1)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Self

from orderctl.filters.filters import OrderFilter
from orderctl.language import N_, _, retell
from orderctl.selection.notes import OrderNotes

DEFAULT_SELECTION = "default"
_EXCEPT_ONE, _EXCEPT = N_("{words}, except 1 id"), N_("{words}, except {number} ids")
_PLUS, _ONLY, _MINUS = N_("{words}, plus {part}"), N_("{words}, only {part}"), N_("{words}, minus {part}")
# The templates of the words for a choice. The log keeps them in English: the digest of a batch covers them.
_TOLD = (
    _EXCEPT_ONE,
    _EXCEPT,
    _MINUS,
    _ONLY,
    _PLUS,
    N_("rejected at the source, by the {import_}"),
    N_("picked by hand from {words}"),
    N_("picked by hand"),
    N_("ids from standard input"),
    N_("ids from {file}"),
    N_("an argument"),
    N_("ids {ids} and {number} more"),
    N_("ids {ids}"),
    N_("saved filter {name} [all orders]"),
    N_("saved filter {name} [{filter}]"),
    N_("filter [all orders]"),
    N_("filter [{filter}]"),
    N_("selection {name}: {words}"),
    N_("selection {name}"),
)


def source_in_words(source: str) -> str:
    """How orders were chosen, from the English words in the log, in the operator's language."""
    return retell(source, _TOLD)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where ids came from, in English words, as the log keeps it. An id has one origin.

    `lines` is a JSON object from id to line (0: the source has no lines); empty if all other ids came from there.
    """

    source: str
    lines: str = ""

    def line_of(self) -> dict[str, int]:
        """The line of each id, decoded."""
        lines: dict[str, int] = json.loads(self.lines or "{}")
        return lines


def ids_by_origin(origins: Iterable[Origin], ids: int) -> list[tuple[str, int]]:
    """How many of so many ids came from where; those without a line of their own came from the rest."""
    named = [(origin, len(origin.line_of())) for origin in origins]
    rest = max(0, ids - sum(number for __, number in named))
    return [(origin.source, number if origin.lines else rest) for origin, number in named]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdList:
    """Order ids in the order given, each once, with the number of duplicates and the notes on orders.

    `lines` is a JSON object from id to its line in the file; empty if the ids come from none.
    """

    ids: tuple[str, ...]
    duplicates: int = 0
    lines: str = ""
    notes: OrderNotes = field(default_factory=OrderNotes)

    @classmethod
    def collect(cls, ids: Iterable[str]) -> Self:
        """Keep the first occurrence of each id."""
        given = list(ids)
        unique = tuple(dict.fromkeys(given))
        return cls(ids=unique, duplicates=len(given) - len(unique))

    @classmethod
    def joined(cls, lists: Iterable["IdList"]) -> "IdList":
        """The ids of all lists, each once; the first list that names an id says its line.

        Raises UsageError if two lists have different notes on one order.
        """
        parts = list(lists)
        if len(parts) == 1:
            return parts[0]
        lines: dict[str, int] = {}
        for part in reversed(parts):
            lines |= json.loads(part.lines or "{}")
        unique = dict.fromkeys(chain.from_iterable(part.ids for part in parts))
        return IdList(
            ids=tuple(unique),
            duplicates=sum(len(part.ids) + part.duplicates for part in parts) - len(unique),
            lines=json.dumps(lines) if lines else "",
            notes=OrderNotes.pack(chain.from_iterable(part.notes for part in parts)).renamed({}),
        )

    def renamed(self, names: Mapping[str, str]) -> "IdList":
        """The list with ids replaced by `names`, each still once."""
        if not names:
            return self
        ids = tuple(dict.fromkeys(names.get(order_id, order_id) for order_id in self.ids))
        lines: dict[str, int] = {}
        for order_id, line in json.loads(self.lines or "{}").items():
            lines.setdefault(names.get(order_id, order_id), line)
        return IdList(
            ids=ids,
            duplicates=self.duplicates + len(self.ids) - len(ids),
            lines=json.dumps(lines) if lines else "",
            notes=self.notes.renamed(names),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterScope:
    """All orders that a filter finds."""

    filter: OrderFilter
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdScope:
    """The orders with these ids. `origin` says where each came from, if `words` do not."""

    given: IdList
    words: str
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionScope:
    """The orders of an operator's named selection."""

    actor: str
    name: str
    words: str


Scope = FilterScope | IdScope | SelectionScope
# What says most of where an id came from stands first: a list has lines, a selection knows what was put into it.
_MOST_EXACT = (IdScope, SelectionScope, FilterScope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A set of orders: those of `scope` and of each of `plus`, which are in each of `only`, and in none of `minus`.

    `excluded`: ids that are taken out too (`--except`, `--minus @FILE`).
    """

    scope: Scope
    plus: tuple[Scope, ...] = ()
    only: tuple[Scope, ...] = ()
    minus: tuple[FilterScope | SelectionScope, ...] = ()
    excluded: IdList = field(default_factory=lambda: IdList(ids=()))

    @property
    def sources(self) -> tuple[Scope, ...]:
        """The sources that are joined. An id that is in several comes from the first: lists, selections, filters."""
        return tuple(sorted((self.scope, *self.plus), key=lambda scope: _MOST_EXACT.index(type(scope))))

    @property
    def given(self) -> IdList:
        """The ids that are named one by one, with what their lists say of them."""
        lists = [scope.given for scope in self.sources if isinstance(scope, IdScope)]
        return IdList.joined(lists) if lists else IdList(ids=())

    @property
    def is_listed(self) -> bool:
        """Whether all of its orders are named one by one."""
        return all(isinstance(scope, IdScope) for scope in self.sources)

    @property
    def names_orders(self) -> bool:
        """Whether some of its orders are named, by ids or in a selection, and not only found by a filter."""
        return not all(isinstance(scope, FilterScope) for scope in self.sources)

    @property
    def notes(self) -> OrderNotes:
        """The reasons and messages that were given with the ids."""
        return self.given.notes

    @property
    def from_selections(self) -> tuple[str, ...]:
        """The names of the selections that orders come from."""
        return tuple(dict.fromkeys(scope.name for scope in self.sources if isinstance(scope, SelectionScope)))

    @property
    def all_have_reasons(self) -> bool:
        """Whether each order was given with its own reason."""
        given = self.given
        return self.is_listed and 0 < len(given.ids) == given.notes.reasons

    @property
    def words(self) -> str:
        """The choice in words; the log keeps them in English."""
        words = self.scope.words
        for template, scopes in ((_PLUS, self.plus), (_ONLY, self.only), (_MINUS, self.minus)):
            for scope in scopes:
                words = _(template, words=words, part=scope.words)
        number = len(self.excluded.ids)
        if not number:
            return words
        return _(_EXCEPT_ONE if number == 1 else _EXCEPT, words=words, number=f"{number:,}")


@dataclass(frozen=True, slots=True)
class Selection:
    """A named selection: how many orders it holds, from how many sources, and when the last of them was added."""

    name: str
    orders: int
    sources: int
    added_at: datetime


@dataclass(frozen=True, slots=True)
class SelectionItem:
    """One order of a selection: where it came from, in English, and its line there; 0 if the source has none."""

    order_id: str
    source: str
    line: int
    added_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionReport:
    """How a selection changed: its new size, and how many orders were added, removed, unknown."""

    name: str
    size: int
    added: int = 0
    removed: int = 0
    unknown: tuple[str, ...] = ()
    duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSummary:
    """What happened to the ids that were given: how many, how many duplicates, which are unknown.

    `excluded` are those that `--except` took out; `excluded_elsewhere` counts ids of `--except` that were not chosen.
    Plans saved by earlier versions hold the first 20 of both.
    """

    ids: int
    duplicates: int = 0
    unknown: tuple[str, ...] = ()
    unknown_count: int = 0
    excluded: tuple[str, ...] = ()
    excluded_count: int = 0
    excluded_elsewhere: int = 0
