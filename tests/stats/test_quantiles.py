"""Quantiles: exact coverage of the ranks, invariance to units, clusters, and what is refused."""

import json
import math

import numpy as np
import pytest
from gbstats.models.statistics import QuantileClusteredStatistic, QuantileStatistic
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binom

from upshot.errors import DataError
from upshot.stats.effect import Effect
from upshot.stats.fixed import p_value
from upshot.stats.quantiles import QuantileSample, outer_ranks

levels = st.sampled_from([0.05, 0.25, 0.5, 0.9, 0.95, 0.99])


@given(st.integers(10, 200_000), levels)
def test_the_ranks_enclose_the_quantile_with_95_percent(n, level):
    """Exactly: of n values the number below the quantile is binomial."""
    assume(n * min(level, 1 - level) >= 5)
    low, high = outer_ranks(n, level)
    assert 0 <= low < high <= n - 1
    inside = binom.cdf(high, n, level) - binom.cdf(low, n, level)
    assert 0.95 <= inside <= 0.999


@given(st.integers(100, 3000), levels, st.integers(0, 2**32 - 1))
def test_the_estimate_is_numpys_and_lies_inside(n, level, seed):
    values = np.random.default_rng(seed).lognormal(0, 1, n)
    sample = QuantileSample.from_array(values, level)
    assert sample.estimate == np.quantile(values, level)
    assert sample.low <= sample.estimate <= sample.high
    assert sample.n == sample.arm.n == n


@given(st.integers(200, 1000), st.sampled_from([0.001, 60.0, 1e6]), levels)
def test_seconds_and_milliseconds_give_the_same_answer(n, factor, level):
    assume(n * min(level, 1 - level) >= 5)
    rng = np.random.default_rng(n)
    control, treatment = rng.gamma(2, 1e-3, n), rng.gamma(2, 1.2e-3, n)

    def p(scale):
        arms = [QuantileSample.from_array(one * scale, level).arm for one in (control, treatment)]
        return p_value(Effect(*arms))

    assert p(factor) == pytest.approx(p(1.0), rel=1e-6)


def test_gbstats_agrees_but_for_its_floor_under_the_variance():
    values = np.random.default_rng(1).gamma(2, 1.0, 2000)
    for scale, agrees in ((1.0, True), (1e-5, False)):
        sample = QuantileSample.from_array(values * scale, 0.9)
        theirs = QuantileStatistic(
            n=2000, n_star=2000, nu=0.9, quantile_hat=sample.estimate,
            quantile_lower=sample.low, quantile_upper=sample.high,
        )  # fmt: skip
        ratio = sample.arm.variance / (theirs.variance / 2000)
        assert (ratio == pytest.approx(1.0, rel=1e-3)) == agrees


def test_a_quantile_has_its_error_rate_of_5_percent():
    """Equal lognormals, 800 units, p50 and p90, 1,500 worlds, seed 4: 5% within 4 simulation errors, or below."""
    rng = np.random.default_rng(4)
    for level in (0.5, 0.9):
        rejected = 0
        for _ in range(1500):
            arms = [QuantileSample.from_array(rng.lognormal(0, 1, 800), level).arm for _ in range(2)]
            rejected += p_value(Effect(*arms)) < 0.05
        error = math.sqrt(0.05 * 0.95 / 1500)
        assert 0.02 < rejected / 1500 < 0.05 + 4 * error


def clustered(rng, groups, level):
    """Rows whose levels differ by cluster (intraclass correlation 1/2), 1 to 9 rows each."""
    cluster = np.repeat(np.arange(groups), rng.integers(1, 10, groups))
    values = rng.normal(0, 1, groups)[cluster] + rng.normal(0, 1, len(cluster))
    return QuantileSample.from_array(values, level, cluster), values, cluster


