"""Why the operating system refused, or the program itself failed, in the operator's language."""

from orderctl.domain.errors import OrderctlError
from orderctl.domain.text import safe
from orderctl.language import later, say

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
