"""What the program knows as documents for other programs, each with a schema version (design.md, section 8)."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from orderctl.domain.eligibility import RULE_BY_CODE, Mode, refusal
from orderctl.domain.explanation import explain
from orderctl.domain.impact import percent_of
from orderctl.domain.money import Money, plain_amount

# Most commands import this module, and completion imports most commands: what is only named is not loaded.
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from orderctl.domain.changes import ChangeReport
    from orderctl.domain.explanation import Explanation
    from orderctl.domain.health import Check
    from orderctl.domain.impact import Impact
    from orderctl.domain.import_figures import ImportCounts, SourceFigures
    from orderctl.domain.log import Batch
    from orderctl.domain.mail_actions import MailEvent
    from orderctl.domain.order_notes import OrderNotes
    from orderctl.domain.orders import Order, OrderEvent
    from orderctl.domain.outbox import DeliveryReport, Mail
    from orderctl.domain.rejection import RejectionPlan, RejectionResult
    from orderctl.domain.sample_letters import SampleLetter
    from orderctl.domain.statistics import Figure, Statistics
    from orderctl.domain.verification import LogVerdict, Tampering

SCHEMA = 1
Document = dict[str, object]


def plan_document(plan: RejectionPlan) -> Document:
    """A plan: what would be rejected and what not, and why."""
    return {
        "id": plan.id,
        "made_at": plan.made_at.isoformat(),
        "account": plan.by.account,
        "actor": plan.by.actor,
        "source": plan.by.source,
        "mode": plan.mode.value,
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
        "excluded": {
            "count": plan.given.excluded_count,
            "ids": plan.given.excluded,
            "elsewhere": plan.given.excluded_elsewhere,
        },
        "notes": {"reasons": plan.notes.reasons, "messages": plan.notes.messages, "orders": _notes(plan.notes)},
        "impact": _impact(plan.impact),
        "mail": asdict(plan.mail) | {"languages": dict(plan.mail.languages)},
    }


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
    }


def _span(first: date | None, last: date | None) -> Document:
    return {"first": first and first.isoformat(), "last": last and last.isoformat()}


def rejection_document(
    plan: RejectionPlan,
    result: RejectionResult | None,
    delivery: DeliveryReport | None,
    letters: Iterable[SampleLetter] = (),
) -> Document:
    """A plan and what came of it; `outcome` is dry-run, nothing-to-do or rejected. A dry run has its letters."""
    document: Document = {"schema": SCHEMA, "plan": plan_document(plan)}
    if result is None:
        return document | {"outcome": "dry-run", "batch": None, "rejected": 0, "letters": list(map(asdict, letters))}
    outcome = "nothing-to-do" if result.batch_id is None else "rejected"
    return document | {
        "outcome": outcome,
        "batch": result.batch_id,
        "rejected": result.rejected,
        "totals": amounts(result.totals),
        "left_out": [asdict(left) for left in result.left_out],
        "mails": {"queued": result.mails, **({} if delivery is None else asdict(delivery))},
    }


def amounts(totals: Iterable[Money]) -> list[Document]:
    """Sums, each in minor units and written out."""
    return [
        {"currency": money.currency, "minor": money.minor, "amount": plain_amount(money.minor, money.currency)}
        for money in totals
    ]


def import_document(figures: SourceFigures, counts: ImportCounts, *, stored: bool, errors: str) -> Document:
    """What an import read and did; `errors` names the report of the bad rows."""
    return {"schema": SCHEMA, "stored": stored, **asdict(figures), **asdict(counts), "errors": errors or None}


def change_document(report: ChangeReport, *, dry_run: bool) -> Document:
    """What archiving or a tag changed, or would change."""
    return {
        "schema": SCHEMA,
        "outcome": "dry-run" if dry_run else "done",
        "change": report.change.kind.value,
        "tag": report.change.tag or None,
        "changed": report.reach.changing,
        "unchanged": report.unchanged,
        "unknown": list(report.unknown),
        "duplicates": report.duplicates,
    }


def statistics_document(statistics: Statistics, filter_text: str) -> Document:
    """Figures per currency; `rest` is what a limit left out."""
    return {
        "schema": SCHEMA,
        "subject": statistics.subject.value,
        "filter": filter_text,
        "rejected_left_out": statistics.rejected_left_out,
        "totals": [_figure_document(figure) for figure in statistics.totals],
        "by": [
            {
                "by": list(breakdown.question.by),
                "figures": [
                    dict(zip(breakdown.question.by, figure.keys, strict=True))
                    | {"label": " / ".join(figure.labels)}
                    | _figure_document(figure)
                    for figure in breakdown.figures
                ],
                "rest": [_figure_document(figure) | {"groups": figure.groups} for figure in breakdown.rest],
            }
            for breakdown in statistics.breakdowns
        ],
    }


def _figure_document(figure: Figure) -> Document:
    return {
        "currency": figure.currency,
        "orders": figure.orders,
        "quantity": figure.quantity,
        "minor": figure.amount,
        "amount": plain_amount(figure.amount, figure.currency),
    }


def order_document(order: Order, events: Sequence[OrderEvent]) -> Document:
    """One order with its log, and whether it can be rejected. Amounts are written out, as in lists and exports."""
    document = asdict(order)
    del document["unsaid"]  # of orders on their way from a file
    for name in ("ordered_at", "delivery_from", "delivery_to", "archived_at", "rejected_at", "changed_at"):
        document[name] = document[name] and document[name].isoformat()
    document["tags"] = sorted(order.tags)
    document["total"] = plain_amount(order.total, order.currency)
    for line, written in zip(order.lines, document["lines"], strict=True):
        written["unit_price"] = plain_amount(line.unit_price, order.currency)
    refusals = {mode.value: refusal(order, mode) for mode in Mode}
    return {
        "schema": SCHEMA,
        "order": document,
        "refused": {mode: rule and {"code": rule.code, "reason": rule.reason} for mode, rule in refusals.items()},
        "eligibility": _eligibility(order, explain(order, events)),
        "events": [event_document(event) for event in events],
    }


def _eligibility(order: Order, explanation: Explanation) -> Document:
    """Every ground against rejecting the order, since when it is so, and what to do instead."""
    ways = {
        mode.value: {"allowed": not rules, "grounds": [{"code": rule.code, "reason": rule.reason} for rule in rules]}
        for mode, rules in explanation.grounds.items()
    }
    return {
        **ways,
        "since": explanation.since and explanation.since.isoformat(),
        "event": explanation.event and event_document(explanation.event),
        "instead": list(explanation.advice(order.id)),
    }


def event_document(event: OrderEvent) -> Document:
    """One line of a log; the digest of the order's lines, which only the seal needs, is in `log export` alone."""
    document = asdict(event) | {"at": event.at.isoformat()}
    del document["lines_digest"]
    return document


