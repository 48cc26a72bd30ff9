"""An interval that its test has outrun is cut at 0, and only then."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.analysis.comparison import agreeing, ends
from upshot.stats.effect import Arm, Effect, difference_interval, lift_interval
from upshot.stats.interval import Interval, undefined

FINITE = st.floats(-1e6, 1e6)


@given(FINITE, FINITE, st.sampled_from([-1, 1]))
def test_what_is_significant_excludes_zero_and_keeps_its_far_end(first, second, direction):
    given_ends = Interval(min(first, second), max(first, second))
    cut = agreeing(given_ends, significant=True, direction=direction)
    if given_ends.excludes(0.0):
        assert cut == given_ends
    elif direction > 0:
        assert (0 < cut.low < 1e-300, cut.high) == (True, given_ends.high)
    else:
        assert (-1e-300 < cut.high < 0, cut.low) == (True, given_ends.low)
    assert agreeing(given_ends, significant=False, direction=direction) == given_ends


def test_an_open_interval_is_cut_and_an_undefined_one_is_not():
    unbounded = Interval(None, None, "no bound")
    assert agreeing(unbounded, significant=True, direction=1).low == math.ulp(0.0)
    assert agreeing(unbounded, significant=True, direction=1).high is None
    nothing = undefined("no units")
    assert agreeing(nothing, significant=True, direction=1) is nothing


@pytest.mark.parametrize("end", [math.inf, -math.inf, math.nan, None])
def test_ends_that_are_no_numbers_are_none(end):
    assert ends(Interval(end, 1.0)) == (None, 1.0)


def test_a_critical_value_beyond_computing_rules_nothing_out():
    """At an early look a t with one degree of freedom would have to reach 1e273."""
    effect = Effect(Arm(0.5, 0.25, 2, 1), Arm(0.0, 0.1, 6, 5))
    for interval in (difference_interval(effect, 1e273), lift_interval(effect, 1e273)):
        assert (interval.low, interval.high, interval.defined) == (None, None, True)
        assert "nothing is ruled out" in interval.reason
