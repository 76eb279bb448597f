"""Reads JSON, as lines of one object each or as one array of them, each of them an order; writes lists of documents."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.cells import Cell
from orderctl.files.decoding import syntax_reason, text_chunks, text_lines
from orderctl.language import _

LONGEST_LINE = 8_000_000
_SHOWN = 80
_NO_SPACE = re.compile(r"[^ \t\n\r]")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is not a JSON object."""

    text: str
    reason: str


def read_jsonl(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Cell] | Broken]]:
    """The object of each line that is not blank. Numbers stay as they are written, so none loses a digit."""
    with path.open("rb") as file:
        for number, line in text_lines(file, path.name, LONGEST_LINE, encoding):
            if line.strip():
                yield number, read_object(line.strip())


def read_json(path: Path, encoding: str) -> Iterator[tuple[int, dict[str, Cell] | Broken]]:
    """The objects of an array, counted from 1: the array is the file, or the only one of objects within an object.

    An object without such an array is itself the only one. One object at a time is in memory. Raises UsageError for
    what is not JSON, and for several arrays.
    """
    with path.open("rb") as file:
        text = _Text(text_chunks(file, path.name, encoding), path.name)
        if text.peek() == "[":
            yield from enumerate(text.items(), start=1)
        else:
            yield from enumerate(_of_object(text), start=1)
        if text.peek():
            raise text.wrong(_("more follows after its end"))


def _of_object(text: "_Text") -> Iterator[dict[str, Cell] | Broken]:
    members: dict[str, Cell] = {}
    arrays: list[str] = []
    for key in text.members():
        if text.peek() == "[" and key != "lines":
            items = text.items()
            first = next(items, None)
            if isinstance(first, dict):
                arrays.append(key)
                if len(arrays) > 1:
                    raise text.wrong(_("it holds several arrays: {names}", names=", ".join(map(safe, arrays))))
                yield first
                yield from items
            else:
                members[key] = [each.text if isinstance(each, Broken) else each for each in (first, *items) if each]
        else:
            found = text.value()
            if isinstance(found, Broken):
                yield found
                return
            members[key] = cast("Cell", found)  # or an object, which the reader of fields refuses
    if not arrays:
        yield members


class _Text:
    """The text of a JSON file, of which so much is in memory as the next value takes."""

    def __init__(self, chunks: Iterator[str], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._text = ""
        self._place = 0
        self._number = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = _NO_SPACE.search(self._text, self._place)
            if found:
                self._place = found.start()
                return found[0]
            self._place = len(self._text)
            if not self._more():
                return ""

    def members(self) -> Iterator[str]:
        """The keys of an object; the value of each is to be taken before the next."""
        yield from (str(key) for key in self._parts("{", "}", self._key))

    def items(self) -> Iterator[dict[str, Cell] | Broken]:
        """The items of an array; what is no object, or none that can be read, is broken."""
        for __ in self._parts("[", "]", lambda: ""):
            found = self.value()
            self._number += 1
            if isinstance(found, dict | Broken):
                yield found
            else:
                yield Broken(str(found)[:_SHOWN], _("is not a JSON object"))

    def value(self) -> Cell | Broken | dict[str, Cell]:
        """The next value. Raises UsageError if there is none, or one that is too large."""
        self.peek()
        while True:
            try:
                found, end = self._decoded()
            except json.JSONDecodeError as error:
                if len(self._text) - self._place > LONGEST_LINE or not self._more():
                    raise self.wrong(syntax_reason(error.msg)) from None
            except RecursionError:
                raise self.wrong(_("it is nested too deep")) from None
            else:
                # A number may go on in what is not read yet.
                if end < len(self._text) or not self._more():
                    self._place = end
                    return found

    def _decoded(self) -> tuple[Cell | Broken | dict[str, Cell], int]:
        """The next value and where it ends, what is wrong with it included."""
        try:
            return _DECODER.raw_decode(self._text, self._place)
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            end = json.JSONDecoder().raw_decode(self._text, self._place)[1]
            return Broken(self._text[self._place : end][:_SHOWN], _("is not JSON: {error}", error=error)), end

    def wrong(self, why: str) -> UsageError:
        """The file cannot be read on."""
        return UsageError(
            _("{name} is not JSON after {number:,} objects: {why}", name=self._name, number=self._number, why=why),
            hint=_("export it anew, or as JSON lines"),
        )

    def _key(self) -> Cell | Broken | dict[str, Cell]:
        key = self.value()
        self._take(":")
        return key

    def _parts(self, opening: str, closing: str, read: Callable[[], T]) -> Iterator[T]:
        self._take(opening)
        while self.peek() != closing:
            yield read()
            if self.peek() == closing:
                break
            self._take(",")
        self._take(closing)

    def _take(self, mark: str) -> None:
        if self.peek() != mark:
            raise self.wrong(syntax_reason("Expecting value"))
        self._place += 1

    def _more(self) -> bool:
        """Read on, each time as much again as is in memory."""
        parts, size = [self._text[self._place :]], 0
        for chunk in self._chunks:
            parts.append(chunk)
            size += len(chunk)
            if size >= len(parts[0]):
                break
        self._text, self._place = "".join(parts), 0
        return size > 0


def read_object(line: str) -> dict[str, Cell] | Broken:
    """The object of a line, its numbers as they are written."""
    try:
        found = _DECODER.decode(line)
    except json.JSONDecodeError as error:
        return Broken(
            line[:_SHOWN], _("is not JSON: {why} at column {column}", why=syntax_reason(error.msg), column=error.colno)
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
