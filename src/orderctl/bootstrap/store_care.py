"""What is done to a store as a whole: making, upgrading, copying and inspecting it."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from orderctl.domain.errors import UsageError
from orderctl.language import say

if TYPE_CHECKING:
    from orderctl.domain.health import Check
    from orderctl.store.address import Address


class StoreCare:
    """The store at one address."""

    def __init__(self, address: "Address") -> None:
        self._address = address

    def init(self) -> bool:
        """Make the store; False if it is there."""
        from orderctl.store.schema import init_store

        return init_store(self._address)

    def upgrade(self, at: datetime) -> tuple[str, str, Path | None]:
        """Bring the store to the current revision; gives the revision before and after, and the copy made before."""
        from orderctl.store.revisions import CURRENT
        from orderctl.store.schema import upgrade_store

        path = self._address.path
        if path is None:
            return upgrade_store(self._address), CURRENT, None
        copy = path.with_name(f"{path.name}.before-{CURRENT}-{at:%Y%m%dT%H%M%S}")
        before = upgrade_store(self._address, before=lambda: self.backup(copy, force=False))
        return before, CURRENT, None if before == CURRENT else copy

    def backup(self, file: Path, *, force: bool) -> None:
        """Copy a SQLite store to a private file while others work on it. Raises UsageError for PostgreSQL."""
        from orderctl.files.safe_files import create_path
        from orderctl.store.copies import copy_store
        from orderctl.store.sqlite import SqliteEngine

        if self._address.path is None:
            raise UsageError(
                say("a PostgreSQL store is copied by PostgreSQL's own tools"),
                hint=say(
                    "pg_dump --format=custom --file {file} {shown!r}; see orderctl help backup",
                    file=file,
                    shown=self._address.shown,
                ),
            )
        engine = SqliteEngine(self._address.path, self._address.shown)
        try:
            with create_path(file, force=force) as unfinished:
                copy_store(engine, unfinished)
        finally:
            engine.close()

    def inspect(self, account: str, *, quick: bool) -> "Iterable[Check]":
        """Look the store over. Raises StoreUnavailableError if it cannot be reached."""
        from orderctl.store.inspection import inspect_store

        return inspect_store(self._address, account, quick=quick)
