"""Covariates, strata and caps against statsmodels, tea-tasting and gbstats, and against what they must not change."""

import math

import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
import tea_tasting as tt
from gbstats.models.statistics import RegressionAdjustedStatistic, SampleMeanStatistic
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.errors import DataError
from upshot.stats.adjustment import cuped, lin, post_stratify, winsorise
from upshot.stats.effect import effect_of, estimate, lift_interval
from upshot.stats.fixed import critical, p_value
from upshot.stats.moments import Moments, merge_all

seeds = st.integers(0, 2**32 - 1)


def arm(rng, n, lift=0.0, k=2):
    """Outcomes that depend on k covariates."""
    x = rng.normal(10, 2, (k, n))
    y = 3 + lift + x.T @ np.arange(1, k + 1) + rng.normal(0, 2, n)
    return y, {f"x{i}": one for i, one in enumerate(x)}


def two(rng, n=400, lift=0.5, k=2):
    control, treatment = arm(rng, n, 0.0, k), arm(rng, n + 100, lift, k)
    return control, treatment


def moments(part):
    return Moments.from_arrays(part[0], covariates=part[1])


def design(control, treatment, interacted):
    """Outcome and design matrix: 1, treated, centred covariates (and their products with treated)."""
    y = np.concatenate([control[0], treatment[0]])
    treated = np.repeat([0.0, 1.0], [len(control[0]), len(treatment[0])])
    x = np.column_stack([np.concatenate([control[1][name], treatment[1][name]]) for name in control[1]])
    x = x - x.mean(axis=0)
    columns = [np.ones(len(y)), treated, x] + ([x * treated[:, None]] if interacted else [])
    return y, np.column_stack(columns)


@settings(max_examples=30)
@given(seeds, st.integers(1, 3))
def test_lin_is_the_interacted_regression(seed, k):
    pair = two(np.random.default_rng(seed), k=k)
    fit = sm.OLS(*design(*pair, interacted=True)).fit(cov_type="HC2")
    effect = lin(*(moments(part) for part in pair))
    assert effect.difference == pytest.approx(fit.params[1], rel=1e-9)
    assert effect.std_error == pytest.approx(fit.bse[1], rel=0.1)  # HC2 needs fourth moments


def test_the_variance_of_lin_is_that_of_two_regressions_and_nears_hc2():
    pair = two(np.random.default_rng(1), n=20_000)
    effect = lin(*(moments(part) for part in pair))
    hc2 = sm.OLS(*design(*pair, interacted=True)).fit(cov_type="HC2").bse[1]
    assert effect.std_error == pytest.approx(hc2, rel=0.01)
    pooled = np.array([np.concatenate([pair[0][1][name], pair[1][1][name]]).mean() for name in ("x0", "x1")])
    variances = []
    for y, x in pair:
        fit = sm.OLS(y, sm.add_constant(np.column_stack(list(x.values())) - pooled)).fit()
        variances.append(fit.bse[0] ** 2)
    assert effect.variance == pytest.approx(sum(variances), rel=1e-9)


def test_lin_takes_a_ratio_for_a_ratio():
    rng = np.random.default_rng(2)
    parts = []
    for n in (2000, 2500):
        x = rng.normal(0, 1, n)
        d = rng.poisson(4, n) + 1.0
        parts.append(Moments.from_arrays(d * (2 + 0.3 * x) + rng.normal(0, 1, n), d, {"x": x}))
    effect = lin(*parts)
    assert effect.control.value == pytest.approx(2.0, abs=0.1)
    assert effect.std_error < effect_of(*parts).std_error
    by_cuped = cuped({"c": parts[0], "t": parts[1]}).effect("c", "t")
    assert effect.difference == pytest.approx(by_cuped.difference, abs=0.01)


@settings(max_examples=30)
@given(seeds)
def test_cuped_nears_the_regression_on_treatment_and_covariates(seed):
    """ANCOVA has one slope for all units; ours weights variants by 1/n: the same up to noise of order 1/n."""
    pair = two(np.random.default_rng(seed), n=2000)
    fit = sm.OLS(*design(*pair, interacted=False)).fit(cov_type="HC2")
    effect = cuped({"c": moments(pair[0]), "t": moments(pair[1])}).effect("c", "t")
    assert effect.difference == pytest.approx(fit.params[1], abs=0.1 * fit.bse[1])
    assert effect.std_error == pytest.approx(fit.bse[1], rel=0.03)


