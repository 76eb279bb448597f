"""How a run ends: one exit code, at most one sentence and a hint, whatever was raised and wherever.

What goes wrong while a result is written to standard output, signals, and errors that nobody foresaw all come here.
The exit code says what was done, not how far the program got: docs/reference/output.md.
"""

import errno
import io
import os
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import typer

from orderctl.cli.context import Context
from orderctl.core.text import safe
from orderctl.errors import CommitUnknownError, ExitCode, OrderctlError, OutputLostError, os_reason, reason_of
from orderctl.filters.parser import is_term, join_words
from orderctl.language import N_, _, ngettext, retell

if TYPE_CHECKING:
    from orderctl.rejection.service import HeldBatch

T = TypeVar("T")
_TRIES = 3
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


class _Result(io.FileIO):
    """Standard output. The first write that fails ends the run, unless something was changed: then it is noted.

    What was done is still reported to the log, and the rest of the work is still to be done.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.lost: OSError | None = None
        self.may_end_run: Callable[[], bool] = lambda: True

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        if self.lost is None:
            try:
                return super().write(data)
            except OSError as error:
                self.lost = error
                if self.may_end_run():
                    closed = error.errno == errno.EPIPE
                    raise OutputLostError(_not_written(error), closed=closed) from error
        return len(data)


class _Talk(io.FileIO):
    """Standard error. A run does not end because nobody can be told how it goes."""

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError:
            return len(data)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The exit code, what is said of it, and what to do next."""

    code: int
    said: str = ""
    hint: str = ""


