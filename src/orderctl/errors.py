"""The errors that a user can meet. Each class has its exit code (design.md, section 8)."""

from enum import IntEnum
from typing import Self

from orderctl.core.text import safe
from orderctl.language import N_, _


class ExitCode(IntEnum):
    """The exit codes, for scripts; `about` is what `orderctl help exit-codes` says."""

    about: str

    def __new__(cls, code: int, about: str) -> Self:
        """A code with the words about it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.about = about
        return member

    DONE = 0, N_("done; also a dry run, and nothing to do")
    FAILED = 1, N_("the command failed and nothing was changed")
    WRONG_CALL = 2, N_("the call, the configuration or an input file is wrong; nothing was changed")
    UNEXPECTED_PLAN = (
        3,
        N_("not what was expected (--strict, --expect, --max-orders), or none can be rejected; nothing was changed"),
    )
    DECLINED = 4, N_("declined at the confirmation; nothing was changed")
    MAILS_REMAIN = 5, N_("rejected, but mails are waiting, failed, came back or are unknown: orderctl mail list")
    FEWER_THAN_PLANNED = (
        6,
        N_("rejected, but fewer than previewed: some orders changed in between, and each is listed"),
    )
    STORE_UNAVAILABLE = (
        7,
        N_("the store cannot be reached, is locked, or stayed busy beyond the retries; nothing was changed"),
    )
    COMMIT_UNKNOWN = 8, N_("the store went away during the commit and cannot be asked whether it holds")
    NOT_REPORTED = 9, N_("done, but the result could not be written: orderctl log tells what was done")
    INTERRUPTED = 130, N_("stopped by Ctrl-C; what was done is said")
    TERMINATED = 143, N_("stopped by SIGTERM or SIGHUP; what was done is said")


class OrderctlError(Exception):
    """The command failed and nothing was changed."""

    exit_code = ExitCode.FAILED

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        """`message` is one sentence that says what is wrong and where; `hint` says what to do next."""
        self.message = message or _(self.exit_code.about)
        super().__init__(self.message)
        self.hint = hint

    @property
    def sentence(self) -> str:
        """The message and the hint on one line."""
        return _("{problem}; {hint}", problem=self.message, hint=self.hint) if self.hint else self.message


class UsageError(OrderctlError):
    """The call, the configuration or an input file is wrong; nothing was changed."""

    exit_code = ExitCode.WRONG_CALL


class UnexpectedPlanError(OrderctlError):
    """The plan is not what the caller expected (`--strict`, `--expect`, `--max-orders`); nothing was changed."""

    exit_code = ExitCode.UNEXPECTED_PLAN


class DeclinedError(OrderctlError):
    """Declined at the confirmation; nothing was changed."""

    exit_code = ExitCode.DECLINED


class StoreUnavailableError(OrderctlError):
    """The store cannot be reached, is locked, or stayed busy beyond the retries; nothing was changed."""

    exit_code = ExitCode.STORE_UNAVAILABLE


class CommitUnknownError(OrderctlError):
    """The store went away during the commit and cannot be asked whether it holds."""

    exit_code = ExitCode.COMMIT_UNKNOWN


class OutputLostError(OrderctlError):
    """Standard output cannot be written, and nothing was changed so far. `closed`: the reader has gone."""

    def __init__(self, message: str, *, closed: bool) -> None:
        super().__init__(message)
        self.closed = closed


class ServerUnavailableError(OrderctlError):
    """No mail can be sent at present. Queued mails wait."""


class ServerSetupError(ServerUnavailableError):
    """The mail server refuses us until a person corrects the settings. Queued mails wait."""


# The templates about addresses that cannot get mail. The outbox has a code for each.
NOT_ONE_ADDRESS = N_("{address} is not one e-mail address: {why}")
ODD_ADDRESS = N_("{address} has letters before the @ that not every mail server takes")


class UnsendableError(OrderctlError):
    """The mail can never be sent as it is, by any server."""


# Messages of the C library that are translated; others stay English.
KNOWN = (
    N_("No such file or directory"),
    N_("Permission denied"),
    N_("Is a directory"),
    N_("Not a directory"),
    N_("File exists"),
    N_("File name too long"),
    N_("No space left on device"),
    N_("Read-only file system"),
    N_("Too many levels of symbolic links"),
    N_("Input/output error"),
    N_("Connection refused"),
    N_("Connection reset by peer"),
    N_("Connection timed out"),
    N_("Network is unreachable"),
    N_("No route to host"),
    N_("Name or service not known"),
    N_("Temporary failure in name resolution"),
    N_("Broken pipe"),
    N_("Bad file descriptor"),
    N_("Too many open files"),
    N_("Cannot allocate memory"),
)


def os_reason(error: OSError) -> str:
    """The reason in an error of the operating system, in the operator's language."""
    return _(safe(error.strerror or str(error)))


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line, for any exception."""
    if isinstance(error, OrderctlError):
        return str(error)
    if isinstance(error, MemoryError):
        return _("there is not enough memory for this")
    if isinstance(error, OSError) and error.strerror:
        return safe(f"{error.filename}: {os_reason(error)}") if error.filename else os_reason(error)
    kind = type(error).__name__
    return _("a fault of the program: {kind}: {text}", kind=kind, text=safe(" ".join(str(error).split())))
