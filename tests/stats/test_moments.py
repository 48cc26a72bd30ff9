import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import DataError
from upshot.stats.moments import Moments, merge_all

numbers = st.floats(-1e6, 1e6, allow_nan=False)
samples = st.lists(numbers, min_size=2, max_size=40)


def test_large_mean_keeps_its_variance():
    values = [1e9 + x for x in (0.0, 1.0, 2.0, 3.0, 4.0)]
    moments = Moments.from_arrays(values)
    assert moments.mean() == 1e9 + 2
    assert moments.var() == pytest.approx(2.5, rel=1e-12)
    shift = 1e9
    shifted = np.array(values) - shift
    sums = Moments.from_shifted_sums(["outcome"], 5, [shift], [shifted.sum()], [[(shifted**2).sum()]])
    assert sums.var() == pytest.approx(2.5, rel=1e-12)
    assert not sums.precision_lost


def test_raw_squares_of_large_values_are_marked_lost():
    values = np.array([1e9 + x for x in (0.0, 1.0, 2.0, 3.0, 4.0)])
    raw = Moments.from_shifted_sums(["outcome"], 5, [0.0], [values.sum()], [[(values**2).sum()]])
    assert raw.precision_lost


@given(samples, samples)
def test_merge_is_the_moments_of_both(a, b):
    whole = Moments.from_arrays(a + b)
    merged = Moments.from_arrays(a) + Moments.from_arrays(b)
    assert merged.n == whole.n
    assert merged.mean() == pytest.approx(whole.mean(), rel=1e-9, abs=1e-6)
    assert merged.var() == pytest.approx(whole.var(), rel=1e-7, abs=1e-5)


@given(st.lists(samples, min_size=2, max_size=5))
def test_merge_order_does_not_matter(parts):
    moments = [Moments.from_arrays(part) for part in parts]
    forward, backward = merge_all(moments), merge_all(moments[::-1])
    assert forward.mean() == pytest.approx(backward.mean(), rel=1e-9, abs=1e-9)
    assert forward.var() == pytest.approx(backward.var(), rel=1e-7, abs=1e-6)


def test_cross_moments_agree_with_numpy():
    rng = np.random.default_rng(1)
    y, d, x = rng.normal(size=(3, 200))
    moments = Moments.from_arrays(y, d, {"x": x})
    expected = np.cov(np.vstack([y, d, x]))
    got = [[moments.cov(a, b) for b in moments.names] for a in moments.names]
    assert np.allclose(got, expected)
    assert moments.select(("outcome", "x")).cov("outcome", "x") == moments.cov("outcome", "x")


def test_counts_are_zeros_and_ones():
    assert Moments.from_counts(3, 10).var() == pytest.approx(np.var([1] * 3 + [0] * 7, ddof=1))


@given(samples)
def test_plain_values_survive_json(values):
    moments = Moments.from_arrays(values)
    assert Moments.from_dict(moments.to_dict()) == moments


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Moments.from_counts(5, 3), "more successes than trials"),
        (lambda: Moments.from_counts(-1, 3), "cannot be negative"),
        (lambda: Moments.from_arrays([1.0, 2.0], [1.0]), "differ in length"),
        (lambda: Moments.from_arrays([1.0, np.nan]), "missing or infinite"),
        (lambda: Moments.from_shifted_sums(["outcome"], 2, [0.0], [10.0], [[1.0]]), "sum to less"),
        (lambda: Moments.from_counts(1, 2) + Moments.from_arrays([1.0], [1.0]), "cannot be merged"),
    ],
)
def test_bad_input_is_one_sentence(make, says):
    with pytest.raises(DataError, match=says):
        make()
