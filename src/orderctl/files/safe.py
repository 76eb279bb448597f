"""Writes private files, whole or not at all, never through a link, and never over a file without being asked."""

import fcntl
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, TextIO

from orderctl.core.text import fold
from orderctl.errors import OrderctlError, UsageError, os_reason
from orderctl.language import _

_LONGEST_NAME = 120
_NOT_IN_A_NAME = re.compile(r"[^\w.+=,@() -]")
# Windows reserves these names for devices, with any ending.
_DEVICE = re.compile(r"\A(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])(\.|\Z)", re.IGNORECASE)


@contextmanager
def create_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """A file to write, mode 0600, which gets its name at the end of the block; nothing stays if that fails.

    Raises UsageError if the name is taken (with `force`: by something that is not a file).
    """
    with create_path(path, force=force) as unfinished:
        try:
            with unfinished.open("wb") as stream:
                yield stream
        except OSError as error:
            raise _failed(path, error) from None


@contextmanager
def output_file(path: str | None, *, force: bool) -> Iterator[BinaryIO]:
    """A file as by `create_file`; standard output for None, in bytes, whatever encoding it was thought to have."""
    if path is not None:
        with create_file(Path(path), force=force) as out:
            yield out
        return
    yield sys.stdout.buffer
    sys.stdout.flush()


@contextmanager
def text_in(out: BinaryIO) -> Iterator[TextIO]:
    """A text stream that writes to `out` as UTF-8, with line breaks as they are given."""
    text = TextIOWrapper(out, encoding="utf-8", newline="")
    yield text
    text.flush()
    text.detach()


@contextmanager
def create_path(path: Path, *, force: bool) -> Iterator[Path]:
    """An empty private file to be written by its path, which gets its name at the end as in `create_file`."""
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
            # Fail if somebody took the name in the meantime.
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
    """Makes file names from order ids; each name is used once, even for ids that are alike."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def name(self, order_id: str, ending: str) -> str:
        """A name of letters, digits and harmless signs; a number is added if the name is taken."""
        stem = safe_file_name(order_id)
        name, number = f"{stem}{ending}", 1
        # Some file systems do not distinguish case, or composed and decomposed accents.
        while fold(name) in self._given:
            number += 1
            name = f"{stem}~{number}{ending}"
        self._given.add(fold(name))
        return name


def safe_file_name(order_id: str) -> str:
    """An order id as part of a file name: no folder, no device, nothing hidden or unprintable."""
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
        raise UsageError(_("{path} is not a file", path=path), hint=_("give another name"))


def _there_already(path: Path) -> UsageError:
    return UsageError(_("{path} is there already", path=path), hint=_("give another name, or --force"))


def _failed(path: Path, error: OSError) -> OrderctlError:
    return OrderctlError(
        _("{path} cannot be written: {why}", path=path, why=os_reason(error)),
        hint=_("free some space, or write elsewhere"),
    )


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        _("{path} cannot be written: {why}", path=path, why=os_reason(error)), hint=_("give another name or folder")
    )


_PREFIX = "orderctl-"
_LOCK = "in-use"


class ScratchFolder:
    """A new private folder. Folders that killed runs of the same user left behind are deleted first."""

    def __init__(self, folder: Path | None = None) -> None:
        _clear(folder or Path(tempfile.gettempdir()))
        self._home = tempfile.TemporaryDirectory(prefix=_PREFIX, dir=folder)
        self.path = Path(self._home.name)
        unlocked = self.path / "new"
        self._lock = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        hold(self._lock)
        unlocked.rename(self.path / _LOCK)

    def close(self) -> None:
        """Delete the folder."""
        self._home.cleanup()
        os.close(self._lock)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A scratch folder that is deleted at the end of the block."""
    folder = ScratchFolder()
    try:
        yield folder.path
    finally:
        folder.close()


def hold(descriptor: int) -> None:
    """Lock the open file, to show that it is in use until it is closed. Some file systems cannot lock."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def clear_parts(folder: Path, pattern: str) -> None:
    """Delete the unfinished files that killed runs of this user left in a folder."""
    for left in folder.glob(pattern):
        with suppress(OSError):
            found = left.lstat()
            # An empty file may be so new that its process has not locked it yet.
            if stat.S_ISREG(found.st_mode) and _is_private(found, 0o600) and found.st_size and not _is_used(left):
                left.unlink()


def _clear(folder: Path) -> None:
    """Delete the scratch folders of this user that no process uses any more."""
    for left in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = left.lstat()
            if stat.S_ISDIR(found.st_mode) and _is_private(found, 0o700) and not _is_used(left / _LOCK):
                shutil.rmtree(left)


def _is_private(found: os.stat_result, mode: int) -> bool:
    return found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == mode


def _is_used(path: Path) -> bool:
    lock = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
