"""A posterior against Bayes' rule by quadrature, and its limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from upshot.errors import InputError
from upshot.stats.bayes import Posterior, Prior, posterior

estimates = st.floats(-2, 2)
errors = st.floats(0.01, 2)


@given(estimates, errors, estimates, errors)
def test_bayes_rule_by_quadrature(estimate, error, mean, std):
    after = posterior(estimate, error, Prior(mean, std, "test"))

    def joint(effect):
        return norm.pdf(estimate, effect, error) * norm.pdf(effect, mean, std)

    ends = after.mean - 9 * after.std, after.mean + 9 * after.std
    total = quad(joint, *ends)[0]
    if total < 1e-30:
        return
    assert quad(lambda x: x * joint(x), *ends)[0] / total == pytest.approx(after.mean, abs=1e-6)


@given(estimates, errors)
def test_a_flat_prior_gives_the_test_back(estimate, error):
    after = posterior(estimate, error)
    assert after == Posterior(estimate, error)
    assert 1 - after.p_above(0) == pytest.approx(norm.sf(estimate / error), abs=1e-12)
    assert after.interval(0.95).low == pytest.approx(estimate - 1.959964 * error, rel=1e-6, abs=1e-6)


@given(estimates, errors, errors)
def test_it_shrinks_towards_the_prior_and_is_surer_than_either(estimate, error, std):
    after = posterior(estimate, error, Prior(0.0, std, "test"))
    assert abs(after.mean) <= abs(estimate)
    assert after.std <= min(error, std) * (1 + 1e-12)


@given(st.floats(-3, 3), st.floats(0.05, 2), st.floats(-1, 1))
def test_expected_loss_is_the_mean_shortfall(mean, std, threshold):
    after = Posterior(mean, std)
    ends = mean - 12 * std, min(threshold, mean + 12 * std)
    expected = (
        quad(lambda x: (threshold - x) * norm.pdf(x, mean, std), *ends)[0] if ends[0] < ends[1] else 0.0
    )
    assert after.expected_loss(threshold) == pytest.approx(expected, abs=1e-8)
    # what is lost by shipping less what is lost by not shipping is the distance to the threshold
    other = after.mirrored().expected_loss(-threshold)
    assert after.expected_loss(threshold) - other == pytest.approx(threshold - mean, abs=1e-9)


def test_sure_things_are_not_certain():
    assert Posterior(1.0, 0.001).p_above() < 1
    assert 0 < Posterior(-1.0, 0.01).p_above() < 1e-300
    losses = [Posterior(z, 1.0).expected_loss() for z in (19.99, 20.01, 30.0)]
    assert losses[0] > losses[1] > losses[2] > 0
    assert losses[0] / losses[1] == pytest.approx(math.exp((20.01**2 - 19.99**2) / 2), rel=0.02)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: Prior(0.0, 0.0, "none"), r"prior is N\(0.0, 0.0\)"),
        (lambda: posterior(1.0, 0.0), "std_error 0.0"),
        (lambda: Posterior(0, 1).interval(1.0), "level is 1.0"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(InputError, match=names):
        call()
