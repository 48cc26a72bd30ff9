"""Crossings found to the last digits, and a bracket without one refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import UpshotError
from upshot.stats.root import solve


@given(st.floats(-0.99, 0.99), st.sampled_from([1, 3, 5]))
def test_the_zero_of_a_monotone_function(zero, power):
    found = solve(lambda x: math.sinh(x - zero) ** power, -1.0, 1.0)
    assert abs(math.sinh(found - zero)) ** power < 1e-12


@given(st.floats(1e-12, 1e12))
def test_a_root_of_any_size_to_twelve_digits(target):
    assert solve(lambda x: x * x - target, 0.0, 1e7) == pytest.approx(math.sqrt(target), rel=1e-12)


def test_ends_that_are_zeros_or_infinite():
    assert solve(lambda x: x, 0.0, 1.0) == 0.0
    assert solve(lambda x: x - 1, 0.0, 1.0) == 1.0
    steep = solve(lambda x: math.inf if x == 0 else math.log(x) * -1, 0.0, 5.0)
    assert steep == pytest.approx(1.0, rel=1e-12)


def test_no_change_of_sign_is_a_fault_of_the_caller():
    with pytest.raises(UpshotError, match="no change of sign between"):
        solve(lambda x: x, 1.0, 2.0)
