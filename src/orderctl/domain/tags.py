"""Tags of orders. The only place that reads one."""

from orderctl.language import say

MAX_LENGTH = 60
_WORDS_OF_THE_FILTER = {"none", "any"}


def parse_tag(text: str) -> str:
    """Read one tag: trimmed; ValueError says what is wrong with it."""
    tag = text.strip()
    if not tag:
        raise ValueError(say("is empty"))
    if len(tag) > MAX_LENGTH:
        raise ValueError(say("is longer than {max_length} characters", max_length=MAX_LENGTH))
    if not tag.isprintable() or "," in tag:
        raise ValueError(say("holds a comma or a control character"))
    if tag.casefold() in _WORDS_OF_THE_FILTER:
        raise ValueError(say("means something else in a filter (tag:none, tag:any)"))
    return tag