def test_tea_tasting_gives_the_same_cuped():
    rng = np.random.default_rng(3)
    pair = arm(rng, 3000, 0.0, 1), arm(rng, 3000, 0.2, 1)
    table = pa.table({
        "variant": np.repeat([0, 1], 3000),
        "y": np.concatenate([part[0] for part in pair]),
        "x": np.concatenate([part[1]["x0"] for part in pair]),
    })  # fmt: skip
    theirs = tt.Experiment(y=tt.Mean("y", "x")).analyze(table)["y"]
    effect = cuped({"c": moments(pair[0]), "t": moments(pair[1])}).effect("c", "t")
    assert effect.difference == pytest.approx(theirs.effect_size, rel=1e-3)
    assert p_value(effect) == pytest.approx(theirs.pvalue, rel=0.02)


def test_gbstats_gives_the_same_variance_up_to_one_degree_of_freedom():
    rng = np.random.default_rng(4)
    y, x = arm(rng, 500, 0.0, 1)
    result = cuped({"c": moments((y, x)), "t": moments(arm(rng, 500, 0.0, 1))})
    pre = x["x0"]
    theirs = RegressionAdjustedStatistic(
        n=500,
        post_statistic=SampleMeanStatistic(n=500, sum=y.sum(), sum_squares=(y**2).sum()),
        pre_statistic=SampleMeanStatistic(n=500, sum=pre.sum(), sum_squares=(pre**2).sum()),
        post_pre_sum_of_products=(y * pre).sum(),
        theta=float(result.theta[0]),
    )
    assert result.arms["c"].variance == pytest.approx(theirs.variance / 500 * 499 / 498, rel=1e-9)
    assert result.arms["c"].df == 498


@given(seeds, st.floats(-100, 100))
def test_a_constant_covariate_changes_nothing(seed, constant):
    rng = np.random.default_rng(seed)
    parts = {}
    for name, n in (("c", 30), ("t", 40)):
        y = rng.normal(5, 2, n)
        parts[name] = Moments.from_arrays(y, covariates={"x": np.full(n, constant), "missing": np.zeros(n)})
    result, plain = cuped(parts), effect_of(parts["c"], parts["t"])
    effect = result.effect("c", "t")
    assert result.variance_reduction == 0.0
    assert (effect.difference, effect.df) == (plain.difference, plain.df)
    assert effect.std_error == pytest.approx(plain.std_error, rel=1e-12)


def test_an_unrelated_covariate_changes_next_to_nothing():
    rng = np.random.default_rng(5)
    parts = {
        name: Moments.from_arrays(rng.normal(5, 2, 50_000), covariates={"x": rng.normal(0, 1, 50_000)})
        for name in "ct"
    }
    result, plain = cuped(parts), effect_of(parts["c"], parts["t"])
    assert result.variance_reduction < 1e-3
    assert result.effect("c", "t").difference == pytest.approx(plain.difference, abs=0.05 * plain.std_error)


@given(seeds)
def test_a_covariate_given_twice_is_given_once(seed):
    rng = np.random.default_rng(seed)
    pair = two(rng, 60, k=1)
    once = {name: moments(part) for name, part in zip("ct", pair, strict=True)}
    twice = {
        name: Moments.from_arrays(part[0], covariates={"a": part[1]["x0"], "b": 2 * part[1]["x0"] + 1})
        for name, part in zip("ct", pair, strict=True)
    }
    assert cuped(twice).effect("c", "t").difference == pytest.approx(
        cuped(once).effect("c", "t").difference, rel=1e-6
    )


@given(seeds, st.sampled_from([1e-6, 0.5, 1e5]), st.floats(-50, 50))
def test_the_units_of_outcome_and_covariate_change_nothing(seed, factor, shift):
    pair = two(np.random.default_rng(seed), 50)
    plain = cuped({name: moments(part) for name, part in zip("ct", pair, strict=True)})
    moved = cuped({
        name: Moments.from_arrays(part[0] * factor, covariates={k: x / factor + shift for k, x in part[1].items()})
        for name, part in zip("ct", pair, strict=True)
    })  # fmt: skip
    a, b = plain.effect("c", "t"), moved.effect("c", "t")
    assert b.difference == pytest.approx(a.difference * factor, rel=1e-6, abs=1e-9 * factor)
    assert p_value(b) == pytest.approx(p_value(a), rel=1e-5)
    assert moved.variance_reduction == pytest.approx(plain.variance_reduction, rel=1e-6)


