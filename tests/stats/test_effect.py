"""One effect feeds the test and every interval: they agree, move with the units, and turn round with the arms."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import SampleMeanStatistic
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq

from upshot.stats.effect import (
    Arm,
    Effect,
    difference_interval,
    effect_of,
    estimate,
    lift_interval,
    margin_effect,
)
from upshot.stats.fixed import critical, p_value, statistic
from upshot.stats.moments import Moments

sizes = st.integers(2, 100_000)
values = st.floats(0.001, 1000.0) | st.floats(-1000.0, -0.001)
errors = st.floats(1e-4, 300.0)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.3])


@st.composite
def effects(draw, covariances=True):
    c, t, n, m = draw(errors), draw(errors), draw(sizes), draw(sizes)
    share = draw(st.floats(-0.95, 0.95)) if covariances and draw(st.booleans()) else 0.0
    control, treatment = Arm(draw(values), c**2, n, n - 1), Arm(draw(values), t**2, m, m - 1)
    return Effect(control, treatment, share * c * t)


def near_border(effect, level):
    return abs(abs(statistic(effect)) / critical(level, effect.df) - 1) < 1e-9


@given(effects(), alphas)
def test_p_is_below_alpha_exactly_when_difference_and_fieller_exclude_zero(effect, alpha):
    assume(not near_border(effect, alpha))
    c = critical(alpha, effect.df)
    rejected = p_value(effect) < alpha
    assert difference_interval(effect, c).excludes(0.0) == rejected
    assert lift_interval(effect, c).excludes(0.0) == rejected


@given(effects(), st.sampled_from([-1, 1]))
def test_they_agree_a_billionth_from_the_border(effect, side):
    c = abs(statistic(effect)) * (1 + side * 1e-9)
    assume(c > 0)
    for interval in (difference_interval(effect, c), lift_interval(effect, c)):
        assert interval.excludes(0.0) == (side < 0)


@given(effects(), alphas, st.floats(-0.9, 0.9))
def test_the_margin_test_agrees_with_the_ends_of_both_intervals(effect, alpha, margin):
    c = critical(alpha, effect.df, "greater")
    fieller, difference = lift_interval(effect, c), difference_interval(effect, c)
    shifted = margin_effect(effect, margin, relative=False)
    if abs(statistic(shifted) - c) > 1e-9 * c:
        assert (statistic(shifted) > c) == (difference.low > margin)
    assume(fieller.low is not None and fieller.high is not None)
    relative = margin_effect(effect, margin)
    assume(not relative.why_not() and abs(statistic(relative) - c) > 1e-7 * c)
    assert (statistic(relative) > c) == (fieller.low > margin)
    assume(abs(statistic(relative) + c) > 1e-7 * c)
    assert (statistic(relative) < -c) == (fieller.high < margin)


@given(effects(), st.floats(0.5, 4.0))
def test_at_an_end_of_fieller_the_statistic_is_the_critical_value(effect, c):
    fieller = lift_interval(effect, c)
    for end in (fieller.low, fieller.high):
        if end is not None and abs(end) < 1e6 and abs(end + 1) > 1e-3:
            at_end = margin_effect(effect, end)
            assert abs(statistic(at_end)) == pytest.approx(c, rel=1e-5)


@given(effects(), st.floats(0.5, 4.0))
def test_exchanging_the_arms_turns_everything_round(effect, c):
    turned = effect.swapped()
    assert turned.difference == -effect.difference
    assert p_value(turned) == p_value(effect)
    low, high = difference_interval(effect, c).low, difference_interval(effect, c).high
    assert (difference_interval(turned, c).low, difference_interval(turned, c).high) == (-high, -low)
    ours, theirs = lift_interval(effect, c), lift_interval(turned, c)
    if None not in (ours.low, ours.high, theirs.low, theirs.high) and effect.control.value > 0:
        assume(effect.treatment.value > 0)
        ratios = sorted(1 / (1 + end) for end in (theirs.low, theirs.high))
        assume(all(1e-3 < ratio < 1e3 for ratio in ratios))  # a lift near -1 has lost the digits of its ratio
        assert [1 + ours.low, 1 + ours.high] == pytest.approx(ratios, rel=1e-6)


def scaled(effect, factor):
    def arm(one):
        return Arm(one.value * factor, one.variance * factor**2, one.n, one.df)

    return Effect(arm(effect.control), arm(effect.treatment), effect.covariance * factor**2)


@given(
    effects(), st.sampled_from([1e-40, 1e-3, 7.0, 1e40, -1.0, -1e4]), st.sampled_from(["fieller", "delta"])
)
def test_the_unit_of_measurement_changes_no_answer(effect, factor, method):
    other = scaled(effect, factor)
    assert other.difference == pytest.approx(effect.difference * factor, rel=1e-12)
    assert other.df == pytest.approx(effect.df, rel=1e-9)
    assert p_value(other) == pytest.approx(p_value(effect), rel=1e-9)
    ours, theirs = lift_interval(effect, 1.96, method), lift_interval(other, 1.96, method)
    sign = math.copysign(1.0, factor)
    expected = theirs.scaled(sign)
    for end, again in ((ours.low, expected.low), (ours.high, expected.high)):
        assert (end is None) == (again is None)
        assert end is None or end == pytest.approx(again, rel=1e-6, abs=1e-9)


@given(effects(), st.floats(-1e3, 1e3))
def test_a_constant_added_to_every_unit_leaves_the_difference(effect, constant):
    moved = Effect(
        Arm(effect.control.value + constant, effect.control.variance, effect.control.n, effect.control.df),
        Arm(effect.treatment.value + constant, effect.treatment.variance, effect.treatment.n, effect.treatment.df),
        effect.covariance,
    )  # fmt: skip
    assert moved.difference == pytest.approx(effect.difference, abs=1e-9)
    assert moved.std_error == effect.std_error


@pytest.mark.parametrize("method", ["fieller", "log", "delta"])
@given(effect=effects(covariances=False))
def test_intervals_of_the_lift_hold_the_lift_and_grow_with_the_critical_value(method, effect):
    inner, outer = lift_interval(effect, 1.0, method), lift_interval(effect, 2.0, method)
    if not inner.defined:
        assert method == "log"
        assert "positive" in inner.reason
        return
    assert not inner.excludes(effect.lift)
    assert outer.low is None or (inner.low is not None and outer.low <= inner.low)
    assert outer.high is None or (inner.high is not None and outer.high >= inner.high)


def test_fieller_keeps_the_digits_of_a_lift_of_one_in_a_billion():
    effect = Effect(Arm(1e9, 0.01, 500, 499), Arm(1e9 + 1, 0.01, 500, 499))
    interval, c = lift_interval(effect, 1.96), 1.96 * effect.std_error
    assert interval.low == pytest.approx((1 - c) / 1e9, rel=1e-6)
    assert interval.high == pytest.approx((1 + c) / 1e9, rel=1e-6)


def brute_force(effect, c):
    """The ends of Fieller's set by root finding on its definition."""

    def gap(lift):
        ratio = 1 + lift
        spread = (
            effect.treatment.variance + ratio**2 * effect.control.variance - 2 * ratio * effect.covariance
        )
        return abs(effect.treatment.value - ratio * effect.control.value) - c * math.sqrt(spread)

    centre = effect.lift
    far = 1e4 * (1 + abs(centre) + effect.std_error / effect.control.value)
    return brentq(gap, centre - far, centre, xtol=1e-14), brentq(gap, centre, centre + far, xtol=1e-14)


