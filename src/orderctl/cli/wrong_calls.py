"""What is wrong with a call that Typer cannot read, in our own words: from what it found, not from its message."""

import shlex
import sys
from collections.abc import Sequence
from enum import Enum
from typing import Any

from orderctl.domain.filter_parser import is_term, join_words
from orderctl.domain.text import safe
from orderctl.language import later, say

_VALUELESS = "Option {name!r} does not take a value."
_KNOWN = (later("Missing command."),)
_NUMBERS = {
    "int_parsing": later("Invalid value for {name}: Input should be a valid integer"),
    "greater_than_equal": later("Invalid value for {name}: Input should be greater than or equal to {ge}"),
    "less_than_equal": later("Invalid value for {name}: Input should be less than or equal to {le}"),
}


def explained(error: Any) -> tuple[str, str]:  # noqa: ANN401 - whatever Typer raises
    """What is wrong with the call, and what to do next."""
    path = error.ctx.command_path if error.ctx else "orderctl"
    hint = say("see {path} --help", path=path)
    kind = type(error).__name__
    if kind == "NoSuchOption":
        negated = _negated(error)
        if negated:
            return say("a filter says not, and an option begins with -"), negated
        close = error.possibilities
        what = say("there is no option {name}", name=safe(error.option_name))
        return what, say("did you mean {close}?", close=close[0]) if close else hint
    if kind == "BadOptionUsage":
        return _misused(error), hint
    if kind == "MissingParameter":
        return _missing(error), _one_of(error.param) or hint
    if kind == "BadParameter":
        return _bad_value(error), hint
    message = str(error.format_message())
    return (say(message) if message in _KNOWN else message).rstrip(".。"), hint


def call_instead(words: Sequence[str], *instead: str) -> str:
    """The call that was made, with other words in place of those."""
    kept = [word for word in sys.argv[1:] if word != "--"]
    at = len(kept)
    for word in reversed(words):
        if word in kept[:at]:
            at = len(kept[:at]) - 1 - kept[:at][::-1].index(word)
            del kept[at]
    return safe(shlex.join(["orderctl", *kept[:at], *instead, *kept[at:]]))


def _negated(error: Any) -> str:  # noqa: ANN401
    """The call that was perhaps meant by `-status:x`."""
    word = next((word for word in sys.argv[1:] if word.startswith(error.option_name) and is_term(word)), "")
    if not word.startswith("-"):
        return ""
    takes_filter = any(each.metavar == "FILTER" for each in error.ctx.command.params) if error.ctx else False
    term = ("not", word[1:]) if takes_filter else ("--filter", f"not {join_words([word[1:]])}")
    return call_instead([word], *term)


def _misused(error: Any) -> str:  # noqa: ANN401
    if error.message == _VALUELESS.format(name=error.option_name):
        return say("Option {name!r} does not take a value", name=error.option_name)
    return say("Option {name!r} requires an argument", name=error.option_name)


def _missing(error: Any) -> str:  # noqa: ANN401
    name = error.param.get_error_hint()
    if error.param.param_type_name == "argument":
        return say("Missing argument {name}", name=name)
    return say("Missing option {name}", name=name)


def _one_of(param: Any) -> str:  # noqa: ANN401
    choices = _choices(param)
    return say("one of: {choices}", choices=", ".join(choices)) if choices else ""


def _bad_value(error: Any) -> str:  # noqa: ANN401
    """By the finding of the validator, where it is one that our options can lead to."""
    name = error.param.get_error_hint()
    findings = error.__cause__.errors() if hasattr(error.__cause__, "errors") else []
    found: dict[str, Any] = findings[0] if findings else {}
    of_number = _NUMBERS.get(found.get("type", ""))
    if of_number:
        return say(of_number, name=name, **found.get("ctx", {}))
    choices = _choices(error.param)
    if choices and found:
        listed = ", ".join(map(repr, choices))
        return say(
            "Invalid value for {name}: {value!r} is not one of {choices}",
            name=name,
            value=found["input"],
            choices=listed,
        )
    return say("Invalid value for {name}: {problem}", name=name, problem=error.message.rstrip("."))


def _choices(param: Any) -> list[str]:  # noqa: ANN401
    return [str(each.value if isinstance(each, Enum) else each) for each in param.type_descriptor.choices or ()]
