"""Erases the personal data of buyers: one by id, or those who have not ordered for long (design.md, section 5c)."""

from dataclasses import replace
from datetime import datetime

from orderctl.core.text import safe
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store, login
from orderctl.erasure.queries import (
    affected_batches,
    blank_all,
    due_buyers,
    get_buyer,
    lock_buyer,
    record_erasure,
    scope_of,
)
from orderctl.erasure.scope import ErasureReport, Scope
from orderctl.errors import StoreUnavailableError, UnexpectedPlanError, UsageError
from orderctl.language import _, enumerated
from orderctl.orders.erasures import Erasure, erasures, insert_erasure
from orderctl.rejection.execute import wait_for_turn


def preview_erasure(store: Store, buyer_id: str) -> ErasureReport:
    """What erasing the buyer would do. Raises UsageError for an unknown one."""
    with store.snapshot() as connection:
        return _report(connection, buyer_id)


def buyers_older_than(store: Store, before: datetime) -> tuple[ErasureReport, ...]:
    """What erasing each buyer without open business and without an order since then would do."""
    with store.snapshot() as connection:
        return tuple(_report(connection, buyer_id) for buyer_id in due_buyers(connection, before))


def erase_buyer(store: Store, buyer_id: str, *, actor: str, clock: Clock) -> ErasureReport:
    """Erase the buyer's personal data in one transaction, and record it.

    Raises UsageError for an unknown buyer, UnexpectedPlanError if something is in the way, OrderctlError if a batch
    that names the buyer was edited, StoreUnavailableError for a login that may not: it is the owner's.
    """

    def erase(connection: Connection) -> ErasureReport:
        wait_for_turn(connection)
        lock_buyer(connection, buyer_id)
        report = _report(connection, buyer_id)
        if report.already or report.scope is None:
            return report
        _refuse(report.scope)
        erasure = _new(connection, report.scope, actor, clock.for_record(connection))
        stays = list(affected_batches(connection, report.scope, erasure.mark))
        erasure = replace(erasure, batches={batch.id: made.digest for batch, made in stays}).with_digest()
        insert_erasure(connection, erasure)
        blank_all(connection, report.scope, erasure, stays)
        record_erasure(connection, report.scope, erasure)
        return replace(report, erasure=erasure)

    return store.write(erase)


def sweep(store: Store) -> None:
    """Take what was erased out of the free parts of a SQLite file. Raises StoreUnavailableError if it is in use."""
    try:
        store.sweep()
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            _("the erasure is recorded, and the file still holds the old words: {why}", why=error.message),
            hint=_("run the same call again when no other program uses the store"),
        ) from error


def _report(connection: Connection, buyer_id: str) -> ErasureReport:
    done = next((each for each in erasures(connection) if each.buyer_id == buyer_id), None)
    if done:
        return ErasureReport(buyer_id=buyer_id, erasure=done, already=True)
    buyer = get_buyer(connection, buyer_id)
    if buyer is None:
        raise UsageError(
            _("there is no buyer {buyer!r} in this store", buyer=buyer_id),
            hint=_("an order shows the id of its buyer: orderctl show ORDER"),
        )
    return ErasureReport(buyer_id=buyer_id, scope=scope_of(connection, buyer))


def _refuse(scope: Scope) -> None:
    """Raise UnexpectedPlanError if something is in the way."""
    if obstacles := list(scope.obstacles()):
        raise UnexpectedPlanError(
            _(
                "buyer {buyer} is not erased: {obstacles}; nothing was changed",
                buyer=safe(scope.buyer.id),
                obstacles=enumerated(what for what, __ in obstacles),
            ),
            hint=enumerated(hint for __, hint in obstacles),
        )


def _new(connection: Connection, scope: Scope, actor: str, at: datetime) -> Erasure:
    """The erasure that follows the last one, without its batches and its digest."""
    last = next(reversed(erasures(connection)), None)
    return Erasure(
        position=last.position + 1 if last else 1,
        at=at,
        actor=actor,
        actor_login=login(connection),
        buyer_id=scope.buyer.id,
        orders=scope.orders,
        mails=scope.mails,
        plans=len(scope.plans),
        previous=last.digest if last else "",
    )
