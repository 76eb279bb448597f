"""Plans and rejections as documents for other programs (design.md, section 8)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from orderctl.core.money import plain_amount
from orderctl.mail.wording import Wording
from orderctl.orders.document import SCHEMA, Document, amounts
from orderctl.orders.eligibility import RULE_BY_CODE
from orderctl.rejection.impact import percent_of
from orderctl.selection.selection import ids_by_origin

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from orderctl.rejection.impact import Freshness, Impact
    from orderctl.rejection.plan import LeftOut, RejectionPlan, RejectionResult
    from orderctl.rejection.sample_letters import SampleLetter
    from orderctl.selection.notes import OrderNotes


def plan_document(plan: RejectionPlan) -> Document:
    """A plan: what would be rejected, what would be skipped, and why."""
    return {
        "id": plan.id,
        "made_at": plan.made_at.isoformat(),
        "account": plan.by.account,
        "actor": plan.by.actor,
        "source": plan.by.source,
        "mode": plan.mode.value,
        "max_age_seconds": plan.max_age and plan.max_age.total_seconds(),
        "reason": plan.reason,
        "reason_code": plan.reason_code,
        "targets": sorted(plan.targets),
        "totals": amounts(plan.totals),
        "totals_before_credits": amounts(plan.before_credits),
        "buyers": plan.buyers,
        "skipped": [
            {"code": group.code, "reason": RULE_BY_CODE[group.code].reason, "count": group.count, "ids": list(group)}
            for group in plan.skipped
        ],
        "given": {name: getattr(plan.given, name) for name in ("ids", "duplicates", "unknown", "unknown_count")},
        "origins": _origins(plan),
        "excluded": {
            "count": plan.given.excluded_count,
            "ids": plan.given.excluded,
            "elsewhere": plan.given.excluded_elsewhere,
        },
        "notes": {"reasons": plan.notes.reasons, "messages": plan.notes.messages, "orders": _notes(plan.notes)},
        "impact": _impact(plan.impact),
        "systems": [asdict(each) for each in plan.systems],
        "mail": asdict(plan.mail)
        | {"languages": dict(plan.mail.languages), "messages": Wording.read(plan.mail.message).document()},
    }


def _origins(plan: RejectionPlan) -> list[Document]:
    """Where the ids came from, how many from each source, and their lines; 0 where a source has none."""
    counted = ids_by_origin(plan.origins, plan.given.ids)
    return [
        {"source": source, "count": count, "lines": origin.line_of()}
        for origin, (source, count) in zip(plan.origins, counted, strict=True)
    ]


def _notes(notes: OrderNotes) -> list[Document]:
    return [
        {
            "id": note.id,
            "reason": note.reason.text or None,
            "reason_code": note.reason.code or None,
            "message": note.message or None,
        }
        for note in notes
    ]


def _impact(impact: Impact) -> Document:
    """The impact with its shares in percent."""
    return {
        "season_count": impact.season_count,
        "seasons": [
            {
                "season": share.season,
                "currency": share.currency,
                "orders": share.orders,
                "open_orders": share.open_orders,
                "percent_of_orders": percent_of(share.orders, share.open_orders),
                "total": plain_amount(share.total, share.currency),
                "open_total": plain_amount(share.open_total, share.currency),
                "percent_of_total": percent_of(share.total, share.open_total),
            }
            for share in impact.seasons
        ],
        "largest": [
            {
                "id": largest.id,
                "currency": largest.amount.currency,
                "total": plain_amount(largest.amount.minor, largest.amount.currency),
                "among_orders": largest.among_orders,
                "percent_of_total": largest.percent,
                "stands_out": largest.stands_out,
            }
            for largest in impact.largest
        ],
        "changed_within_the_hour": impact.recently_changed,
        "ordered": _span(impact.ordered_from, impact.ordered_to),
        "delivery": _span(impact.delivery_from, impact.delivery_to),
        "buyers_without_address": asdict(impact.without_address),
        "buyers_with_confirmed_orders": asdict(impact.with_confirmed),
        "freshness": impact.freshness and _freshness(impact.freshness),
    }


def _freshness(freshness: Freshness) -> Document:
    """When the sources of the planned orders last spoke of them."""
    return {
        "as_of": freshness.newest and freshness.newest.isoformat(),
        "oldest": freshness.oldest and freshness.oldest.isoformat(),
        "behind": {
            "count": freshness.behind,
            "as_of": freshness.behind_at and freshness.behind_at.isoformat(),
        },
        "unknown": freshness.unknown,
    }


def _span(first: date | None, last: date | None) -> Document:
    return {"first": first and first.isoformat(), "last": last and last.isoformat()}


def dry_run_document(
    plan: RejectionPlan, letters: Iterable[SampleLetter] = (), changed: Iterable[LeftOut] | None = None
) -> Document:
    """A plan that was not executed, with its letters; `changed` are the targets that a saved plan would leave out."""
    document: Document = {
        "schema": SCHEMA,
        "plan": plan_document(plan),
        "outcome": "dry-run",
        "batch": None,
        "rejected": 0,
        "letters": [asdict(letter) for letter in letters],
    }
    return document if changed is None else document | {"left_out": [asdict(left) for left in changed]}


def result_document(result: RejectionResult) -> Document:
    """A plan and what its batch did; `outcome` is nothing-to-do or rejected. A rehearsal leaves no batch to name."""
    return {
        "schema": SCHEMA,
        "plan": plan_document(result.plan),
        "outcome": "nothing-to-do" if result.batch_id is None else "rejected",
        "batch": None if result.rehearsed else result.batch_id,
        "head": None if result.rehearsed or result.head is None else asdict(result.head),
        "rejected": result.rejected,
        "totals": amounts(result.totals),
        "left_out": [asdict(left) for left in result.left_out],
        "writebacks": {
            "queued": result.writebacks,
            **({} if result.written_back is None else asdict(result.written_back)),
        },
        "mails": {"queued": result.mails, **({} if result.delivery is None else asdict(result.delivery))},
    }
