"""What kind of file orders are read from, by its content: extensions lie. Archives are unpacked first."""

import gzip
import json
import re
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO

from orderctl.core.text import safe
from orderctl.errors import UsageError
from orderctl.files.workbook import OLD_EXCEL, SUSPICIOUS_RATIO, SUSPICIOUS_SIZE
from orderctl.language import N_, _

STANDARD_INPUT = "-"
_CHUNK = 1_000_000
_LOOKED_AT = 8_192
_ZIP, _GZIP, _PARQUET = b"PK\x03\x04", b"\x1f\x8b", b"PAR1"
_WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xlsb", ".ods"})
_TEXTS = frozenset({".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson"})
_JSON_LINES = frozenset({".jsonl", ".ndjson"})
_OPEN_DOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
_OBJECTS = re.compile(rb"\s*(\[)?\s*\{\s*[\"}]")
_MARKUP = re.compile(rb"\s*<(?:!doctype html|html|head|body|table|\?xml|meta|style)", re.IGNORECASE)
_NO_CONTENT = re.compile(r"__MACOSX/.*|.*/|(.*/)?\.[^/]*")
_KINDS = N_("save it as .xlsx, .xls, .ods, .csv, .json or .jsonl")
_SHOWN = 10
_LONGEST_NAME = 100


class Kind(Enum):
    """How a file is read."""

    CSV = "csv"
    JSON = "json"
    JSON_LINES = "jsonl"
    WORKBOOK = "workbook"
    PARQUET = "parquet"


def input_file(path: Path, folder: Path) -> tuple[Path, Kind]:
    """The file to read and its kind; what is packed, and standard input for `-`, is put into `folder` first.

    Raises UsageError for what holds no orders, or more files than one, and OSError.
    """
    if str(path) == STANDARD_INPUT:
        path = folder / "standard input"
        with path.open("xb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    if start.startswith(_GZIP):
        path = _of_gzip(path, folder)
    elif start.startswith(_ZIP) and not _is_workbook(path, start):
        path = _of_zip(path, folder)
    return path, _kind(path)


def _kind(path: Path) -> Kind:
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    suffix = path.suffix.lower()
    if start.startswith((_ZIP, OLD_EXCEL)) or suffix in _WORKBOOKS:
        return Kind.WORKBOOK
    if start.startswith(_PARQUET):
        return Kind.PARQUET
    if _MARKUP.match(start.removeprefix(b"\xef\xbb\xbf")):
        raise UsageError(
            _("{name} is an HTML or XML page, whatever its name says", name=path.name),
            hint=_("open it in a spreadsheet program and save it as .xlsx or as CSV (UTF-8)"),
        )
    if start.startswith(b"%PDF") or (suffix not in _TEXTS and _is_binary(start)):
        raise UsageError(
            _("{name}: orders are read from workbooks, CSV, JSON and Parquet", name=path.name), hint=_(_KINDS)
        )
    found = _OBJECTS.match(start.removeprefix(b"\xef\xbb\xbf"))
    if suffix in _JSON_LINES:
        return Kind.JSON if found and found[1] else Kind.JSON_LINES
    if not found and suffix != ".json":
        return Kind.CSV
    return Kind.JSON if found is None or found[1] or not _has_lines(path) else Kind.JSON_LINES


def _is_binary(start: bytes) -> bool:
    """Whether it is no text; UTF-16 has NULs too, but no more than every second byte."""
    marked = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    return not marked and b"\0" in start and any(start[::2]) and any(start[1::2]) and b"\n\0" not in start


def _has_lines(path: Path) -> bool:
    """Whether the first line is an object as a whole, and others follow."""
    with path.open("rb") as file:
        lines = (line for line in iter(lambda: file.readline(_CHUNK), b"") if line.strip())
        try:
            json.loads(next(lines, b""))
        except (ValueError, RecursionError):
            return False
        return next(lines, None) is not None


def _is_workbook(path: Path, start: bytes) -> bool:
    if path.suffix.lower() in _WORKBOOKS or _OPEN_DOCUMENT in start:
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name in archive.namelist() for name in ("xl/workbook.xml", "xl/workbook.bin"))
    except zipfile.BadZipFile:
        return False


def _of_gzip(path: Path, folder: Path) -> Path:
    with gzip.open(path, "rb") as content:
        return _unpacked(path, folder / _plain(path.stem), content, path.stat().st_size)


def _of_zip(path: Path, folder: Path) -> Path:
    """The one file of an archive. Raises UsageError naming them if there are several."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not _NO_CONTENT.fullmatch(entry.filename)]
            if len(entries) != 1:
                names = ", ".join(safe(entry.filename) for entry in entries[:_SHOWN]) or _("none")
                raise UsageError(
                    _(
                        "{name} holds {number:,} files, not one: {names}",
                        name=path.name,
                        number=len(entries),
                        names=names,
                    ),
                    hint=_("unpack it and import them one by one"),
                )
            [entry] = entries
            with archive.open(entry) as content:
                return _unpacked(path, folder / _plain(entry.filename), content, entry.compress_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _broken(path, error) from None


def _unpacked(path: Path, target: Path, content: IO[bytes] | gzip.GzipFile, packed_size: int) -> Path:
    """The content as a file. Raises UsageError if it is broken, or much larger than text or a workbook can be."""
    largest = max(SUSPICIOUS_SIZE, SUSPICIOUS_RATIO * packed_size)

    def chunks() -> Iterator[bytes]:
        size = 0
        while chunk := content.read(_CHUNK):
            size += len(chunk)
            if size > largest:
                raise UsageError(
                    _("{name} would unfold to more than this program reads at once", name=path.name),
                    hint=_("unpack it yourself if you trust it"),
                )
            yield chunk

    try:
        with target.open("xb") as file:
            file.writelines(chunks())
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _broken(path, error) from None
    return target


def _broken(path: Path, error: Exception) -> UsageError:
    return UsageError(
        _("{name} cannot be unpacked: {why}", name=path.name, why=safe(str(error))), hint=_("pack it anew")
    )


def _plain(name: str) -> str:
    """The last part of a name out of an archive, which may lead anywhere."""
    return safe(re.split(r"[/\\]", name)[-1])[-_LONGEST_NAME:].replace("\\", "_") or "unpacked"
