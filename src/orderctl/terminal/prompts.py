"""Questions to the person at the controlling terminal. `/dev/tty` is asked, so piped input never answers."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orderctl.domain.errors import UsageError
from orderctl.domain.filters import OrderFilter
from orderctl.domain.picking import PickList, Picks
from orderctl.domain.text import safe
from orderctl.domain.text_width import cell_width, padded
from orderctl.language import say, say_count

# Up to so many orders a yes is enough; beyond, the number has to be typed.
SMALL = 10


class Prompts:
    """Asks with questionary. Ctrl-C raises KeyboardInterrupt: it is never an answer."""

    @staticmethod
    def can_ask() -> bool:
        """Whether there is a controlling terminal."""
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return False
        return True

    def confirm_rejection(self, count: int) -> bool:
        """Ask for the go-ahead: yes or no for a few orders, the typed number for more. Anything else is no."""
        if count <= SMALL:
            return self.yes_or_no(say_count("Reject {number:,} order?", "Reject {number:,} orders?", count))
        question = say_count(
            "Type {typed} to reject {number:,} order:", "Type {typed} to reject {number:,} orders:", count, typed=count
        )
        answer = self._ask("text", question)
        return str(answer).replace(",", "").strip() == str(count)

    def yes_or_no(self, question: str) -> bool:
        """A yes or no that defaults to no."""
        from questionary.prompts import confirm  # noqa: PLC0415 - as costly as questionary itself

        # How the answer is echoed: the library has no other way to say it.
        confirm.YES, confirm.NO = say("Yes"), say("No")  # type: ignore[attr-defined]
        return bool(self._ask("confirm", question, default=False))

    def choose(self, question: str, words_by_value: Mapping[str, str]) -> str:
        """Let the operator choose one of several values, each shown with its words."""
        width = max(map(cell_width, words_by_value))
        choices = {safe(f"{padded(value, width)}  {words}".rstrip()): value for value, words in words_by_value.items()}
        return choices[str(self._ask("select", question, choices=list(choices), instruction=" "))]

    @staticmethod
    def pick(picks: PickList, *, purpose: str, done: str, parse: Callable[[str], OrderFilter]) -> Picks | None:
        """Let the operator tick orders in a full-screen list; None if they left it."""
        from orderctl.terminal.details import draw_order  # noqa: PLC0415 - only a list that is shown is worth it
        from orderctl.terminal.picker import Picker  # noqa: PLC0415

        with open_terminal() as streams:
            return Picker(picks, purpose=purpose, done=done, parse=parse, detail=draw_order).run(streams)

    @staticmethod
    def _ask(kind: str, question: str, **options: object) -> Any:  # noqa: ANN401 - what questionary answers
        import questionary  # noqa: PLC0415 - a tenth of a second that only a question is worth

        with open_terminal() as streams:
            return getattr(questionary, kind)(question, **options, **streams).unsafe_ask()


@contextmanager
def open_terminal() -> Iterator[dict[str, Any]]:
    """prompt_toolkit's input and output on the controlling terminal."""
    from prompt_toolkit.input import create_input  # noqa: PLC0415
    from prompt_toolkit.output import create_output  # noqa: PLC0415

    try:
        reading, writing = open("/dev/tty", encoding="utf-8"), open("/dev/tty", "w", encoding="utf-8")  # noqa: PTH123, SIM115
    except OSError:
        raise UsageError(
            say("there is no terminal to ask on"), hint=say("say yes with --yes, or leave out --pick")
        ) from None
    with reading, writing:
        yield {"input": create_input(stdin=reading), "output": create_output(stdout=writing)}
