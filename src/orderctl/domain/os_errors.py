"""Why the operating system refused, in the operator's language."""

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
)


def os_reason(error: OSError) -> str:
    """The reason that an error of the operating system gives."""
    return say(safe(error.strerror or str(error)))
