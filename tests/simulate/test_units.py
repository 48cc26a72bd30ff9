"""Units have the truth that was asked for. Seeds are fixed; tolerances are five standard errors."""

import math

import numpy as np
import pytest

from upshot.simulate.units import KINDS, Truth, draw_units

N = 200_000
SHAPES = [("binary", 0.2), ("normal", 10.0), ("revenue", 8.0), ("count", 3.0), ("ratio", 0.3)]


@pytest.mark.parametrize(("shape", "baseline"), SHAPES)
@pytest.mark.parametrize("lift", [-0.1, 0.0, 0.3])
def test_the_mean_is_the_baseline_with_its_lift(shape: str, baseline: float, lift: float) -> None:
    columns = draw_units(Truth(shape=shape, baseline=baseline), lift, N, np.random.default_rng(1))
    if shape == "ratio":
        mean = columns[:, 0].sum() / columns[:, 1].sum()
        spread = np.std(columns[:, 0] - mean * columns[:, 1]) / columns[:, 1].mean()
    else:
        mean, spread = columns[:, 0].mean(), columns[:, 0].std()
    assert mean == pytest.approx(baseline * (1 + lift), abs=5 * spread / math.sqrt(N))


@pytest.mark.parametrize(("shape", "baseline"), SHAPES)
def test_the_time_before_tells_of_the_time_within_but_not_of_the_lift(shape: str, baseline: float) -> None:
    truth = Truth(shape=shape, baseline=baseline, covariate=True)
    plain, lifted = (draw_units(truth, lift, N, np.random.default_rng(2)) for lift in (0.0, 0.5))
    assert np.corrcoef(plain[:, 0], plain[:, -1])[0, 1] > 0.1
    assert plain[:, -1].mean() == pytest.approx(lifted[:, -1].mean(), rel=0.05)


def test_shapes_spread_as_they_are_called() -> None:
    rng = np.random.default_rng(3)
    revenue = draw_units(Truth(shape="revenue", baseline=8.0), 0.0, N, rng)[:, 0]
    assert (revenue == 0).mean() == pytest.approx(0.8, abs=0.01)
    assert ((revenue - revenue.mean()) ** 3).mean() / revenue.std() ** 3 > 5
    count = draw_units(Truth(shape="count", baseline=3.0), 0.0, N, rng)[:, 0]
    assert count.var() > 1.5 * count.mean()
    assert set(KINDS) == {shape for shape, _ in SHAPES}
