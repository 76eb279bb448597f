"""Saved plans as documents for other programs (design.md, section 8)."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from orderctl.core.ids import short_id
from orderctl.core.money import plain_amount
from orderctl.orders.document import SCHEMA, Document, amounts
from orderctl.plans.plans import PlanComparison, PlannedOrder, SavedPlan
from orderctl.rejection.document import plan_document
from orderctl.rejection.plan import LeftOut, RejectionPlan


def saved_plan_document(saved: SavedPlan, now: datetime) -> Document:
    """A saved plan without its orders: author, state, and the time left."""
    return {
        "schema": SCHEMA,
        "id": saved.id,
        "short_id": short_id(saved.id),
        "state": saved.state_at(now),
        "author": str(saved.author),
        "approver": None if saved.approver is None else str(saved.approver),
        "is_approved": saved.is_approved,
        "how": saved.how,
        "second_operator": saved.second_operator,
        "orders": saved.targets,
        "totals": amounts(saved.totals),
        "reason": saved.reason,
        **{name: _instant(getattr(saved, name)) for name in ("made_at", "approved_at", "due_at", "expires_at")},
        "time_left": saved.time_left(now),
        "closed_at": _instant(saved.closed_at),
        "closed_by": None if saved.closed_by is None else str(saved.closed_by),
        "digest": saved.plan_digest,
    }


def kept_plan_document(saved: SavedPlan, plan: RejectionPlan, now: datetime, *, needs: str) -> Document:
    """A saved plan with every target and its version, and every skipped order, for review elsewhere.

    `needs` says why it needs a second operator.
    """
    return saved_plan_document(saved, now) | {
        "may_run": saved.may_run(now, needs=needs).value,
        "needs": needs,
        "plan": plan_document(plan) | {"versions": dict(sorted(plan.targets.versions().items()))},
    }


def differences_document(plan: RejectionPlan, changed: Iterable[LeftOut]) -> Document:
    """Which targets are no longer as planned, and what changed."""
    return {
        "schema": SCHEMA,
        "id": plan.id,
        "orders": plan.targets.count,
        "changed": [asdict(each) for each in changed],
    }


def comparison_document(first: SavedPlan, second: SavedPlan, found: PlanComparison) -> Document:
    """What differs between two saved plans."""
    return {
        "schema": SCHEMA,
        "first": {"id": first.id, "orders": first.targets, "totals": amounts(first.totals)},
        "second": {"id": second.id, "orders": second.targets, "totals": amounts(second.totals)},
        "same": found.is_same,
        "only_first": list(map(_planned, found.only_first)),
        "only_second": list(map(_planned, found.only_second)),
        "changed": [asdict(each) for each in found.changed],
        "terms": [asdict(each) for each in found.terms],
    }


def _planned(order: PlannedOrder) -> Document:
    amount = order.amount
    return {
        "id": order.id,
        "status": order.status or None,
        "currency": amount and amount.currency,
        "total": amount and plain_amount(amount.minor, amount.currency),
        "skipped": order.skipped or None,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
