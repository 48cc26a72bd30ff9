"""Bounds against published designs and an independent integrator; p-values against the bounds they invert."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import kstest, multivariate_normal, norm

from upshot.errors import InputError
from upshot.stats.crossing import crossing_probabilities, drift_for
from upshot.stats.group_sequential import (
    bounds,
    futility_bounds,
    inflation_factor,
    median_unbiased,
    repeated_p_value,
    repeated_p_values,
    stagewise_interval,
    stagewise_p_value,
)
from upshot.stats.spending import spent

DAILY = tuple((day + 1) / 28 for day in range(28))
SPENDINGS = ["obrien_fleming", "pocock"]
spendings = st.sampled_from(SPENDINGS)
schedules = (
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=6, unique=True)
    .map(sorted)
    .map(lambda gaps: [*(gap / gaps[-1] for gap in gaps)])
    .filter(lambda times: all(b - a > 1e-3 for a, b in pairwise(times)))
)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # gsDesign sfLDOF and rpact "asOF" for one-sided 0.025
        ("obrien_fleming", [4.8769, 3.3570, 2.6803, 2.2898, 2.0310]),
        # gsDesign sfLDPocock and rpact "asP" for one-sided 0.025
        ("pocock", [2.4380, 2.4268, 2.4102, 2.3966, 2.3860]),
    ],
)
def test_five_equal_looks_have_the_published_bounds(spending, published):
    assert bounds([0.2, 0.4, 0.6, 0.8, 1.0], 0.05, spending) == pytest.approx(published, abs=5.1e-5)


def test_two_looks_have_the_published_bounds():
    # Lan, DeMets (1983) with O'Brien-Fleming spending at half information
    assert bounds([0.5, 1.0]) == pytest.approx([2.9626, 1.9686], abs=5e-5)


def test_three_looks_and_a_futility_stop_have_the_published_inflation():
    # rpact, asOF for one-sided 0.025 at 0.3, 0.6, 1, power 80%: 0.0038 spent at the second look; with
    # non-binding futility at z = 0 at the first, inflation 1.0718
    times = (0.3, 0.6, 1.0)
    critical = bounds(times)
    assert spent(0.6, 0.05, "obrien_fleming") / 2 == pytest.approx(0.0038, abs=5e-5)

    def missing(drift):
        return crossing_probabilities(times, critical, [0.0, -math.inf, critical[-1]], drift)[0].sum() - 0.8

    assert (brentq(missing, 2, 5) / (norm.ppf(0.975) + norm.ppf(0.8))) ** 2 == pytest.approx(1.0718, abs=5e-5)


def test_one_look_is_the_fixed_test():
    assert bounds([1.0], 0.05) == pytest.approx([1.959963984540054], abs=1e-12)
    p = repeated_p_values([1.0], [[0.5], [2.5], [12.0]])[:, 0]
    assert p == pytest.approx(2 * norm.sf([0.5, 2.5, 12.0]), rel=1e-9)


@given(schedules, spendings, st.sampled_from([0.2, 0.05, 0.01]))
@settings(max_examples=15, deadline=None)
def test_the_bounds_spend_alpha_by_an_independent_integral(times, spending, alpha):
    critical = np.array(bounds(times, alpha, spending))
    keep = np.isfinite(critical)
    times, critical = np.array(times)[keep], critical[keep]
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    inside = multivariate_normal.cdf(
        critical, np.zeros(len(times)), covariance, lower_limit=-critical, abseps=1e-6, maxpts=200_000, rng=1
    )
    assert 1 - inside == pytest.approx(alpha, abs=3e-5)


@given(schedules, spendings)
@settings(max_examples=20, deadline=None)
def test_crossing_probabilities_sum_to_alpha(times, spending):
    critical = bounds(times, 0.05, spending)
    up, down = crossing_probabilities(times, critical, [-c for c in critical])
    assert up.sum() + down.sum() == pytest.approx(0.05, abs=1e-8)
    assert up == pytest.approx(down, abs=1e-12)


def test_a_missed_look_leaves_its_share_for_later():
    all_looks, missed = bounds([0.25, 0.5, 0.75, 1.0]), bounds([0.25, 0.75, 1.0])
    assert missed[0] == all_looks[0]
    assert missed[1] < all_looks[2]


def test_a_look_without_new_units_has_the_bound_before_and_costs_nothing():
    first, last = bounds([0.5, 1.0])
    assert bounds([0.5, 0.5, 1.0]) == (first, first, last)
    assert bounds([0.5, 1.0, 1.0, 0.9]) == (first, last, last, last)
    assert list(repeated_p_values([0.5, 0.5], [2.0, 2.0])) == [repeated_p_value([0.5], 2.0)] * 2


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("gain", [1e-3, 3e-4, 1e-5, 1e-9])
def test_a_look_with_hardly_any_new_units_has_nearly_the_bound_before_and_keeps_alpha(spending, gain):
    # what crosses in between, by quadrature over how far inside the edge it was, in deviations of the step
    times = (0.5, 0.5 * (1 + gain), 1.0)
    first, near, last = bounds(times, 0.05, spending)
    plain = bounds((0.5, 1.0), 0.05, spending)
    assert first == plain[0]
    assert first <= near < first + 4 * math.sqrt(gain)
    assert plain[1] <= last < plain[1] + 1e-3
    step = math.sqrt(0.5 * gain)
    edge = first * math.sqrt(0.5)
    out = (near * math.sqrt(times[1]) - edge) / step
    law = norm(scale=math.sqrt(0.5))
    crossing = 2 * step * quad(lambda u: law.pdf(edge - u * step) * norm.sf(out + u), 0, 12, points=[1])[0]
    share = float(spent(times[1], 0.05, spending) - spent(0.5, 0.05, spending))
    assert 0.5 * share < crossing <= share or near == first


def test_an_overrun_spends_what_is_left_at_its_own_information():
    on_time, late = bounds([0.5, 1.0]), bounds([0.5, 1.2])
    assert late[0] == on_time[0]
    assert 1.95996 < late[1] < on_time[1] + 0.02
    assert bounds([0.5, 1.0, 1.2])[2] == math.inf


def test_earlier_bounds_do_not_change_when_a_look_is_added():
    for k in range(1, 28):
        assert bounds(DAILY[:k]) == bounds(DAILY)[:k]


@given(
    schedules, spendings, st.sampled_from([0.05, 0.01, 0.1]), st.integers(1, 20), st.integers(0, 5), st.data()
)
@settings(max_examples=60, deadline=None)
def test_p_is_below_a_family_level_exactly_when_a_bound_was_met(times, spending, alpha, m, look, data):
    look = min(look, len(times) - 1)
    critical = bounds(times, alpha / m, spending)[look]
    if not math.isfinite(critical):
        return
    away = data.draw(st.sampled_from([-1.0, -1e-7, 1e-7, 0.7]))
    z = np.zeros(len(times))
    z[look] = critical * (1 + away) if abs(away) < 0.1 else critical + away
    p = repeated_p_values(times, z, spending, alpha)
    assert (p[-1] < alpha / m) == (abs(z[look]) > critical)
    assert np.all(np.diff(p) <= 0)


@pytest.mark.parametrize("spending", SPENDINGS)
@pytest.mark.parametrize("level", [0.3, 0.07, 0.04, 0.02, 1e-3, 1e-5, 1e-7])
def test_between_the_tabulated_levels_p_is_good_to_a_tenth_of_a_percent(spending, level):
    critical = bounds(DAILY, level, spending)
    for look in (10, 20, 27):
        z = np.zeros(28)
        z[look] = critical[look]
        assert repeated_p_values(DAILY, z, spending)[-1] == pytest.approx(level, rel=1.5e-3)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_far_out_p_is_an_upper_bound_and_never_zero(spending):
    level = 1e-8
    z = np.zeros((2, 28))
    z[0, 27] = bounds(DAILY, 1e-12, spending)[27]
    z[1, 27] = 60.0
    p = repeated_p_values(DAILY, z, spending)[:, -1]
    assert 1e-12 < p[0] < level
    assert 0 < p[1] < 1e-290


@given(st.lists(st.floats(-6, 6), min_size=28, max_size=28), spendings)
@settings(max_examples=20, deadline=None)
def test_look_by_look_equals_all_at_once(z, spending):
    running, p = [], 1.0
    for k in range(28):
        p = repeated_p_value(DAILY[: k + 1], z[k], p, spending)
        running.append(p)
    assert running == list(repeated_p_values(DAILY, z, spending))


def test_false_positives_over_28_daily_looks():
    # seed 1, 40,000 worlds: 4 standard errors of the share are 0.0044
    rng = np.random.default_rng(1)
    z = np.cumsum(rng.standard_normal((40_000, 28)), axis=1) / np.sqrt(np.arange(1, 29))
    for spending in SPENDINGS:
        p = repeated_p_values(DAILY, z, spending)[:, -1]
        assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.0044)
        assert (p < 0.05 / 7).mean() == pytest.approx(0.05 / 7, abs=0.0017)


def _stopped(rng, drift, times, critical):
    """Where paths of a drift stop: the index of the look and z there."""
    times = np.asarray(times)
    steps = rng.standard_normal((4_000, len(times))) * np.sqrt(np.diff(times, prepend=0))
    z = (np.cumsum(steps, axis=1) + drift * times) / np.sqrt(times)
    crossed = np.abs(z) >= critical
    at = np.where(crossed.any(axis=1), crossed.argmax(axis=1), len(times) - 1)
    return [(int(k), float(z[i, k])) for i, k in enumerate(at)]


def test_stagewise_p_is_uniform_when_nothing_happens():
    times = [0.3, 0.6, 1.0]
    ends = _stopped(np.random.default_rng(2), 0.0, times, bounds(times))[:1500]
    p = [stagewise_p_value(times[: k + 1], z) for k, z in ends]
    assert kstest(p, "uniform").pvalue > 0.01


def test_stagewise_p_below_alpha_is_rejection():
    times = [0.3, 0.6, 1.0]
    for look, critical in enumerate(bounds(times)):
        assert stagewise_p_value(times[: look + 1], critical + 1e-6) < 0.05
        if look == len(times) - 1:
            assert stagewise_p_value(times, critical - 1e-6) > 0.05


def test_the_median_unbiased_estimate_is_above_and_below_the_truth_equally_often():
    # seed 3, 1,200 worlds: 4 standard errors are 0.058; the plain estimate is above far more often
    times, drift = [0.25, 0.5, 1.0], 3.0
    ends = _stopped(np.random.default_rng(3), drift, times, bounds(times, spending="pocock"))[:1200]
    root = np.sqrt(times)
    estimates = np.array(
        [median_unbiased(times[: k + 1], z / root[k], 1 / root[k], spending="pocock") for k, z in ends]
    )
    plain = np.array([z / root[k] for k, z in ends])
    assert (estimates > drift).mean() == pytest.approx(0.5, abs=0.058)
    assert (plain > drift).mean() > 0.56


def test_the_stagewise_interval_inverts_the_stagewise_p():
    times, effect, error = [0.4, 0.7, 1.0], 2.3, 1.0
    interval = stagewise_interval(times, effect, error)
    estimate = median_unbiased(times, effect, error)
    assert interval.low < estimate < interval.high
    assert (stagewise_p_value(times, effect / error) < 0.05) == interval.excludes(0.0)
    assert stagewise_interval([1.0], 2.0, 1.0).low == pytest.approx(2 - 1.959964, abs=1e-6)


def test_the_inflation_factor_of_known_designs():
    # rpact getDesignInverseNormal(kMax = 5, alpha = 0.025, beta = 0.2) and textbook fixed design
    assert inflation_factor(1) == pytest.approx(1.0, abs=1e-9)
    assert inflation_factor(5, 0.05, 0.8) == pytest.approx(1.0247, abs=2e-4)
    assert inflation_factor(28, 0.05, 0.8) < 1.06
    assert inflation_factor(5, 0.05, 0.9, "pocock") > inflation_factor(5, 0.05, 0.9)


def test_the_drift_has_the_power_it_is_made_for():
    drift = drift_for(DAILY, bounds(DAILY), 0.8)
    rng = np.random.default_rng(4)  # 20,000 worlds: 4 standard errors are 0.0113
    z = (np.cumsum(rng.standard_normal((20_000, 28)), axis=1) / np.sqrt(28)) / np.sqrt(DAILY)
    z += drift * np.sqrt(DAILY)
    assert (z >= np.array(bounds(DAILY))).any(axis=1).mean() == pytest.approx(0.8, abs=0.0113)


@pytest.mark.parametrize("spending", SPENDINGS)
def test_futility_spends_beta_under_its_drift_and_leaves_alpha_alone(spending):
    times = [0.25, 0.5, 0.75, 1.0]
    futility = futility_bounds(times, 0.05, 0.8, spending)
    critical = bounds(times, 0.05, spending)
    up, down = crossing_probabilities(times, critical, futility.bounds, futility.drift)
    assert up.sum() == pytest.approx(0.8, abs=1e-6)
    assert down.sum() == pytest.approx(0.2, abs=1e-6)
    assert list(futility.bounds) == sorted(futility.bounds)
    assert futility.bounds[-1] == critical[-1]
    assert futility.drift > drift_for(tuple(times), critical, 0.8)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: bounds([]), "no looks"),
        (lambda: bounds([0.5, -1]), "information fraction is -1"),
        (lambda: bounds([0.5], alpha=1.0), "alpha is 1.0"),
        (lambda: repeated_p_values([0.5, 1.0], [1.0]), "1 looks, fractions 2"),
        (lambda: median_unbiased([1.0], 1.0, 0.0), "std_error is 0"),
        (lambda: futility_bounds([1.0], power=1.5), "power is 1.5"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
