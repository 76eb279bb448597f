"""One transaction, with every repository over it, each imported when it is first asked for; see `ports.UnitOfWork`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from orderctl.domain.clocks import Reading
    from orderctl.store.changes import SqlChanges
    from orderctl.store.imports import SqlImports
    from orderctl.store.orders import SqlOrders
    from orderctl.store.outbox import SqlOutbox
    from orderctl.store.plans import SqlPlans
    from orderctl.store.record import SqlRecord
    from orderctl.store.rejections import SqlRejections
    from orderctl.store.saved_filters import SqlSavedFilters
    from orderctl.store.selections import SqlSelections
    from orderctl.store.sql import Connection
    from orderctl.store.statistics import SqlFigures


class SqlUnitOfWork:
    """The repositories of one open transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @cached_property
    def orders(self) -> SqlOrders:
        """Orders, read only."""
        from orderctl.store.orders import SqlOrders

        return SqlOrders(self._connection)

    @cached_property
    def selections(self) -> SqlSelections:
        """Named selections."""
        from orderctl.store.selections import SqlSelections

        return SqlSelections(self._connection)

    @cached_property
    def saved_filters(self) -> SqlSavedFilters:
        """Filters with names."""
        from orderctl.store.saved_filters import SqlSavedFilters

        return SqlSavedFilters(self._connection)

    @cached_property
    def rejections(self) -> SqlRejections:
        """Plans, their execution, and batches."""
        from orderctl.store.rejections import SqlRejections

        return SqlRejections(self._connection)

    @cached_property
    def plans(self) -> SqlPlans:
        """Plans that are kept."""
        from orderctl.store.plans import SqlPlans

        return SqlPlans(self._connection)

    @cached_property
    def login(self) -> str:
        """The database's own name for who is connected; empty on SQLite."""
        row = self._connection.execute(f"SELECT {self._connection.dialect.login}").fetchone()
        return str(row[0]) if row else ""

    def present(self, local: datetime) -> datetime:
        """The database's clock where it has one, and else `local`."""
        from orderctl.store.present import present

        return present(self._connection, local)

    def reading(self, local: datetime, *, wrong: str) -> Reading:
        """The same with the newest record, the batch `wrong` left out."""
        from orderctl.store.present import reading

        return reading(self._connection, local, wrong)

    @cached_property
    def outbox(self) -> SqlOutbox:
        """Mails."""
        from orderctl.store.outbox import SqlOutbox

        return SqlOutbox(self._connection)

    @cached_property
    def imports(self) -> SqlImports:
        """Orders from files."""
        from orderctl.store.imports import SqlImports

        return SqlImports(self._connection)

    @cached_property
    def changes(self) -> SqlChanges:
        """Archiving and tags."""
        from orderctl.store.changes import SqlChanges

        return SqlChanges(self._connection)

    @cached_property
    def record(self) -> SqlRecord:
        """The whole log, read only."""
        from orderctl.store.record import SqlRecord

        return SqlRecord(self._connection)

    @cached_property
    def figures(self) -> SqlFigures:
        """Statistics."""
        from orderctl.store.statistics import SqlFigures

        return SqlFigures(self._connection)
