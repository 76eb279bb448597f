"""One rejection in a line, by the services that the commands call."""

from datetime import UTC, datetime

import uuid6

from orderctl.filters.parser import parse_filter
from orderctl.orders.queries import get_order
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, execute_rejection, prepare_rejection
from orderctl.search.queries import Page, list_ids
from orderctl.selection.selection import Choice, FilterScope, IdList, IdScope
from support.factories import FixedClock

CLOCK = FixedClock()
BY = Provenance(account="main", actor="mia", host="desk", program="orderctl 0", source="a test")
ALL = Page(sort="id")


def ids(*given, duplicates=0):
    return Choice(scope=IdScope(given=IdList(ids=given, duplicates=duplicates), words="ids"))


def matching(text):
    found = parse_filter(text, today=datetime(2026, 3, 14, tzinfo=UTC).date())
    return Choice(scope=FilterScope(filter=found, words=f"filter {text}"))


def plan_for(store, choice, **request):
    wanted = RejectionRequest(choice=choice, by=BY, reason="style dropped", **request)
    return prepare_rejection(store, wanted, clock=CLOCK, new_id=lambda: str(uuid6.uuid7()))


def execute(store, plan, key=None):
    approved = plan.approve(by="mia", how="--yes", request=key)
    return execute_rejection(store, approved, clock=CLOCK, message_domain="brand.example")


def reject(store, choice, key=None, **request):
    return execute(store, plan_for(store, choice, **request), key)


def statuses(store):
    with store.snapshot() as connection:
        everything = parse_filter("archived:yes or archived:no", today=CLOCK.at.date())
        return {order_id: get_order(connection, order_id).status for order_id in list_ids(connection, everything, ALL)}