def test_more_than_two_variants_share_one_slope_and_any_pair_agrees():
    rng = np.random.default_rng(6)
    parts = {name: moments(arm(rng, 500, lift)) for name, lift in (("c", 0.0), ("a", 0.3), ("b", 0.6))}
    result = cuped(parts)
    ab, ca, cb = result.effect("a", "b"), result.effect("c", "a"), result.effect("c", "b")
    assert ca.difference + ab.difference == pytest.approx(cb.difference, rel=1e-12)
    assert result.theta == pytest.approx([1.0, 2.0], abs=0.2)
    assert 0.4 < result.variance_reduction < 0.95
    interval = lift_interval(cb, critical(0.05, cb.df))
    assert interval.excludes(0.0) == (p_value(cb) < 0.05)


def ratio_arm(rng, n):
    before = rng.gamma(2, 1, n)
    d = rng.poisson(3 * before) + 1.0
    y = d * before + rng.normal(0, 1, n)
    return Moments.from_arrays(y, d, {"y before": before, "d before": before**2})


def test_cuped_of_a_ratio_keeps_the_estimand_and_narrows_it():
    rng = np.random.default_rng(7)
    parts = {"c": ratio_arm(rng, 4000), "t": ratio_arm(rng, 4000)}
    result, plain = cuped(parts), effect_of(parts["c"], parts["t"])
    effect = result.effect("c", "t")
    assert result.variance_reduction > 0.5
    assert effect.std_error < 0.7 * plain.std_error
    assert effect.control.value == pytest.approx(plain.control.value, abs=4 * plain.std_error)


def test_cuped_of_a_ratio_has_its_error_rate():
    """1,500 worlds of 2 x 300 units, seed 8: 5% within 4 simulation errors, in ratios and with 2 covariates."""
    rng = np.random.default_rng(8)
    rejected = np.mean([
        p_value(cuped({"c": ratio_arm(rng, 300), "t": ratio_arm(rng, 300)}).effect("c", "t")) < 0.05
        for _ in range(1500)
    ])  # fmt: skip
    assert rejected == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 1500))


def test_a_few_units_with_several_covariates_keep_the_error_rate():
    """3,000 worlds of 2 x 12 units with 3 unrelated covariates, seed 9: each slope pays its degree of freedom."""
    rng = np.random.default_rng(9)

    def small():
        covariates = {f"x{i}": rng.normal(0, 1, 12) for i in range(3)}
        return Moments.from_arrays(rng.normal(0, 1, 12), covariates=covariates)

    rejected = np.mean(
        [p_value(cuped({"c": small(), "t": small()}).effect("c", "t")) < 0.05 for _ in range(3000)]
    )
    assert rejected < 0.06


def test_missing_covariates_as_an_indicator_are_unbiased():
    """Half of the units new, without history: zero and an indicator; 400 worlds, seed 10."""
    rng = np.random.default_rng(10)

    def part(lift):
        known = rng.random(400) < 0.5
        x = np.where(known, rng.normal(5, 1, 400), 0.0)
        y = lift + np.where(known, 2 * x, 3.0) + rng.normal(0, 1, 400)
        return Moments.from_arrays(y, covariates={"x": x, "x missing": (~known).astype(float)})

    effects = [cuped({"c": part(0.0), "t": part(0.1)}).effect("c", "t") for _ in range(400)]
    found = np.array([effect.difference for effect in effects])
    assert found.mean() == pytest.approx(0.1, abs=4 * found.std() / 20)
    assert np.mean([effect.std_error for effect in effects]) == pytest.approx(found.std(), rel=0.15)


def test_too_few_units_for_the_covariates_give_a_reason():
    rng = np.random.default_rng(11)
    tiny = {"c": moments(arm(rng, 3)), "t": moments(arm(rng, 50))}
    result = cuped(tiny)
    assert result.variance_reduction == 0.0
    assert "too few for its covariates" in result.effect("c", "t").why_not()
    with pytest.raises(DataError, match="3 units cannot carry 2 covariates"):
        lin(tiny["c"], tiny["t"])
    with pytest.raises(DataError, match="different covariates"):
        cuped({"c": Moments.from_arrays([1.0, 2.0]), "t": tiny["t"]})


def strata_of(rng, sizes, lift=0.3):
    """Strata whose means lie far apart."""
    pairs = []
    for i, (n_c, n_t) in enumerate(sizes):
        control = Moments.from_arrays(rng.normal(5.0 * i, 1, n_c))
        pairs.append((control, Moments.from_arrays(rng.normal(5.0 * i + lift, 1, n_t))))
    return pairs


