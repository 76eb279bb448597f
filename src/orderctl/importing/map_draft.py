"""A column map drafted from a file: what was guessed, with the reasons; what is open is a question in it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType

from orderctl.core.money import decimals
from orderctl.core.text import safe
from orderctl.errors import UsageError, os_reason
from orderctl.files.cells import Cell, decimal_readings
from orderctl.files.csv import Table
from orderctl.files.kinds import input_file
from orderctl.files.safe import scratch_folder
from orderctl.importing.column_map import ColumnMap, quoted
from orderctl.importing.evidence import DayFormats
from orderctl.importing.fields import AMOUNTS, FIELDS, NEEDED_OF_LINES, REJECTED_MARK, UNDECIDED, field_of
from orderctl.importing.figures import SourceRequest
from orderctl.importing.guess import (
    LOOKED_AT,
    MARK_WORDS,
    MARKS,
    Column,
    Found,
    Guess,
    StatusWord,
    is_of_lines,
    meaning_of,
    text_of,
)
from orderctl.importing.source import layout_of, read_table
from orderctl.language import N_, _, ngettext
from orderctl.orders.orders import Status

_EXAMPLES = 3
_LONGEST_EXAMPLE = 40
_MOST_IDS = 200_000
_BOTH_WAYS = UNDECIDED.join(("true", "false"))
_OF_ORDERS_AND_LINES = {"quantity": "line_quantity", "total": "line_total"}


@dataclass(frozen=True, slots=True)
class Question:
    """What only a person can say of a file: by `key` in the answers. Without `choices` it is a text."""

    key: str
    words: str
    choices: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Repeats:
    """Whether ids repeat in a column, and whether what may be the total differs between rows of one of them."""

    seen: dict[str, str] = field(default_factory=dict)
    repeated: bool = False
    differing: bool = False

    def see(self, order_id: str, total: str) -> None:
        """Look at a row."""
        if order_id and len(self.seen) < _MOST_IDS:
            self.repeated = self.repeated or order_id in self.seen
            self.differing = self.differing or (bool(total) and self.seen.get(order_id, total) not in {"", total})
            self.seen.setdefault(order_id, total)


@dataclass(slots=True)
class _Seen:
    """What was seen of a table. `decimals` has by column the marks that it writes before decimals."""

    columns: list[Column]
    days: DayFormats
    decimals: dict[str, str]
    repeats: _Repeats = field(default_factory=_Repeats)

    def see(self, cells: Sequence[Cell], texts: Sequence[str]) -> None:
        """Look at one row."""
        self.days.see(texts)
        for column in self.columns:
            text = texts[column.place] if column.place < len(texts) else ""
            if text:
                column.see(text)
                if column.name in self.decimals and isinstance(cells[column.place], str):
                    self.decimals[column.name] = _with_mark(self.decimals[column.name], text)
                    column.see_sign(text)


def _look_at(table: Table, today: date, answers: Mapping[str, str]) -> _Seen:
    """Read the whole table once."""
    columns = [Column(name, place) for place, name in enumerate(table.header) if name]
    first = list(islice(table.rows, LOOKED_AT))
    for column in columns:
        column.look_at([text_of(cells[column.place]) for __, cells in first if column.place < len(cells)])
    seen = _Seen(columns, DayFormats(today), {column.name: "" for column in columns if column.is_all("amount")})
    guess = Guess(columns, by_line=False, answers=answers)
    # If the column of the ids is not certain, the first candidate.
    id_column, total = guess.likeliest("id"), guess.likeliest("total")
    for __, cells in chain(first, table.rows):
        texts = [text_of(cell) for cell in cells[: len(table.header)]]
        seen.see(cells, texts)
        if id_column and id_column.place < len(texts):
            seen.repeats.see(texts[id_column.place], texts[total.place] if total and total.place < len(texts) else "")
    return seen


class MapDraft:
    """A map for a table; `answers` say what was asked: a column by its field, and the keys of `questions`."""

    def __init__(self, seen: _Seen, *, about: str, answers: Mapping[str, str]) -> None:
        self.seen = seen
        self.answers = dict(answers)
        self._about = about
        self._columns = seen.columns
        self.by_line = seen.repeats.repeated or any(map(is_of_lines, self._columns))
        self.guess = Guess(self._columns, by_line=self.by_line, answers=self.answers)
        self._move_to_lines(differing=seen.repeats.differing)
        ordered = self.guess.column("ordered")
        self._days = list(seen.days.formats(ordered.place if ordered else None))
        self._status = self.guess.column("status")

    def _move_to_lines(self, *, differing: bool) -> None:
        """In a file of lines what counts pieces is of a line, and so is a sum that differs within an order."""
        fields = self.guess.fields
        for name, of_line in _OF_ORDERS_AND_LINES.items():
            moves = differing if name == "total" else self.by_line
            if moves and name in fields and of_line not in fields and not fields[name].doubtful:
                fields[of_line] = fields.pop(name)

    # --- what is open

    def questions(self) -> Iterator[Question]:
        """What has to be answered before a file can be read by the map."""
        for name, found in self.guess.questions():
            yield self._which(name, found)
        for name in self._missing():
            yield self._which(name, Found(tuple(self.guess.possible(name) or _names(self._columns)), ""))
        if self._status is None and "status" not in self.guess.fields and not self.answers.get("status="):
            words = _("No column says the status of an order. Which one have all of them?")
            yield Question("status=", words, {status: _(status.brand_sees) for status in _SUGGESTED})
        if not self._currency() and "currency" not in self.guess.fields:
            yield Question("currency=", _("No column says the currency. Which is it, as in EUR?"))
        for form, example in self._days:
            if UNDECIDED in form and form not in self.answers:
                words = _("{day} can be read in two ways, and nothing in the file says which:", day=safe(example))
                yield Question(form, words, {each: each for each in form.split(UNDECIDED)})
        if self._decimal_comma() == _BOTH_WAYS:
            words = _("What does the file write for one thousand two hundred and thirty-four and a half?")
            yield Question("decimal_comma", words, {"false": "1,234.50", "true": "1.234,50"})

    def _missing(self) -> Iterator[str]:
        said = {*self.guess.fields, *self._said, "status", "currency"}
        return (name for name in self.guess.needed if name not in said)

    def _which(self, name: str, found: Found) -> Question:
        others = self.guess.possible(name) if len(found.columns) == 1 else ()
        choices = {column: self._examples(column) for column in (*found.columns, *others)}
        if name not in self.guess.needed or name in {"status", "currency"}:
            choices[""] = _("none of them")
        return Question(name, _("Which column holds {field}?", field=name), choices)

    def status_words(self) -> list[StatusWord]:
        """Each word of the column of statuses, the most frequent first."""
        found = self._status.values.most_common() if self._status else ()
        return [StatusWord(word, rows, self.answers.get(f"status: {word}", meaning_of(word))) for word, rows in found]

    def found(self) -> Iterator[tuple[str, str, str, str]]:
        """Each column with the field that it was taken for, the reason, and what stands in it."""
        by_column: dict[str, tuple[str, str]] = {}
        for name, each in self.guess.fields.items():
            for column in each.columns:
                shown = f"{name}?" if each.doubtful else name
                by_column[column] = (", ".join(filter(None, (by_column.get(column, ("", ""))[0], shown))), _(each.why))
        for name in MARKS:
            for column in _names(self.guess.marks(name)):
                by_column[column] = (name, _(_FILLED[name]))
        for column in _names(self._columns):
            yield (column, *by_column.get(column, ("", "")), self._examples(column))

    def _examples(self, name: str) -> str:
        column = next(column for column in self._columns if column.name == name)
        texts = (safe(text[:_LONGEST_EXAMPLE]) for text in column.values)
        return ", ".join(islice(texts, _EXAMPLES))

    def _currency(self) -> str:
        """The currency of all orders where no column holds it: as answered, or as the amounts are written."""
        total = self.guess.column("total") or self.guess.column("unit_price") or self.guess.column("line_total")
        return self.answers.get("currency=") or (total.said_currency if total else "")

    def _decimal_comma(self) -> str:
        """`true`, `false`, or that it is open. Only columns of amounts count, and only what stands there as text."""
        if "decimal_comma" in self.answers:
            return self.answers["decimal_comma"]
        taken = {
            name for field_ in AMOUNTS if field_ in self.guess.fields for name in self.guess.fields[field_].columns
        }
        marks = set("".join(self.seen.decimals.get(name, "") for name in taken))
        sure = marks & {",", "."}
        if marks and not sure and self._is_without_decimals():
            sure = {{"c": ".", "p": ","}[mark] for mark in marks}
        return _BOTH_WAYS if len(sure) > 1 or (marks and not sure) else "true" if "," in sure else "false"

    def _is_without_decimals(self) -> bool:
        """Whether all amounts are in a currency without decimals, where a mark can only stand between thousands."""
        column = self.guess.column("currency")
        codes = set(column.values) if column else {self._currency()}
        return not any(map(decimals, codes))

    # --- the map

    def lines(self) -> Iterator[str]:
        """The lines of the map. What is open in it is refused with its line (`column_map`)."""
        yield "# " + _("On the left a field of an order, on the right a column of the file. Complete it, then:")
        yield "# orderctl import FILE --map MAP"
        yield f"about = {quoted(self._about)}"
        yield f"recognised_by = {_list(_names(self._columns))}"
        yield from self._writing()
        yield ""
        yield "[columns]"
        yield from self._fields()
        yield from self._protections()
        yield from self._unread()
        yield ""
        yield "[defaults]  # " + _("what stands for a column that the file does not have")
        yield from self._defaults()
        yield ""
        yield "[status]  # " + _("the file's word = one of {known}", known=", ".join(Status))
        yield from self._statuses()

    def _writing(self) -> Iterator[str]:
        """How the file writes days and amounts, and what a row is."""
        for form, example in self._days:
            if UNDECIDED in form and form not in self.answers:
                yield "# " + _("{day} can be read in two ways, and nothing in the file says which:", day=safe(example))
                yield "# " + _("keep one of the two in the next line; as it stands, the map is refused")
        formats = list(dict.fromkeys(self.answers.get(form, form) for form, __ in self._days))
        yield f"date_formats = {json.dumps(formats)}  # " + _("how days are written, if not as in 2026-02-14")
        comma = self._decimal_comma()
        yield f"decimal_comma = {quoted(comma) if comma == _BOTH_WAYS else comma}  # " + _("true: as in 1.234,50")
        if self.by_line:
            yield 'rows = "lines"  # ' + _("an id stands in several rows: each is a line of its order")

    def _fields(self) -> Iterator[str]:
        fields, asked = self.guess.fields, dict(self.guess.questions())
        for name in (*self.guess.needed, *(each for each in FIELDS if each not in self.guess.needed)):
            if name in asked:
                yield f"{name} = {_list(asked[name].columns)}  # " + _(
                    "not decided ({why}): keep one of them", why=_(asked[name].why)
                )
            elif name in fields and not fields[name].doubtful:
                yield f"{name} = {quoted(fields[name].columns[0])}  # {_(fields[name].why)}"
            elif name in fields:
                columns = ", ".join(map(quoted, fields[name].columns))
                yield f"# {name} = {columns}  # " + _("perhaps: {why}", why=_(fields[name].why))
            elif name in self._missing():
                yield f'{name} = ""  # {_remark(name)}'
        if (
            not self._has("buyer_id")
            and "buyer_id" not in asked
            and (known_by := [each for each in ("buyer_email", "buyer_name") if self._has(each)])
        ):
            columns = _list(fields[each].columns[0] for each in known_by)
            yield f"buyer_id = {{ first = {columns} }}  # " + _("no column holds the number of the buyer")

    def _has(self, name: str) -> bool:
        return self.guess.column(name) is not None

    def _protections(self) -> Iterator[str]:
        """What keeps an order from being rejected: columns in which something means it, and words of its status."""
        for name in MARKS:
            columns = self.guess.marks(name)
            counted = len(columns) == 1 and field_of(columns[0].name) == name and columns[0].is_all("whole")
            told = [*_names(columns), *self._status_as_mark(name)]
            if counted and len(told) == 1:
                yield f"{name} = {quoted(told[0])}  # " + _("its name says it")
            elif told:
                yield f"{name} = {{ any = {_list(told)}{self._but(name)} }}  # {_(_FILLED[name])}"
        if cancelled := self.guess.cancelled():
            yield f"{REJECTED_MARK} = {{ any = {_list(cancelled)} }}  # " + _("a day there means that it was cancelled")

    def _but(self, name: str) -> str:
        nothing = self._nothing(name)
        return f", nothing = {_list(nothing)}" if nothing else ""

    def _status_as_mark(self, name: str) -> list[str]:
        """The column of statuses, if one of its words means it."""
        told = any(each.kind == MARK_WORDS[name] and not each.is_ours for each in self.status_words())
        return [self._status.name] if told and self._status else []

    def _unread(self) -> Iterator[str]:
        """The fields and the columns that are left."""
        fields = {*self.guess.fields, *self.guess.needed, *MARKS}
        yield "# " + _("other fields: {fields}", fields=", ".join(each for each in FIELDS if each not in fields))
        read = {column for found in self.guess.fields.values() for column in found.columns}
        read |= {column.name for name in MARKS for column in self.guess.marks(name)}
        for name in _names(self._columns):
            if name not in read:
                yield "# " + _("column {name}, as in {words}", name=quoted(name), words=self._examples(name))

    def _defaults(self) -> Iterator[str]:
        if "currency" not in self.guess.fields:
            found = self._currency()
            told = _("no column holds it, but the amounts say it") if found else _("no column holds it: as in EUR")
            yield f"currency = {quoted(found)}  # {told}"
        if "status" not in self.guess.fields:
            remark = _("no column says it: one of {known}", known=", ".join(_SUGGESTED))
            yield f"status = {quoted(self.answers.get('status=', ''))}  # {remark}"
        yield from (
            f"{name} = {quoted(text)}" for name, text in self._said.items() if name not in {"status", "currency"}
        )

    @property
    def _said(self) -> dict[str, str]:
        """What stands in for missing columns, by field."""
        return {key.removesuffix("="): text for key, text in self.answers.items() if key.endswith("=")}

    def _statuses(self) -> Iterator[str]:
        seen: set[str] = set()
        for each in self.status_words():
            rows = ngettext("{number:,} row", "{number:,} rows", each.rows)
            line = f"{quoted(each.word)} = {quoted(each.proposal)}  # {rows}: {_(each.why)}"
            # Maps ignore case: one spelling of a word is enough.
            yield f"# {line}" if each.is_ours or each.word.casefold() in seen else line
            seen.add(each.word.casefold())

    def _nothing(self, name: str) -> list[str]:
        """The words that count as nothing in the columns that protect; any other word there counts."""
        words = self.status_words() if self._status_as_mark(name) else []
        nothing = [each.word for each in words if each.is_ours or each.kind != MARK_WORDS[name]]
        values = chain.from_iterable(column.values for column in self.guess.marks(name) if not column.many)
        nothing += [word for word in values if meaning_of(word) in {"no", "open"}]
        return list({word.casefold(): word for word in nothing}.values())


_SUGGESTED = (Status.OC_CONFIRMED, Status.NEEDS_OC)
_FILLED = {
    "delivery_notes": N_("what stands there means that goods went out"),
    "invoices": N_("what stands there means that an invoice was made"),
}


def draft_map(
    path: Path,
    today: date,
    request: SourceRequest,
    answers: Mapping[str, str] | None = None,
    earlier: MapDraft | None = None,
) -> MapDraft:
    """The draft of a map for a table, of which the whole file is read as the request says. Raises UsageError.

    It is not read again after an `earlier` draft, unless another column holds the ids or the totals.
    """
    answers = answers or {}
    if earlier and all(answers.get(name) == earlier.answers.get(name) for name in ("id", "total")):
        return MapDraft(earlier.seen, about=path.name, answers=answers)
    try:
        with scratch_folder() as folder:
            table = read_table(*input_file(path, folder), layout_of(ColumnMap(), request))
            return draft_of(table, today, about=path.name, answers=answers)
    except OSError as error:
        raise UsageError(
            _("{path} cannot be read: {why}", path=path, why=os_reason(error)), hint=_("check the path")
        ) from None


def draft_of(table: Table, today: date, *, about: str, answers: Mapping[str, str] = MappingProxyType({})) -> MapDraft:
    """The draft of a map for a table, of which all rows are read."""
    return MapDraft(_look_at(table, today, answers), about=about, answers=answers)


def _with_mark(marks: str, text: str) -> str:
    """The marks before decimals that a column was seen to have, with that of one more cell.

    `.` or `,`; `p` or `c` for a point or a comma that may stand before decimals or between thousands.
    """
    point, comma = decimal_readings(text.strip())
    if point == comma:  # a whole number, or none
        return marks
    if point is None or comma is None:
        mark = "," if point is None else "."
    else:
        mark = "p" if abs(point) < abs(comma) else "c"
    return marks if mark in marks else marks + mark


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(quoted, texts))}]"


def _names(columns: Iterable[Column]) -> list[str]:
    return [column.name for column in columns]


def _remark(name: str) -> str:
    if name == "unit_price":
        return _("every line needs it, or line_total instead: the amount of the whole line")
    return _("every line needs it") if name in NEEDED_OF_LINES else _("every order needs it")
