"""Reads the filter language (design.md, section 4).

status:needs-oc,oc-created season:26SS      terms side by side mean *and*
country:JP or (tag:late not buyer:ac*)      `or`, `not`, parentheses; `and` may be written
buyer:"Acme Paris" total:1000..             quotes keep spaces, commas, stars and colons
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

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
_NUMBER = re.compile(r"\A[+-]?(\d{1,15})(\.\d{1,6})?\Z", re.ASCII)
_NUMBER_FORMS = N_("write 1000, 1000.., ..12.50 or 10..20, without thousands separators")
CountryCode = Callable[[str], str | None]


class FilterError(UsageError):
    """A filter that cannot be read: the message points at the place."""


@dataclass(frozen=True, slots=True)
class _Char:
    """One character of a word, and whether quotes or a backslash took its special meaning away."""

    char: str
    literal: bool


@dataclass(frozen=True, slots=True)
class _Token:
    """A parenthesis, or a word with its characters; `at` is where it begins and `end` where it ends."""

    at: int
    end: int
    chars: tuple[_Char, ...] = ()
    paren: str = ""

    @property
    def operator(self) -> str:
        """`and`, `or`, `not`, or nothing."""
        if any(each.literal for each in self.chars):
            return ""
        word = _text(self.chars).lower()
        return word if word in _OPERATORS else ""


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
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif text[at] in "()":
            yield _Token(at, at + 1, paren=text[at])
            at += 1
        else:
            chars, end = _word(text, at)
            yield _Token(at, end, chars)
            at = end


def _word(text: str, at: int) -> tuple[tuple[_Char, ...], int]:
    chars: list[_Char] = []
    opened: int | None = None
    start = at
    while at < len(text):
        char = text[at]
        if opened is None and (char.isspace() or char in "()"):
            break
        if char == '"':
            opened = at if opened is None else None
            # An empty literal marks that there were quotes: "" is a value, and "or" a word.
            chars.append(_Char("", literal=True))
        elif opened is not None and char == "\\" and text[at + 1 : at + 2] in {'"', "\\"}:
            at += 1
            chars.append(_Char(text[at], literal=True))
        else:
            if not char.isprintable():
                raise _error(_("a control character"), text, at, at + 1, _("take it out"))
            chars.append(_Char(char, literal=opened is not None))
        at += 1
    if opened is not None:
        raise _error(_("a quote that is never closed"), text, opened, len(text), _('close it with "'))
    return tuple(chars), max(at, start + 1)


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
        if self._next < len(self._tokens):
            token = self._tokens[self._next]
            raise self._error(_("a parenthesis that was never opened"), token, _("take it out, or open one before"))
        return condition

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _alternatives(self, depth: int) -> Condition:
        found = [self._sequence(depth)]
        while (token := self._peek()) and token.operator == "or":
            self._next += 1
            found.append(self._sequence(depth))
        return found[0] if len(found) == 1 else AnyOf(tuple(found))

    def _sequence(self, depth: int) -> Condition:
        found: list[Condition] = []
        while (token := self._peek()) and token.paren != ")" and token.operator != "or":
            if token.operator == "and":
                self._next += 1
                if (
                    not found
                    or (after := self._peek()) is None
                    or after.paren == ")"
                    or after.operator in {"or", "and"}
                ):
                    raise self._error(_("'and' with nothing on one side"), token, _("write a term on both sides"))
            found.append(self._factor(depth))
        if not found:
            raise self._nothing_here()
        return found[0] if len(found) == 1 else All(tuple(found))

    def _factor(self, depth: int) -> Condition:
        token = self._tokens[self._next]
        if depth > MAX_DEPTH:
            raise self._error(
                _("parentheses nested too deep"), token, _("use at most {max_depth}", max_depth=MAX_DEPTH)
            )
        self._next += 1
        if token.operator == "not":
            after = self._peek()
            if after is None or after.paren == ")" or after.operator in {"and", "or"}:
                raise self._error(_("'not' with nothing after it"), token, _("write a term after it"))
            return Not(self._factor(depth + 1))
        if token.paren == "(":
            inner = self._alternatives(depth + 1)
            if self._peek() is None:
                raise self._error(_("a parenthesis that is never closed"), token, _("close it with )"))
            self._next += 1
            return inner
        return self._leaf(token)

    def _nothing_here(self) -> FilterError:
        token = self._peek() or self._tokens[-1]
        if token.paren == ")" or (self._next and self._tokens[self._next - 1].paren == "("):
            return self._error(_("a parenthesis with nothing in it"), token, _("write a term inside, or take it out"))
        return self._error(_("'or' with nothing on one side"), token, _("write a term on both sides"))

    def _leaf(self, token: _Token) -> Condition:
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise self._error(
                _("more than {max_terms} terms", max_terms=MAX_TERMS), token, _("give ids with --ids FILE instead")
            )
        colon = next((at for at, each in enumerate(token.chars) if each.char == ":" and not each.literal), None)
        if colon is None or not colon:
            if not _text(token.chars).strip():
                raise self._error(_("an empty word"), token, _("write something between the quotes"))
            return Word(_within(_pattern(token.chars, fold)))
        first = token.chars[0]
        if first.char == "-" and not first.literal and field_named(_text(token.chars[1:colon])):
            return Not(self._term(replace(token, chars=token.chars[1:]), colon - 1))
        return self._term(token, colon)

    def _term(self, token: _Token, colon: int) -> Term:
        name = _text(token.chars[:colon]).lower()
        field = field_named(name)
        if field is None:
            raise self._unknown_field(name, token)
        if len(token.chars) == colon + 1:
            raise self._error(
                _("{name}: with no value", name=name), token, _("for example {example}", example=field.example)
            )
        parts = list(_split(token.chars[colon + 1 :]))
        tests = tuple(self._test(field, part, token) for part in parts)
        if field.name == "id":
            # Typed with its accents the other way, it is the same id.
            texts = (text for part in map(_text, parts) for text in dict.fromkeys((part, *forms_of(part))))
            tests = tuple(Pattern((text,)) for text in texts)
        return Term(field.name, tests)

    def _test(self, field: Field, part: tuple[_Char, ...], token: _Token) -> Test:
        text = _text(part)
        if not text.strip():
            raise self._error(
                _("{name}: with an empty value", name=field.name),
                token,
                _("for example {example}", example=field.example),
            )
        if len(text) > _MAX_VALUE:
            raise self._error(
                _("a value longer than {max_value} characters", max_value=_MAX_VALUE), token, _("shorten it")
            )
        if field.may_be_empty and not any(each.literal for each in part) and text.lower() in {"none", "any"}:
            return Empty() if text.lower() == "none" else Present()
        try:
            return self._READERS[field.kind](self, field, part)
        except ValueError as error:
            message, __, hint = str(error).partition("\n")
            raise self._error(message, token, hint or _("for example {example}", example=field.example)) from None

    def _choice(self, field: Field, part: tuple[_Char, ...]) -> Test:
        text = _text(part)
        status = status_named(text)
        if status is None:
            raise ValueError(
                "\n".join(
                    (_("{text!r} is not a {name}", text=text.lower(), name=field.name), _suggest(text, tuple(Status)))
                )
            )
        return Pattern((status.value,))

    def _contained(self, field: Field, part: tuple[_Char, ...]) -> Test:
        pattern = _pattern(part, fold if field.name == "buyer" else lower_ascii)
        return _within(pattern) if pattern.is_literal else pattern

    def _code(self, field: Field, part: tuple[_Char, ...]) -> Test:
        pattern = _pattern(part, lower_ascii)
        if field.name == "country" and pattern.is_literal:
            return Pattern((lower_ascii(self._country_code(_text(part)) or _text(part)),))
        return pattern

    def _exact(self, field: Field, part: tuple[_Char, ...]) -> Test:
        if any(each.char == "*" and not each.literal for each in part):
            raise ValueError(
                _("{name}: takes whole values, no *", name=field.name)
                + "\n"
                + _('put it in quotes if it belongs to the value: "*"')
            )
        return Pattern((_text(part),))

    def _days(self, field: Field, part: tuple[_Char, ...]) -> Test:
        try:
            return parse_day_range(_text(part), self._today)
        except ValueError as error:
            raise ValueError(f"{field.name}: {error}\n{_(FORMS)}") from None

    def _number(self, field: Field, part: tuple[_Char, ...]) -> Test:
        low, dots, high = _text(part).partition("..")
        if not dots:
            high = low
        if not low and not high:
            raise _not_so(field, _("a range needs at least one end"))
        found = NumberRange(_decimal(field, low), _decimal(field, high))
        if found.low is not None and found.high is not None and found.low > found.high:
            raise _not_so(field, _("the range ends before it begins"))
        return found

    def _flag(self, field: Field, part: tuple[_Char, ...]) -> Test:
        text = _text(part).lower()
        if text not in _FLAGS:
            raise ValueError(_("{name}: is yes or no, not {text!r}", name=field.name, text=text))
        return Flag(_FLAGS[text])

    _READERS = {  # noqa: RUF012 - a table of methods, never changed
        Kind.CHOICE: _choice,
        Kind.TEXT: _contained,
        Kind.CODE: _code,
        Kind.EXACT: _exact,
        Kind.DAY: _days,
        Kind.AMOUNT: _number,
        Kind.COUNT: _number,
        Kind.FLAG: _flag,
    }

    def _unknown_field(self, name: str, token: _Token) -> FilterError:
        negated = name.lstrip("!~-")
        if negated != name and field_named(negated):
            hint = _("write: not {name}:", name=negated)
        else:
            hint = _suggest(name, tuple(FILTER_FIELDS))
        message = _("there is no field {name!r}", name=safe(name))
        return _error(
            message,
            self._text,
            token.at,
            token.at + len(name),
            _('{hint}; to search for a colon, quote it: "a:b"', hint=hint),
        )

    def _error(self, what: str, token: _Token, hint: str) -> FilterError:
        return _error(what, self._text, token.at, token.end, hint)


def _decimal(field: Field, text: str) -> Decimal | None:
    if not text:
        return None
    found = _NUMBER.match(text)
    if not found:
        raise _not_so(field, _("{text!r} is not a number", text=text))
    if field.kind is Kind.COUNT and found[2]:
        raise _not_so(field, _("{text!r} is not a whole number", text=text))
    return Decimal(text)


def _not_so(field: Field, problem: str) -> ValueError:
    return ValueError(f"{field.name}: {problem}\n{_(_NUMBER_FORMS)}")


def _split(chars: tuple[_Char, ...]) -> Iterator[tuple[_Char, ...]]:
    """The values between commas."""
    commas = [at for at, each in enumerate(chars) if each.char == "," and not each.literal]
    for before, after in pairwise([-1, *commas, len(chars)]):
        yield chars[before + 1 : after]


def _pattern(chars: tuple[_Char, ...], normal: Callable[[str], str]) -> Pattern:
    pieces = [""]
    for each in chars:
        if each.char == "*" and not each.literal:
            pieces.append("")
        else:
            pieces[-1] += each.char
    return Pattern(tuple(normal(piece) for piece in pieces))


def _within(pattern: Pattern) -> Pattern:
    """The pattern for a text that holds it anywhere."""
    return Pattern(("", *pattern.pieces, ""))


def _text(chars: Sequence[_Char]) -> str:
    return "".join(each.char for each in chars)


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
