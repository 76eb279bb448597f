"""design.md, section 3: which orders may be rejected, and why not."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from orderctl.orders.eligibility import RULE_BY_CODE, RULES, STALE, Mode, refusal
from orderctl.orders.orders import Status

BULK_ALLOWED = {Status.NEEDS_OC, Status.OC_CREATED}
SINGLE_ALLOWED = BULK_ALLOWED | {Status.OC_APPROVED, Status.OC_DECLINED, Status.OC_CONFIRMED}


@dataclass
class Facts:
    status: Status
    delivery_notes: int = 0
    invoices: int = 0
    backlog_skus: int = 0
    gone_at: datetime | None = None


@pytest.mark.parametrize("status", Status)
def test_statuses_follow_the_table(status):
    assert (refusal(Facts(status), Mode.BULK) is None) == (status in BULK_ALLOWED)
    assert (refusal(Facts(status), Mode.INDIVIDUAL) is None) == (status in SINGLE_ALLOWED)


@pytest.mark.parametrize("counted", ["delivery_notes", "invoices", "backlog_skus"])
@pytest.mark.parametrize("mode", Mode)
def test_a_delivery_an_invoice_or_a_backlog_forbids_both_ways(counted, mode):
    order = Facts(Status.NEEDS_OC)
    setattr(order, counted, 1)
    rule = refusal(order, mode)
    assert rule is not None
    assert rule.counted == counted


@pytest.mark.parametrize("mode", Mode)
def test_what_is_gone_from_its_source_is_rejected_in_neither_way(mode):
    assert refusal(Facts(Status.NEEDS_OC, gone_at=datetime(2026, 3, 1, tzinfo=UTC)), mode).code == "gone"


def test_each_rule_says_why_and_what_to_do():
    assert len({rule.code for rule in (*RULES, STALE)}) == len(RULES) + 1 == len(RULE_BY_CODE)
    assert all(rule.reason and rule.advice for rule in RULE_BY_CODE.values())
