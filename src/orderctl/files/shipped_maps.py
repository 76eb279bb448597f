"""The column maps that ship with the program, for the exports of other systems."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from orderctl.domain.errors import UsageError
from orderctl.files.column_map import ColumnMap, read_map
from orderctl.language import say

_FOLDER = Path(__file__).parent / "maps"


def map_names() -> tuple[str, ...]:
    """The names of the maps."""
    return tuple(sorted(path.stem.replace("_", "-") for path in _FOLDER.glob("*.toml")))


@cache
def shipped_map(name: str) -> ColumnMap:
    """The map of that name. Raises UsageError naming what there is."""
    known = map_names()
    if name not in known:
        close = get_close_matches(name.casefold(), known, n=1)
        raise UsageError(
            say("there is no column map {name!r}", name=name),
            hint=say("did you mean {word}?", word=close[0])
            if close
            else say("the maps: {known}; your own: --map FILE", known=", ".join(known)),
        )
    return read_map(_FOLDER / f"{name.replace('-', '_')}.toml")


def recognised(header: Iterable[str]) -> str | None:
    """The name of the map whose columns the header has; of several the one that knows most of it."""
    there = set(header)
    found = [
        (len(signs), name)
        for name in map_names()
        if (signs := shipped_map(name).recognised_by) and there.issuperset(signs)
    ]
    return max(found)[1] if found else None