@given(effects(), st.floats(0.5, 3.0))
def test_fieller_is_what_its_definition_gives(effect, c):
    assume(effect.control.value > 0 and c**2 * effect.control.variance < 0.9 * effect.control.value**2)
    interval = lift_interval(effect, c)
    assert (interval.low, interval.high) == pytest.approx(brute_force(effect, c), rel=1e-6, abs=1e-9)


def test_a_control_not_told_from_zero_leaves_the_lift_unbounded_and_says_so():
    vague = Effect(Arm(1.0, 1.0, 50, 49), Arm(1.5, 1.0, 50, 49))
    both = lift_interval(vague, 1.96)
    assert (both.low, both.high) == (None, None)
    assert "cannot be told from 0" in both.reason
    better = lift_interval(Effect(Arm(1.0, 1.0, 50, 49), Arm(9.0, 1.0, 50, 49)), 1.96)
    assert better.low > 0
    assert better.high is None
    worse = lift_interval(Effect(Arm(1.0, 1.0, 50, 49), Arm(-9.0, 1.0, 50, 49)), 1.96)
    assert worse.high < 0
    assert worse.low is None


def test_a_control_of_zero_has_no_lift():
    effect = Effect(Arm(0.0, 0.1, 50, 49), Arm(1.0, 0.1, 50, 49))
    assert effect.lift is None
    interval = lift_interval(effect, 1.96)
    assert not interval.defined
    assert "control is 0" in interval.reason


