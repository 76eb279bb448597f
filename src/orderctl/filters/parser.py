"""Reads the filter language (design.md, section 4).

status:needs-oc,oc-created season:26SS      terms side by side mean *and*
country:JP or (tag:late not buyer:ac*)      `or`, `not`, parentheses; `and` may be written
buyer:"Acme Paris" total:1000..             quotes keep spaces, commas, stars and colons
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from orderctl.core.text import cell_width, fold, lower_ascii, nearest, safe
from orderctl.errors import UsageError
from orderctl.filters.filters import (
    FILTER_FIELDS,
    FORMS,
    All,
    AnyOf,
    Condition,
    Empty,
    Field,
    Flag,
    Kind,
    Not,
    NumberRange,
    OrderFilter,
    Pattern,
    Present,
    Term,
    Test,
    Word,
    field_named,
    parse_day_range,
)
from orderctl.language import N_, _
from orderctl.orders.orders import Status, forms_of, status_named

MAX_LENGTH = 8_000
MAX_DEPTH = 40
MAX_TERMS = 300
_MAX_VALUE = 500
_OPERATORS = {"and", "or", "not"}
_FLAGS = {"yes": True, "true": True, "no": False, "false": False}
_FIELD = re.compile(r"(-?)([^\W\d][\w-]*):")
_COMPARED = re.compile(r"-?([^\W\d][\w-]*)(=|!=|[<>]=?)")
# Possessive: a quote that \" leaves open must not be closed by reading the backslash as text.
_QUOTED = r'"(?:\\["\\]|[^"])*+"'
_TOKEN = re.compile(rf"""\s+|(?P<token>[()]|(?:{_QUOTED}|[^\s()"])+)|(?P<open>")""")
_IN_QUOTES = re.compile(f"({_QUOTED})")
_ESCAPED = re.compile(r'\\(["\\])')
_NUMBER = re.compile(r"\A[+-]?(\d{1,15})(\.\d{1,6})?\Z", re.ASCII)
_NUMBER_FORMS = N_("write 1000, 1000.., ..12.50 or 10..20, without thousands separators")
CountryCode = Callable[[str], str | None]


class FilterError(UsageError):
    """A filter that cannot be read: the message points at the place."""


class _WrongValueError(ValueError):
    """A value that its field does not take, and perhaps what to write instead."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Token:
    """A parenthesis, an operator or a term, as it is written. `kind` is empty for a term."""

    at: int
    text: str

    @property
    def kind(self) -> str:
        word = self.text.lower()
        return word if word in {"(", ")", *_OPERATORS} else ""


def parse_filter(text: str, *, today: date, country_code: CountryCode = lambda __: None) -> OrderFilter:
    """Read a filter. Days are counted from `today`; `country_code` knows the code of a country's name.

    Raises FilterError, whose message points at the place and suggests what may be meant.
    """
    tokens = tuple(_tokens(text))
    if not tokens:
        return OrderFilter(text.strip())
    return OrderFilter(text.strip(), _Parser(text, tokens, today, country_code).parse())


def join_words(words: Sequence[str]) -> str:
    """The filter that the words of a command line spell.

    The shell has taken the quotes of `buyer:"Acme Paris"` away; they are put back where the spaces can only
    belong to the value: a text field is named once, at the beginning, and nothing else of the language follows.
    """
    return " ".join(_requoted(word) for word in words)


def is_term(word: str) -> bool:
    """Whether a word of a command line is a term of a filter, as `season:26SS` is, rather than an id."""
    named = _FIELD.match(word.lstrip("("))
    return named is not None and field_named(named[2]) is not None


def _requoted(word: str) -> str:
    named = _FIELD.match(word)
    rest = word[named.end() :] if named else ""
    field = field_named(named[2]) if named else None
    if named is None or field is None or field.kind not in {Kind.TEXT, Kind.CODE, Kind.CHOICE}:
        return word
    if not re.search(r"\S\s+\S", rest) or re.search(r'[":()]', rest) or _OPERATORS & set(rest.lower().split()):
        return word
    # A star keeps its meaning only outside of quotes.
    quoted = "*".join(f'"{piece}"' if piece else "" for piece in rest.replace("\\", "\\\\").split("*"))
    return f"{named[1]}{field.name}:{quoted}"


def _tokens(text: str) -> Iterator[_Token]:
    if len(text) > MAX_LENGTH:
        raise FilterError(
            _("the filter is longer than {max_length:,} characters", max_length=MAX_LENGTH),
            hint=_("give ids with --ids FILE instead"),
        )
    for found in _TOKEN.finditer(text):
        at, opened = found.start(), found["open"] is not None
        token = text[at:] if opened else found["token"] or ""
        strange = next((place for place, char in enumerate(token, at) if not char.isprintable()), None)
        if strange is not None:
            raise _error(_("a control character"), text, strange, strange + 1, _("take it out"))
        if opened:
            raise _error(_("a quote that is never closed"), text, at, len(text), _('close it with "'))
        if token:
            yield _Token(at, token)


class _Parser:
    """Recursive descent over the tokens; `or` binds weaker than *and*."""

    def __init__(self, text: str, tokens: Sequence[_Token], today: date, country_code: CountryCode) -> None:
        self._text = text
        self._tokens = tokens
        self._today = today
        self._country_code = country_code
        self._next = 0
        self._terms = 0

    def parse(self) -> Condition:
        condition = self._alternatives(0)
        if self._kind is not None:
            token = self._tokens[self._next]
            raise self._error(_("a parenthesis that was never opened"), token, _("take it out, or open one before"))
        return condition

    @property
    def _kind(self) -> str | None:
        """The kind of the next token; None at the end."""
        return self._tokens[self._next].kind if self._next < len(self._tokens) else None

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _alternatives(self, depth: int) -> Condition:
        found = [self._sequence(depth)]
        while self._kind == "or":
            self._take()
            found.append(self._sequence(depth))
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _sequence(self, depth: int) -> Condition:
        found: list[Condition] = []
        while self._kind not in {None, ")", "or"}:
            if self._kind == "and":
                token = self._take()
                if not found or self._kind in {None, ")", "or", "and"}:
                    raise self._error(_("'and' with nothing on one side"), token, _("write a term on both sides"))
            found.append(self._factor(depth))
        if not found:
            raise self._nothing_here()
        return found[0] if len(found) == 1 else All(tuple(found))

    def _factor(self, depth: int) -> Condition:
        token = self._take()
        if depth > MAX_DEPTH:
            raise self._error(
                _("parentheses nested too deep"), token, _("use at most {max_depth}", max_depth=MAX_DEPTH)
            )
        if token.kind == "not":
            if self._kind in {None, ")", "and", "or"}:
                raise self._error(_("'not' with nothing after it"), token, _("write a term after it"))
            return Not(self._factor(depth + 1))
        if token.kind == "(":
            inner = self._alternatives(depth + 1)
            if self._kind is None:
                raise self._error(_("a parenthesis that is never closed"), token, _("close it with )"))
            self._take()
            return inner
        return self._leaf(token)

    def _nothing_here(self) -> FilterError:
        token = self._tokens[min(self._next, len(self._tokens) - 1)]
        if token.kind == ")" or (self._next and self._tokens[self._next - 1].kind == "("):
            return self._error(_("a parenthesis with nothing in it"), token, _("write a term inside, or take it out"))
        return self._error(_("'or' with nothing on one side"), token, _("write a term on both sides"))

    def _leaf(self, token: _Token) -> Condition:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._error(
                _("more than {max_terms} terms", max_terms=MAX_TERMS), token, _("give ids with --ids FILE instead")
            )
        name, *values = _split(token.text, ":")
        if not name or not values:
            if not _unquoted(token.text).strip():
                raise self._error(_("an empty word"), token, _("write something between the quotes"))
            self._refuse_comparison(token)
            return Word(_within(_pattern(token.text, fold)))
        value = token.text[len(name) + 1 :]
        if name.startswith("-") and field_named(_unquoted(name[1:])):
            return Not(self._term(name[1:], value, token))
        return self._term(name, value, token)

    def _term(self, written: str, value: str, token: _Token) -> Term:
        name = _unquoted(written).lower()
        field = field_named(name)
        if field is None:
            raise self._unknown_field(name, token)
        if not value:
            raise self._error(
                _("{name}: with no value", name=name), token, _("for example {example}", example=field.example)
            )
        parts = _split(value, ",")
        tests = tuple(self._test(field, part, token) for part in parts)
        if field.name == "id":
            # The same id may be typed with composed or with decomposed accents.
            texts = (text for part in map(_unquoted, parts) for text in dict.fromkeys((part, *forms_of(part))))
            tests = tuple(Pattern((text,)) for text in texts)
        return Term(field.name, tests)

    def _test(self, field: Field, part: str, token: _Token) -> Test:
        text, example = _unquoted(part), _("for example {example}", example=field.example)
        if not text.strip():
            raise self._error(_("{name}: with an empty value", name=field.name), token, example)
        if len(text) > _MAX_VALUE:
            raise self._error(
                _("a value longer than {max_value} characters", max_value=_MAX_VALUE), token, _("shorten it")
            )
        if field.may_be_empty and part.lower() in {"none", "any"}:
            return Empty() if part.lower() == "none" else Present()
        try:
            return self._value(field, part, text)
        except _WrongValueError as error:
            raise self._error(str(error), token, error.hint or example) from None

    def _value(self, field: Field, part: str, text: str) -> Test:
        """A value by the kind of its field: `part` as it is written, `text` without its quotes."""
        if field.kind is Kind.DAY:
            return _days(field, text, self._today)
        if field.kind is Kind.CODE:
            pattern = _pattern(part, lower_ascii)
            if field.name == "country" and pattern.is_literal:
                return Pattern((lower_ascii(self._country_code(text) or text),))
            return pattern
        if field.kind is Kind.TEXT:
            pattern = _pattern(part, fold if field.name == "buyer" else lower_ascii)
            return _within(pattern) if pattern.is_literal else pattern
        if field.kind is Kind.EXACT:
            return _exact(field, part)
        return _READERS[field.kind](field, text)

    def _refuse_comparison(self, token: _Token) -> None:
        """`country=FR` would be searched for as a text, which nobody means."""
        compared = _COMPARED.match(token.text)
        field = field_named(compared[1].lower()) if compared else None
        if compared and field:
            raise self._error(
                _("{name} is compared with a colon, not with {sign}", name=field.name, sign=compared[2]),
                token,
                _("for example {example}; to search for the text itself, put it in quotes", example=field.example),
            )

    def _unknown_field(self, name: str, token: _Token) -> FilterError:
        negated = name.lstrip("!~-")
        if negated != name and field_named(negated):
            hint = _("write: not {name}:", name=negated)
        else:
            hint = _suggest(name, tuple(FILTER_FIELDS))
        return _error(
            _("there is no field {name!r}", name=safe(name)),
            self._text,
            token.at,
            token.at + len(name),
            _('{hint}; to search for a colon, quote it: "a:b"', hint=hint),
        )

    def _error(self, what: str, token: _Token, hint: str) -> FilterError:
        return _error(what, self._text, token.at, token.at + len(token.text), hint)


def _exact(field: Field, part: str) -> Test:
    if len(_split(part, "*")) > 1:
        raise _WrongValueError(
            _("{name}: takes whole values, no *", name=field.name),
            _('put it in quotes if it belongs to the value: "*"'),
        )
    return Pattern((_unquoted(part),))


def _days(field: Field, text: str, today: date) -> Test:
    try:
        return parse_day_range(text, today)
    except ValueError as error:
        raise _WrongValueError(f"{field.name}: {error}", _(FORMS)) from None


def _choice(field: Field, text: str) -> Test:
    status = status_named(text)
    if status is None:
        problem = _("{text!r} is not a {name}", text=text.lower(), name=field.name)
        raise _WrongValueError(problem, _suggest(text, tuple(Status)))
    return Pattern((status.value,))


def _flag(field: Field, text: str) -> Test:
    word = text.lower()
    if word not in _FLAGS:
        raise _WrongValueError(_("{name}: is yes or no, not {text!r}", name=field.name, text=word))
    return Flag(_FLAGS[word])


def _number(field: Field, text: str) -> Test:
    low, dots, high = text.partition("..")
    if not dots:
        high = low
    if not low and not high:
        raise _not_so(field, _("a range needs at least one end"))
    found = NumberRange(_decimal(field, low), _decimal(field, high))
    if found.low is not None and found.high is not None and found.low > found.high:
        raise _not_so(field, _("the range ends before it begins"))
    return found


_READERS = {Kind.CHOICE: _choice, Kind.FLAG: _flag, Kind.AMOUNT: _number, Kind.COUNT: _number}


def _decimal(field: Field, text: str) -> Decimal | None:
    if not text:
        return None
    found = _NUMBER.match(text)
    if not found:
        raise _not_so(field, _("{text!r} is not a number", text=text))
    if field.kind is Kind.COUNT and found[2]:
        raise _not_so(field, _("{text!r} is not a whole number", text=text))
    return Decimal(text)


def _not_so(field: Field, problem: str) -> _WrongValueError:
    return _WrongValueError(f"{field.name}: {problem}", _(_NUMBER_FORMS))


def _split(written: str, mark: str) -> list[str]:
    """The parts between the marks that stand outside of quotes, as they are written."""
    parts = [""]
    for number, piece in enumerate(_IN_QUOTES.split(written)):
        first, *others = [piece] if number % 2 else piece.split(mark)
        parts[-1] += first
        parts += others
    return parts


def _unquoted(written: str) -> str:
    """The text that is meant."""
    return _IN_QUOTES.sub(lambda quoted: _ESCAPED.sub(r"\1", quoted[0][1:-1]), written)


def _pattern(written: str, normal: Callable[[str], str]) -> Pattern:
    return Pattern(tuple(normal(_unquoted(piece)) for piece in _split(written, "*")))


def _within(pattern: Pattern) -> Pattern:
    """The pattern for a text that holds it anywhere."""
    return Pattern(("", *pattern.pieces, ""))


def _suggest(text: str, known: tuple[str, ...]) -> str:
    return nearest(text, known, _("one of: {known}", known=", ".join(known)))


def _error(what: str, text: str, at: int, end: int, hint: str) -> FilterError:
    """An error that shows the part of the filter around the place, with `^^^^` below it."""
    before, place, after = text[max(0, at - 40) : at], text[at : min(end, at + 60)], text[end : end + 30]
    shown = safe(before.replace("\n", " "))
    marks = " " * cell_width(shown) + "^" * max(1, cell_width(safe(place)))
    line = f"{shown}{safe(place)}{safe(after)}".replace("\n", " ")
    problem = _("the filter, column {column}: {problem}", column=at + 1, problem=what)
    return FilterError(f"{problem}\n  {line}\n  {marks}", hint=hint)
