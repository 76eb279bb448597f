"""Every error of the program is listed (docs/reference/messages.md), and says what to do next."""

import re

import pytest

from orderctl.errors import OrderctlError
from support.generator import docs_module

MESSAGES = docs_module("message_list").Collector()
ERRORS = MESSAGES.errors()

# Those that need no hint: the sentence says itself what to do,
_SAYS_IT_ITSELF = {
    "{file}: defaults.{key} must be a single value",
    "{file}: rows must be one of {known}, not {rows!r}",
    "{file}: status: {code!r} {problem}",  # the problem names the statuses that there are
    "{file}: tag_separator must not be empty",
    "{file}: {key} must be {kind}",
    "{where} must be a list of texts",
    "{where}.{key} must be a text",
    "standard output cannot be written: {why}; nothing was changed",
}
# or it was the person's own decision,
_DECIDED = {
    "declined; nothing was changed",
    "left without saving; nothing was changed",
    "no order is ticked; nothing was changed",
}
# or it is kept in the outbox beside the mail that cannot be sent: `mail show` says it, `mail retry` is the next step.
_KEPT_WITH_THE_MAIL = {
    "{address} has letters before the @ that not every mail server takes",
    "{address} is not one e-mail address: {why}",
    "it cannot be written as a message: {why}",
    "the message's headers do not read back as they were meant",
    "{text} is not a Message-ID",
}


def test_every_kind_of_error_is_listed():
    listed = {MESSAGES.kinds[each.error].exit_code for each in ERRORS}
    assert listed == {kind.exit_code for kind in MESSAGES.kinds.values()} == {1, 2, 3, 4, 7, 8}
    assert OrderctlError.__name__ in MESSAGES.kinds
    assert len(ERRORS) > 250


def test_every_error_says_what_to_do_next():
    without = {each.says for each in ERRORS if not each.has_hint}
    assert without == _SAYS_IT_ITSELF | _DECIDED | _KEPT_WITH_THE_MAIL


@pytest.mark.parametrize("each", ERRORS, ids=lambda each: each.says)
def test_an_error_is_one_sentence_in_the_tone_of_the_others(each):
    assert len(each.says) < 120
    assert not re.search(r"\b(please|sorry|oops|invalid|illegal|bad)\b|!$", each.says, re.IGNORECASE)
    assert not each.says.endswith(".") or each.says[0].isupper()
    assert not each.next.endswith((".", "!"))


def test_no_error_is_raised_without_a_text_of_its_own():
    assert [each for each in ERRORS if not each.says.strip()] == []