def test_a_negative_control_is_improved_upwards():
    effect = Effect(Arm(-10.0, 0.01, 500, 499), Arm(-8.0, 0.01, 500, 499))
    assert effect.lift == pytest.approx(0.2)
    for method in ("fieller", "delta"):
        interval = lift_interval(effect, 1.96, method)
        assert 0 < interval.low < 0.2 < interval.high
    assert not lift_interval(effect, 1.96, "log").defined


@pytest.mark.parametrize(
    ("control", "treatment", "why"),
    [
        ([1.0], [1.0, 2.0], "control has 1 unit:"),
        ([1.0, 2.0], [], "the variant has 0 units"),
        ([2.0, 2.0], [2.0, 2.0], "no unit differs"),
        ([1e200, -1e200, 3.0], [1.0, 2.0], "not a finite number"),
    ],
)
def test_without_a_test_there_is_a_reason_and_no_number(control, treatment, why):
    with np.errstate(over="ignore"):
        effect = effect_of(Moments.from_arrays(control), Moments.from_arrays(treatment))
    assert why in effect.why_not()
    assert p_value(effect) is None
    for interval in (difference_interval(effect, 1.96), lift_interval(effect, 1.96)):
        assert not interval.defined
        assert why in interval.reason


@pytest.mark.parametrize(
    "odd", [Arm(1.0, math.nan, 9, 8), Arm(math.inf, 1.0, 9, 8), Arm(1.0, math.inf, 9, 8)]
)
def test_what_is_not_finite_is_no_estimate(odd):
    effect = Effect(Arm(1.0, 1.0, 9, 8), odd)
    assert "not a finite number" in effect.why_not()
    assert p_value(effect) is None
    assert not difference_interval(effect, 1.96).defined


def test_one_constant_arm_is_no_obstacle():
    effect = effect_of(Moments.from_arrays([2.0, 2.0, 2.0]), Moments.from_arrays([1.0, 2.0, 4.0, 5.0]))
    assert effect.df == 3  # of the arm that varies
    assert 0 < p_value(effect) < 1


def test_no_alpha_to_spend_rules_nothing_out():
    effect = Effect(Arm(1.0, 0.01, 50, 49), Arm(2.0, 0.01, 50, 49))
    for interval in (difference_interval(effect, math.inf), lift_interval(effect, math.inf)):
        assert (interval.low, interval.high) == (None, None)
        assert "no share of alpha" in interval.reason


positive = st.lists(st.floats(0.0, 100.0), min_size=3, max_size=40)


@given(positive)
def test_a_ratio_to_ones_is_a_mean(y):
    plain = estimate(Moments.from_arrays(y))
    ratio = estimate(Moments.from_arrays(y, np.ones(len(y))))
    assert (ratio.value, ratio.n, ratio.df) == (plain.value, plain.n, plain.df)
    assert ratio.variance == pytest.approx(plain.variance, rel=1e-12)


def test_a_ratio_without_denominators_is_not_a_number():
    nothing = estimate(Moments.from_arrays([1.0, 2.0], [0.0, 0.0]))
    assert math.isnan(nothing.value)
    assert "not a finite number" in Effect(nothing, nothing).why_not()


@pytest.fixture(scope="module")
def orders():
    rng = np.random.default_rng(20261)
    n, variant = 4000, np.repeat([0, 1], 2000)
    sessions = rng.poisson(3, n) + 1.0
    revenue = rng.gamma(2.0, 1.5 + 0.1 * variant, n) * sessions
    return pa.table({"variant": variant, "revenue": revenue, "sessions": sessions})


