"""How a run ends: with an exit code, and with at most one sentence and a hint on standard error.

All errors come here: those of Typer, ours, unforeseen ones, signals, and failed writes to standard output. The exit
code says what was done, not how far the program got: docs/reference/output.md.
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
from orderctl.filters.filters import field_named
from orderctl.filters.parser import is_term, join_words
from orderctl.language import N_, _, ngettext, retell

if TYPE_CHECKING:
    from orderctl.rejection.service import HeldBatch

R = TypeVar("R", bound=io.FileIO)
T = TypeVar("T")
_TRIES = 3
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Result(io.FileIO):
    """Standard output. The first write that fails ends the run with OutputLostError if `may_end_run` says so.

    Otherwise something was already changed: the error is kept in `lost`, and the run goes on to do and log the rest.
    """

    lost: OSError | None = None
    may_end_run: Callable[[], bool] = staticmethod(lambda: True)

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        if self.lost is None:
            try:
                return super().write(data)
            except OSError as error:
                self.lost = error
                if self.may_end_run():
                    closed = error.errno == errno.EPIPE
                    lost = _("standard output cannot be written: {why}; nothing was changed", why=os_reason(error))
                    raise OutputLostError(lost, closed=closed) from error
        return len(data)


class _Talk(io.FileIO):
    """Standard error. Failed writes are ignored: messages that nobody can read do not end a run."""

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError:
            return len(data)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The exit code, the sentence about it, and the hint what to do next."""

    code: int
    said: str = ""
    hint: str = ""


class Ending:
    """The end of one run. It is made first, and takes over the standard streams and the signals."""

    def __init__(self) -> None:
        """Take them over."""
        self.root: Any = None  # the context of Typer's root command, once the call is read
        self._signal = 0
        self._result = _take_over("stdout", 1, _Result)
        self._result.may_end_run = lambda: self._context is None or not self._context.changed
        _take_over("stderr", 2, _Talk)
        self._on_stop(self._stop)
        threading.excepthook = sys.unraisablehook = self._aside

    @property
    def stopped(self) -> bool:
        """Whether a signal ended the run."""
        return bool(self._signal)

    def of(self, call: Callable[[], object]) -> int:
        """Run `call`, write and say everything, and return the exit code."""
        error: BaseException | None = None
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)  # `__main__` blocks them while modules load
            call()
        except BaseException as raised:  # noqa: BLE001 - every error becomes a sentence
            error = raised
        verdict = _insisting(lambda: self._written(self._verdict(error)))
        # All is done: a signal from now on ends the run with the code that it has.
        self._on_stop(lambda *__: os._exit(verdict.code))
        _insisting(lambda: self._tell(verdict, error))
        return verdict.code

    @staticmethod
    def _on_stop(heard: Callable[[int, FrameType | None], object]) -> None:
        """Set the handler of the signals that `nohup` or the shell did not tell this process to ignore."""
        for number in _STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, heard)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        """End the run as Ctrl-C does. The exit code of SIGHUP is that of SIGTERM."""
        self._signal = signal.SIGTERM if number == signal.SIGHUP else number
        raise KeyboardInterrupt

    def _aside(self, found: Any) -> None:  # noqa: ANN401 - arguments of either hook
        """Warn of an error in a thread or a finalizer. It does not end the run: whoever needs the result will fail."""
        if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
            self._trace(found.exc_value)
            sys.stderr.write(f"{_('warning: ')}{reason_of(found.exc_value)}\n")

    @property
    def _context(self) -> Context | None:
        found = self.root.obj if self.root is not None else None
        return found if isinstance(found, Context) else None

    def _verdict(self, error: BaseException | None) -> _Verdict:
        """The verdict on an error, or on a run without one."""
        if error is None or isinstance(error, typer.Exit):
            return _Verdict(error.exit_code if error else ExitCode.DONE)
        if isinstance(error, OutputLostError) and error.closed:
            return _Verdict(ExitCode.DONE)  # the reader of the output has seen enough
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
        """The verdict on an error after a rejection began. It depends on what the store holds, not on the error."""
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
        """Those of the batches that are in the store, read on a new connection; None if it cannot be read."""
        if not begun or self._context is None:
            return ()
        try:
            from orderctl.rejection.service import held_batches

            with self._context.open_store() as store:
                return held_batches(store, begun)
        except OrderctlError:
            return None

    def _written(self, verdict: _Verdict) -> _Verdict:
        """Flush the result. Returns the verdict, or another one if the result could not be written."""
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
        """Say the verdict, and note it in the run log."""
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
        """Write the traceback of an unforeseen error if the run is verbose."""
        if self._context is not None and self._context.verbose and _is_unforeseen(error):
            sys.stderr.write(safe("".join(traceback.format_exception(error))))


