"""Reads JSON lines, one order a line, whose `lines` may be a list of objects; writes lists of JSON documents."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orderctl.core.text import safe
from orderctl.files.cells import Cell
from orderctl.files.decoding import syntax_reason, text_lines
from orderctl.language import _

LONGEST_LINE = 8_000_000
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is not a JSON object."""

    text: str
    reason: str


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Cell] | Broken]]:
    """The object of each line that is not blank. Numbers stay as they are written, so none loses a digit."""
    with path.open("rb") as file:
        for number, line in text_lines(file, path.name, LONGEST_LINE):
            if line.strip():
                yield number, read_object(line.strip())


def read_object(line: str) -> dict[str, Cell] | Broken:
    """The object of a line, its numbers as they are written."""
    try:
        found = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return Broken(
            line[:_SHOWN],
            _("is not JSON: {why} at column {column}", why=syntax_reason(error.msg), column=error.colno),
        )
    except ValueError as error:
        return Broken(line[:_SHOWN], _("is not JSON: {error}", error=error))
    except RecursionError:
        return Broken(line[:_SHOWN], _("is nested too deep"))
    return found if isinstance(found, dict) else Broken(line[:_SHOWN], _("is not a JSON object"))


def leading_object(text: str) -> tuple[dict[str, Cell], int] | None:
    """The object that a text begins with, and where it ends; None if it begins with none, or with a part of one."""
    try:
        found, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return (found, end) if isinstance(found, dict) else None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object; ValueError if a key stands in it twice, for then nobody can say which value is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(twice, _count), *_rest] = Counter(key for key, __ in pairs).most_common(1)
        raise ValueError(_("the key {key!r} stands there twice", key=safe(twice)))
    return found


def _refuse(word: str) -> float:
    raise ValueError(_("{word} is no number", word=word))


_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_refuse, object_pairs_hook=_once)


@contextmanager
def json_listing(write: Callable[[str], object], form: str) -> Iterator[Callable[[object], None]]:
    """A function that writes one more JSON document: as an item of an array (`json`), or on a line (`jsonl`).

    The array is closed only at the end, so that after an error a part is not taken for the whole. Non-ASCII is escaped.
    """
    encode = json.JSONEncoder().encode
    before, after = ("", "\n") if form == "jsonl" else ("[\n", "")

    def write_one(document: object) -> None:
        nonlocal before
        write(f"{before}{encode(document)}{after}")
        before = before and ",\n"

    yield write_one
    if before:
        write("[]\n" if before == "[\n" else "\n]\n")
