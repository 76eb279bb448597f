"""Which orders a command is about, and in words where that choice came from (design.md, section 6, step 1)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from orderctl.filters.filters import OrderFilter
from orderctl.language import N_, _, retell
from orderctl.selection.notes import OrderNotes

DEFAULT_SELECTION = "default"
_EXCEPT_ONE, _EXCEPT = N_("{words}, except 1 id"), N_("{words}, except {number} ids")
# How a choice is told. The log keeps it in English.
_TOLD = (
    _EXCEPT_ONE,
    _EXCEPT,
    N_("rejected at the source, by the {import_}"),
    N_("picked by hand from {words}"),
    N_("picked by hand"),
    N_("ids from standard input"),
    N_("ids from {file}"),
    N_("ids {ids} and {number} more"),
    N_("ids {ids}"),
    N_("saved filter {name} [all orders]"),
    N_("saved filter {name} [{filter}]"),
    N_("filter [all orders]"),
    N_("filter [{filter}]"),
    N_("selection {name}"),
)


def source_in_words(source: str) -> str:
    """How orders were chosen, as the log keeps it, in the operator's language."""
    return retell(source, _TOLD)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdList:
    """Order ids as somebody gave them: in that order, each once, with what was dropped and what was said of them."""

    ids: tuple[str, ...]
    duplicates: int = 0
    notes: OrderNotes = field(default_factory=OrderNotes)

    @classmethod
    def collect(cls, ids: Iterable[str]) -> Self:
        """Keep each id once, where it came first."""
        given = list(ids)
        unique = tuple(dict.fromkeys(given))
        return cls(ids=unique, duplicates=len(given) - len(unique))

    def renamed(self, names: Mapping[str, str]) -> "IdList":
        """The list with these ids for those, each still once."""
        if not names:
            return self
        ids = tuple(dict.fromkeys(names.get(order_id, order_id) for order_id in self.ids))
        return IdList(ids=ids, duplicates=self.duplicates + len(self.ids) - len(ids), notes=self.notes.renamed(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterScope:
    """All orders that a filter matches."""

    filter: OrderFilter
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdScope:
    """The orders with these ids."""

    given: IdList
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionScope:
    """The orders of an operator's named selection."""

    actor: str
    name: str
    words: str


Scope = FilterScope | IdScope | SelectionScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scope, less the ids that `--except` takes out again."""

    scope: Scope
    excluded: IdList = field(default_factory=lambda: IdList(ids=()))

    @property
    def notes(self) -> OrderNotes:
        """What was said of single orders beside their ids."""
        return self.scope.given.notes if isinstance(self.scope, IdScope) else OrderNotes()

    @property
    def selection(self) -> str:
        """The name of the selection that the orders come from; empty if they come from elsewhere."""
        return self.scope.name if isinstance(self.scope, SelectionScope) else ""

    @property
    def all_have_reasons(self) -> bool:
        """Whether each order was given with a reason of its own."""
        return isinstance(self.scope, IdScope) and 0 < len(self.scope.given.ids) == self.notes.reasons

    @property
    def words(self) -> str:
        """The choice in words; the log keeps them in English."""
        if not self.excluded.ids:
            return self.scope.words
        number = len(self.excluded.ids)
        return _(_EXCEPT_ONE if number == 1 else _EXCEPT, words=self.scope.words, number=f"{number:,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionReport:
    """What a change of a selection did: how many orders it holds now, came in, went out, were unknown."""

    name: str
    size: int
    added: int = 0
    removed: int = 0
    unknown: tuple[str, ...] = ()
    duplicates: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSummary:
    """What became of the ids as they were given: how many, how often twice, which the store does not know.

    `excluded` are the first of those that `--except` took out; `excluded_elsewhere` it named in vain.
    """

    ids: int
    duplicates: int = 0
    unknown: tuple[str, ...] = ()
    unknown_count: int = 0
    excluded: tuple[str, ...] = ()
    excluded_count: int = 0
    excluded_elsewhere: int = 0
