"""Erases the personal data of buyers: one by id, or those who have not ordered for long (design.md, section 5c)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from orderctl.core.text import safe
from orderctl.database.clock import Clock
from orderctl.database.connection import Connection
from orderctl.database.store import Store, login
from orderctl.erasure.queries import (
    affected_batches,
    blank_all,
    due_buyers,
    erase_acts,
    find_named,
    get_buyer,
    lock_buyer,
    record_erasure,
    scope_of,
    words_of,
)
from orderctl.erasure.scope import ErasureReport, Scope
from orderctl.errors import StoreUnavailableError, UnexpectedPlanError, UsageError
from orderctl.language import _, enumerated
from orderctl.orders.erasures import Erasure, Words, erasures, insert_erasure
from orderctl.orders.orders import Buyer
from orderctl.rejection.execute import wait_for_turn

# So many buyers are erased in one transaction: the texts of the store are read once for them.
_AT_ONCE = 500


def preview_erasure(store: Store, buyer_id: str) -> ErasureReport:
    """What erasing the buyer would do. Raises UsageError for an unknown one."""
    with store.snapshot() as connection:
        return next(_reports(connection, (buyer_id,)))


def buyers_older_than(store: Store, before: datetime) -> tuple[ErasureReport, ...]:
    """What erasing each buyer without open business and without an order since then would do."""
    with store.snapshot() as connection:
        return tuple(_reports(connection, due_buyers(connection, before)))


def erase_buyer(store: Store, buyer_id: str, *, actor: str, clock: Clock) -> ErasureReport:
    """Erase the buyer's personal data in one transaction, and record it.

    Raises UsageError for an unknown buyer, UnexpectedPlanError if something is in the way, OrderctlError if a batch
    that names the buyer was edited, StoreUnavailableError for a login that may not: it is the owner's.
    """
    (report,) = erase_buyers(store, (buyer_id,), actor=actor, clock=clock)
    if report.outcome == "refused":
        raise refusal(report)
    return report


def erase_buyers(store: Store, buyer_ids: Sequence[str], *, actor: str, clock: Clock) -> tuple[ErasureReport, ...]:
    """Erase these buyers, hundreds of them in each transaction. One whom something keeps is left as they are.

    Raises what `erase_buyer` raises but for that; the transactions before it stay.
    """
    done: list[ErasureReport] = []
    for start in range(0, len(buyer_ids), _AT_ONCE):
        erase = partial(_erase, buyer_ids=buyer_ids[start : start + _AT_ONCE], actor=actor, clock=clock)
        done += store.write(erase)
    return tuple(done)


def _erase(connection: Connection, buyer_ids: Sequence[str], actor: str, clock: Clock) -> list[ErasureReport]:
    wait_for_turn(connection)
    for buyer_id in sorted(buyer_ids):
        lock_buyer(connection, buyer_id)
    before, erased, reports = list(erasures(connection)), dict[str, Words](), list[ErasureReport]()
    at = clock.for_record(connection)
    for report in _reports(connection, buyer_ids):
        scope = report.scope
        if scope is None or report.outcome == "refused":
            reports.append(report)
            continue
        erasure = _new(connection, scope, actor, at, before)
        stays = list(affected_batches(connection, scope, erasure.mark, before))
        erasure = replace(erasure, batches={batch.id: made.digest for batch, made in stays}).with_digest()
        insert_erasure(connection, erasure)
        blank_all(connection, scope, erasure, stays)
        record_erasure(connection, scope, erasure)
        before.append(erasure)
        erased[scope.buyer.id] = scope.words
        reports.append(replace(report, erasure=erasure))
    if erased:
        erase_acts(connection, erased, before[-1])
    return reports


def sweep(store: Store) -> None:
    """Take what was erased out of the free parts of a SQLite file. Raises StoreUnavailableError if it is in use."""
    try:
        store.sweep()
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            _("the erasure is recorded, and the file still holds the old words: {why}", why=error.message),
            hint=_("run the same call again when no other program uses the store"),
        ) from error


def _reports(connection: Connection, buyer_ids: Sequence[str]) -> Iterator[ErasureReport]:
    """What erasing each of them would do, as the store is when it is that buyer's turn."""
    done = {each.buyer_id: each for each in erasures(connection)}
    buyers = {buyer_id: _known(connection, buyer_id) for buyer_id in buyer_ids if buyer_id not in done}
    words = {buyer_id: words_of(connection, buyer) for buyer_id, buyer in buyers.items()}
    named = find_named(connection, words)
    for buyer_id in buyer_ids:
        if buyer_id in done:
            yield ErasureReport(buyer_id=buyer_id, erasure=done[buyer_id], already=True)
        else:
            scope = scope_of(connection, buyers[buyer_id], words[buyer_id], named[buyer_id])
            yield ErasureReport(buyer_id=buyer_id, scope=scope)


def _known(connection: Connection, buyer_id: str) -> Buyer:
    buyer = get_buyer(connection, buyer_id)
    if buyer is None:
        raise UsageError(
            _("there is no buyer {buyer!r} in this store", buyer=buyer_id),
            hint=_("an order shows the id of its buyer: orderctl show ORDER"),
        )
    return buyer


def refusal(report: ErasureReport) -> UnexpectedPlanError:
    """Why a buyer is not erased."""
    obstacles = list(report.scope.obstacles()) if report.scope else []
    return UnexpectedPlanError(
        _(
            "buyer {buyer} is not erased: {obstacles}; nothing was changed",
            buyer=safe(report.buyer_id),
            obstacles=enumerated(what for what, __ in obstacles),
        ),
        hint=enumerated(hint for __, hint in obstacles),
    )


def _new(connection: Connection, scope: Scope, actor: str, at: datetime, before: Sequence[Erasure]) -> Erasure:
    """The erasure that follows the last one, without its batches and its digest."""
    last = before[-1] if before else None
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