class Ending:
    """The end of one run. Made first, it takes over the standard streams and the signals."""

    def __init__(self) -> None:
        """Begin."""
        self.root: Any = None  # the context of Typer's root command, once the call is read
        self._signal = 0
        self._result = _standard_output()
        self._result.may_end_run = lambda: self._context is None or not self._context.changed
        _standard_error()
        self._on_stop(self._stop)
        threading.excepthook = sys.unraisablehook = self._aside

    def of(self, call: Callable[[], object]) -> int:
        """Run it; gives the exit code when everything is written and said."""
        error: BaseException | None = None
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)  # `__main__` blocks them while modules load
            call()
        except BaseException as raised:  # noqa: BLE001 - each has its sentence
            error = raised
        verdict = _insisting(lambda: self._written(self._verdict(error)))
        # From here on nothing is left to be done: who stops the run now gets the code that it has.
        self._on_stop(lambda *__: os._exit(verdict.code))
        _insisting(lambda: self._tell(verdict, error))
        return verdict.code

    @staticmethod
    def _on_stop(heard: Callable[[int, FrameType | None], object]) -> None:
        """What `nohup` and the shell told this process to ignore stays ignored."""
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, heard)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """Let Ctrl-C, SIGTERM and SIGHUP leave by the same door; a terminal that hung up ends it as SIGTERM does."""
        self._signal = signal.SIGTERM if number == signal.SIGHUP else number
        raise KeyboardInterrupt

    def _aside(self, found: Any) -> None:  # noqa: ANN401 - of a thread, or of an object that goes away
        """Say what went wrong beside the run, on a line: whoever needs its result finds that there is none."""
        if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
            self._trace(found.exc_value)
            sys.stderr.write(f"{_('warning: ')}{reason_of(found.exc_value)}\n")

    @property
    def _context(self) -> Context | None:
        found = self.root.obj if self.root is not None else None
        return found if isinstance(found, Context) else None

    def _verdict(self, error: BaseException | None) -> _Verdict:
        """What the error means for who called."""
        if error is None or isinstance(error, typer.Exit):
            return _Verdict(error.exit_code if error else ExitCode.DONE)
        if isinstance(error, OutputLostError) and error.closed:
            return _Verdict(ExitCode.DONE)  # who read our output has seen enough
        if hasattr(error, "format_message"):
            return _wrong_call(error)
        begun = self._context.begun if self._context is not None else ()
        if isinstance(error, KeyboardInterrupt):
            return self._interrupted(error, begun)
        return self._after(error, begun) if begun else _nothing_begun(error, self._context)

    def _interrupted(self, stop: KeyboardInterrupt, begun: Sequence[str]) -> _Verdict:
        usual = 128 + (self._signal or signal.SIGINT)
        code = getattr(stop, "exit_code", usual)
        if str(stop):
            return _Verdict(code, str(stop))
        held = self._held(begun)
        if held is None:
            return _Verdict(code, _("interrupted; nobody can tell whether the orders were rejected"), _log_hint(begun))
        if held:
            return _Verdict(code, _("interrupted; {done}", done=_done(held)))
        return _Verdict(code, _("interrupted; nothing was changed") if begun else _("interrupted"))

    def _after(self, error: BaseException, begun: Sequence[str]) -> _Verdict:
        """An error after a rejection began: what the store holds decides, not where the error was raised."""
        if isinstance(error, CommitUnknownError):
            return _Verdict(error.exit_code, str(error), _log_hint(begun))
        held = self._held(begun)
        if held is None:
            unclear = _(
                "{problem}; and the store does not tell whether the orders were rejected", problem=reason_of(error)
            )
            return _Verdict(ExitCode.COMMIT_UNKNOWN, unclear, _log_hint(begun))
        if not held:
            return _nothing_begun(error, None)
        said = _("{done}; then: {problem}", done=_done(held), problem=reason_of(error))
        if any(batch.mails_left for batch in held):
            return _Verdict(ExitCode.MAILS_REMAIN, said, _("the mails that are left wait for: orderctl mail send"))
        return _Verdict(ExitCode.NOT_REPORTED, said, _log_hint([batch.id for batch in held]))

    def _held(self, begun: Sequence[str]) -> "tuple[HeldBatch, ...] | None":
        """Those of the batches that hold, asked on a new connection; None if the store does not tell."""
        if not begun or self._context is None:
            return ()
        try:
            from orderctl.rejection.service import held_batches

            with self._context.open_store() as store:
                return held_batches(store, begun)
        except OrderctlError:
            return None

    def _written(self, verdict: _Verdict) -> _Verdict:
        """The verdict once the result has left, or could not."""
        try:
            sys.stdout.flush()
        except OutputLostError as error:
            return verdict if verdict.said else self._verdict(error)
        lost = self._result.lost
        if lost is None or verdict.said or self._context is None or not self._context.changed:
            return verdict
        held = self._held(self._context.begun)
        if held:
            said = _("{done}, but the report could not be written: {why}", done=_done(held), why=os_reason(lost))
            hint = _log_hint([batch.id for batch in held])
        else:
            said = _("done, but the report could not be written to standard output: {why}", why=os_reason(lost))
            hint = _("do not run it again unseen: look what the store holds")
        return _Verdict(verdict.code or ExitCode.NOT_REPORTED, said, hint)

    def _tell(self, verdict: _Verdict, error: BaseException | None) -> None:
        """Say it, and note it in the run log."""
        if error is not None:
            self._trace(error)
        if verdict.said:
            sys.stderr.write(f"orderctl: {verdict.said}\n")
        if verdict.hint:
            sys.stderr.write(_("hint: {hint}", hint=verdict.hint) + "\n")
        sys.stderr.flush()
        context = self._context
        if context is not None and self.root is not None:
            context.end(self.root.invoked_subcommand or "", verdict.code)

    def _trace(self, error: BaseException) -> None:
        """Show where an error that nobody foresaw comes from, to who wants to see it."""
        if self._context is not None and self._context.verbose and _is_unforeseen(error):
            sys.stderr.write(safe("".join(traceback.format_exception(error))))


def _nothing_begun(error: BaseException, context: Context | None) -> _Verdict:
    if isinstance(error, OrderctlError):
        return _Verdict(error.exit_code, str(error), error.hint)
    if context is not None and context.changed:
        said = _("the store was changed; then: {problem}", problem=reason_of(error))
        return _Verdict(ExitCode.NOT_REPORTED, said, _("do not run it again unseen: look what the store holds"))
    return _Verdict(ExitCode.FAILED, reason_of(error), _advice(error))


def _advice(error: BaseException) -> str:
    return _("report it, with what orderctl --verbose says") if _is_unforeseen(error) else ""


def _is_unforeseen(error: BaseException) -> bool:
    foreseen = (OrderctlError, KeyboardInterrupt, OSError, MemoryError, typer.Exit)
    return not isinstance(error, foreseen) and not hasattr(error, "format_message")


def _done(held: "Sequence[HeldBatch]") -> str:
    """What was done, with the batches by name."""
    return ngettext(
        "{number:,} order was rejected as batch {batches}",
        "{number:,} orders were rejected as batch {batches}",
        sum(batch.rejected for batch in held),
        batches=", ".join(batch.id for batch in held),
    )


