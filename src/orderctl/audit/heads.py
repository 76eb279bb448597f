"""The newest batch that a user saw of each log, kept on their computer: a store that goes back is refused."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from orderctl.audit.checkpoint import origin_of
from orderctl.audit.log import Head, went_back
from orderctl.audit.queries import digest_at, newest_head
from orderctl.database.store import Store
from orderctl.errors import OrderctlError, os_reason
from orderctl.files.safe import create_file, create_folder
from orderctl.language import _

_KEPT = 40


class SeenHead:
    """The newest batch that was seen of one log, in a private file of `folder`.

    A file that cannot be read or written is a warning, once: a rejection that holds must not fail for it.
    """

    def __init__(self, folder: Path, origin: str, warn: Callable[[str], None]) -> None:
        self._file = folder / f"{sha256(origin.encode()).hexdigest()[:_KEPT]}.json"
        self._origin = origin
        self._warn = warn
        self._warned = False
        self.last = self._read()

    def note(self, head: Head | None) -> None:
        """Remember the newest batch of the log; None if it has none."""
        if head == self.last:
            return
        self.last = head
        kept = {"log": self._origin, "position": head and head.position, "digest": head and head.digest}
        try:
            create_folder(self._file.parent)
            with create_file(self._file, force=True) as out:
                out.write(json.dumps(kept).encode() + b"\n")
        except OrderctlError as error:
            self._say(error.message)

    def _read(self) -> Head | None:
        try:
            kept = json.loads(self._file.read_bytes())
            return Head(int(kept["position"]), str(kept["digest"])) if kept["position"] else None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._say(_("{path} cannot be read: {why}", path=self._file, why=os_reason(error)))
        except (ValueError, KeyError, TypeError):
            self._say(_("{path} is not as it was written", path=self._file))
        return None

    def _say(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            told = _("{problem}; if this store goes back, this computer will not notice", problem=problem)
            self._warn(told)


def seen_head(store: Store, folder: Path, warn: Callable[[str], None]) -> SeenHead:
    """What was seen of the store's log, to be compared by a verification."""
    with store.snapshot() as connection:
        store_id, __ = newest_head(connection)
    return SeenHead(folder, origin_of(store_id, store.account), warn)


def checked_head(store: Store, folder: Path, warn: Callable[[str], None]) -> SeenHead:
    """What was seen of the store's log, which goes on from there. Raises OrderctlError if it went back."""
    with store.snapshot() as connection:
        store_id, newest = newest_head(connection)
        seen = SeenHead(folder, origin_of(store_id, store.account), warn)
        if seen.last and seen.last != newest:
            there = newest is not None and seen.last.position < newest.position
            digest = digest_at(connection, seen.last.position) if there else None
            if digest != seen.last.digest:
                raise OrderctlError(
                    _(
                        "the store {store} went back: {problem}",
                        store=store.label,
                        problem=went_back(seen.last, newest),
                    ),
                    hint=_("is it an old backup? orderctl log verify --accept-head takes it as it is"),
                )
    seen.note(newest)
    return seen
