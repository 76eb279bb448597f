"""What the operating system says was wrong, in the operator's language: C says it in English without being asked."""

from orderctl.language import later, say

_USUAL = frozenset(
    {
        later("No such file or directory"),
        later("Permission denied"),
        later("Operation not permitted"),
        later("Is a directory"),
        later("Not a directory"),
        later("Directory not empty"),
        later("File exists"),
        later("File name too long"),
        later("File too large"),
        later("Too many open files"),
        later("Too many levels of symbolic links"),
        later("No space left on device"),
        later("Disk quota exceeded"),
        later("Read-only file system"),
        later("Input/output error"),
        later("No such device or address"),
        later("Invalid argument"),
        later("Connection refused"),
        later("Connection reset by peer"),
        later("Connection timed out"),
        later("Network is unreachable"),
        later("No route to host"),
        later("Broken pipe"),
        later("Name or service not known"),
        later("Temporary failure in name resolution"),
    }
)


def system_words(error: OSError) -> str:
    """Why a call of the system failed; what is not among the usual words stays as it is."""
    words = error.strerror or str(error)
    return say(words) if words in _USUAL else words