def arms(table, denominator=None):
    found = []
    for name in (0, 1):
        part = table.filter(pa.array(np.asarray(table["variant"]) == name))
        below = None if denominator is None else np.asarray(part[denominator])
        found.append(Moments.from_arrays(np.asarray(part["revenue"]), below))
    return found


def test_tea_tasting_gives_the_same_mean_and_ratio(orders):
    metrics = {"mean": tt.Mean("revenue"), "ratio": tt.RatioOfMeans("revenue", "sessions")}
    theirs = tt.Experiment(metrics).analyze(orders)
    for name, denominator in (("mean", None), ("ratio", "sessions")):
        effect, one = effect_of(*arms(orders, denominator)), theirs[name]
        interval = difference_interval(effect, critical(0.05, effect.df))
        assert effect.difference == pytest.approx(one.effect_size, rel=1e-10)
        assert p_value(effect) == pytest.approx(one.pvalue, rel=1e-8)
        assert (interval.low, interval.high) == pytest.approx(
            (one.effect_size_ci_lower, one.effect_size_ci_upper), rel=1e-8
        )
        lift = lift_interval(effect, critical(0.05, effect.df), "log")
        assert (lift.low, lift.high) == pytest.approx(  # they take another df on the log scale
            (one.rel_effect_size_ci_lower, one.rel_effect_size_ci_upper), rel=1e-4
        )


def gb(moments):
    total = moments.n * moments.mean()
    squares = moments.cross[0, 0] + moments.n * moments.mean() ** 2
    return SampleMeanStatistic(n=moments.n, sum=total, sum_squares=squares)


def test_gbstats_gives_the_same_delta_interval(orders):
    control, treatment = arms(orders)
    config = FrequentistConfig(difference_type="relative")
    theirs = TwoSidedTTest(gb(control), gb(treatment), config).compute_result()
    effect = effect_of(control, treatment)
    interval = lift_interval(effect, critical(0.05, effect.df), "delta")
    assert (interval.low, interval.high) == pytest.approx(tuple(theirs.ci), rel=1e-3)
    # of its own relative test: it contradicts the test of the difference near the border
    assert theirs.p_value != pytest.approx(p_value(effect), rel=1e-3)


def misses(draw, truth, method, worlds):
    """Share of worlds with the truth below and above the 95% interval."""
    below = above = 0
    for _ in range(worlds):
        effect = draw()
        interval = lift_interval(effect, critical(0.05, effect.df), method)
        below += interval.low is not None and truth < interval.low
        above += interval.high is not None and truth > interval.high
    return below / worlds, above / worlds


@pytest.mark.parametrize(
    ("method", "below", "above"), [("fieller", 0.026, 0.027), ("log", 0.024, 0.025), ("delta", 0.0, 0.063)]
)
def test_coverage_of_rare_conversions(method, below, above):
    """2% in both arms, 1,000 units each, 3,000 worlds, seed 7: within 4 simulation errors of a longer run."""
    rng = np.random.default_rng(7)

    def draw():
        c, t = rng.binomial(1000, 0.02, 2)
        return effect_of(Moments.from_counts(int(c), 1000), Moments.from_counts(int(t), 1000))

    found = misses(draw, 0.0, method, 3000)
    for share, expected in zip(found, (below, above), strict=True):
        assert share == pytest.approx(expected, abs=4 * math.sqrt(max(expected, 0.002) / 3000))


def test_coverage_of_skewed_revenue():
    """5% of 2,000 units pay a lognormal (sigma 1.2), 1,500 worlds, seed 11: 95% and balanced within 4 errors."""
    rng = np.random.default_rng(11)

    def arm():
        paid = rng.lognormal(3, 1.2, rng.binomial(2000, 0.05))
        part = Moments.from_arrays(paid)
        return part + Moments.from_arrays(np.zeros(2000 - len(paid)))

    below, above = misses(lambda: effect_of(arm(), arm()), 0.0, "fieller", 1500)
    assert below == pytest.approx(0.025, abs=4 * math.sqrt(0.025 / 1500))
    assert above == pytest.approx(0.025, abs=4 * math.sqrt(0.025 / 1500))
