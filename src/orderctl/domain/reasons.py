"""Why orders are rejected: a code that can be counted, and words for people (design.md, section 3)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orderctl.domain.text import safe
from orderctl.language import say

LONGEST_CODE = 60
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason as the log keeps it. `text` begins with the code, where there is one."""

    text: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class ReasonCodes:
    """The codes of the settings with their words; with none, any text is a reason without a code."""

    words: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def collect(cls, texts: Iterable[str]) -> "ReasonCodes":
        """From texts like `dropped` and `dropped: Style dropped`. ValueError names the one that is wrong."""
        words: dict[str, str] = {}
        for text in texts:
            code, _, said = (part.strip() for part in text.partition(":"))
            if not code or len(code) > LONGEST_CODE or safe(code) != code:
                raise ValueError(
                    say(
                        "{text!r} has no code of at most {longest_code} characters",
                        text=text,
                        longest_code=LONGEST_CODE,
                    )
                )
            if code in words:
                raise ValueError(say("the code {code!r} stands there twice", code=code))
            words[code] = said
        return cls(words)

    def read(self, text: str) -> Reason:
        """A reason as somebody wrote it: `CODE`, `CODE: words`, or any text. ValueError says what is wrong."""
        given = text.strip()
        if len(given) > LONGEST_REASON:
            raise ValueError(say("is longer than {longest_reason} characters", longest_reason=LONGEST_REASON))
        if not given or not self.words:
            return Reason(given)
        code, _, said = (part.strip() for part in given.partition(":"))
        if code not in self.words:
            raise ValueError(say("begins with no code of the settings: {code!r}", code=safe(code[:LONGEST_CODE])))
        said = said or self.words[code]
        return Reason(f"{code}: {said}" if said else code, code)

    def __str__(self) -> str:
        """The codes, as an error lists them."""
        return ", ".join(self.words)


def words_of(reason: str, code: str) -> str:
    """What a buyer may read of a reason: its words without the code."""
    return reason.removeprefix(f"{code}: ") if code else reason
