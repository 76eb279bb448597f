"""The choice of orders that a command works on, and where it came from in words (design.md, section 6, step 1)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from orderctl.filters.filters import OrderFilter
from orderctl.language import N_, _, retell
from orderctl.selection.notes import OrderNotes

DEFAULT_SELECTION = "default"
_EXCEPT_ONE, _EXCEPT = N_("{words}, except 1 id"), N_("{words}, except {number} ids")
# The templates of the words for a choice. The log keeps them in English: the digest of a batch covers them.
_TOLD = (
    _EXCEPT_ONE,
    _EXCEPT,
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
    """Where ids came from, in English words, as the log keeps it.

    `lines` is a JSON object from id to line (0: the source has no lines); empty if all other ids came from there.
    """

    source: str
    lines: str = ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A scope, without the ids that `--except` takes out."""

    scope: Scope
    excluded: IdList = field(default_factory=lambda: IdList(ids=()))

    @property
    def notes(self) -> OrderNotes:
        """The reasons and messages that were given with the ids."""
        return self.scope.given.notes if isinstance(self.scope, IdScope) else OrderNotes()

    @property
    def selection(self) -> str:
        """The name of the selection that the orders come from; empty if there is none."""
        return self.scope.name if isinstance(self.scope, SelectionScope) else ""

    @property
    def all_have_reasons(self) -> bool:
        """Whether each order was given with its own reason."""
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
