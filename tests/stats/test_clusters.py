"""Cluster-robust inference against statsmodels and dense matrices, written out row by row."""

import json
import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from upshot.errors import DataError
from upshot.stats.clusters import FEW, ClusterTotals, cluster_arm, cluster_effect
from upshot.stats.effect import Effect, effect_of, estimate
from upshot.stats.fixed import p_value
from upshot.stats.moments import Moments


@st.composite
def rows(draw, least=3):
    """Outcomes and their clusters, of 1 to 6 rows each."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=least, max_size=9))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    return rng.normal(5, 1, len(sizes))[cluster] + rng.normal(0, 1, len(cluster)), cluster


def dense(y, cluster, X, c):
    """CR2 variance of c'b and its degrees of freedom, by Pustejovsky and Tipton (2018, eqs. 5, 6 and 11)."""
    inverse = np.linalg.inv(X.T @ X)
    H = X @ inverse @ X.T
    residual, annihilator = y - H @ y, np.eye(len(y)) - H
    meat, columns = 0.0, []
    for g in np.unique(cluster):
        own = cluster == g
        values, vectors = np.linalg.eigh(np.eye(own.sum()) - H[np.ix_(own, own)])
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        weight = root @ X[own] @ inverse @ c
        meat += (weight @ residual[own]) ** 2
        columns.append(annihilator[:, own] @ weight)
    gram = np.array(columns) @ np.array(columns).T
    return meat, np.trace(gram) ** 2 / (gram**2).sum()


@settings(max_examples=50)
@given(rows())
def test_cr2_of_one_variant_is_that_of_dense_matrices(data):
    y, cluster = data
    arm = cluster_arm(ClusterTotals.from_rows(y, cluster), "CR2")
    variance, df = dense(y, cluster, np.ones((len(y), 1)), np.ones(1))
    assert arm.value == pytest.approx(y.mean(), rel=1e-12)
    assert arm.variance == pytest.approx(variance, rel=1e-9)
    assert arm.df == pytest.approx(df, rel=1e-9)


@settings(max_examples=50)
@given(rows(), rows())
def test_cr2_of_a_difference_is_that_of_a_regression_on_treatment(control, treatment):
    y = np.concatenate([control[0], treatment[0]])
    cluster = np.concatenate([control[1], 100 + treatment[1]])
    treated = np.repeat([0.0, 1.0], [len(control[0]), len(treatment[0])])
    variance, df = dense(y, cluster, np.column_stack([np.ones(len(y)), treated]), np.array([0.0, 1.0]))
    effect = cluster_effect(ClusterTotals.from_rows(*control), ClusterTotals.from_rows(*treatment), "CR2")
    assert effect.variance == pytest.approx(variance, rel=1e-9)
    # theirs takes rows of both variants to vary alike; Welch's combination of the arms does not need that
    n_c, n_t = len(control[0]), len(treatment[0])
    parts = [(1 / n_c, effect.control.df), (1 / n_t, effect.treatment.df)]
    alike = sum(v for v, _ in parts) ** 2 / sum(v**2 / d for v, d in parts)
    assert alike == pytest.approx(df, rel=1e-9)


@pytest.mark.parametrize(("correction", "use"), [("CR0", False), ("CR1", True)])
@settings(max_examples=40)
@given(data=rows())
def test_cr0_and_cr1_are_those_of_statsmodels(correction, use, data):
    y, cluster = data
    fit = sm.OLS(y, np.ones(len(y))).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": use}
    )
    arm = cluster_arm(ClusterTotals.from_rows(y, cluster), correction)
    assert arm.variance == pytest.approx(float(fit.cov_params()[0, 0]), rel=1e-9)
    assert arm.df == len(np.unique(cluster)) - 1


@given(rows())
def test_a_ratio_by_the_delta_method_is_cr1_up_to_its_divisor(data):
    totals = ClusterTotals.from_rows(*data)
    ratio = estimate(Moments.from_arrays(totals.outcomes, totals.weights))
    arm = cluster_arm(totals, "CR1")
    assert ratio.value == pytest.approx(arm.value, rel=1e-12)
    assert ratio.variance == pytest.approx(arm.variance, rel=1e-8)


