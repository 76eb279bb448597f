"""The errors a user can meet. Each class owns its exit code (design.md, section 8)."""

from enum import IntEnum

from orderctl.core.text import safe
from orderctl.language import english, later, say


class ExitCode(IntEnum):
    """How a run ends, for scripts; `orderctl help exit-codes` explains each."""

    DONE = 0
    FAILED = 1
    WRONG_CALL = 2
    UNEXPECTED_PLAN = 3
    DECLINED = 4
    MAILS_REMAIN = 5
    FEWER_THAN_PLANNED = 6
    STORE_UNAVAILABLE = 7
    COMMIT_UNKNOWN = 8
    NOT_REPORTED = 9
    INTERRUPTED = 130
    TERMINATED = 143


class OrderctlError(Exception):
    """The command failed and nothing was changed."""

    exit_code = ExitCode.FAILED
    # What is said where nothing else is.
    usual = later("The command failed and nothing was changed.")

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        """Take one sentence that says what was wrong and where, and a hint that says what to do next."""
        self.message = message or say(self.usual)
        super().__init__(self.message)
        self.hint = hint

    @property
    def sentence(self) -> str:
        """What was wrong and what to do next, on one line."""
        return say("{problem}; {hint}", problem=self.message, hint=self.hint) if self.hint else self.message

    @property
    def english(self) -> str:
        """What was wrong as it is stored."""
        return english(self.message)


class UsageError(OrderctlError):
    """The call, the configuration or an input file is wrong; nothing was changed."""

    exit_code = ExitCode.WRONG_CALL
    usual = later("The call, the configuration or an input file is wrong; nothing was changed.")


class UnexpectedPlanError(OrderctlError):
    """The plan is not what the caller expected (`--strict`, `--expect`, `--max-orders`); nothing was changed."""

    exit_code = ExitCode.UNEXPECTED_PLAN
    usual = later("The plan is not what the caller expected (--strict, --expect, --max-orders); nothing was changed.")


class DeclinedError(OrderctlError):
    """Declined at the confirmation; nothing was changed."""

    exit_code = ExitCode.DECLINED
    usual = later("Declined at the confirmation; nothing was changed.")


class StoreUnavailableError(OrderctlError):
    """The store cannot be reached, is locked, or stayed busy beyond the retries; nothing was changed."""

    exit_code = ExitCode.STORE_UNAVAILABLE
    usual = later("The store cannot be reached, is locked, or stayed busy beyond the retries; nothing was changed.")


class CommitUnknownError(OrderctlError):
    """The store went away during the commit and cannot be asked whether it holds."""

    exit_code = ExitCode.COMMIT_UNKNOWN
    usual = later("The store went away during the commit and cannot be asked whether it holds.")


class OutputLostError(OrderctlError):
    """Standard output cannot be written, and nothing was changed so far. `closed`: its reader has gone."""

    def __init__(self, message: str, *, closed: bool) -> None:
        super().__init__(message)
        self.closed = closed


class MailUnavailableError(OrderctlError):
    """Mails cannot be handed over at present; those that are queued wait."""


class MailSetupError(MailUnavailableError):
    """The mail server turns us away until a person mends the settings; mails that are queued wait."""


class UnsendableError(OrderctlError):
    """The mail can never be sent as it is, whatever the server."""


# As the C library words them in English; others stay as they are.
KNOWN = (
    later("No such file or directory"),
    later("Permission denied"),
    later("Is a directory"),
    later("Not a directory"),
    later("File exists"),
    later("File name too long"),
    later("No space left on device"),
    later("Read-only file system"),
    later("Too many levels of symbolic links"),
    later("Input/output error"),
    later("Connection refused"),
    later("Connection reset by peer"),
    later("Connection timed out"),
    later("Network is unreachable"),
    later("No route to host"),
    later("Name or service not known"),
    later("Temporary failure in name resolution"),
    later("Broken pipe"),
    later("Bad file descriptor"),
    later("Too many open files"),
    later("Cannot allocate memory"),
)


def os_reason(error: OSError) -> str:
    """The reason that an error of the operating system gives."""
    return say(safe(error.strerror or str(error)))


def reason_of(error: BaseException) -> str:
    """What went wrong, in one line, whatever was raised."""
    if isinstance(error, OrderctlError):
        return str(error)
    if isinstance(error, MemoryError):
        return say("there is not enough memory for this")
    if isinstance(error, OSError) and error.strerror:
        return safe(f"{error.filename}: {os_reason(error)}") if error.filename else os_reason(error)
    kind = type(error).__name__
    return say("a fault of the program: {kind}: {text}", kind=kind, text=safe(" ".join(str(error).split())))
