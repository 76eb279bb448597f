"""Plans as tests make them."""

from datetime import timedelta

from orderctl.core.ids import new_id
from orderctl.plans.plans import PlanTerms, SecondOperatorRule
from orderctl.rejection.plan import Provenance
from orderctl.rejection.service import RejectionRequest, prepare_rejection
from orderctl.selection.selection import Choice, IdList, IdScope
from support.factories import FixedClock

FREE = PlanTerms(lifetime=timedelta(hours=24), rule=SecondOperatorRule())


def plan_of(store, *ids, actor="mia", **asked):
    choice = Choice(scope=IdScope(given=IdList(ids=ids), words="ids"))
    by = Provenance(account=store.account, actor=actor, host="desk", program="orderctl 0", source="ids")
    request = RejectionRequest(choice=choice, by=by, reason="dropped", **asked)
    return prepare_rejection(store, request, clock=FixedClock(), new_id=new_id)
