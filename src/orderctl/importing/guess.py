"""What the columns of somebody else's table mean: guessed from their names and their cells, or left open."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from orderctl.core.countries import country_code
from orderctl.core.text import fold
from orderctl.files.cells import Cell, decimal_readings, is_blank
from orderctl.importing.fields import NEEDED, NEEDED_OF_LINES, ORDER_FIELDS, PROTECTIONS, READ_LINE_FIELDS, field_of
from orderctl.language import N_
from orderctl.orders.orders import Status, status_named

LOOKED_AT = 2_000
_MOST_VALUES = 60
_LONGEST_VALUE = 200
# The percentage of cells that have to be of the kind that a column's name suggests.
_NEARLY_ALL = 95
# With fewer rows, a value that does not repeat proves nothing.
_ENOUGH_ROWS = 5
# Fields that several columns may hold: each of these columns protects the order.
MARKS = ("delivery_notes", "invoices")

# A unit after a name: (EUR), [€]. Other text in brackets is part of the name.
_UNIT = re.compile(r"[(\[（]\W*[A-Z]{0,3}\W*[)\]）]")  # noqa: RUF001 - as they stand in Japanese headers
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NUMBER_SIGN = re.compile(r"\b[nN](?:[°ºo]\.?|\.)(?=\W|$)|№|#")
_NUMBERS = {"no", "nr", "num", "number", "nummer", "numero", "nro"}
_SMALL_WORDS = set("of the de du des d l la le les del da do dos das di della dello der die das von".split())  # noqa: SIM905
_CURRENCY_NAMES = {"eur", "usd", "gbp", "chf", "jpy", "cad", "aud", "sek", "nok", "dkk", "pln", "brl", "mxn"}
_LONGEST_SINGULAR = 3
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
_SIGNS = {"€": "EUR", "£": "GBP", "zł": "PLN", "₩": "KRW", "₹": "INR"}


def name_key(text: str) -> str:
    """A name without case, accents, punctuation, plural and small words; each way of writing "number" is one."""
    text = _NUMBER_SIGN.sub(" nr ", _CAMEL.sub(" ", text))
    words = "".join(char if char.isalnum() else " " for char in fold(text)).split()
    return "".join([_plain_word(word) for word in words if word not in _SMALL_WORDS] or words)


def _header_key(text: str) -> str:
    """The key of a column's name, without the currency that may stand behind it."""
    first, __, last = _UNIT.sub(" ", text).strip().rpartition(" ")
    return name_key(first if first and last.lower() in _CURRENCY_NAMES else _UNIT.sub(" ", text))


def _plain_word(word: str) -> str:
    if word in _NUMBERS:
        return "nr"
    word = re.sub("(nummer|番号|(?<=[^a-z])no)$", "nr", word)
    return word[:-1] if len(word) > _LONGEST_SINGULAR and word.endswith("s") and not word.endswith("ss") else word


@cache
def _synonyms() -> Mapping[str, Any]:
    return tomllib.loads((Path(__file__).parent / "synonyms.toml").read_text("utf-8"))


def _keys(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name_key(form) for name in names for form in (name, name.translate(_UMLAUTS)))


@cache
def _names() -> Mapping[str, Mapping[str, frozenset[str]]]:
    """By field, by how sure it is: the keys of the names that mean it."""
    content = _synonyms()
    tables = {**content["fields"], **{name: content[name] for name in ("cancelled", "others")}}
    return {name: {how: _keys(names) for how, names in each.items()} for name, each in tables.items()}


@cache
def _words() -> Mapping[str, frozenset[str]]:
    return {kind: _keys(words) for kind, words in _synonyms()["words"].items()}


# The status here for each kind of status word of other systems, and why. Only open orders are rejected in bulk.
_MEANINGS = {
    "open": (Status.NEEDS_OC, N_("open")),
    "confirmed": (Status.OC_CONFIRMED, N_("confirmed")),
    "cancelled": (Status.REJECTED, N_("cancelled")),
    "returned": (Status.RETURNED_TO_CART, N_("sent back")),
    "delivered": (Status.OC_CONFIRMED, N_("counts as a delivery note")),
    "invoiced": (Status.OC_CONFIRMED, N_("counts as an invoice")),
    "no": (Status.OC_CONFIRMED, N_("not known: is not rejected in bulk")),
    "": (Status.OC_CONFIRMED, N_("not known: is not rejected in bulk")),
}
# The meanings that a person may choose for a word.
MEANINGS = {kind: (status, why) for kind, (status, why) in _MEANINGS.items() if kind not in {"", "no"}}
MARK_WORDS = {"delivery_notes": "delivered", "invoices": "invoiced"}


