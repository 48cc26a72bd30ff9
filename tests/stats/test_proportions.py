"""Two proportions against published tables and independent inversions; a test and its intervals agree."""

import math

import numpy as np
import pyarrow as pa
import pytest
import tea_tasting as tt
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar
from scipy.special import xlogy
from scipy.stats import chi2_contingency
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from upshot.errors import DataError
from upshot.stats.fixed import critical
from upshot.stats.proportions import (
    Counts,
    difference_score,
    koopman,
    mee,
    miettinen_nurminen,
    newcombe,
    non_inferiority,
    ratio_score,
    two_proportions,
    wilson,
)

Z = critical(0.05)
alphas = st.sampled_from([0.001, 0.01, 0.05, 0.1, 0.3])


@st.composite
def counts(draw, largest=400, least=1):
    n_c, n_t = draw(st.integers(least, largest)), draw(st.integers(least, largest))
    return Counts(draw(st.integers(0, n_c)), n_c, draw(st.integers(0, n_t)), n_t)


small, large = counts(40), counts(2_000_000, 1000)

# Newcombe (1998), Statistics in Medicine 17, Table II: Mee (method 5), Miettinen-Nurminen (6), hybrid score (10)
NEWCOMBE = [
    ((56, 70, 48, 80), (0.0533, 0.3377), (0.0528, 0.3382), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1821, 0.8370), (0.1700, 0.8406), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0544, 0.8478), (0.0342, 0.8534), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0313, 0.1926), (-0.0326, 0.1933), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775), (-0.1658, 0.2844), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775), (-0.2879, 0.2879), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.7225, 1.0), (0.7156, 1.0), (0.6791, 1.0)),
    ((10, 10, 0, 10), (0.6777, 1.0), (0.6636, 1.0), (0.6075, 1.0)),
]


@pytest.mark.parametrize(("table", "by_mee", "by_mn", "hybrid"), NEWCOMBE)
def test_the_published_intervals_of_newcombe(table, by_mee, by_mn, hybrid):
    x_t, n_t, x_c, n_c = table
    pair = Counts(x_c, n_c, x_t, n_t)
    for interval, published in (
        (mee(pair, Z), by_mee),
        (miettinen_nurminen(pair), by_mn),
        (newcombe(pair), hybrid),
    ):
        assert (interval.low, interval.high) == pytest.approx(published, abs=6e-5)


@pytest.mark.parametrize(
    ("table", "published"),
    [((36, 40, 16, 80), (2.94, 7.15)), ((8, 15, 4, 15), (0.815, 5.34))],
    ids=["Koopman 1984", "Gart and Nam 1988"],
)
def test_the_published_intervals_of_koopman(table, published):
    x_t, n_t, x_c, n_c = table
    interval = koopman(Counts(x_c, n_c, x_t, n_t), Z)
    assert (1 + interval.low, 1 + interval.high) == pytest.approx(published, rel=2e-3)


def likelihood(pair, p_c, p_t):
    return (
        xlogy(pair.x_c, p_c) + xlogy(pair.n_c - pair.x_c, 1 - p_c)
        + xlogy(pair.x_t, p_t) + xlogy(pair.n_t - pair.x_t, 1 - p_t)
    )  # fmt: skip


