"""Tags of orders. The only place that reads one."""

MAX_LENGTH = 60
_WORDS_OF_THE_FILTER = {"none", "any"}


def parse_tag(text: str) -> str:
    """Read one tag: trimmed; ValueError says what is wrong with it."""
    tag = text.strip()
    if not tag:
        raise ValueError("is empty")
    if len(tag) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if not tag.isprintable() or "," in tag:
        raise ValueError("holds a comma or a control character")
    if tag.casefold() in _WORDS_OF_THE_FILTER:
        raise ValueError("means something else in a filter (tag:none, tag:any)")
    return tag
