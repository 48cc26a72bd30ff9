"""E-values against their definition by quadrature, intervals against p-values, error rates by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta, binom, nct, norm, t

from upshot.errors import InputError
from upshot.stats.always_valid import (
    critical,
    e_value,
    one_sided_critical,
    one_sided_e_value,
    one_sided_p_value,
    p_value,
    rate_bound,
    rate_e_value,
    rate_p_value,
    t_critical,
    t_p_value,
    tuning,
    two_rates_bound,
    two_rates_p_value,
)

sizes = st.floats(10, 1e7)
levels = st.floats(1e-4, 0.3)
scores = st.floats(-60, 60)


@pytest.mark.parametrize(("z", "n", "rho"), [(0.3, 50, 100), (2.5, 400, 100), (-3.1, 1000, 50)])
def test_e_values_are_mixtures_of_likelihood_ratios(z, n, rho):
    def ratio(effect):  # of a normal mean against 0 at the observed mean z / sqrt(n), unit variance
        return math.exp(effect * z * math.sqrt(n) - n * effect**2 / 2) * norm.pdf(effect, scale=rho**-0.5)

    both = quad(ratio, -3, 3, points=[0, z / math.sqrt(n)])[0]
    upper = 2 * quad(ratio, 0, 3, points=[max(z / math.sqrt(n), 0.01)])[0]
    assert e_value(z, n, rho) == pytest.approx(both, rel=1e-6)
    assert one_sided_e_value(z, n, rho) == pytest.approx(upper, rel=1e-6)


@pytest.mark.parametrize(("statistic", "n", "rho"), [(0.5, 12, 5), (2.2, 12, 5), (4.0, 30, 10)])
def test_the_t_e_value_is_a_mixture_of_noncentral_t(statistic, n, rho):
    df = n - 1

    def ratio(delta):
        return nct.pdf(statistic, df, delta * math.sqrt(n)) * norm.pdf(delta, scale=rho**-0.5)

    mixture = quad(ratio, -4, 4, points=[0, statistic / math.sqrt(n)], limit=200)[0] / t.pdf(statistic, df)
    assert t_p_value(statistic, n, rho, df) == pytest.approx(min(1, 1 / mixture), rel=1e-5)


@pytest.mark.parametrize(("events", "trials", "limit"), [(3, 40, 0.02), (12, 1000, 0.001), (30, 50, 0.5)])
def test_the_rate_e_value_is_a_mixture_over_the_shares_above_the_limit(events, trials, limit):
    prior = beta(10 * limit, 10 * (1 - limit))

    def ratio(share):
        return prior.pdf(share) * binom.pmf(events, trials, share) / binom.pmf(events, trials, limit)

    spots = [min(max(events / trials, limit * 1.01), 0.99), limit * 3 if limit < 0.3 else 0.8]
    mixture = quad(ratio, limit, 1, points=sorted(spots), limit=400)[0] / prior.sf(limit)
    assert rate_e_value(events, trials, limit) == pytest.approx(mixture, rel=1e-5)


@given(scores, sizes, sizes, levels)
def test_p_is_below_alpha_exactly_beyond_the_critical_value(z, n, plan, alpha):
    rho = tuning(plan, alpha)
    for p, c, statistic in (
        (p_value(z, n, rho), critical(n, rho, alpha), abs(z)),
        (one_sided_p_value(z, n, rho), one_sided_critical(n, rho, alpha), z),
        (t_p_value(z, n, rho, 20), t_critical(n, rho, 20, alpha), abs(z)),
    ):
        assert 0 < p <= 1
        if abs(statistic - c) > 1e-6 * c:
            assert (p < alpha) == (statistic > c)


@given(sizes, sizes, levels)
def test_one_side_costs_less_than_two_and_at_most_half_of_alpha(n, plan, alpha):
    rho = tuning(plan, alpha)
    assert critical(n, rho, min(2 * alpha, 0.99)) - 1e-9 <= one_sided_critical(n, rho, alpha)
    assert one_sided_critical(n, rho, alpha) < critical(n, rho, alpha)


def test_the_critical_value_of_the_research_and_its_tuning():
    rho = tuning(10_000, 0.05)
    assert [round(critical(n, rho), 2) for n in (10_000, 2_000, 40_000)] == [3.04, 3.36, 3.13]
    near = [critical(10_000, rho * factor) for factor in (0.5, 1.0, 2.0)]
    assert near[1] == min(near)


def test_t_becomes_normal_and_needs_some_data():
    rho = tuning(1000)
    assert t_critical(500, rho, 1e9) == pytest.approx(critical(500, rho), rel=1e-6)
    assert t_critical(500, rho, math.inf) == critical(500, rho)
    assert t_critical(30, rho, 28) > critical(30, rho)
    assert t_critical(4, 1.0, 2) == math.inf


def test_nothing_underflows():
    assert 0 < p_value(100.0, 1e6, 1e4) < 1e-300
    assert 0 < rate_p_value(100_000, 100_000, 0.001) < 1e-300
    assert e_value(100.0, 1e6, 1e4) == math.inf
    assert one_sided_p_value(-50.0, 1e6, 1e4) == 1.0


@given(st.integers(1, 60), st.integers(0, 60), st.integers(100, 10_000), st.integers(100, 10_000), levels)
def test_the_bound_of_two_rates_inverts_their_test(events_t, events_c, n_t, n_c, alpha):
    bound = two_rates_bound(events_t, n_t, events_c, n_c, alpha)
    assert bound > 0
    for ratio in (bound * 0.99, bound * 0.5, bound * 1.01, bound * 2):
        assert (two_rates_p_value(events_t, n_t, events_c, n_c, ratio) < alpha) == (ratio < bound)


def test_bounds_without_events():
    assert rate_bound(0, 1000) == 0.0
    assert two_rates_bound(0, 1000, 0, 1000) is None
    assert two_rates_bound(0, 1000, 5, 1000) == 0.0
    assert two_rates_p_value(0, 1000, 0, 1000) == 1.0
    assert 0.6 < rate_bound(20, 20) < 1


def test_false_alarms_over_400_looks():
    # seed 11, 4,000 worlds: the rate is at most alpha; 4 standard errors of 5% are 0.0138
    rng = np.random.default_rng(11)
    n = np.arange(25, 10_001, 25)
    z = np.cumsum(rng.standard_normal((4_000, 400)), axis=1) / np.sqrt(np.arange(1, 401))
    two = np.array([critical(float(k), tuning(5_000, 0.05), 0.05) for k in n])
    one = np.array([one_sided_critical(float(k), tuning(5_000, 0.1), 0.05) for k in n])
    assert 0.01 < (np.abs(z) > two).any(axis=1).mean() < 0.05
    assert 0.01 < (z > one).any(axis=1).mean() < 0.05


@pytest.mark.parametrize(
    ("truth", "draw"),
    [
        (0.05, lambda rng, shape: rng.binomial(1, 0.05, shape).astype(float)),
        (1.0, lambda rng, shape: rng.exponential(1.0, shape)),
        (0.1, lambda rng, shape: rng.binomial(1, 0.1, shape) * rng.gamma(0.5, 2.0, shape)),
    ],
)
def test_the_sequence_of_intervals_holds_the_truth_at_all_looks_at_once(truth, draw):
    # seed 14, 1,500 worlds, looks from 400 to 8,000 units: 4 standard errors of 5% are 0.0225; at each single
    # look an interval of 1.96 holds 95%, but not at all of them
    values = draw(np.random.default_rng(14), (1_500, 8_000))
    n = np.arange(400, 8_001, 200)
    total, squares = np.cumsum(values, axis=1)[:, n - 1], np.cumsum(values**2, axis=1)[:, n - 1]
    mean = total / n
    error = np.sqrt((squares / n - mean**2) / (n - 1))
    away = np.abs(mean - truth) / error
    limits = np.array([critical(float(k), tuning(8_000)) for k in n])
    assert (away < limits).all(axis=1).mean() >= 0.95
    assert (away < 1.96).all(axis=1).mean() < 0.85


def test_the_anytime_t_holds_from_the_second_observation_on():
    # seed 12, 4,000 worlds of 100 normal values, a look at each; the naive t at the same looks: over 30%
    rng = np.random.default_rng(12)
    values = rng.standard_normal((4_000, 100))
    n = np.arange(1, 101)
    mean = np.cumsum(values, axis=1) / n
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (np.cumsum(values**2, axis=1) - n * mean**2) / (n - 1)
        statistic = np.abs(mean / np.sqrt(variance / n))[:, 1:]
    limits = np.array([t_critical(float(k), 10.0, float(k - 1), 0.05) for k in n[1:]])
    naive = np.array([t.isf(0.025, k - 1) for k in n[1:]])
    assert (statistic > limits).any(axis=1).mean() < 0.05
    assert (statistic > naive).any(axis=1).mean() > 0.3


def test_rare_events_alarm_falsely_at_most_at_alpha_and_find_a_crash_soon():
    # seed 13, 3,000 worlds, 40 looks of 500 units a variant at a rate of 0.2%
    rng = np.random.default_rng(13)
    n = 500 * np.arange(1, 41)

    def alarms(rate_t, worlds):
        t_, c_ = (np.cumsum(rng.binomial(500, rate, (worlds, 40)), axis=1) for rate in (rate_t, 0.002))
        return np.array(
            [
                [
                    two_rates_p_value(int(a), int(k), int(b), int(k)) < 0.05
                    for a, b, k in zip(x, y, n, strict=True)
                ]
                for x, y in zip(t_, c_, strict=True)
            ]
        )

    assert alarms(0.002, 1_500).any(axis=1).mean() < 0.05
    found = alarms(0.008, 200)
    assert found.any(axis=1).mean() > 0.99
    assert np.median(found.argmax(axis=1)) < 9


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: tuning(0), "plan_n is 0"),
        (lambda: tuning(10, 1.0), "alpha is 1.0"),
        (lambda: critical(0, 1), "n is 0"),
        (lambda: critical(1, 0), "rho is 0"),
        (lambda: rate_p_value(3, 2, 0.1), "3 events in 2 trials"),
        (lambda: rate_p_value(1, 2, 0.0), "limit is 0.0"),
        (lambda: two_rates_p_value(1, 0, 1, 10), "0 and 10 units"),
        (lambda: two_rates_p_value(1, 10, 1, 10, -1.0), "ratio is -1"),
        (lambda: t_p_value(1.0, 10, 1.0, 0), "df is 0"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
