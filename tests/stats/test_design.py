"""A design's variances and level, and every field that is refused."""

from dataclasses import replace

import numpy as np
import pytest

from upshot.errors import InputError
from upshot.stats.design import Design, unit_std
from upshot.stats.families import dunnett_critical
from upshot.stats.fixed import critical
from upshot.stats.moments import Moments

SHARE = Design(baseline=0.1)
MEAN = Design(kind="mean", baseline=20.0, std=30.0)


def test_shares_have_the_variance_of_their_own_level():
    assert SHARE.variances == pytest.approx((0.1 * 0.9, 0.105 * 0.895))
    assert replace(SHARE, better="lower").variances[1] == pytest.approx(0.095 * 0.905)
    assert replace(MEAN, r_squared=0.4).variances == pytest.approx((540, 540))


def test_the_spread_of_a_ratio_is_that_of_its_residual_over_the_mean_denominator():
    rng = np.random.default_rng(41)
    sessions = rng.poisson(3, 5_000) + 1
    clicks = rng.binomial(sessions, 0.2)
    moments = Moments.from_arrays(clicks, denominator=sessions)
    residual = (clicks - clicks.sum() / sessions.sum() * sessions) / sessions.mean()
    assert unit_std(moments) == pytest.approx(residual.std(ddof=1), rel=1e-9)
    with pytest.raises(InputError, match="1 units say nothing"):
        unit_std(Moments.from_arrays([1.0]))


def test_the_level_answers_for_the_family():
    three = replace(SHARE, weights=(1, 1, 1, 1))
    assert SHARE.level == 0.05
    assert three.level == pytest.approx(0.05 / 3)
    assert replace(three, tests=6).level == pytest.approx(0.05 / 6)
    dunnett = replace(three, family="dunnett")
    assert critical(dunnett.level) == pytest.approx(dunnett_critical(0.05, [0.5**0.5] * 3))
    assert replace(dunnett, monitoring="group_sequential").level == three.level
    assert 0.05 / 3 < dunnett.level < 0.05


def test_the_drift_is_zero_at_what_is_tested_and_keeps_the_noise_of_control():
    at_margin = replace(MEAN, margin=0.1, effect=-0.1)
    assert at_margin.unit_drift() == 0
    even = replace(at_margin, effect=0.0).unit_drift()
    assert even == pytest.approx(2.0 / np.sqrt(900 / 0.5 * (1 + 0.9**2)))
    negative = replace(MEAN, baseline=-20.0)
    assert negative.unit_drift() == pytest.approx(MEAN.unit_drift())


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"kind": "quantile", "std": 1.0}, "kind is quantile"),
        ({"baseline": 0.0}, "baseline is 0.0"),
        ({"baseline": 1.5}, "baseline is 1.5: a proportion lies"),
        ({"std": 1.0}, "std is 1.0: leave it out"),
        ({"kind": "mean"}, "std is missing: a mean"),
        ({"kind": "mean", "std": -1.0}, "std is -1.0"),
        ({"effect": 10.0}, "effect is 10.0: 0.1 would become 1.1"),
        ({"effect": -1.0}, "effect is -1.0"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"power": 1.0}, "power is 1.0"),
        ({"looks": 0}, "looks is 0"),
        ({"tests": 0}, "tests is 0"),
        ({"r_squared": 1.0}, "r_squared is 1.0"),
        ({"margin": 1.0}, "margin is 1.0"),
        ({"weights": (1.0,)}, "weights are"),
        ({"weights": (1.0, 0.0)}, "weights are"),
    ],
)
def test_bad_input_is_named(fields, names):
    with pytest.raises(InputError, match=names):
        Design(**({"baseline": 0.1} | fields))
