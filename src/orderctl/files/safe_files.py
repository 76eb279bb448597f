"""Files that we write: private, whole or not at all, never through a link, never over something unasked."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from orderctl.domain.errors import OrderctlError, UsageError
from orderctl.domain.os_errors import os_reason
from orderctl.domain.text import fold
from orderctl.files.scratch import clear_parts, hold
from orderctl.language import say

_LONGEST_NAME = 120
_NOT_IN_A_NAME = re.compile(r"[^\w.+=,@() -]")
# Windows gives these names to devices, whatever ending they have.
_DEVICE = re.compile(r"\A(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\.|\Z)", re.IGNORECASE)


@contextmanager
def create_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write, mode 0600, that gets its name at the end of the block; nothing stays if the block fails.

    Raises UsageError if there is something of that name (with `force`: something that is no file).
    """
    with create_path(path, force=force) as unfinished:
        try:
            with unfinished.open("wb") as stream:
                yield stream
        except OSError as error:
            raise _failed(path, error) from None


@contextmanager
def create_path(path: Path, *, force: bool) -> Iterator[Path]:
    """The same for who writes by path: an empty file to be filled, private, that is renamed at the end."""
    _refuse(path, force=force)
    try:
        clear_parts(path.parent, ".orderctl-*.part")
        descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=".orderctl-", suffix=".part")
        hold(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        yield Path(written)
        if not force:
            # Whoever took the name in the meantime keeps it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        Path(written).replace(path)
    except FileExistsError:
        raise _there_already(path) from None
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        with suppress(OSError):
            Path(written).unlink()
        os.close(descriptor)


def create_folder(path: Path) -> None:
    """Make a folder that only its owner can enter, unless it is there. Raises UsageError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


class SafeNames:
    """File names for order ids, each given once however alike the ids are."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, order_id: str, ending: str) -> str:
        """A name of letters, digits and harmless signs; a number tells apart what would be the same."""
        stem = safe_file_name(order_id)
        name, number = f"{stem}{ending}", 1
        # Some file systems take upper and lower case, and two spellings of one accent, for the same.
        while fold(name) in self._given:
            number += 1
            name = f"{stem}~{number}{ending}"
        self._given.add(fold(name))
        return name


def safe_file_name(order_id: str) -> str:
    """The part of a file's name that stands for an order: no folder, no device, nothing hidden or unprintable."""
    name = _NOT_IN_A_NAME.sub("_", order_id).strip(". ")
    while len(name.encode()) > _LONGEST_NAME:
        name = name[:-1]
    return f"_{name}" if not name or _DEVICE.match(name) else name


def _refuse(path: Path, *, force: bool) -> None:
    if not os.path.lexists(path):
        return
    if not force:
        raise _there_already(path)
    if not (path.is_symlink() or path.is_file()):
        raise UsageError(say("{path} is not a file", path=path), hint=say("give another name"))


def _there_already(path: Path) -> UsageError:
    return UsageError(say("{path} is there already", path=path), hint=say("give another name, or --force"))


def _failed(path: Path, error: OSError) -> OrderctlError:
    return OrderctlError(
        say("{path} cannot be written: {why}", path=path, why=os_reason(error)),
        hint=say("free some space, or write elsewhere"),
    )


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        say("{path} cannot be written: {why}", path=path, why=os_reason(error)), hint=say("give another name or folder")
    )
