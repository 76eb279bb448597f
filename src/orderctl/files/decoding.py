"""Decodes text files and pipes of unknown encoding into lines, in bounded memory."""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.language import N_, _, retell

_CHUNK = 65_536
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ENOUGH_TO_TELL = 4
# ISO-2022-JP is ASCII with escapes.
_SHIFTED = re.compile(rb"\x1b\$[@B]")


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding, and the sentence that says how it was found; both are empty for UTF-8 and a byte order mark."""

    name: str
    remark: str = ""


def text_lines(stream: BinaryIO, name: str, longest: int, encoding: str = "") -> Iterator[tuple[int, str]]:
    """Each line with its number, without its line break.

    Raises UsageError that names `name` and the line that is longer than `longest` characters or cannot be decoded.
    Without `encoding` it is UTF-8, or that of a byte order mark.
    """
    yield from _split(stream, stream.read(_CHUNK), name, longest, "\n", encoding)


def find_encoding(path: Path, asked: str = "") -> Encoding:
    """How a file of text is encoded: as asked, as its byte order mark says, as UTF-8, or as its words tell.

    It is read once, in bounded memory. Raises UsageError if nothing decides, and OSError.
    """
    if asked:
        return Encoding(asked)
    with path.open("rb") as file:
        start = file.read(_CHUNK)
        if any(start.startswith(mark) for mark, __ in _MARKS):
            return Encoding("")
        if _looks_like_utf_16(start):
            return _utf_16(start, path.name)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            chunk = start
            while chunk:
                if _SHIFTED.search(chunk):
                    raise UsageError(
                        _("{name} is UTF-8 or ISO-2022-JP, and nothing says which", name=path.name),
                        hint=_("say which with --encoding, such as --encoding {encoding}", encoding="iso2022_jp"),
                    )
                if not chunk.isascii() or decoder.getstate()[0]:
                    decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            from orderctl.files.encodings import guess_encoding

            file.seek(0)
            return guess_encoding(file, path.name)
    return Encoding("")


def check_encoding(name: str, where: str) -> str:
    """The codec of that name. UsageError if there is no such encoding of text; `where` says who asked for it."""
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, ValueError):
        raise UsageError(
            _("{where}: {name!r} is not a known encoding", where=where, name=safe(name)),
            hint=_("such as utf-8, cp1252, cp1250, cp850, shift_jis or gb18030"),
        ) from None
    return codec.name


def _utf_16(start: bytes, name: str) -> Encoding:
    """UTF-16 without a mark. Raises UsageError if its line breaks do not tell which of the two."""
    found = [
        encoding
        for encoding, line_break in (("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n"))
        if line_break in {start[place : place + 2] for place in range(0, len(start), 2)}
    ]
    if len(found) != 1:
        raise UsageError(
            _("{name} looks like UTF-16, but has no byte order mark", name=name),
            hint=_("say which with --encoding, such as --encoding {encoding}", encoding="utf-16-le"),
        )
    told = _("{name} is read as {encoding}; --encoding says otherwise", name=name, encoding=found[0])
    return Encoding(found[0], told)


def texts_or_lines(stream: BinaryIO, name: str, longest: int) -> tuple[bool, Iterator[tuple[int, str]]]:
    """Whether NUL ends each text, and the texts, or else the lines, as `text_lines` returns them."""
    start = stream.read(_CHUNK)
    nul = _has_nul_ends(start)
    return nul, _split(stream, start, name, longest, "\0" if nul else "\n")


def text_chunks(stream: BinaryIO, name: str, encoding: str) -> Iterator[str]:
    """The text in pieces of any size; see `text_lines`."""
    start, skipped = stream.read(_CHUNK), 0
    if not encoding:
        encoding, skipped = _encoding(start, name)
    yield from _decoded(stream, start[skipped:], encoding, name)


def _split(
    stream: BinaryIO, start: bytes, name: str, longest: int, separator: str, encoding: str = ""
) -> Iterator[tuple[int, str]]:
    skipped = 0
    if not encoding:
        encoding, skipped = ("utf-8", 0) if separator == "\0" else _encoding(start, name)
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


def _has_nul_ends(start: bytes) -> bool:
    """Whether the texts end with NUL. Short texts look like UTF-16, but that would have line breaks."""
    if b"\0" not in start or any(start.startswith(mark) for mark, __ in _MARKS):
        return False
    return not _looks_like_utf_16(start) or (b"\n" not in start and not start.startswith(b"\0"))


def _looks_like_utf_16(start: bytes) -> bool:
    return len(start) >= _ENOUGH_TO_TELL and not (any(start[::2]) and any(start[1::2]))


def _encoding(start: bytes, name: str) -> tuple[str, int]:
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, len(mark)
    if _looks_like_utf_16(start):
        raise UsageError(
            _("{name} looks like UTF-16, but has no byte order mark", name=name),
            hint=_("save it as UTF-8, or as UTF-16 with a mark"),
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
                _("{name}:{line}: the text is not {encoding}", name=name, line=line, encoding=encoding.upper()),
                hint=_("save the file as UTF-8 and try again"),
            ) from None
        line += text.count("\n")
        yield text
        chunk = following


def _bounded(line: str, name: str, number: int, longest: int) -> str:
    if len(line) > longest:
        raise UsageError(
            _(
                "{name}:{number}: the line is longer than {longest:,} characters",
                name=name,
                number=number,
                longest=longest,
            ),
            hint=_("is this the right file?"),
        )
    return line


# Messages of Python's decoders and readers that are translated; others stay English.
_KNOWN = (
    N_("unexpected end of data"),
    N_("line contains NUL"),
    N_("field larger than field limit ({most})"),
    N_("'{mark}' expected after '\"'"),
    N_("Expecting value"),
    N_("Expecting '{mark}' delimiter"),
    N_("Expecting property name enclosed in double quotes"),
    N_("Illegal trailing comma before end of object"),
    N_("Illegal trailing comma before end of array"),
    N_("Extra data"),
    N_("Unterminated string starting at"),
    N_("Invalid control character at"),
    N_("Invalid \\escape"),
    N_("Invalid \\uXXXX escape"),
)


def syntax_reason(error: Exception | str) -> str:
    """The reason in an error of a reader, in the operator's language."""
    return retell(str(error), _KNOWN)
