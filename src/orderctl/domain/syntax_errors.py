"""Why a line or a file is not what it should be (CSV, JSON), in the operator's language."""

from orderctl.language import later, retell

# As Python's own readers word them in English; others stay as they are.
_KNOWN = (
    later("unexpected end of data"),
    later("line contains NUL"),
    later("field larger than field limit ({most})"),
    later("'{mark}' expected after '\"'"),
    later("Expecting value"),
    later("Expecting '{mark}' delimiter"),
    later("Expecting property name enclosed in double quotes"),
    later("Illegal trailing comma before end of object"),
    later("Illegal trailing comma before end of array"),
    later("Extra data"),
    later("Unterminated string starting at"),
    later("Invalid control character at"),
    later("Invalid \\escape"),
    later("Invalid \\uXXXX escape"),
)


def syntax_reason(error: Exception | str) -> str:
    """The reason that a reader gives."""
    return retell(str(error), _KNOWN)
