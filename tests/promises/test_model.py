"""Random operations against the model of design.md, section 3, compared after each step, on both engines."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from stress.model import Services

_ORDINARY = settings(
    stateful_step_count=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.parametrize(("engine", "examples"), [("sqlite_url", 8), ("postgres_url", 3)])
def test_whatever_is_done_in_whatever_order_the_store_is_as_the_model(request, engine, examples):
    on_this_store = type("OnThisStore", (Services,), {"url": request.getfixturevalue(engine)})
    run_state_machine_as_test(on_this_store, settings=settings(_ORDINARY, max_examples=examples))