def numeric_difference_score(pair, delta):
    """The score with its constrained shares found by a maximiser."""
    bounds = max(0.0, -delta), min(1.0, 1.0 - delta)
    p_c = minimize_scalar(
        lambda p: -likelihood(pair, p, p + delta), bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    p_t = p_c + delta
    spread = p_c * (1 - p_c) / pair.n_c + p_t * (1 - p_t) / pair.n_t
    return (pair.difference - delta) / math.sqrt(spread)


def numeric_ratio_score(pair, ratio):
    p_c = minimize_scalar(
        lambda p: -likelihood(pair, p, ratio * p),
        bounds=(0.0, min(1.0, 1 / ratio)), method="bounded", options={"xatol": 1e-12},
    ).x  # fmt: skip
    p_t = ratio * p_c
    spread = p_t * (1 - p_t) / pair.n_t + ratio**2 * p_c * (1 - p_c) / pair.n_c
    return (pair.x_t / pair.n_t - ratio * pair.x_c / pair.n_c) / math.sqrt(spread)


@settings(max_examples=60)
@given(counts(200, 5), st.floats(-0.8, 0.8), st.floats(0.1, 8.0))
def test_the_scores_are_what_a_numeric_maximum_gives(pair, delta, ratio):
    assume(0 < pair.x_c < pair.n_c and 0 < pair.x_t < pair.n_t)
    assert difference_score(pair, delta) == pytest.approx(
        numeric_difference_score(pair, delta), rel=1e-4, abs=1e-5
    )
    assert ratio_score(pair, ratio) == pytest.approx(numeric_ratio_score(pair, ratio), rel=1e-4, abs=1e-5)


def test_miettinen_nurminen_on_the_aspirin_table_where_statsmodels_errs():
    """Physicians' Health Study: 189 heart attacks of 11,034 on placebo, 104 of 11,037 on aspirin."""
    pair, whole = Counts(104, 11037, 189, 11034), 11037 + 11034
    stretch = Z * math.sqrt(whole / (whole - 1))
    low, high = (
        brentq(lambda d, end=end: numeric_difference_score(pair, d) - end, -0.02, 0.03, xtol=1e-14)
        for end in (stretch, -stretch)
    )
    ours = miettinen_nurminen(pair)
    assert (ours.low, ours.high) == pytest.approx((low, high), abs=1e-8)
    theirs = confint_proportions_2indep(189, 11034, 104, 11037, method="score", compare="diff")
    assert abs(theirs[0] - low) > 1e-6  # statsmodels issue 10269: takes a count for a number of trials


@given(st.one_of(small, large))
def test_at_their_ends_the_intervals_are_where_the_score_is_critical(pair):
    interval, lift = mee(pair, Z), koopman(pair, Z)
    assert interval.low <= pair.difference <= interval.high
    for end, score in ((interval.low, Z), (interval.high, -Z)):
        if abs(end) < 1:
            assert difference_score(pair, end) == pytest.approx(score, rel=1e-5)
    for end, score in ((lift.low, Z), (lift.high, -Z)):
        if end is not None and end > -1:
            assert ratio_score(pair, 1 + end) == pytest.approx(score, rel=1e-5)


@pytest.mark.parametrize("pairs", [small, large], ids=["small", "large"])
@settings(max_examples=150, deadline=None)
@given(data=st.data(), alpha=alphas)
def test_p_is_below_alpha_exactly_when_mee_and_koopman_exclude_no_difference(pairs, data, alpha):
    pair = data.draw(pairs)
    test = two_proportions(pair, alpha)
    if test is None:
        assert pair.pooled in (0.0, 1.0)
        return
    assume(test.p_value != alpha and abs(abs(test.statistic) / test.critical - 1) > 1e-10)
    rejected = test.p_value < alpha
    assert mee(pair, test.critical).excludes(0.0) == rejected
    assert koopman(pair, test.critical).excludes(0.0) == rejected


@settings(max_examples=200, deadline=None)
@given(st.one_of(small, counts(5000, 100), large), st.sampled_from([-1, 1]))
def test_they_agree_a_millionth_from_the_border(pair, side):
    test = two_proportions(pair)
    assume(test is not None and abs(test.statistic) > 1e-6)
    alpha = test.p_value * (1 + side * 1e-6)
    assume(1e-12 < alpha < 0.99)
    at_border = two_proportions(pair, alpha)
    for interval in (mee(pair, at_border.critical), koopman(pair, at_border.critical)):
        assert interval.excludes(0.0) == (test.p_value < alpha)


@given(large, st.floats(0.0, 0.3), st.sampled_from(["higher", "lower"]), alphas)
def test_held_is_exactly_when_the_score_bound_stays_within_the_margin(pair, margin, better, alpha):
    c = critical(alpha, side="greater")
    assume(pair.x_c > 0)
    for relative, interval in ((False, mee(pair, c)), (True, koopman(pair, c))):
        bound = interval.low + margin if better == "higher" else margin - interval.high
        assume(abs(bound) > 1e-9)
        assert (non_inferiority(pair, margin, better, relative) < alpha) == (bound > 0)


@settings(deadline=None)
@given(st.one_of(small, counts(5000, 100)))
def test_exchanging_the_arms_and_counting_failures_turn_everything_round(pair):
    turned = Counts(pair.x_t, pair.n_t, pair.x_c, pair.n_c)
    failures = pair.failures
    for method in (lambda one: mee(one, Z), miettinen_nurminen, newcombe):
        ours = method(pair)
        for other in (method(turned), method(failures)):
            assert (ours.low, ours.high) == pytest.approx((-other.high, -other.low), abs=1e-7)
    ours, theirs = koopman(pair, Z), koopman(turned, Z)
    if theirs.defined and pair.x_c and pair.x_t:
        ratios = 1 / (1 + theirs.high), 1 / (1 + theirs.low)
        assert (1 + ours.low, 1 + ours.high) == pytest.approx(ratios, rel=1e-7)
    test, other = two_proportions(pair), two_proportions(failures)
    if test is not None:
        assert test.p_value == pytest.approx(other.p_value, rel=1e-6)


@given(counts(100_000, 100))
def test_the_pooled_z_is_pearsons_chi_square(pair):
    assume(pair.least_expected >= 5)
    test = two_proportions(pair)
    table = [[pair.x_t, pair.n_t - pair.x_t], [pair.x_c, pair.n_c - pair.x_c]]
    theirs = chi2_contingency(table, correction=False)
    assert test.statistic**2 == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-12)
    assert test.p_value == pytest.approx(theirs.pvalue, rel=1e-9)


