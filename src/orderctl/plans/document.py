"""Saved plans as documents for other programs (design.md, section 8)."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from orderctl.core.ids import short_id
from orderctl.orders.document import SCHEMA, Document, amounts
from orderctl.plans.plans import SavedPlan
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


def kept_plan_document(saved: SavedPlan, plan: RejectionPlan, now: datetime) -> Document:
    """A saved plan with every target and its version, and every skipped order, for review elsewhere."""
    return saved_plan_document(saved, now) | {
        "plan": plan_document(plan) | {"versions": dict(sorted(plan.targets.versions().items()))}
    }


def differences_document(plan: RejectionPlan, changed: Iterable[LeftOut]) -> Document:
    """Which targets are no longer as planned, and what changed."""
    return {
        "schema": SCHEMA,
        "id": plan.id,
        "orders": plan.targets.count,
        "changed": [asdict(each) for each in changed],
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
