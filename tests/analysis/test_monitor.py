"""Monitoring is one critical value and one p-value, and the two agree."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.monitor import DEFAULT_UNITS, Reach, is_ripe, monitor_of
from upshot.analysis.result import Look, PastComparison
from upshot.model.metric import Metric
from upshot.model.plan import Plan

METHODS = ("fixed", "group_sequential", "always_valid")
PLAN = Plan(metrics=(Metric(name="m", column="m"),), planned_units=1000)


def past(p, z):
    return PastComparison(n=100, effect=z, std_error=1.0, df=98, fixed_z=z, p_value=p, harm_p_value=1.0)


def look(information, p=1.0, z=0.0):
    return Look(number=1, information=information, comparisons={("m", "b"): past(p, z)}, units={})


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.floats(-9, 9),
    st.integers(4, 10**6),
    st.floats(0.05, 1),
    st.sampled_from([0.05, 0.05 / 2, 0.05 / 3, 0.05 / 8]),
)
def test_p_is_below_a_level_exactly_beyond_its_critical_value(method, t, n, information, level):
    monitor = monitor_of(replace(PLAN, monitoring=method), information, ())
    reach = Reach(n, n - 2.0)
    critical = monitor.critical(level, reach)
    if math.isclose(abs(t), critical, rel_tol=1e-6):
        return
    assert (monitor.p_value(t, reach, before=1.0) < level) == (abs(t) > critical)


@pytest.mark.parametrize("method", ["group_sequential", "always_valid"])
def test_p_runs_and_never_rises(method):
    monitor = monitor_of(replace(PLAN, monitoring=method), 0.6, (look(0.3),))
    reach = Reach(600, math.inf)
    strong, weak = (monitor.p_value(t, reach, before=1.0) for t in (4.0, 1.0))
    assert strong < weak
    assert monitor.p_value(1.0, reach, before=strong) == strong


@pytest.mark.parametrize("spending", ["obrien_fleming", "pocock"])
def test_looks_before_any_unit_was_matured_cost_nothing(spending):
    """As those of the first week are, where a window is a week long."""
    plan = replace(PLAN, monitoring="group_sequential", spending=spending)
    blind, none = (monitor_of(plan, 0.4, looks) for looks in ((look(0.0), look(0.0)), ()))
    reach = Reach(800, math.inf)
    assert blind.critical(0.05, reach) == pytest.approx(none.critical(0.05, reach), rel=1e-4)
    assert blind.p_value(2.9, reach, before=1.0) == pytest.approx(
        none.p_value(2.9, reach, before=1.0), rel=1e-3
    )


def test_always_valid_is_silent_until_ripe():
    monitor = monitor_of(replace(PLAN, monitoring="always_valid"), 0.1, ())
    assert monitor.critical(0.05, Reach(50, 48, ripe=False)) == math.inf
    assert monitor.p_value(9.0, Reach(50, 48, ripe=False), before=0.7) == 0.7
    assert is_ripe([10, 10], [0, 0])
    assert not is_ripe([9, 500], [0, 0])
    assert not is_ripe([500, 500], [491, 0])


def test_bounds_are_tuned_by_the_plan_or_by_a_fixed_number():
    assert monitor_of(PLAN, 1.0, ()).planned == 2000
    assert monitor_of(replace(PLAN, planned_units=None), 1.0, ()).planned == DEFAULT_UNITS


def test_the_direction_is_that_of_the_look_that_gave_the_p():
    looks = (look(0.2, 0.4, -1.0), look(0.4, 0.01, 3.0), look(0.6, 0.01, -0.2))
    monitor = monitor_of(replace(PLAN, monitoring="group_sequential"), 0.8, looks)
    assert monitor.direction("m", "b") == 1
    assert monitor.direction("m", "other") == 0