def meaning_of(word: str) -> str:
    """What kind of status a word is; empty where nobody knows. Part of a word counts only where that protects."""
    key = name_key(word)
    found = next((kind for kind in _MEANINGS if key in _words().get(kind, ())), "")
    if not found:
        parts = {name_key(part) for part in re.split(r"[\W_]+", word)}
        found = next((kind for kind in MARK_WORDS.values() if parts & _words()[kind]), "")
    return found


@dataclass(frozen=True, slots=True)
class StatusWord:
    """A word of the column of statuses: in how many rows it stands, and what kind of status it is taken for."""

    word: str
    rows: int
    kind: str

    @property
    def is_ours(self) -> bool:
        """Whether it is a status here."""
        return status_named(self.word) is not None

    @property
    def proposal(self) -> Status:
        """The status that is proposed for it."""
        return status_named(self.word) or _MEANINGS[self.kind][0]

    @property
    def why(self) -> str:
        """The reason, not yet translated."""
        return N_("a status of our own") if self.is_ours else _MEANINGS[self.kind][1]


_DAY = re.compile(r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T]\d{1,2}:\d{2}.*)?")
_MAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[^@\s,;.]+")
_WHOLE = re.compile(r"[+-]?\d{1,9}([.,]0+)?")
_DECIMALS = re.compile(r"[.,]\d{1,2}\D*$")
_GENERIC = re.compile(r"(col|column|field|feld|spalte|champ|colonne|campo|coluna|unnamed|f|x|列|項目)?\d*")


def _is_currency(text: str) -> bool:
    return text in _currencies()


@cache
def _currencies() -> frozenset[str]:
    from babel.numbers import list_currencies  # noqa: PLC0415 - slow to load, and only a guess needs it

    return frozenset(list_currencies())


def _is_country(text: str) -> bool:
    code = country_code(text)
    return len(code) == 2 and code.isupper() and (code != text or country_code(text.lower()) == text)  # noqa: PLR2004


def _is_amount(text: str) -> bool:
    return decimal_readings(text) != (None, None)


_KINDS: dict[str, Callable[[str], object]] = {
    "currency": _is_currency,
    "mail": _MAIL.fullmatch,
    "country": _is_country,
    "day": _DAY.fullmatch,
    "instant": lambda text: (found := _DAY.fullmatch(text)) and found[2],
    "amount": _is_amount,
    "decimals": lambda text: _is_amount(text) and _DECIMALS.search(text),
    "whole": _WHOLE.fullmatch,
}


@dataclass(slots=True)
class Column:
    """What was seen of a column. `values` are the first different ones, with their rows; `many` if there are more."""

    name: str
    place: int
    filled: int = 0
    looked_at: int = 0
    values: Counter[str] = field(default_factory=Counter)
    many: bool = False
    kinds: Counter[str] = field(default_factory=Counter)
    different: int = 0
    sign: str = ""
    currency: str = ""

    def see(self, text: str) -> None:
        """Look at a cell that is not empty."""
        self.filled += 1
        text = text[:_LONGEST_VALUE]
        if text in self.values or len(self.values) < _MOST_VALUES:
            self.values[text] += 1
        else:
            self.many = True

    def look_at(self, texts: Sequence[str]) -> None:
        """Look closely at the first cells of the column."""
        filled = [text.strip() for text in texts if text]
        self.looked_at, self.different = len(filled), len(set(filled))
        for text, number in Counter(filled).items():
            for kind, is_one in _KINDS.items():
                if is_one(text):
                    self.kinds[kind] += number
        if self.is_all("amount"):
            named = (word for word in re.findall(r"\b[A-Z]{3}\b", self.name) if word.lower() in _CURRENCY_NAMES)
            self.currency = next((code for sign, code in _SIGNS.items() if sign in self.name), next(named, ""))
            if not self.currency:
                self.sign = next((sign for sign in _SIGNS if sign in filled[0]), "")

    def see_sign(self, text: str) -> None:
        """Look at an amount: only where each has the same sign does it say the currency of all."""
        if self.sign and self.sign not in text:
            self.sign = ""

    @property
    def said_currency(self) -> str:
        """The currency of all of its amounts, as its name or each of its cells says it."""
        return self.currency or _SIGNS.get(self.sign, "")

    def is_all(self, kind: str) -> bool:
        """Whether nearly all of its cells are of a kind."""
        return self.looked_at > 0 and self.kinds[kind] * 100 >= self.looked_at * _NEARLY_ALL

    @property
    def is_unique(self) -> bool:
        """Whether no cell of it stands there twice."""
        return self.different == self.looked_at

    @property
    def is_amount(self) -> bool:
        """Whether its cells look like amounts, and not like numbers of something."""
        return self.is_all("amount") and self.kinds["decimals"] > 0 and not self.is_all("day")

    @property
    def says_nothing(self) -> bool:
        """Whether its name is none."""
        return _GENERIC.fullmatch(_header_key(self.name)) is not None


