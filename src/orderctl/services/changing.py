"""Changes that any order allows, in one transaction: archiving and tags (design.md, section 3)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from orderctl.domain.changes import Change, ChangeReport
from orderctl.domain.selection import Choice, IdScope
from orderctl.ports import Clock, Store, UnitOfWork
from orderctl.services.selecting import refuse_unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRequest:
    """Which change of which orders. Ids that are unknown stop it, unless they are to be ignored."""

    choice: Choice
    change: Change
    ignore_unknown: bool = False


def preview_change(store: Store, request: ChangeRequest) -> ChangeReport:
    """What the change would do; nothing is changed. Raises UsageError for unknown ids."""
    with store.snapshot() as work:
        return _reach(work, request)


def change_orders(
    store: Store, request: ChangeRequest, *, actor: str, clock: Clock, new_id: Callable[[], str]
) -> ChangeReport:
    """Make the change, logged once an order that was not so already. Raises UsageError for unknown ids."""
    event_id = new_id()

    def work_on(work: UnitOfWork) -> ChangeReport:
        found = _reach(work, request)
        changed = work.changes.apply(request.choice, request.change, event_id=event_id, actor=actor, at=clock.of(work))
        return replace(found, reach=replace(found.reach, changing=changed))

    return store.write(work_on)


def _reach(work: UnitOfWork, request: ChangeRequest) -> ChangeReport:
    scope = request.choice.scope
    unknown = refuse_unknown(work, request.choice, ignore=request.ignore_unknown)
    return ChangeReport(
        change=request.change,
        reach=work.changes.reach(request.choice, request.change),
        unknown=unknown,
        duplicates=scope.given.duplicates if isinstance(scope, IdScope) else 0,
    )