def batch_document(batch: Batch) -> Document:
    """One batch, without the short digests of its events."""
    document = asdict(batch) | {"schema": SCHEMA, "at": batch.at.isoformat()}
    del document["leaves"]
    return document


def tampering_document(tampering: Tampering) -> Document:
    """One record that is not as it was written."""
    return {"schema": SCHEMA, "type": "tampering", "record": tampering.record, **asdict(tampering)}


def verdict_document(verdict: LogVerdict) -> Document:
    """What a verification of the log read and found."""
    head = verdict.head
    return {
        "schema": SCHEMA,
        "type": "verdict",
        "outcome": "tampered" if verdict.tampered else "as-written",
        "tampered": verdict.tampered,
        "batches": verdict.batches,
        "events": verdict.events,
        "anchored": verdict.anchored,
        "outside_batches": {"events": verdict.loose, "imported_as_rejected": verdict.imported},
        "unknown_lines": verdict.unknown_lines,
        "head": head and {"batch": head.id, "position": head.position, "digest": head.digest},
    }


def health_document(store: str, checks: Iterable[Check]) -> Document:
    """What a check of the store found."""
    listed = [asdict(check) for check in checks]
    return {"schema": SCHEMA, "store": store, "ok": all(check["ok"] for check in listed), "checks": listed}


def mail_document(mail: Mail, order_ids: Iterable[str], events: Iterable[MailEvent] = ()) -> Document:
    """One mail with the orders it speaks of and what operators did with it."""
    document = asdict(mail) | {"schema": SCHEMA, "state": mail.state.value, "order_ids": list(order_ids)}
    for name in ("next_attempt_at", "created_at", "updated_at"):
        document[name] = document[name].isoformat()
    document["events"] = [asdict(event) | {"at": event.at.isoformat()} for event in events]
    return document