def _nothing_begun(error: BaseException, context: Context | None) -> _Verdict:
    if isinstance(error, OrderctlError):
        return _Verdict(error.exit_code, str(error), error.hint)
    if context is not None and context.changed:
        said = _("the store was changed; then: {problem}", problem=reason_of(error))
        return _Verdict(ExitCode.NOT_REPORTED, said, _("do not run it again unseen: look what the store holds"))
    hint = _("report it, with what orderctl --verbose says") if _is_unforeseen(error) else ""
    return _Verdict(ExitCode.FAILED, reason_of(error), hint)


def _is_unforeseen(error: BaseException) -> bool:
    foreseen = (OrderctlError, KeyboardInterrupt, OSError, MemoryError, typer.Exit)
    return not isinstance(error, foreseen) and not hasattr(error, "format_message")


def _done(held: "Sequence[HeldBatch]") -> str:
    """What was done, with the names of the batches."""
    return ngettext(
        "{number:,} order was rejected as batch {batches}",
        "{number:,} orders were rejected as batch {batches}",
        sum(batch.rejected for batch in held),
        batches=", ".join(batch.id for batch in held),
    )


def _log_hint(batches: Sequence[str]) -> str:
    return _("see: orderctl log {batch}", batch=batches[0]) if batches else ""


def _insisting(step: Callable[[], T]) -> T:
    """Call `step`, up to three times: a signal or a moment without memory must not change the exit code."""
    for __ in range(_TRIES - 1):
        try:
            return step()
        except BaseException:  # noqa: BLE001, S112 - the last try raises it
            continue
    return step()


def _take_over(name: str, descriptor: int, kind: type[R]) -> R:
    """Replace a standard stream by one over `kind`, and return that. Characters outside its encoding are escaped."""
    before: TextIO | None = getattr(sys, name)
    if (
        before is None
    ):  # closed by the caller: keep the descriptor from becoming that of another file; writes to it fail
        opened = os.open(os.devnull, os.O_RDONLY)
        if opened != descriptor:
            os.dup2(opened, descriptor)
            os.close(opened)
    else:
        before.flush()
    raw = kind(before.fileno() if before else descriptor, "wb", closefd=False)
    encoding, by_line = (before.encoding, before.isatty() or name == "stderr") if before else ("utf-8", True)
    text = io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=by_line)
    setattr(sys, name, text)
    return raw


# Typer's messages, so that they are in the catalogues. `{words}` stands for another of them.
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
    """Typer's message on one line in the operator's language. A group without a command shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(f"{error.format_message()}\n")
        return _Verdict(ExitCode.WRONG_CALL)
    if meant := _negated(error):
        return _Verdict(ExitCode.WRONG_CALL, _("a filter says not, and an option begins with -"), meant)
    said = " ".join(error.format_message().split()).replace("Value error, ", "").rstrip(".")
    path = error.ctx.command_path if error.ctx else "orderctl"
    hint = _field_meant(error) or _("see {path} --help", path=path)
    return _Verdict(ExitCode.WRONG_CALL, safe(retell(said, _OF_TYPER)), hint)


def call_instead(words: Sequence[str], *instead: str) -> str:
    """The call of this run with the words `instead` in place of `words`."""
    kept = [word for word in sys.argv[1:] if word != "--"]
    at = len(kept)
    for word in reversed(words):
        if word in kept[:at]:
            at = len(kept[:at]) - 1 - kept[:at][::-1].index(word)
            del kept[at]
    return safe(shlex.join(["orderctl", *kept[:at], *instead, *kept[at:]]))


def _field_meant(error: Any) -> str:  # noqa: ANN401
    """How to say in a filter what an unknown option such as `--country` means; empty for other errors."""
    field = field_named(error.option_name.lstrip("-")) if type(error).__name__ == "NoSuchOption" else None
    return (
        _("that is a field of a filter: {example}; see orderctl help filters", example=field.example) if field else ""
    )


def _negated(error: Any) -> str:  # noqa: ANN401
    """The call that was perhaps meant by an unknown option such as `-status:x`; empty for other errors."""
    if type(error).__name__ != "NoSuchOption":
        return ""
    word = next((word for word in sys.argv[1:] if word.startswith(error.option_name) and is_term(word)), "")
    if not word.startswith("-"):
        return ""
    takes_filter = any(each.metavar == "FILTER" for each in error.ctx.command.params) if error.ctx else False
    term = ("not", word[1:]) if takes_filter else ("--filter", f"not {join_words([word[1:]])}")
    return call_instead([word], *term)