def test_tea_tasting_gives_the_same_p_but_an_interval_of_the_null():
    variant = np.repeat([0, 1], [1000, 1200])
    outcome = np.concatenate([np.arange(1000) < 100, np.arange(1200) < 160]).astype(int)
    data = pa.table({"variant": variant, "y": outcome})
    theirs = tt.Experiment(y=tt.Proportion("y", correction=False)).analyze(data)["y"]
    assert two_proportions(Counts(100, 1000, 160, 1200)).p_value == pytest.approx(theirs.pvalue, rel=1e-9)


@pytest.mark.parametrize(
    ("pair", "name"),
    [(Counts(0, 50, 4, 60), "Boschloo exact"), (Counts(2, 900, 5, 900), "Fisher exact")],
)
def test_few_expected_counts_call_for_an_exact_test(pair, name):
    test = two_proportions(pair)
    assert test.method.startswith(name)
    assert "pooled z" in two_proportions(Counts(20, 900, 30, 900)).method


def test_where_all_ended_alike_there_is_no_test_but_there_are_intervals():
    nobody, everybody = Counts(0, 50, 0, 60), Counts(50, 50, 60, 60)
    assert two_proportions(nobody) is None
    assert two_proportions(everybody) is None
    assert not koopman(nobody, Z).defined
    assert mee(nobody, Z).low < 0 < mee(nobody, Z).high
    assert koopman(everybody, Z).low < 0 < koopman(everybody, Z).high


def test_a_control_without_success_leaves_the_lift_without_an_upper_end():
    interval = koopman(Counts(0, 10_000, 100, 100), Z)
    assert interval.high is None
    assert "control has no success" in interval.reason
    assert ratio_score(Counts(0, 10_000, 100, 100), 1 + interval.low) == pytest.approx(Z, rel=1e-6)
    # even where the critical value is so small that the end lies beyond the usual guess
    near = koopman(Counts(0, 10_000, 100, 100), 0.5)
    assert ratio_score(Counts(0, 10_000, 100, 100), 1 + near.low) == pytest.approx(0.5, rel=1e-6)
    assert koopman(Counts(5, 100, 0, 100), Z).low == -1.0


def test_no_alpha_to_spend_rules_nothing_out():
    assert (mee(Counts(1, 9, 5, 9), math.inf).low, mee(Counts(1, 9, 5, 9), math.inf).high) == (-1.0, 1.0)
    nothing = koopman(Counts(1, 9, 5, 9), math.inf)
    assert (nothing.low, nothing.high) == (-1.0, None)
    assert "no share of alpha" in nothing.reason


@given(st.integers(0, 500), st.integers(1, 500), alphas)
def test_wilson_as_by_statsmodels(x, n, alpha):
    x = min(x, n)
    interval = wilson(x, n, alpha)
    theirs = proportion_confint(x, n, alpha, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("wrong", [(5, 4, 1, 4), (-1, 4, 1, 4), (1, 4, 1, 0)])
def test_impossible_counts_are_refused(wrong):
    with pytest.raises(DataError, match="give successes/trials"):
        Counts(*wrong)


@pytest.mark.parametrize("margin", [-0.1, 1.0, 2.0])
def test_an_impossible_margin_is_refused(margin):
    with pytest.raises(DataError, match=f"margin is {margin:g}"):
        non_inferiority(Counts(5, 10, 5, 10), margin, "higher")


@pytest.mark.parametrize(("p_c", "p_t", "n_c", "n_t"), [(0.02, 0.026, 1000, 1000), (0.1, 0.1, 500, 2000)])
def test_coverage_of_mee_and_koopman(p_c, p_t, n_c, n_t):
    """3,000 worlds, seed 3: 95% within 4 simulation errors."""
    rng = np.random.default_rng(3)
    drawn = zip(rng.binomial(n_c, p_c, 3000), rng.binomial(n_t, p_t, 3000), strict=True)
    pairs = [Counts(int(c), n_c, int(t), n_t) for c, t in drawn]
    # the score at the truth is within the critical value exactly when the interval holds it
    held = np.mean([abs(difference_score(pair, p_t - p_c)) <= Z for pair in pairs])
    held_ratio = np.mean([abs(ratio_score(pair, p_t / p_c)) <= Z for pair in pairs])
    assert held == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 3000))
    assert held_ratio == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 3000))
    for pair in pairs[:40]:
        inside = abs(difference_score(pair, p_t - p_c)) <= Z
        assert mee(pair, Z).excludes(p_t - p_c) != inside


def test_an_interval_that_is_made_to_agree_ends_at_nought_itself():
    case = Counts(0, 1000, 5, 1000)
    test = two_proportions(case)
    assert test.p_value > 0.05
    assert mee(case, test.critical).low == 0.0
