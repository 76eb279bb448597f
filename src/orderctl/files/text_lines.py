"""Lines of a text file or pipe of unknown encoding, in bounded memory."""

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from orderctl.domain.errors import UsageError
from orderctl.language import say

_CHUNK = 65_536
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENOUGH_TO_TELL = 4


def text_lines(stream: BinaryIO, name: str, longest: int, *, nul_ends: bool = False) -> Iterator[tuple[int, str]]:
    """Each line with its number, without its end; with `nul_ends` NUL ends it, if the first bytes hold one.

    UsageError names `name` and the line that is longer than `longest` or is not of its encoding: UTF-8,
    or what a byte order mark says.
    """
    start = stream.read(_CHUNK)
    encoding, skipped = _encoding(start, name)
    separator = "\x00" if nul_ends and encoding == "utf-8" and b"\x00" in start else "\n"
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    number = 1
    rest = ""
    for text in _decoded(stream, start[skipped:], encoding, name):
        *complete, rest = (rest + newlines.decode(text)).split(separator)
        for line in complete:
            yield number, _bounded(line, name, number, longest)
            number += 1
        _bounded(rest, name, number, longest)
    if rest:
        yield number, rest


def _encoding(start: bytes, name: str) -> tuple[str, int]:
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, len(mark)
    if len(start) >= _ENOUGH_TO_TELL and not (any(start[::2]) and any(start[1::2])):
        raise UsageError(
            say("{name} looks like UTF-16, but has no byte order mark", name=name),
            hint=say("save it as UTF-8, or as UTF-16 with a mark"),
        )
    return "utf-8", 0


def _decoded(stream: BinaryIO, first: bytes, encoding: str, name: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    chunk = first
    while chunk:
        following = stream.read(_CHUNK)
        try:
            text = decoder.decode(chunk, final=not following)
        except UnicodeDecodeError as error:
            line += error.object[: error.start].decode(encoding, "replace").count("\n")
            raise UsageError(
                say("{name}:{line}: the text is not {encoding}", name=name, line=line, encoding=encoding.upper()),
                hint=say("save the file as UTF-8 and try again"),
            ) from None
        line += text.count("\n")
        yield text
        chunk = following


def _bounded(line: str, name: str, number: int, longest: int) -> str:
    if len(line) > longest:
        raise UsageError(
            say(
                "{name}:{number}: the line is longer than {longest:,} characters",
                name=name,
                number=number,
                longest=longest,
            ),
            hint=say("is this the right file?"),
        )
    return line
