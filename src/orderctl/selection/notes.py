"""Reasons, their codes, and the notes on single orders: a reason or a message of their own (design.md, section 3)."""

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orderctl.core.text import safe
from orderctl.database.connection import Dialect, recordset
from orderctl.errors import UsageError
from orderctl.language import _

LONGEST_CODE = 60
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason as the log keeps it. `text` begins with the code, if there is one."""

    text: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ReasonCodes:
    """The reason codes of the settings and their words. Without codes, a reason is any text."""

    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collect(cls, texts: Iterable[str]) -> "ReasonCodes":
        """From texts such as `dropped` and `dropped: Style dropped`. ValueError names the wrong one."""
        words: dict[str, str] = {}
        for text in texts:
            code, __, said = (part.strip() for part in text.partition(":"))
            if not code or len(code) > LONGEST_CODE or safe(code) != code:
                raise ValueError(
                    _("{text!r} has no code of at most {longest_code} characters", text=text, longest_code=LONGEST_CODE)
                )
            if code in words:
                raise ValueError(_("the code {code!r} stands there twice", code=code))
            words[code] = said
        return cls(words)

    def read(self, text: str) -> Reason:
        """Read a reason: `CODE`, `CODE: words`, or any text. ValueError says what is wrong."""
        given = text.strip()
        if len(given) > LONGEST_REASON:
            raise ValueError(_("is longer than {longest_reason} characters", longest_reason=LONGEST_REASON))
        if not given or not self.words:
            return Reason(given)
        code, __, said = (part.strip() for part in given.partition(":"))
        if code not in self.words:
            raise ValueError(_("begins with no code of the settings: {code!r}", code=safe(code[:LONGEST_CODE])))
        said = said or self.words[code]
        return Reason(f"{code}: {said}" if said else code, code)

    def within(self, allowed: Sequence[str]) -> "ReasonCodes":
        """Of the codes those that the policy of the store allows too; all of those where the settings have none."""
        if not allowed:
            return self
        return ReasonCodes({code: self.words.get(code, "") for code in allowed if not self.words or code in self.words})

    def __str__(self) -> str:
        """The codes, for an error."""
        return ", ".join(self.words)


def read_codes(texts: Iterable[str]) -> ReasonCodes:
    """The reason codes of the settings. Raises UsageError."""
    try:
        return ReasonCodes.collect(texts)
    except ValueError as error:
        raise UsageError(f"reasons: {error}", hint=_("see orderctl help reasons")) from None


def words_of(reason: str, code: str) -> str:
    """The part of a reason that a buyer may read: without the code."""
    return reason.removeprefix(f"{code}: ") if code else reason


LONGEST_NOTE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNote:
    """The reason and message of one order; where one is empty, that of the batch is used."""

    id: str
    reason: Reason = field(default_factory=Reason)
    message: str = ""


@dataclass(frozen=True, slots=True)
class OrderNotes:
    """The notes on orders, sorted by order id.

    Kept as one JSON array that the database reads itself; `reasons` and `messages` count the notes that have one.
    """

    packed: str = "[]"
    reasons: int = 0
    messages: int = 0

    @classmethod
    def pack(cls, notes: Iterable[OrderNote]) -> "OrderNotes":
        """Pack the notes that are not empty."""
        said = sorted((note for note in notes if note.reason.text or note.message), key=lambda note: note.id)
        if not said:
            return cls()
        return cls(
            json.dumps(list(map(_record, said))),
            reasons=sum(1 for note in said if note.reason.text),
            messages=sum(1 for note in said if note.message),
        )

    def __iter__(self) -> Iterator[OrderNote]:
        for record in json.loads(self.packed):
            reason = Reason(record["reason"], record["reason_code"])
            yield OrderNote(id=record["id"], reason=reason, message=record["message"])

    def __bool__(self) -> bool:
        return bool(self.reasons or self.messages)

    def renamed(self, names: Mapping[str, str]) -> "OrderNotes":
        """The notes with ids replaced by `names`. Raises UsageError if two notes on one order differ."""
        kept: dict[str, OrderNote] = {}
        for note in self:
            order_id = names.get(note.id, note.id)
            renamed = replace(note, id=order_id)
            if kept.setdefault(order_id, renamed) != renamed:
                raise UsageError(
                    _("the order {order_id} is given twice, with different reasons or messages", order_id=order_id),
                    hint=_("keep one of them"),
                )
        return OrderNotes.pack(kept.values())

    def among(self, ids: Container[str]) -> "OrderNotes":
        """The notes on these orders only."""
        return OrderNotes.pack(note for note in self if note.id in ids)


def _record(note: OrderNote) -> dict[str, str]:
    return {"id": note.id, "reason": note.reason.text, "reason_code": note.reason.code, "message": note.message}


_COLUMNS = dict.fromkeys(("id", "reason", "reason_code", "message"), "text")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotesSql:
    """Parts of a statement: `with_` goes before its SELECT, `join` after its tables; the rest are expressions."""

    with_: str
    join: str
    reason: str
    code: str
    message: str
    params: Mapping[str, object]


def notes_sql(notes: OrderNotes, dialect: Dialect, order_id: str) -> NotesSql:
    """SQL that joins the notes to orders whose id is the expression `order_id`; empty if there are no notes."""
    if not notes:
        return NotesSql(with_="", join="", reason=":reason", code=":code", message="''", params={})
    return NotesSql(
        # MATERIALIZED: SQLite then builds an index, and does not read all notes for each order.
        with_=f"WITH note AS MATERIALIZED ({recordset(dialect, _COLUMNS, 'notes')}) ",
        join=f" LEFT JOIN note ON note.id = {order_id}",
        reason="CASE WHEN note.reason <> '' THEN note.reason ELSE :reason END",
        code="CASE WHEN note.reason <> '' THEN note.reason_code ELSE :code END",
        message="coalesce(note.message, '')",
        params={"notes": notes.packed},
    )
