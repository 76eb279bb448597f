"""Asks questions on the controlling terminal, `/dev/tty`, so that piped input never answers.

What was typed before a question was shown is discarded, and each question wants Enter (docs/reference/reject.md).
"""

import os
import select
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orderctl.core.text import cell_width, padded, safe, wrapped
from orderctl.errors import DeclinedError, UsageError
from orderctl.language import _

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.input import Input
    from prompt_toolkit.output import Output

# "? " before a question, and space for an answer after it.
_MARGIN = 4
# A long paste arrives in parts, with shorter pauses between them than this.
_QUIET_S = 0.02


@dataclass(frozen=True, slots=True)
class Tty:
    """The controlling terminal, opened for prompt_toolkit."""

    input: "Input"
    output: "Output"

    def run(self, app: "Application[Any]") -> Any:  # noqa: ANN401 - what the application answers
        """Run a question that only later input answers.

        Raises DeclinedError for Ctrl-D and for a terminal that is gone, KeyboardInterrupt for Ctrl-C.
        """
        from prompt_toolkit.input.typeahead import clear_typeahead  # noqa: PLC0415
        from prompt_toolkit.key_binding import KeyBindings, merge_key_bindings  # noqa: PLC0415

        leaving = KeyBindings()
        leaving.add("c-d", eager=True)(lambda event: event.app.exit(exception=EOFError))
        app.key_bindings = merge_key_bindings([app.key_bindings or KeyBindings(), leaving])
        app.before_render += self._begin
        try:
            return app.run(pre_run=lambda: clear_typeahead(self.input))
        except EOFError:
            raise DeclinedError(_("declined; nothing was changed")) from None
        except KeyboardInterrupt:
            raise KeyboardInterrupt(_("interrupted; nothing was changed")) from None

    def _begin(self, app: "Application[Any]") -> None:
        """Before the first drawing, discard what was typed, and erase its echo.

        Not earlier: only raw mode makes a line without Enter readable. Not later: an answer must be kept.
        """
        if app.render_counter > 1:
            return
        _discard_typed(self.input.fileno())
        self.output.write_raw("\r")
        self.output.erase_end_of_line()


def can_ask() -> bool:
    """Whether there is a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def yes_or_no(question: str) -> bool:
    """A yes or no that defaults to no."""
    from questionary.prompts import confirm  # noqa: PLC0415 - as costly as questionary itself

    # The echo of the answer can only be translated like this.
    confirm.YES, confirm.NO = _("Yes"), _("No")  # type: ignore[attr-defined]
    return bool(ask("confirm", question, default=False, auto_enter=False))


def choose(question: str, words_by_value: Mapping[str, str]) -> str:
    """Ask for one of several values, each shown with its words."""
    width = max(map(cell_width, words_by_value))
    choices = {safe(f"{padded(value, width)}  {words}".rstrip()): value for value, words in words_by_value.items()}
    return choices[str(ask("select", question, choices=list(choices), instruction=" "))]


def discard_typed() -> None:
    """Discard what was typed so far, so that an editor does not get it."""
    with suppress(OSError), open("/dev/tty", encoding="utf-8") as tty:  # noqa: PTH123 - no file
        _discard_typed(tty.fileno())


def ask(kind: str, question: str, *, demand: str = "", **options: object) -> Any:  # noqa: ANN401 - what questionary answers
    """The answer to a question; `kind` is a prompt of questionary."""
    import questionary  # noqa: PLC0415 - a tenth of a second that only a question is worth

    with open_terminal() as tty:
        text = _in_lines(safe(question), demand, tty.output.get_size().columns - _MARGIN)
        asked = getattr(questionary, kind)(text, **options, input=tty.input, output=tty.output)
        return tty.run(asked.application)


def _in_lines(question: str, demand: str, width: int) -> str:
    """The question wrapped to a width in cells; `demand` stays whole, at the end."""
    lines = wrapped(question, max(1, width))
    if demand and cell_width(f"{lines[-1]} {demand}") > width:
        lines.append(demand)
    elif demand:
        lines[-1] += f" {demand}"
    return "\n  ".join(lines)


@contextmanager
def open_terminal() -> Iterator[Tty]:
    """Open the controlling terminal. Raises UsageError if there is none."""
    from prompt_toolkit.input import create_input  # noqa: PLC0415
    from prompt_toolkit.output import create_output  # noqa: PLC0415

    try:
        reading, writing = open("/dev/tty", encoding="utf-8"), open("/dev/tty", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    except OSError:
        raise UsageError(
            _("there is no terminal to ask on"), hint=_("say yes with --yes, or leave out --pick")
        ) from None
    with reading, writing:
        output = create_output(stdout=writing)
        # The terminal's reply to a question for the cursor's position would arrive as keys, and some of it would be
        # discarded.
        output.enable_cpr = False  # type: ignore[attr-defined]
        yield Tty(create_input(stdin=reading), output)


def _discard_typed(terminal: int) -> None:
    """Discard pending input until no more comes. A terminal that is gone has none."""
    with suppress(termios.error):
        termios.tcflush(terminal, termios.TCIFLUSH)
        while select.select([terminal], [], [], _QUIET_S)[0]:
            termios.tcflush(terminal, termios.TCIFLUSH)


def demand_yes(question: str) -> None:
    """Ask a question. Raises DeclinedError unless the answer is yes."""
    if not yes_or_no(question):
        raise DeclinedError(_("declined; nothing was changed"))


def ask_to_go_on(what: str) -> None:
    """Ask before what would be done. Raises UsageError without a terminal, DeclinedError unless the answer is yes."""
    if not can_ask():
        raise UsageError(
            _("{what}, and there is no terminal to ask on", what=what),
            hint=_("look with {option}, then say yes with --yes", option="--dry-run"),
        )
    demand_yes(_("{what}. Go on?", what=what))
