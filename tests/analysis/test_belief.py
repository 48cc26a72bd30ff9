"""One prior, its three answers, and when they are withheld."""

import pytest
from scipy import stats

from upshot.analysis.analyze import analyze
from upshot.analysis.belief import lift_error, prior_of
from upshot.stats.effect import Arm, Effect


def test_the_error_of_the_lift_is_that_of_a_ratio():
    effect = Effect(Arm(10.0, 0.04, 100, 99), Arm(11.0, 0.09, 100, 99))
    assert lift_error(effect) == pytest.approx(1.1 * (0.09 / 121 + 0.04 / 100) ** 0.5)


def test_the_posterior_is_the_normal_one(counted, plan):
    asked = plan(minimum_effect=0.05)
    found = (
        analyze(asked, counted(control=(1000, 10_000), treatment=(1100, 10_000))).metrics[0].comparisons[0]
    )
    error = lift_error(Effect(Arm(0.1, 0.1 * 0.9 / 9999, 1, 1), Arm(0.11, 0.11 * 0.89 / 9999, 1, 1)))
    weight = 0.05**2 / (0.05**2 + error**2)
    assert prior_of(asked).std == 0.05
    assert found.shrunken_lift == pytest.approx(weight * 0.1, rel=1e-3)
    posterior = stats.norm(weight * 0.1, weight**0.5 * error)
    assert found.p_win == pytest.approx(posterior.sf(asked.worth_shipping), rel=1e-3)
    loss = posterior.expect(lambda lift: max(-lift, 0.0))
    assert found.expected_loss == pytest.approx(loss, rel=0.02)
