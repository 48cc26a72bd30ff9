"""Sample ratio tests against scipy, relabelling, arms without weight, and false alarms over many looks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, multinomial

from upshot.errors import InputError
from upshot.stats.sample_ratio import chi_square, sequential

counts3 = st.lists(st.integers(20, 10_000), min_size=3, max_size=3)


@given(counts3, st.lists(st.floats(0.3, 3.0), min_size=3, max_size=3))
def test_large_counts_as_by_scipy(counts, weights):
    names = ["a", "b", "c"]
    result = chi_square(dict(zip(names, counts, strict=True)), dict(zip(names, weights, strict=True)))
    expected = np.array(weights) / sum(weights) * sum(counts)
    if expected.min() < 5:
        return
    theirs = chisquare(counts, expected, sum_check=False)
    assert result.method == "chi_square"
    assert result.df == 2
    assert result.p_value == pytest.approx(max(theirs.pvalue, 2.3e-308), rel=1e-8)


@given(st.integers(0, 12), st.integers(0, 12), st.floats(0.05, 0.3))
def test_small_counts_of_two_as_by_the_binomial_test(a, b, share):
    if a + b == 0 or (a + b) * share >= 5:
        return
    result = chi_square({"a": a, "b": b}, {"a": share, "b": 1 - share})
    assert result.method == "exact"
    assert result.p_value == pytest.approx(binomtest(a, a + b, share).pvalue, rel=1e-6)


def test_small_counts_of_three_by_enumeration():
    law = multinomial(9, [0.1, 0.2, 0.7])
    here = law.pmf([3, 1, 5])
    every = [law.pmf([i, j, 9 - i - j]) for i in range(10) for j in range(10 - i)]
    expected = sum(p for p in every if p <= here * (1 + 1e-9))
    result = chi_square({"a": 3, "b": 1, "c": 5}, {"a": 1, "b": 2, "c": 7})
    assert result.p_value == pytest.approx(expected, rel=1e-9)


def test_too_many_outcomes_are_pooled():
    weights = {"a": 0.000004, "b": 0.000004, "c": 0.5, "d": 0.499992}
    result = chi_square({"a": 2, "b": 3, "c": 500_000, "d": 499_995}, weights)
    assert result.method == "chi_square"
    assert result.p_value > 0.3


def test_audacity_classroom_like_ratio_fails_and_an_even_one_does_not():
    assert chi_square({"control": 15_000, "treatment": 14_000}).p_value < 1e-6
    assert chi_square({"control": 5_000, "treatment": 5_040}).p_value > 0.5


def test_an_arm_without_weight_changes_nothing():
    plain = chi_square({"a": 480, "b": 540})
    with_empty = chi_square({"a": 480, "b": 540, "off": 0}, {"a": 1, "b": 1, "off": 0})
    with_strays = chi_square({"a": 480, "b": 540, "off": 7}, {"a": 1, "b": 1, "off": 0})
    assert with_empty.p_value == with_strays.p_value == plain.p_value
    assert with_strays.unplanned == 7
    assert with_strays.expected["off"] == 0


def test_a_variant_that_nobody_entered_counts():
    result = chi_square({"a": 50}, {"a": 1, "b": 1})
    assert result.p_value < 1e-11
    assert result.expected == {"a": 25, "b": 25}
    assert sequential({"a": 200}, {"a": 1, "b": 1}).p_value < 1e-9


@pytest.mark.parametrize("test", [chi_square, sequential])
def test_nothing_to_test_has_a_reason(test):
    assert test({"a": 0, "b": 0}).p_value is None
    assert "no units" in test({"a": 0, "b": 0}).reason
    assert "fewer than two" in test({"a": 10, "b": 0}, {"a": 1, "b": 0}).reason


@given(counts3)
def test_names_do_not_matter(counts):
    a, b, c = counts
    for test in (chi_square, sequential):
        first = test({"a": a, "b": b, "c": c}, {"a": 1, "b": 2, "c": 3}).p_value
        second = test({"z": c, "y": a, "x": b}, {"x": 2, "y": 1, "z": 3}).p_value
        assert first == pytest.approx(second, rel=1e-9)


def test_sequential_is_the_ratio_of_two_likelihoods():
    # by hand: prod of Polya urn draws against the planned shares
    concentration, counts = 4.0, {"a": 3, "b": 1}
    urn = (2 / 4) * (3 / 5) * (4 / 6) * (2 / 7)
    assert sequential(counts, concentration=concentration).p_value == pytest.approx(min(1, 0.5**4 / urn))


def test_sequential_false_alarms_over_200_looks_and_power():
    # seed 31, 2,000 worlds of 200 looks with 500 units each; the fixed test at 5% at each look: over 30%
    rng = np.random.default_rng(31)
    first = np.cumsum(rng.binomial(500, 0.5, (2_000, 200)), axis=1)
    n = 500 * np.arange(1, 201)
    from scipy.special import betaln

    def least(first):
        log_e = betaln(300 + first, 300 + n - first) - betaln(300, 300) + n * np.log(2)
        return np.exp(-log_e.max(axis=1))

    assert (least(first) < 0.05).mean() < 0.05
    z = (2 * first - n) / np.sqrt(n)
    assert (np.abs(z) > 1.96).any(axis=1).mean() > 0.3
    biased = np.cumsum(rng.binomial(500, 0.515, (200, 200)), axis=1)
    assert (least(biased) < 0.001).mean() > 0.95
    history = [{"a": int(x), "b": int(k - x)} for x, k in zip(biased[0], n, strict=True)]
    assert sequential(history).p_value == pytest.approx(least(biased[:1])[0], rel=1e-6)
    assert sequential(history[:150]).p_value >= sequential(history).p_value


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: chi_square({"a": -1, "b": 2}), "variant a has -1 units"),
        (lambda: chi_square({"a": 1, "b": 2}, {"a": 1}), "variant b has no weight"),
        (lambda: chi_square({"a": 1, "b": 2}, {"a": 1, "b": -1}), "weight of b is -1"),
        (lambda: sequential([]), "no counts"),
        (lambda: sequential({"a": 1, "b": 2}, concentration=0), "concentration is 0"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
