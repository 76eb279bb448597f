"""Hostile input of every kind is read or refused in one clean sentence: no traceback, no hang."""

import pytest
from hypothesis import HealthCheck, given, settings

from stress.fuzz import TARGETS, attempt

_ORDINARY = settings(
    max_examples=30,
    deadline=5_000,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_is_given_is_read_or_refused_in_a_sentence(name):
    target = TARGETS[name]
    accepted = []

    @_ORDINARY
    @given(target.data)
    def each(data):
        accepted.append(attempt(target, data))

    each()
    # Both ends must be met, or the inputs are too good, or too bad, to show anything.
    assert {True, False} == set(accepted)