def _log_hint(batches: Sequence[str]) -> str:
    return _("see: orderctl log {batch}", batch=batches[0]) if batches else ""


def _not_written(error: OSError) -> str:
    return _("standard output cannot be written: {why}; nothing was changed", why=os_reason(error))


def _insisting(step: Callable[[], T]) -> T:
    """Do it, and again if it fails: a signal, or too little memory at this instant, must not cost the exit code."""
    for __ in range(_TRIES - 1):
        try:
            return step()
        except BaseException:  # noqa: BLE001, S112 - the last try says what it is
            continue
    return step()


def _standard_output() -> _Result:
    """Standard output with one place for what goes wrong with it; what its encoding lacks is escaped."""
    before = sys.stdout
    if before is None:  # closed by who called: every write fails, as it must
        return _as_stdout(_Result(_held_open(_STANDARD_OUTPUT, os.O_RDONLY)), "utf-8", isatty=False)
    before.flush()
    return _as_stdout(_Result(before.fileno()), before.encoding, isatty=before.isatty())


def _as_stdout(result: _Result, encoding: str, *, isatty: bool) -> _Result:
    sys.stdout = _text(result, encoding, isatty=isatty)
    return result


def _standard_error() -> None:
    """Standard error that is never a reason to end."""
    before = sys.stderr
    descriptor = _held_open(_STANDARD_ERROR, os.O_WRONLY) if before is None else before.fileno()
    sys.stderr = _text(_Talk(descriptor, "wb", closefd=False), getattr(before, "encoding", "utf-8"), isatty=True)


def _text(raw: io.FileIO, encoding: str, *, isatty: bool) -> TextIO:
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding=encoding, errors="backslashreplace", line_buffering=isatty)


def _held_open(descriptor: int, flags: int) -> int:
    """A standard descriptor that was closed, held by nothing: no file of ours may come to stand in its place."""
    opened = os.open(os.devnull, flags)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
    return descriptor


# What Typer says of a wrong call, for the catalogues. `{words}` is another of these sentences.
_OF_TYPER = (
    N_("Missing command"),
    N_("Missing argument {name}. Choose from: {choices}"),
    N_("Missing argument {name}"),
    N_("Missing option {name}"),
    N_("No such command {name}. Did you mean {close}?"),
    N_("No such command {name}"),
    N_("No such option: {name} (Possible options: {close})"),
    N_("No such option: {name}"),
    N_("Option {name} does not take a value"),
    N_("Option {name} requires an argument"),
    N_("Got unexpected extra argument(s) ({listed})"),
    N_("Invalid value for {name}: {words}"),
    N_("{value} is not one of {choices}"),
    N_("Input should be a valid integer, unable to parse string as an integer"),
    N_("Input should be greater than or equal to {least}"),
    N_("Input should be less than or equal to {most}"),
)


def _wrong_call(error: Any) -> _Verdict:  # noqa: ANN401 - whatever Typer raises
    """Typer's message on one line, in the operator's language. A group without a command shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.format_message()}\n")
        return _Verdict(ExitCode.WRONG_CALL)
    if meant := _negated(error):
        return _Verdict(ExitCode.WRONG_CALL, _("a filter says not, and an option begins with -"), meant)
    said = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    path = error.ctx.command_path if error.ctx else "orderctl"
    return _Verdict(ExitCode.WRONG_CALL, safe(retell(said, _OF_TYPER)), _("see {path} --help", path=path))


def call_instead(words: Sequence[str], *instead: str) -> str:
    """The call that was made, with other words in place of those."""
    kept = [word for word in sys.argv[1:] if word != "--"]
    at = len(kept)
    for word in reversed(words):
        if word in kept[:at]:
            at = len(kept[:at]) - 1 - kept[:at][::-1].index(word)
            del kept[at]
    return safe(shlex.join(["orderctl", *kept[:at], *instead, *kept[at:]]))


def _negated(error: Any) -> str:  # noqa: ANN401
    """The call that was perhaps meant by `-status:x`; empty if the error is another one."""
    if type(error).__name__ != "NoSuchOption":
        return ""
    word = next((word for word in sys.argv[1:] if word.startswith(error.option_name) and is_term(word)), "")
    if not word.startswith("-"):
        return ""
    takes_filter = any(each.metavar == "FILTER" for each in error.ctx.command.params) if error.ctx else False
    term = ("not", word[1:]) if takes_filter else ("--filter", f"not {join_words([word[1:]])}")
    return call_instead([word], *term)