# Of what kind the cells of a field have to be, one of these, and of what kinds they must not be.
_HAS_TO_BE = {
    **dict.fromkeys(("ordered", "delivery_from", "delivery_to"), ("day",)),
    **dict.fromkeys(("total", "unit_price", "line_total", "quantity", "line_quantity"), ("amount",)),
    "currency": ("currency",),
    "buyer_email": ("mail",),
    "backlog_skus": ("whole",),
}
_MUST_NOT_BE = {
    **dict.fromkeys(("total", "unit_price", "line_total", "quantity", "line_quantity"), ("day",)),
    **dict.fromkeys(
        ("buyer_name", "buyer_contact", "brand", "country", "buyer_country", "line_name"), ("day", "mail", "amount")
    ),
    "id": ("day", "mail", "decimals"),
    "status": ("day", "mail", "country", "decimals"),
}


def _fits(name: str, column: Column) -> bool:
    """Whether the cells of a column may be what the field holds; of an empty one nobody can say."""
    if not column.looked_at:
        return name not in NEEDED
    if any(map(column.is_all, _MUST_NOT_BE.get(name, ()))) or (name == "status" and column.many):
        return False
    return all(map(column.is_all, _HAS_TO_BE.get(name, ())))


@dataclass(frozen=True, slots=True)
class Found:
    """The columns that may hold a field. One is the guess, with the reason; several, or `doubtful`, are a question."""

    columns: tuple[str, ...]
    why: str
    doubtful: bool = False


