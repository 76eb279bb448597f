"""Letters as their buyers read them, a few of them and cut to a readable length."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from orderctl.domain.sample_letters import SampleLetter
from orderctl.language import later, say, say_count
from orderctl.terminal.styles import FAINT, Framed, Sentence, filled, letter_text, plain

SHOWN_LETTERS = 3
_SHOWN_LINES = 24
_MARKS = {"longest": later("the longest"), "shortest": later("the shortest")}


def letter_samples(letters: Sequence[SampleLetter]) -> RenderableType:
    """The longest and the shortest letter, then others that use other templates; the rest is named."""
    shown = _chosen(letters)
    parts: list[RenderableType] = [_framed(sample, apart=sample is not shown[0]) for sample in shown]
    rest = [each.language or say("no language") for each in letters if each not in shown]
    if rest:
        words = say_count(
            "{number:,} letter more: {listed}; all with --dry-run --format json",
            "{number:,} letters more: {listed}; all with --dry-run --format json",
            len(rest),
            listed=", ".join(rest),
        )
        parts.append(plain(words, FAINT))
    return Group(*parts)


def _chosen(letters: Sequence[SampleLetter]) -> list[SampleLetter]:
    extremes = [each for each in letters if each.mark]
    templates = {each.written_in for each in extremes}
    for each in letters:
        if each.written_in not in templates:
            extremes.append(each)
            templates.add(each.written_in)
    return extremes[:SHOWN_LETTERS]


def _framed(sample: SampleLetter, *, apart: bool) -> Framed:
    title = filled(say("To {buyer}"), buyer=sample.buyer)
    facts = [sample.language or say("no language")]
    if sample.written_in != sample.language:
        facts.append(say("written in {language}", language=sample.written_in))
    facts.append(say_count("{number:,} order", "{number:,} orders", sample.orders))
    if sample.mark:
        facts.append(say(_MARKS[sample.mark]))
    title.append_text(plain(f" ({', '.join(facts)})", FAINT))
    return Framed(_cut(letter_text(sample.letter)), title, apart=apart)


def _cut(text: Text) -> Text:
    lines = text.split("\n", allow_blank=True)
    if len(lines) <= _SHOWN_LINES:
        return text
    more = say_count("… {number:,} line more", "… {number:,} lines more", len(lines) - _SHOWN_LINES)
    return Sentence("\n").join([*lines[:_SHOWN_LINES], Text(more, style=FAINT)])
