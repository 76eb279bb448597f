"""Why orders are rejected: as said on the command line, or as chosen at the terminal."""

from orderctl.bootstrap.program import Program
from orderctl.cli.execution import Run
from orderctl.domain.errors import UsageError
from orderctl.domain.reasons import Reason, ReasonCodes
from orderctl.language import say


def read_reason(program: Program, text: str, run: Run, *, every_order_has_one: bool) -> Reason:
    """The reason. Where the settings list codes it is one of them: asked for if unsaid, and no need of a dry run.

    Raises UsageError.
    """
    codes = program.reason_codes
    if not text.strip():
        if not codes.words or run.dry_run or every_order_has_one:
            return Reason()
        if run.yes or not program.prompts.can_ask():
            raise UsageError(say("a reason is missing"), hint=_hint(codes))
        text = program.prompts.choose(say("Why are they rejected?"), codes.words)
    try:
        return codes.read(text)
    except ValueError as error:
        raise UsageError(
            say("--reason {problem}", problem=error), hint=_hint(codes) if codes.words else say("shorten it")
        ) from None


def _hint(codes: ReasonCodes) -> str:
    return say("--reason CODE or 'CODE: words'; the codes: {codes}", codes=codes)