@given(st.integers(3, 12), st.integers(3, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_clusters_of_one_size_are_welch_on_their_means(groups_c, groups_t, size, seed):
    rng = np.random.default_rng(seed)
    data = [rng.normal(0, scale, (groups, size)) for groups, scale in ((groups_c, 1.0), (groups_t, 2.0))]
    totals = [
        ClusterTotals.from_rows(one.ravel(), np.repeat(np.arange(len(one)), one.shape[1])) for one in data
    ]
    theirs = ttest_ind(data[1].mean(axis=1), data[0].mean(axis=1), equal_var=False)
    for correction in ("CR1", "CR2"):
        effect = cluster_effect(*totals, correction)
        assert p_value(effect) == pytest.approx(theirs.pvalue, rel=1e-8)
        assert effect.df == pytest.approx(theirs.df, rel=1e-8)


def test_one_row_a_cluster_is_the_plain_test():
    rng = np.random.default_rng(9)
    y, z = rng.normal(0, 1, 30), rng.normal(0.5, 1, 25)
    effect = cluster_effect(
        ClusterTotals.from_rows(y, np.arange(30)), ClusterTotals.from_rows(z, np.arange(25))
    )
    plain = effect_of(Moments.from_arrays(y), Moments.from_arrays(z))
    assert p_value(effect) == pytest.approx(p_value(plain), rel=1e-9)


def test_three_treated_against_twenty_seven_have_two_and_a_half_degrees_of_freedom():
    """Bell-McCaffrey's df of the Behrens-Fisher design of Imbens and Kolesar (2016, REStat 98)."""
    ones = [cluster_arm(ClusterTotals(np.arange(float(n)), np.ones(n)), "CR2").df for n in (27, 3)]
    alike = (1 / 27 + 1 / 3) ** 2 / ((1 / 27) ** 2 / ones[0] + (1 / 3) ** 2 / ones[1])
    formula = (27 + 3) ** 2 * 26 * 2 / (3**2 * 2 + 27**2 * 26)
    assert alike == pytest.approx(formula, rel=1e-12)
    assert round(alike, 1) == 2.5


def few(groups, seed):
    rng = np.random.default_rng(seed)
    return ClusterTotals(rng.normal(0, 1, groups), np.ones(groups))


def test_cr2_is_taken_below_forty_clusters():
    small, large = few(FEW // 2 - 1, 1), few(FEW // 2, 2)
    assert cluster_effect(small, large) == cluster_effect(small, large, "CR2")
    assert cluster_effect(large, large) == cluster_effect(large, large, "CR1")
    uneven = ClusterTotals(small.outcomes, np.arange(1.0, small.n + 1))
    assert cluster_effect(uneven, small).control.df < uneven.n - 1


def test_few_uneven_clusters_keep_the_error_rate():
    """6 against 8 clusters of 2 to 40 rows (icc 0.3), 4,000 worlds, seed 12: CR2 within 3 to 7%, CR0 above 10%."""
    rng = np.random.default_rng(12)
    sizes = [np.array([2, 5, 10, 10, 20, 40]), np.array([3, 4, 8, 8, 12, 15, 30, 40])]

    def totals(n):
        return ClusterTotals(rng.normal(0, np.sqrt(0.3 * n**2 + 0.7 * n)), n.astype(float))

    rejected = {"CR0": 0, "CR2": 0}
    for _ in range(4000):
        pair = totals(sizes[0]), totals(sizes[1])
        for correction in rejected:
            rejected[correction] += p_value(cluster_effect(*pair, correction)) < 0.05
    assert 0.03 < rejected["CR2"] / 4000 < 0.07
    assert rejected["CR0"] / 4000 > 0.10


@given(rows(), st.floats(0.1, 1e3), st.floats(-1e3, 1e3))
def test_the_unit_and_the_zero_of_measurement_change_nothing(data, factor, constant):
    y, cluster = data
    for correction in ("CR0", "CR1", "CR2"):
        plain = cluster_arm(ClusterTotals.from_rows(y, cluster), correction)
        moved = cluster_arm(ClusterTotals.from_rows(factor * y + constant, cluster), correction)
        assert moved.value == pytest.approx(factor * plain.value + constant, rel=1e-9, abs=1e-9)
        assume(plain.variance > 1e-6)
        assert moved.variance == pytest.approx(factor**2 * plain.variance, rel=1e-5)
        assert moved.df == plain.df


@given(rows(), rows())
def test_parts_add_up_and_json_keeps_every_bit(a, b):
    first, second = ClusterTotals.from_rows(*a), ClusterTotals.from_rows(*b)
    whole = first + second
    assert whole.n == first.n + second.n
    both = ClusterTotals.from_rows(np.concatenate([a[0], b[0]]), np.concatenate([a[1], 100 + b[1]]))
    np.testing.assert_allclose(whole.outcomes, both.outcomes, rtol=1e-12)
    assert ClusterTotals.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert whole != first
    assert whole != "totals"


def test_a_denominator_can_be_the_weight():
    totals = ClusterTotals.from_rows([1.0, 2.0, 3.0], ["a", "a", "b"], [2.0, 2.0, 4.0])
    assert (totals.outcomes.tolist(), totals.weights.tolist()) == ([3.0, 3.0], [4.0, 4.0])
    assert totals.mean == 0.75


def test_too_few_clusters_give_a_reason_and_no_number():
    nobody, one, two = ClusterTotals(np.array([]), np.array([])), few(1, 3), few(2, 3)
    assert math.isnan(nobody.mean)
    for short in (nobody, one):
        effect = Effect(cluster_arm(short), cluster_arm(two))
        assert f"control has {short.n} unit" in effect.why_not()
        assert p_value(effect) is None
    with pytest.raises(DataError, match="a cluster has no rows"):
        cluster_arm(ClusterTotals(np.array([1.0, 2.0]), np.array([1.0, 0.0])))
