"""Scratch folders: private, gone at the end of their block, and found again where the process was killed.

While its process lives, it holds a lock in the folder, which the system gives free however the process ends.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "orderctl-"
_LOCK = "in-use"


class ScratchFolder:
    """A new folder that only its owner can enter; those that killed runs of the same user left are deleted first."""

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
    """A scratch folder for the time of a block."""
    folder = ScratchFolder()
    try:
        yield folder.path
    finally:
        folder.close()


def hold(descriptor: int) -> None:
    """Show, as long as the process lives and the file is open, that it is in use; not every file system can."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def clear_parts(folder: Path, pattern: str) -> None:
    """Delete the unfinished files that killed runs of this user left in a folder."""
    for left in folder.glob(pattern):
        with suppress(OSError):
            found = left.lstat()
            # An empty one may be so new that nobody holds it yet.
            if stat.S_ISREG(found.st_mode) and _is_private(found, 0o600) and found.st_size and not _is_used(left):
                left.unlink()


def _clear(folder: Path) -> None:
    """Delete what killed runs left there: folders of this user alone that nobody uses."""
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