def test_rows_in_clusters_keep_the_error_rate_that_rows_alone_do_not():
    """300 clusters, p75, 600 worlds, seed 8: 5% within 4 simulation errors; ignoring clusters, 23%."""
    rng = np.random.default_rng(8)
    rejected = naive = 0
    for _ in range(600):
        (a, rows_a, _), (b, rows_b, _) = clustered(rng, 300, 0.75), clustered(rng, 300, 0.75)
        rejected += p_value(Effect(a.arm, b.arm)) < 0.05
        flat = [QuantileSample.from_array(rows, 0.75).arm for rows in (rows_a, rows_b)]
        naive += p_value(Effect(*flat)) < 0.05
    assert rejected / 600 == pytest.approx(0.045, abs=4 * math.sqrt(0.05 * 0.95 / 600))
    assert naive / 600 > 0.15


def test_the_design_effect_is_that_of_gbstats():
    rng = np.random.default_rng(2)
    sample, values, cluster = clustered(rng, 200, 0.5)
    below = np.bincount(cluster, values <= sample.estimate)
    sizes = np.bincount(cluster).astype(float)
    theirs = QuantileClusteredStatistic(
        n=len(values), n_star=len(values), nu=0.5, quantile_hat=sample.estimate, quantile_lower=0.0,
        quantile_upper=1.0, main_sum=below.sum(), main_sum_squares=(below**2).sum(),
        denominator_sum=sizes.sum(), denominator_sum_squares=(sizes**2).sum(),
        main_denominator_sum_product=(below * sizes).sum(), n_clusters=200,
    )  # fmt: skip
    expected = theirs.get_cluster_variance / (0.25 / len(values))
    assert sample.design == pytest.approx(expected, rel=1e-9)
    assert (sample.n, sample.rows) == (200, len(values))


def test_one_row_a_cluster_is_no_cluster():
    values = np.random.default_rng(3).gamma(2, 1.0, 1000)
    alone = QuantileSample.from_array(values, 0.5)
    each = QuantileSample.from_array(values, 0.5, np.arange(1000))
    assert each.design == pytest.approx(1.0, rel=2e-3)
    assert (each.low, each.high) == pytest.approx((alone.low, alone.high), rel=0.01)


def test_an_atom_is_refused_with_its_value():
    values = np.concatenate([np.zeros(700), np.random.default_rng(5).gamma(2, 1.0, 300)])
    sample = QuantileSample.from_array(values, 0.5)
    assert "many units share the value 0" in sample.why_not()
    assert math.isnan(sample.arm.variance)
    assert p_value(Effect(sample.arm, sample.arm)) is None
    assert QuantileSample.from_array(values, 0.9).why_not() == ""


@pytest.mark.parametrize(("n", "level", "needed"), [(99, 0.95, 100), (499, 0.99, 500), (9, 0.5, 10)])
def test_too_few_units_beyond_the_quantile_are_refused(n, level, needed):
    values = np.arange(float(n))
    assert f"at least {needed} are needed" in QuantileSample.from_array(values, level).why_not()
    assert QuantileSample.from_array(np.arange(float(needed)), level).why_not() == ""


def test_rows_that_repeat_their_cluster_are_worth_as_many_as_there_are_clusters():
    rng = np.random.default_rng(6)
    cluster = np.repeat(np.arange(60), 50)
    values = rng.normal(0, 1, 60)[cluster] + rng.normal(0, 0.01, 3000)
    why = QuantileSample.from_array(values, 0.95, cluster).why_not()
    assert why.startswith("p95 of 3000 rows, worth ")
    assert "at least 100 are needed" in why


def test_json_keeps_every_bit():
    for sample in (
        QuantileSample.from_array(np.arange(50.0), 0.5),
        QuantileSample.from_array(np.arange(50.0), 0.5, np.arange(50) // 2),
    ):
        assert QuantileSample.from_dict(json.loads(json.dumps(sample.to_dict()))) == sample


@pytest.mark.parametrize(
    ("values", "level", "why"),
    [([1.0], 1.0, "level is 1.0"), ([], 0.5, "at least one value"), ([1.0, math.nan], 0.5, "missing")],
)
def test_what_cannot_be_is_refused(values, level, why):
    with pytest.raises(DataError, match=why):
        QuantileSample.from_array(values, level)
