"""The root finder against roots that are known, and what it costs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from upshot.errors import UpshotError
from upshot.stats.root import solve


@given(st.floats(-5, 5), st.floats(0.01, 50), st.floats(0.01, 50))
def test_it_finds_the_root_of_a_monotone_function(root: float, below: float, above: float) -> None:
    def function(x: float) -> float:
        return math.expm1(x - root)

    found = solve(function, root - below, root + above)
    assert found == pytest.approx(brentq(function, root - below, root + above, xtol=1e-14), abs=1e-11)
    assert solve(lambda x: -function(x), root - below, root + above) == pytest.approx(found, abs=1e-11)


@given(st.floats(1e-12, 1e12))
def test_the_bracket_is_relative(root: float) -> None:
    assert solve(lambda x: math.log(x / root), root / 1e3, root * 1e3) == pytest.approx(root, rel=1e-12)


def test_an_infinite_end_and_a_root_at_an_end_do_no_harm() -> None:
    assert solve(lambda x: math.inf if x == 0 else 1 / x - 2, 0.0, 3.0) == pytest.approx(0.5, rel=1e-12)
    assert solve(lambda x: x, 0.0, 1.0) == 0.0
    assert solve(lambda x: x - 1, 0.0, 1.0) == 1.0


def test_it_needs_few_steps() -> None:
    """A score statistic costs microseconds: tens of evaluations would be what an analysis spends its time on."""
    calls = 0

    def function(x: float) -> float:
        nonlocal calls
        calls += 1
        return math.tanh(3 * (x - 0.3)) + 0.1 * (x - 0.3)

    solve(function, -1.0, 1.0)
    assert calls <= 16


def test_no_change_of_sign_is_a_fault_of_the_caller() -> None:
    with pytest.raises(UpshotError, match="no change of sign between"):
        solve(lambda x: x * x + 1, -1.0, 1.0)
