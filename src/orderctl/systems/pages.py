"""The pages in which a system gives its orders, kept in a private file until a pull is done.

An import is one transaction, so the pages of a pull that is interrupted are not in the store. They are in this file,
each as it came: the next pull reads them there, and asks the system for those that follow.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Self

from orderctl import __version__
from orderctl.errors import OrderctlError, UsageError
from orderctl.files.safe import create_folder
from orderctl.language import _

# What was read longer ago is read again: an order is as of the first page.
LONGEST_PAUSE = timedelta(hours=6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Orders as a system's JSON has them. `after` is the position from which it goes on; no two pages have the same."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    after: str = ""


class KeptPages:
    """The pages of one pull, as a context manager that forgets them at its end, unless that is an error.

    `source` says whose they are: pages of something else, or read by another version, are not gone on with. Where no
    file can be written, each pull begins anew.
    """

    def __init__(self, folder: Path, source: Mapping[str, str], now: datetime) -> None:
        digest = hashlib.sha256(json.dumps([__version__, sorted(source.items())]).encode()).hexdigest()
        self._path, self._now = folder / f"{digest[:32]}.jsonl", now
        self._file: BinaryIO | None = None
        self._first = 0  # where the first page begins
        self.began: datetime | None = None  # when the pull began that is gone on with

    def __enter__(self) -> Self:
        """Take the file. Raises OrderctlError if another pull has it in hand."""
        with suppress(OSError, UsageError):
            create_folder(self._path.parent)
            self._file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "r+b")
        if self._file is not None:
            try:
                self._take(self._file)
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        """Keep the pages if the pull was interrupted."""
        if kind is None:
            self._forget()
        elif self._file is not None:
            self._file.close()

    def pages(self, read: Callable[[str], Iterator[Page]]) -> Iterator[Page]:
        """The pages that are there, then those that `read` gives after the position of the last."""
        after = ""
        for page in self._stored():
            after = page.after
            yield page
        for page in read(after):
            self._keep(page)
            yield page

    def _take(self, file: BinaryIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OrderctlError(
                _("another pull of this system is running; nothing was changed"), hint=_("wait until it has ended")
            ) from None
        except OSError:
            pass  # some file systems cannot lock
        began = _began(file.readline())
        self._first = file.tell()
        if began is None or not timedelta() <= self._now - began <= LONGEST_PAUSE:
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"began": self._now.isoformat()}).encode() + b"\n")
            file.flush()
            self._first = file.tell()
        elif _page(file.readline()):
            self.began = began

    def _stored(self) -> Iterator[Page]:
        """The pages of the file. What a killed pull wrote of another one is cut off."""
        if self._file is None:
            return
        whole = self._first
        self._file.seek(whole)
        for line in self._file:
            page = _page(line)
            if page is None:
                break
            whole += len(line)
            yield page
        self._file.seek(whole)
        self._file.truncate()

    def _keep(self, page: Page) -> None:
        try:
            if self._file is not None:
                self._file.write(json.dumps(asdict(page)).encode() + b"\n")
                self._file.flush()
        except OSError:  # no space: this pull may still end well
            self._forget()

    def _forget(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                self._path.unlink()
            with suppress(OSError):
                file.close()


def _began(line: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(json.loads(line)["began"])
    except (ValueError, LookupError, TypeError):
        return None


def _page(line: bytes) -> Page | None:
    """A page, if the line is one whole."""
    try:
        return Page(**json.loads(line)) if line.endswith(b"\n") else None
    except (ValueError, TypeError):
        return None
