"""Welch's test against scipy and statsmodels; tails that never end at 0; one-sided and with a margin."""

import math
import sys

import numpy as np
import pytest
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm, ttest_ind
from scipy.stats import t as student
from statsmodels.stats.weightstats import CompareMeans

from upshot.stats.effect import Arm, Effect, difference_interval, effect_of, lift_interval
from upshot.stats.fixed import (
    SMALLEST,
    critical,
    critical_from_score,
    non_inferiority,
    normal_score,
    p_from_statistic,
    p_value,
    statistic,
    tail,
)
from upshot.stats.moments import Moments

samples = st.lists(st.floats(-100, 100), min_size=3, max_size=30)
SIDES = {"two": "two-sided", "greater": "greater", "less": "less"}
degrees = st.floats(1.0, 1e5)


def varied(sample):
    return np.ptp(sample) > 1e-3 * (1 + np.abs(sample).max())


@pytest.mark.parametrize("side", SIDES)
@given(samples, samples)
def test_welch_as_by_scipy(side, control, treatment):
    assume(varied(control) and varied(treatment))
    effect = effect_of(Moments.from_arrays(control), Moments.from_arrays(treatment))
    theirs = ttest_ind(treatment, control, equal_var=False, alternative=SIDES[side])
    assert statistic(effect) == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-12)
    assert effect.df == pytest.approx(theirs.df, rel=1e-9)
    assert p_value(effect, side) == pytest.approx(theirs.pvalue, rel=1e-7)


def test_the_interval_as_by_statsmodels():
    rng = np.random.default_rng(5)
    control, treatment = rng.normal(10, 2, 40), rng.normal(11, 5, 23)
    effect = effect_of(Moments.from_arrays(control), Moments.from_arrays(treatment))
    interval = difference_interval(effect, critical(0.1, effect.df))
    theirs = CompareMeans.from_data(treatment, control).tconfint_diff(alpha=0.1, usevar="unequal")
    assert (interval.low, interval.high) == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize("side", ["greater", "less"])
@given(
    st.floats(-10, 10), st.floats(0.1, 5), st.integers(2, 300), st.integers(2, 300),
    st.sampled_from([0.001, 0.025, 0.05, 0.2]),
)  # fmt: skip
def test_one_sided_p_and_one_sided_bound_agree(side, difference, error, n, m, alpha):
    effect = Effect(Arm(100.0, error**2, n, n - 1), Arm(100.0 + difference, 2 * error**2, m, m - 1))
    c = critical(alpha, effect.df, side)
    assume(abs(abs(statistic(effect)) / c - 1) > 1e-9)
    for interval in (difference_interval(effect, c), lift_interval(effect, c)):
        if interval.low is not None and interval.high is not None:
            bound = interval.low > 0 if side == "greater" else interval.high < 0
            assert (p_value(effect, side) < alpha) == bound


@given(st.floats(-1e4, 1e4), degrees | st.just(math.inf), st.sampled_from(list(SIDES)))
def test_a_p_value_is_never_zero_and_never_above_one(t, df, side):
    assert SMALLEST <= p_from_statistic(t, df, side) <= 1.0


def test_far_tails_keep_their_digits_where_gbstats_says_zero():
    effect = effect_of(Moments.from_counts(10_000, 100_000), Moments.from_counts(12_000, 100_000))
    exact = 2 * student.sf(statistic(effect), effect.df)
    assert 0 < exact < 1e-40
    assert p_value(effect) == pytest.approx(exact, rel=1e-8)
    gb = [SampleMeanStatistic(n=100_000, sum=x, sum_squares=x) for x in (10_000, 12_000)]
    config = FrequentistConfig(difference_type="absolute")
    assert TwoSidedTTest(*gb, config).compute_result().p_value == 0.0
    assert tail(60.0) == SMALLEST == sys.float_info.min


@given(st.floats(1e-12, 0.999), degrees)
def test_critical_is_where_p_is_alpha(alpha, df):
    for side in SIDES:
        assert p_from_statistic(critical(alpha, df, side), df, side) == pytest.approx(
            alpha if side != "less" else 1 - alpha, rel=1e-7
        )
    assert critical(alpha) == pytest.approx(norm.isf(alpha / 2), rel=1e-10)


def test_a_great_many_degrees_of_freedom_pass_smoothly_into_the_normal():
    for alpha in (1e-9, 0.001, 0.05):
        assert critical(alpha, 0.999e6) == pytest.approx(critical(alpha, 1.001e6), rel=1e-5)
        assert tail(critical(alpha), 0.999e6) == pytest.approx(tail(critical(alpha), 1.001e6), rel=2e-3)


@given(st.floats(-25, 25), st.floats(2.0, 1e7))
def test_a_score_has_the_tail_of_its_t_and_comes_back(t, df):
    score = normal_score(t, df)
    assert math.copysign(1.0, score) == math.copysign(1.0, t) or t == 0
    if abs(score) < 35:
        assert tail(abs(score)) == pytest.approx(tail(abs(t), df), rel=1e-8)
        assert critical_from_score(score, df) == pytest.approx(t, rel=1e-6, abs=1e-9)


def test_scores_at_the_edge_of_what_a_double_holds():
    assert normal_score(-1e6, 200.0) == -37.5
    assert math.isnan(normal_score(math.nan, 10.0))
    assert critical_from_score(math.inf, 10.0) == math.inf
    assert critical_from_score(39.0, 10.0) == math.inf


@pytest.mark.parametrize("better", ["higher", "lower"])
@pytest.mark.parametrize("relative", [True, False])
@given(st.floats(-8, 8), st.floats(0.2, 4), st.floats(0, 0.2), st.sampled_from([0.01, 0.05]))
def test_held_is_exactly_when_the_bound_stays_within_the_margin(
    better, relative, difference, error, margin, alpha
):
    effect = Effect(Arm(100.0, error**2, 80, 79), Arm(100.0 + difference, error**2, 60, 59))
    amount = margin if relative else 100 * margin
    p = non_inferiority(effect, amount, better, relative)
    c = critical(alpha, effect.df, "greater")
    interval = lift_interval(effect, c) if relative else difference_interval(effect, c)
    bound = interval.low + amount if better == "higher" else amount - interval.high
    # the margin scales control's variance and with it the degrees of freedom, if by little
    assume(abs(bound) > 2e-3 * (1 if relative else 100) * error / 100)
    assert (p < alpha) == (bound > 0)


def test_control_is_not_frozen_in_the_margin():
    effect = Effect(Arm(10.0, 0.25, 100, 99), Arm(10.2, 0.25, 100, 99))
    z = (10.2 - 0.9 * 10.0) / math.sqrt(0.25 + 0.9**2 * 0.25)  # Sasabuchi's statistic
    df = (0.25 + 0.81 * 0.25) ** 2 / ((0.25**2 + (0.81 * 0.25) ** 2) / 99)
    assert non_inferiority(effect, 0.1, "higher") == pytest.approx(student.sf(z, df), rel=1e-10)
    assert non_inferiority(effect, 0.0, "higher") == p_value(effect, "greater")
    assert non_inferiority(effect, 0.0, "lower") == p_value(effect, "less")