def test_strata_are_weighted_by_their_size():
    """Written out from Miratrix, Sekhon, Yu (2013)."""
    pairs = strata_of(np.random.default_rng(12), [(100, 150), (300, 250), (50, 60)])
    whole = sum(c.n + t.n for c, t in pairs)
    weights = [(c.n + t.n) / whole for c, t in pairs]
    effect = post_stratify(pairs)
    assert effect.difference == pytest.approx(
        sum(w * (t.mean() - c.mean()) for w, (c, t) in zip(weights, pairs, strict=True)), rel=1e-12
    )
    expected = sum(w**2 * (c.var() / c.n + t.var() / t.n) for w, (c, t) in zip(weights, pairs, strict=True))
    assert effect.variance == pytest.approx(expected, rel=1e-12)
    plain = effect_of(merge_all(c for c, _ in pairs), merge_all(t for _, t in pairs))
    assert effect.std_error < 0.5 * plain.std_error


@given(seeds, st.booleans())
def test_one_stratum_is_no_stratification(seed, ratio):
    rng = np.random.default_rng(seed)
    below = (rng.poisson(3, 40) + 1.0, rng.poisson(3, 30) + 1.0) if ratio else (None, None)
    pair = (
        Moments.from_arrays(rng.normal(5, 1, 40), below[0]),
        Moments.from_arrays(rng.normal(5, 1, 30), below[1]),
    )
    stratified, plain = post_stratify([pair]), effect_of(*pair)
    assert stratified.difference == pytest.approx(plain.difference, rel=1e-9)
    assert stratified.variance == pytest.approx(plain.variance, rel=1e-9)
    assert stratified.df == pytest.approx(plain.df, rel=1e-9)


def test_a_stratified_ratio_is_a_ratio_of_weighted_means():
    rng = np.random.default_rng(13)
    pairs = []
    for level, n in ((2.0, 300), (8.0, 100)):
        arms = []
        for _ in range(2):
            d = rng.poisson(level, n) + 1.0
            arms.append(Moments.from_arrays(d * level + rng.normal(0, 1, n), d))
        pairs.append((arms[0], arms[1]))
    effect = post_stratify(pairs)
    controls = [c for c, _ in pairs]
    expected = sum(c.n * c.mean() for c in controls) / sum(c.n * c.mean("denominator") for c in controls)
    assert effect.control.value == pytest.approx(expected, rel=1e-12)
    assert effect.std_error < 0.7 * effect_of(merge_all(controls), merge_all(t for _, t in pairs)).std_error


def test_a_stratum_too_small_joins_the_largest():
    rng = np.random.default_rng(14)
    pairs = strata_of(rng, [(20, 20), (30, 30)])
    lone = (Moments.from_arrays([1.0]), Moments.from_arrays([2.0, 3.0]))
    merged = (pairs[1][0] + lone[0], pairs[1][1] + lone[1])
    assert post_stratify([*pairs, lone]) == post_stratify([merged, pairs[0]])
    with pytest.raises(DataError, match="no stratum has 2 units in both variants"):
        post_stratify([lone])


@given(seeds, st.sampled_from([0.5, 0.9, 0.99]))
def test_one_cap_for_all_from_all(seed, level):
    rng = np.random.default_rng(seed)
    values = {"c": rng.lognormal(0, 1, 200), "t": rng.lognormal(0.5, 1, 300)}
    result = winsorise(values, level)
    pooled = np.concatenate(list(values.values()))
    assert result.cap == np.quantile(pooled, level)
    for name, array in values.items():
        assert result.values[name].max() <= result.cap
        assert (result.values[name] == np.minimum(array, result.cap)).all()
        assert result.units[name] == (array > result.cap).sum()
    lost = pooled.sum() - sum(capped.sum() for capped in result.values.values())
    assert result.value_share == pytest.approx(lost / pooled.sum(), rel=1e-9, abs=1e-12)


def test_a_pooled_cap_makes_no_difference_out_of_nothing():
    values = {"c": np.arange(1000.0), "t": np.arange(1000.0)}
    result = winsorise(values, 0.99)
    arms = [estimate(Moments.from_arrays(capped)) for capped in result.values.values()]
    assert arms[0] == arms[1]


def test_caps_that_erase_the_data_or_are_no_quantile_are_refused():
    mostly_zero = {"c": np.array([0.0] * 95 + [10.0] * 5), "t": np.zeros(100)}
    with pytest.raises(DataError, match=r"cap=0\.9 falls on the smallest value, 0"):
        winsorise(mostly_zero, 0.9)
    with pytest.raises(DataError, match="cap is 99"):
        winsorise(mostly_zero, 99)
    same = winsorise({"c": np.ones(5), "t": np.ones(5)}, 0.9)
    assert (same.cap, same.value_share) == (1.0, 0.0)
    empty = winsorise({"c": np.array([]), "t": np.array([])}, 0.9)
    assert empty.value_share == 0.0