class Guess:
    """What the columns of a table mean. `fields` are those of which something was found."""

    def __init__(self, columns: Sequence[Column], *, by_line: bool, answers: Mapping[str, str]) -> None:
        self.columns = columns
        self._by_name = {column.name: column for column in columns}
        self._by_line = by_line
        self._sure = {name: [each for each in columns if _is_sure(name, each)] for name in self._wanted}
        self._taken = {each.name for found in self._sure.values() for each in found}
        self._taken |= {column.name for column in columns if _says("others", column) or _says("cancelled", column)}
        self.fields: dict[str, Found] = {}
        for name in self._wanted:
            if name in answers:
                if answers[name]:
                    self.fields[name] = Found((answers[name],), N_("as you said"))
            elif found := self._found(name):
                self.fields[name] = found
        self._refuse_sharing(answers)

    @property
    def needed(self) -> tuple[str, ...]:
        """The fields that every order needs, or every line."""
        if not self._by_line:
            return (*NEEDED, "total")
        lines = [name for name in NEEDED_OF_LINES if name != "unit_price" or not self.column("line_total")]
        return (*NEEDED, *lines)

    @property
    def _wanted(self) -> tuple[str, ...]:
        return (*ORDER_FIELDS, *(READ_LINE_FIELDS if self._by_line else ()))

    def column(self, name: str) -> Column | None:
        """The column that was guessed for a field; None if none was, or if that is a question."""
        found = self.fields.get(name)
        return self._by_name[found.columns[0]] if found and not found.doubtful else None

    def likeliest(self, name: str) -> Column | None:
        """The column that was guessed for a field, or the first of those that may be meant."""
        found = self.fields.get(name)
        return self._by_name[found.columns[0]] if found else None

    def marks(self, name: str) -> list[Column]:
        """The columns in which something means that goods went out, or that an invoice was made.

        Their names say it, or one of their words does, as `shipped` in a column `State of transport`.
        """
        return [column for column in self.columns if column in self._sure[name] or self._tells(name, column)]

    def cancelled(self) -> list[str]:
        """The columns in which a day means that the order was cancelled."""
        return [column.name for column in self.columns if _says("cancelled", column) and column.is_all("day")]

    def _found(self, name: str) -> Found | None:
        if name in MARKS:
            return None
        sure = self._sure[name]
        if len(sure) == 1:
            return Found((sure[0].name,), N_("its name says it"))
        if sure:
            return Found(_named(sure), N_("each of them may be meant"), doubtful=True)
        free = [column for column in self.columns if column.name not in self._taken]
        perhaps = [column for column in free if self._may_be(name, column)]
        alike = [column for column in free if self._is_alike(name, column)]
        known = name != "status" or any(map(_is_known_word, perhaps[0].values if perhaps else ()))
        if len(perhaps) == 1 and known and all(column is perhaps[0] for column in alike):
            return Found((perhaps[0].name,), N_("its name may mean it, and no other column does"))
        if not perhaps and len(alike) == 1 and self._is_plain(name, alike[0]):
            return Found((alike[0].name,), N_("its cells look like it, and those of no other column do"))
        return self._likely(name, free, [*perhaps, *alike], known=known)

    def _likely(self, name: str, free: list[Column], likely: list[Column], *, known: bool) -> Found | None:
        """The one column that comes into question for a needed field, or all that do, which is a question."""
        unfit = [column for column in self.columns if _says(name, column) and not _fits(name, column)]
        # A needed field may stand in a column of another name: the only order number may be the buyer's own.
        shared = [each for each in self.columns if name in NEEDED and each not in free and self._may_be(name, each)]
        one = dict.fromkeys(_named(likely))
        if name in (*NEEDED, "total") and len(one) == 1 and known and not unfit:
            return Found(tuple(one), N_("no other column comes into question"))
        several = tuple(
            dict.fromkeys(
                _named([*unfit, *likely, *([] if any(self._may_be(name, each) for each in likely) else shared)])
            )
        )
        return Found(several, N_("it may be meant"), doubtful=True) if several else None

    def _tells(self, mark: str, column: Column) -> bool:
        """Whether a column that is none of the decided fields has words of a status, and one that protects."""
        decided = {found.columns[0] for found in self.fields.values() if not found.doubtful}
        if column.many or column.name in decided or _says("others", column):
            return False
        kinds = set(map(meaning_of, column.values))
        return "" not in kinds and MARK_WORDS[mark] in kinds

    def _may_be(self, name: str, column: Column) -> bool:
        """Whether the name of a column may mean a field. In a file of lines a price is that of a piece."""
        if self._by_line and name == "total":
            return False
        return _says(name, column, "perhaps") and _fits(name, column)

    def _is_alike(self, name: str, column: Column) -> bool:
        """Whether the cells of a column look like those of a field, whatever it is called."""
        if name == "id":
            named = column.is_unique and not any(map(column.is_all, ("day", "mail", "decimals")))
            return named and column.looked_at >= _ENOUGH_ROWS and all(map(_looks_like_an_id, column.values))
        if name == "status":
            return column.looked_at > 0 and not column.many and all(map(_is_known_word, column.values))
        if name == "total":
            return not self._by_line and column.is_amount
        if name in {"unit_price", "line_total"}:
            return column.is_amount
        if name in {"quantity", "line_quantity"}:
            return column.is_all("whole") and column.says_nothing and not column.is_unique
        kind = {"currency": "currency", "buyer_email": "mail", "country": "country", "ordered": "day"}.get(name)
        return kind is not None and column.is_all(kind)

    def _is_plain(self, name: str, column: Column) -> bool:
        """Whether cells that look like a field are good evidence by themselves."""
        return (
            column.says_nothing or name in {"currency", "buyer_email"} or (name == "ordered" and self._is_time(column))
        )

    def _is_time(self, column: Column) -> bool:
        return column.is_all("instant") and sum(each.is_all("day") for each in self.columns) == 1

    def _refuse_sharing(self, answers: Mapping[str, str]) -> None:
        """A column that may mean two things means neither, until somebody says which."""
        weak = [name for name, found in self.fields.items() if not found.doubtful and not self._sure[name]]
        shared = Counter(self.fields[name].columns[0] for name in weak if name not in answers)
        for name in weak:
            found = self.fields[name]
            if name not in answers and shared[found.columns[0]] > 1:
                self.fields[name] = Found(found.columns, N_("its name may mean several things"), doubtful=True)

    def possible(self, name: str) -> list[str]:
        """The columns whose cells may be a field."""
        return [column.name for column in self.columns if column.looked_at and _fits(name, column)]

    def questions(self) -> Iterator[tuple[str, Found]]:
        """The fields of which somebody has to say which column holds them."""
        for name, found in self.fields.items():
            if found.doubtful and (name in {*self.needed, *PROTECTIONS} or len(self._sure[name]) > 1):
                yield name, found


def _named(columns: Iterable[Column]) -> tuple[str, ...]:
    return tuple(column.name for column in columns)


def _says(name: str, column: Column, how: str = "surely") -> bool:
    return _header_key(column.name) in _names().get(name, {}).get(how, ())


def _is_sure(name: str, column: Column) -> bool:
    """Whether a column's name says that it holds a field, and its cells do not speak against it."""
    if field_of(column.name) == name and not (name in PROTECTIONS and column.looked_at and not column.is_all("whole")):
        return True
    return _says(name, column) and _fits(name, column)


def is_of_lines(column: Column) -> bool:
    """Whether a column is one of order lines, by its name."""
    return _is_sure("sku", column) or field_of(column.name) in READ_LINE_FIELDS


def _is_known_word(text: str) -> bool:
    """Whether a text is a word for a status."""
    return meaning_of(text) not in {"", "no"} or status_named(text) is not None


def _looks_like_an_id(text: str) -> bool:
    return any(char.isdigit() for char in text) and not any(char.isspace() for char in text)


def text_of(cell: Cell) -> str:
    """A cell as text; empty where nothing stands in it."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if is_blank(cell) else str(cell)
