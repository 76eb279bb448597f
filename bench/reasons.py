"""Why a goal that is missed is missed, as it was last profiled; docs/performance.md has the profiles whole."""

import re

_REASONS = {
    r"^completion of": "0.1 s are the start of Python and Typer's parser; the rest opens the store and reads an index",
    r"^count of .* sqlite": "the count takes as long as the floor's; the start of the process is the rest",
    r"^(csv|ids) of": "a fifth looks up the buyers' names, which the floor leaves out; the rest formats in Python",
    r"^reject .* a mail each": "which order is told in which mail is a table of its own, which the floor does not"
    " write; composing and sending are imported, the letters of the preview are made",
    r"^reject 10,000 by filter, sqlite": "0.25 s to start, 0.1 for the open orders of each season, 0.05 to plan, 0.2 to"
    " execute; the floor takes 0.25 for all that it does",
    r"^reject .* sqlite": "of 2.0 s for 100,000 by filter: the start 0.25, the plan 0.4, guards 0.35, lines and digest"
    " 0.25; the floor has none of them",
    r"^reject .* postgresql": "of 4.0 s for 100,000 by filter, the server's with them: the plan 0.5, the checks of"
    " events and batch 0.7, the client 0.5; what writes the orders takes as long as the floor",
    r"^write-backs": "a table with three indexes and a guard for each order; at the end all that waits is listed",
    r"^import .* again.* postgresql": "until the server has analysed the tables, it reads too much for each chunk of"
    " changed ones",
    r"^import .* postgresql": "of 5 s the server's inserting is 2, the start 0.6; reading, checking, digests and the"
    " scratch file the rest",
    r"^import": "of 4.5 s SQLite's inserting, with guards and sources, is 1.9, the start 0.6; reading and setting aside"
    " 0.65, checking 0.6, digests 0.5",
    r"^mail, local server": "a durable transaction before each mail, so that none is sent twice (docs/decisions/0004),"
    " takes longer than the floor takes for everything",
    r"over (django-oscar|tryton)": "SQLite's own floor, three bare statements, is some 28 times as fast as"
    " django-oscar, whose few orders stay in the processor's cache",
}


def why(name: str) -> str:
    """The reason for a goal of that name; empty if none was ever looked for."""
    return next((reason for pattern, reason in _REASONS.items() if re.search(pattern, name)), "")
