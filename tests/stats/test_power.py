"""Power against statsmodels and tea-tasting, and against tests that are run on made-up data."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tea_tasting
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep

from upshot.errors import InputError
from upshot.stats.adjustment import cuped
from upshot.stats.always_valid import critical as always_valid_critical
from upshot.stats.always_valid import tuning
from upshot.stats.design import Design, unit_std
from upshot.stats.effect import effect_of
from upshot.stats.fixed import non_inferiority, p_value
from upshot.stats.group_sequential import bounds, inflation_factor
from upshot.stats.moments import Moments
from upshot.stats.power import minimum_effect, power, power_curve, runtime_days, sample_size

SHARE = Design(baseline=0.1, effect=0.05)
MEAN = Design(kind="mean", baseline=20.0, std=30.0, effect=0.05)

designs = st.builds(
    Design,
    baseline=st.floats(0.02, 0.6),
    effect=st.floats(0.02, 0.3),
    power=st.floats(0.6, 0.95),
    alpha=st.sampled_from([0.1, 0.05, 0.01]),
    better=st.sampled_from(["higher", "lower"]),
    weights=st.sampled_from([(1, 1), (3, 1), (1, 1, 1), (2, 1, 1, 1)]),
    monitoring=st.sampled_from(["fixed", "group_sequential", "always_valid"]),
    looks=st.just(7),
    r_squared=st.sampled_from([0.0, 0.5]),
)


def test_the_example_of_the_design_book():
    assert sample_size(SHARE).units == (57_760, 57_760)


@pytest.mark.parametrize(("effect", "ratio"), [(0.05, 1.0), (0.2, 1.0), (0.5, 2.0), (2.0, 1.0)])
def test_means_as_by_statsmodels(effect, ratio):
    design = replace(MEAN, effect=effect, weights=(1, ratio))
    d = effect * 20 / 30
    theirs = TTestIndPower().solve_power(d, alpha=0.05, power=0.8, ratio=ratio)
    ours = sample_size(design).units
    assert ours[0] == pytest.approx(theirs, abs=1.0, rel=2e-3)  # Welch's df for unequal sizes differ a little
    n = ours[0]
    theirs = TTestIndPower().power(d, n, 0.05, ratio)
    assert power(design, n * (1 + ratio)) == pytest.approx(theirs, abs=2e-3)


@pytest.mark.parametrize(
    ("base", "effect", "n"), [(0.1, 0.05, 57_760), (0.3, 0.1, 3_000), (0.02, 0.4, 8_000)]
)
def test_shares_as_by_statsmodels(base, effect, n):
    theirs = power_proportions_2indep(base * effect, base, n, alternative="larger", alpha=0.025).power
    assert power(Design(baseline=base, effect=effect), 2 * n) == pytest.approx(theirs, abs=4e-3)


def test_means_and_ratios_as_by_tea_tasting():
    rng = np.random.default_rng(42)
    frame = pd.DataFrame({"x": rng.gamma(2, 3, 5_000), "sessions": rng.poisson(3, 5_000) + 1})
    x, sessions = frame["x"].to_numpy(), frame["sessions"].to_numpy()
    mean = Design(kind="mean", baseline=x.mean(), std=x.std(ddof=1), weights=(1, 2))
    theirs = tea_tasting.Mean("x", power=0.8, rel_effect_size=0.05, ratio=2, use_t=False)
    solved = theirs.solve_power(frame, "n_obs").to_dicts()[0]["n_obs"]
    assert sample_size(mean).total == pytest.approx(solved, abs=6)
    ratio = Design(
        kind="ratio",
        baseline=x.sum() / sessions.sum(),
        std=unit_std(Moments.from_arrays(x, denominator=sessions)),
    )
    theirs = tea_tasting.RatioOfMeans("x", "sessions", power=0.8, rel_effect_size=0.05, use_t=False)
    solved = theirs.solve_power(frame, "n_obs").to_dicts()[0]["n_obs"]
    assert sample_size(ratio).total == pytest.approx(solved, abs=6)


@given(designs)
@settings(max_examples=40, deadline=None)
def test_the_units_have_the_power_and_find_the_effect(design):
    size = sample_size(design)
    assert power(design, size.total) == pytest.approx(design.power, abs=4e-3 + 2 / size.total)
    assert power(design, size.total) >= design.power - 1e-6
    assert minimum_effect(design, size.total) == pytest.approx(design.effect, rel=0.005 + 5 / size.total)


@given(designs)
@settings(max_examples=20, deadline=None)
def test_what_makes_a_question_dearer(design):
    n = sample_size(design).total
    assert sample_size(replace(design, r_squared=0.8)).total < n
    assert sample_size(replace(design, alpha=design.alpha / 2)).total > n
    assert sample_size(replace(design, tests=9)).total > n
    assert sample_size(replace(design, monitoring="fixed")).total <= n


def test_what_monitoring_costs():
    fixed = sample_size(SHARE).total
    sequential = sample_size(replace(SHARE, monitoring="group_sequential", looks=28)).total
    always = sample_size(replace(SHARE, monitoring="always_valid", looks=28)).total
    assert sequential / fixed == pytest.approx(inflation_factor(28), abs=1e-4)
    assert 1.5 < always / fixed < 1.9


@pytest.mark.parametrize("monitoring", ["group_sequential", "always_valid"])
def test_power_under_looks_by_running_the_looks(monitoring):
    # seed 43, 6,000 worlds of 14 looks at binomial counts: 4 standard errors are 0.021
    design = Design(baseline=0.2, effect=0.1, monitoring=monitoring, looks=14)
    n = sample_size(design).units[0] / 14
    rng = np.random.default_rng(43)
    step = round(n)
    counts = [np.cumsum(rng.binomial(step, p, (6_000, 14)), axis=1) for p in (0.2, 0.22)]
    units = step * np.arange(1, 15)
    shares = [count / units for count in counts]
    error = np.sqrt(sum(p * (1 - p) for p in shares) / units)
    z = (shares[1] - shares[0]) / error
    limits = (
        np.array(bounds([k / 14 for k in range(1, 15)]))
        if monitoring == "group_sequential"
        else np.array([always_valid_critical(k / 14, tuning(1.0)) for k in range(1, 15)])
    )
    assert (z > limits).any(axis=1).mean() == pytest.approx(0.8, abs=0.021)


def test_power_with_covariates_and_unequal_arms_by_running_the_test():
    # seed 44, 1,500 worlds: 4 standard errors are 0.041
    design = Design(kind="mean", baseline=10.0, std=4.0, effect=0.05, r_squared=0.36, weights=(2, 1))
    n_c, n_t = sample_size(design).units
    rng = np.random.default_rng(44)

    def arm(n, mean):
        before = rng.standard_normal(n)
        outcome = mean + 4 * (0.6 * before + 0.8 * rng.standard_normal(n))
        return Moments.from_arrays(outcome, covariates={"before": before})

    found = [
        p_value(cuped({"c": arm(n_c, 10.0), "t": arm(n_t, 10.5)}).effect("c", "t")) < 0.05
        for _ in range(1_500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.041)


def test_power_of_a_margin_by_running_the_test():
    # seed 45, 3,000 worlds: 4 standard errors are 0.029
    design = Design(baseline=0.3, effect=0.0, margin=0.05, better="lower")
    n = sample_size(design).units[0]
    rng = np.random.default_rng(45)
    pairs = rng.binomial(n, 0.3, (3_000, 2)).tolist()
    held = [
        non_inferiority(
            effect_of(Moments.from_counts(c, n), Moments.from_counts(t, n)),
            0.05,
            better="lower",
            relative=True,
        )
        < 0.025
        for c, t in pairs
    ]
    assert np.mean(held) == pytest.approx(0.8, abs=0.029)
    assert minimum_effect(design, 2 * n) == pytest.approx(0.05, rel=0.01)


def test_the_curve_rises_through_the_design_and_stops_where_no_share_is_left():
    curve = power_curve(SHARE, sample_size(SHARE).total)
    effects, powers = zip(*curve, strict=True)
    assert list(powers) == sorted(powers)
    assert powers[0] == pytest.approx(0.025, abs=1e-6)
    assert powers[effects.index(0.05)] == pytest.approx(0.8, abs=1e-4)
    assert all(effect < 1 for effect, _ in power_curve(Design(baseline=0.5, effect=0.9), 100))


def test_runtime_is_in_whole_weeks():
    assert runtime_days(20_000, 20_000) == 7
    assert runtime_days(20_001, 20_000) == 14
    assert runtime_days(100, 20_000, minimum_days=14) == 14


def test_tiny_samples_and_huge_effects_stay_numbers():
    assert sample_size(replace(MEAN, effect=50.0)).units[0] >= 2
    assert power(replace(MEAN, effect=50.0), 10) <= 1
    assert 0 < power(MEAN, 4) < 0.1
    assert not math.isnan(power(replace(MEAN, effect=5.0), 9_000))


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: sample_size(replace(SHARE, effect=-0.02)), "effect is -0.02: no number of units"),
        (lambda: sample_size(replace(SHARE, effect=-0.02, margin=0.02)), "exceeds -0.02"),
        (lambda: power(SHARE, 0), "total is 0"),
        (lambda: minimum_effect(Design(baseline=0.9), 20), "total is 20: no effect of this metric"),
        (lambda: runtime_days(100, 0), "weekly is 0"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
