"""What a check found, as a line for people."""

from orderctl.domain.health import Check
from orderctl.language import say


def check_words(found: Check) -> str:
    """Whether it is in order, its name, and what was seen."""
    verdict = say("ok   ") if found.ok else say("WRONG")
    return f"{verdict}  {found.name}: {found.detail}"
