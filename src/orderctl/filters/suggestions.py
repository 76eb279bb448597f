"""What may be completed on the command line, from the store and from the filter language."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from orderctl.core.text import fold, lower_ascii, safe
from orderctl.filters.filters import FILTER_FIELDS, Field, Kind, field_named
from orderctl.language import N_, _
from orderctl.orders.orders import Status


class Suggestion(StrEnum):
    """What the store can offer values of."""

    ORDER = "order"
    BATCH = "batch"
    PLAN = "plan"
    MAIL = "mail"
    SAVED_FILTER = "saved filter"
    SELECTION = "selection"
    BUYER = "buyer"
    TAG = "tag"
    SKU = "sku"
    SEASON = "season"
    BRAND = "brand"
    COUNTRY = "country"
    CURRENCY = "currency"


Values = Callable[[Suggestion, str], Iterable[str]]
Suggested = tuple[str, str]  # what is put in place of the typed word, and a few words about it
_OF_FIELD = {each.value: each for each in Suggestion if each in FILTER_FIELDS} | {"id": Suggestion.ORDER}
_DAYS = (
    ("today", N_("today")),
    ("-7d..", N_("the last seven days")),
    ("-30d..", N_("the last thirty days")),
    ("..-30d", N_("before")),
)
# The finished part of an expression: all up to the last space or parenthesis outside of quotes.
_DONE = re.compile(r'\A(?:[^"]|"[^"]*")*[\s(]')
_SPECIAL = re.compile(r'[",:()*\\]')


def suggest_terms(typed: str, values: Values) -> Iterator[Suggested]:
    """Ways to go on with a filter: the fields, or the values of the field that is being written."""
    done = found.group() if (found := _DONE.match(typed)) else ""
    term = typed[len(done) :]
    name, colon, rest = term.partition(":")
    field = field_named(name)
    if not colon:
        yield from (
            (f"{done}{each.name}:", _(each.about)) for each in FILTER_FIELDS.values() if each.name.startswith(name)
        )
    elif field is not None:
        before, comma, begun = rest.rpartition(",")
        head = f"{done}{name}:{before}{comma}"
        quoted = begun.startswith('"')
        start = begun.removeprefix('"')
        alone = not done and not comma
        for value, about in _values(field, start, values):
            going_on = _going_on(field, start, value)
            if going_on is None:
                continue
            if not quoted and not _wants_quotes(going_on, alone=alone):
                yield head + going_on, about
            elif quoted or not start:
                yield f'{head}"{going_on.replace(chr(92), chr(92) * 2).replace(chr(34), chr(92) + chr(34))}"', about


def _going_on(field: Field, start: str, value: str) -> str | None:
    """What was typed, with the rest of the value behind it; None if the field would not find the value by that."""
    if lower_ascii(value).startswith(lower_ascii(start)):
        return start + value[len(start) :]
    lengths = range(1, len(value) + 1) if field.name == "buyer" else ()
    length = next((length for length in lengths if fold(value[:length]) == fold(start)), None)
    return None if length is None else start + value[length:]


def _values(field: Field, start: str, values: Values) -> Iterator[Suggested]:
    fixed: list[Suggested] = []
    if field.kind is Kind.CHOICE:
        fixed += [(status.value, _(status.brand_sees)) for status in Status]
    elif field.kind is Kind.FLAG:
        fixed += [("yes", _(field.about)), ("no", _("not {what}", what=_(field.about)))]
    elif field.kind is Kind.DAY:
        fixed += [(value, _(about)) for value, about in _DAYS]
    if field.may_be_empty:
        fixed += [("none", _("has none")), ("any", _("has one"))]
    if field.name in _OF_FIELD:
        yield from ((value, "") for value in values(_OF_FIELD[field.name], start) if is_plain(value))
    yield from ((value, about) for value, about in fixed if value.startswith(start.lower()))


def _wants_quotes(value: str, *, alone: bool) -> bool:
    """Whether a value has to be quoted; spaces need not be in a word of its own (see `filter_parser.join_words`)."""
    return bool(_SPECIAL.search(value)) or (" " in value and not alone) or value.lower() in {"and", "or", "not"}


def is_plain(value: str) -> bool:
    """Whether a value can be put on a command line: it is not empty and nothing in it controls a terminal."""
    return bool(value) and safe(value) == value and "\t" not in value
