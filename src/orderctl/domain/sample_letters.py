"""Letters of a plan as its preview shows them: one real letter for each language (design.md, section 6, step 3)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orderctl.domain.outbox import Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLetter:
    """What one buyer of a plan would read.

    `language` is the buyer's, `written_in` that of the templates in use; `mark` says which of the samples is
    the longest, and which the shortest.
    """

    buyer: str
    language: str
    written_in: str
    orders: int
    letter: Letter
    mark: str = ""


def mark_extremes(letters: Iterable[SampleLetter]) -> tuple[SampleLetter, ...]:
    """Mark the longest and the shortest of several letters that are not as long as each other."""
    listed = list(letters)
    sizes = [len(each.letter.text) for each in listed]
    if len(set(sizes)) > 1:
        for mark, size in (("longest", max(sizes)), ("shortest", min(sizes))):
            place = sizes.index(size)
            listed[place] = replace(listed[place], mark=mark)
    return tuple(listed)
