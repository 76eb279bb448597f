"""Letters as their buyers read them, a few of them and cut to a readable length."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from orderctl.domain.sample_letters import SampleLetter
from orderctl.domain.text import count_of
from orderctl.terminal.styles import FAINT, letter_text, plain

SHOWN_LETTERS = 3
_SHOWN_LINES = 24


def letter_samples(letters: Sequence[SampleLetter]) -> RenderableType:
    """The longest and the shortest letter, then others that use other templates; the rest is named."""
    shown = _chosen(letters)
    parts: list[RenderableType] = [_panel(sample) for sample in shown]
    rest = [each.language or "no language" for each in letters if each not in shown]
    if rest:
        words = f"{count_of(len(rest), 'letter')} more: {', '.join(rest)}; all with --dry-run --format json"
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


def _panel(sample: SampleLetter) -> Panel:
    title = plain(f"To {sample.buyer}")
    facts = [sample.language or "no language"]
    if sample.written_in != sample.language:
        facts.append(f"written in {sample.written_in}")
    facts += [count_of(sample.orders, "order"), *([f"the {sample.mark}"] if sample.mark else [])]
    title.append_text(plain(f" ({', '.join(facts)})", FAINT))
    return Panel(_cut(letter_text(sample.letter)), title=title, title_align="left", border_style=FAINT)


def _cut(text: Text) -> Text:
    lines = text.split("\n", allow_blank=True)
    if len(lines) <= _SHOWN_LINES:
        return text
    more = Text(f"… {count_of(len(lines) - _SHOWN_LINES, 'line')} more", style=FAINT)
    return Text("\n").join([*lines[:_SHOWN_LINES], more])
