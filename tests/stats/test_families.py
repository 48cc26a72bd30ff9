"""Adjusted p-values against statsmodels, Dunnett against his tables, scipy and an independent integral."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import dunnett as scipy_dunnett
from scipy.stats import f_oneway, multivariate_normal, ttest_ind
from statsmodels.stats.multitest import multipletests

from upshot.errors import InputError
from upshot.stats.families import (
    adjust,
    dunnett,
    dunnett_critical,
    dunnett_p_value,
    loading,
    simultaneous_alpha,
)

EQUAL = 0.5**0.5
p_values = st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=12)
METHODS = {"bonferroni": "bonferroni", "holm": "holm", "benjamini_hochberg": "fdr_bh"}


@pytest.mark.parametrize("method", METHODS)
@given(p_values)
@settings(max_examples=20, deadline=None)  # statsmodels collects garbage in each call of Holm's
def test_adjusted_as_by_statsmodels(method, p):
    assert adjust(p, method) == pytest.approx(multipletests(p, method=METHODS[method])[1], rel=1e-12)


@given(p_values, st.integers(0, 11))
def test_a_test_that_does_not_exist_does_not_count(p, at):
    at = min(at, len(p))
    with_gap = adjust([*p[:at], None, *p[at:]], "holm")
    assert with_gap[at] is None
    assert [value for value in with_gap if value is not None] == list(adjust(p, "holm"))
    assert adjust([None, None]) == (None, None)


@given(p_values)
def test_holm_is_never_above_bonferroni_and_never_below_benjamini_hochberg(p):
    bonferroni, holm, bh = (adjust(p, method) for method in METHODS)
    for largest, middle, least, raw in zip(bonferroni, holm, bh, p, strict=True):
        assert largest >= middle >= least - 1e-15
        assert least >= raw - 1e-15
    assert adjust(p, "none") == tuple(p)


@given(p_values, st.floats(0.01, 0.2))
def test_bh_and_bonferroni_reject_exactly_at_the_level_of_their_interval(p, alpha):
    for method in ("benjamini_hochberg", "bonferroni"):
        adjusted = adjust(p, method)
        rejected = sum(value < alpha for value in adjusted)
        level = simultaneous_alpha(alpha, method, len(p), rejected)
        for raw, value in zip(p, adjusted, strict=True):
            if abs(value - alpha) > 1e-12:
                assert (value < alpha) == (raw < level) or rejected == 0


@pytest.mark.parametrize(
    ("df", "published"),
    [
        # Dunnett (1964, Biometrics 20), table II: two-sided 5%, 1 to 9 variants beside the control
        (5, [2.57, 3.03, 3.29, 3.48, 3.62, 3.73, 3.82, 3.90, 3.97]),
        (20, [2.09, 2.38, 2.54, 2.65, 2.73, 2.80, 2.86, 2.90, 2.95]),
        (float("inf"), [1.96, 2.21, 2.35, 2.44, 2.51, 2.57, 2.61, 2.65, 2.69]),
    ],
)
def test_dunnett_has_the_published_critical_values(df, published):
    ours = [dunnett_critical(0.05, [EQUAL] * k, df) for k in range(1, 10)]
    assert ours == pytest.approx(published, abs=0.00501)


def test_dunnett_agrees_with_scipy_on_data():
    rng = np.random.default_rng(21)
    control, *others = rng.normal([[0.0], [0.4], [0.9]], 1.0, (3, 24))
    theirs = scipy_dunnett(*others, control=control, rng=1)
    pooled_df = 3 * 23
    assert f_oneway(control, *others).pvalue < 1  # one pooled variance is meant
    p = [dunnett_p_value(float(value), [EQUAL] * 2, pooled_df) for value in theirs.statistic]
    assert p == pytest.approx(theirs.pvalue, abs=2e-4)


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=4), st.floats(0.5, 4.5))
def test_dunnett_of_unequal_arms_by_an_independent_integral(loadings, size):
    covariance = np.outer(loadings, loadings)
    np.fill_diagonal(covariance, 1.0)
    corner = np.full(len(loadings), size)
    inside = multivariate_normal.cdf(
        corner, np.zeros(len(loadings)), covariance, lower_limit=-corner, abseps=1e-6, maxpts=400_000, rng=1
    )
    assert dunnett_p_value(size, loadings) == pytest.approx(1 - inside, abs=2e-5)


@given(st.floats(1e-9, 0.9), st.integers(1, 6), st.sampled_from([4.0, 30.0, float("inf")]))
def test_dunnett_lies_between_one_test_and_bonferroni_and_matches_its_interval(p, k, df):
    adjusted = dunnett([p, *[0.9] * (k - 1)], [EQUAL] * k, df)[0]
    assert p * (1 - 1e-6) <= adjusted <= min(1.0, k * p * (1 + 1e-6))
    if 1e-6 < adjusted < 0.5 and k > 1:
        c = dunnett_critical(adjusted, [EQUAL] * k, df)
        assert dunnett_p_value(c, [EQUAL] * k, df) == pytest.approx(adjusted, rel=1e-6)


def test_far_out_dunnett_is_neither_zero_nor_wrong():
    # far out the tests no longer overlap, so the sum of the single p-values is right
    assert dunnett_p_value(12.0, [EQUAL] * 3) == pytest.approx(3 * 3.553e-33, rel=1e-3)
    assert 0 < dunnett_p_value(60.0, [EQUAL] * 3) < 1e-300
    single = ttest_ind([0.0, 1.0, 2.0], [30.0, 31.0, 32.0]).pvalue
    assert single < dunnett([single, 0.5], [EQUAL] * 2, 4)[0] < 2 * single


def test_dunnett_without_a_test_does_not_count_it():
    assert dunnett([0.02, None], [EQUAL] * 2) == (pytest.approx(0.02, rel=1e-9), None)
    assert loading(2.0, 2.0) == pytest.approx(EQUAL)


def test_levels_of_intervals():
    assert simultaneous_alpha(0.05, "holm", 4) == 0.0125
    assert simultaneous_alpha(0.05, "benjamini_hochberg", 4, 0) == 0.0125
    assert simultaneous_alpha(0.05, "benjamini_hochberg", 4, 4) == 0.05
    assert simultaneous_alpha(0.05, "none", 4) == 0.05


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: adjust([0.5, 1.5]), "p-value is 1.5"),
        (lambda: adjust([float("nan")]), "p-value is nan"),
        (lambda: dunnett_p_value(1.0, [1.0]), r"loadings are \[1.0\]"),
        (lambda: dunnett([0.5], [0.5, 0.5]), "1 p-values with 2 loadings"),
        (lambda: dunnett_critical(0.0, [0.5]), "alpha is 0"),
        (lambda: simultaneous_alpha(2.0, "holm", 3), "alpha is 2"),
        (lambda: loading(0.0, 0.0), "neither control"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
