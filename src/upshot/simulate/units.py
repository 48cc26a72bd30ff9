"""Units of a made-up world: what each did before the experiment and in it.

Every shape has a mean that is exactly the baseline times one plus the lift, and a latent habit shared by the
time before and the time within, so that covariates help as much as they do in life.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upshot.model.metric import Kind

Shape = Literal["binary", "normal", "revenue", "count", "ratio"]
FloatArray = NDArray[np.float64]

KINDS: Mapping[Shape, Kind] = {
    "binary": "proportion",
    "normal": "mean",
    "revenue": "mean",
    "count": "count",
    "ratio": "ratio",
}
BUYERS = (0.02, 0.38)  # chance to spend anything, of the two halves of the units, of a `revenue`
SPREAD = 1.0  # log-scale standard deviation of what a buyer spends


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What is true of one metric.

    Attributes:
        shape: how it spreads among units: ``binary`` (a share), ``normal``, ``revenue`` (20% spend,
            log-normal amounts), ``count`` (gamma-Poisson), ``ratio`` (successes per session).
        baseline: the mean in control, in (0, 0.5) for ``binary`` and ``ratio``, else above 0.
        lifts: true relative lift of each other variant; 0 where none is named.
        std: of ``normal``: standard deviation per unit, relative to the baseline.
        covariate: whether a measure of the time before is drawn too.
        half_life: days after the start in which the lift of newcomers halves; None: it stays.
    """

    shape: Shape
    baseline: float
    lifts: Mapping[str, float] = field(default_factory=dict)
    std: float = 1.0
    covariate: bool = False
    half_life: float | None = None

    def effect_in(self, variant: str) -> float:
        """The true effect of a variant: its mean minus that of control."""
        return self.baseline * self.lifts.get(variant, 0.0)


def draw_units(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> FloatArray:
    """Columns of n units: the outcome, its denominator (``ratio``), then the covariate where there is one.

    Args:
        truth: what is true. lift: the relative lift of each unit, shape (n,) or one for all.
        n: units to draw. rng: where chance comes from.
    """
    outcome, before = SHAPES[truth.shape](truth, lift, n, rng)
    return np.column_stack([*outcome, before] if truth.covariate else [*outcome])


Drawn = tuple[tuple[FloatArray, ...], FloatArray]


def _binary(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> Drawn:
    habit = rng.uniform(0, 2, n)
    outcome = rng.random(n) < truth.baseline * (1 + lift) * habit
    return (outcome.astype(float),), rng.poisson(3 * habit).astype(float)


def _normal(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> Drawn:
    habit, std = rng.standard_normal(n), truth.std * truth.baseline
    outcome = truth.baseline * (1 + lift) + std * (0.6 * habit + 0.8 * rng.standard_normal(n))
    return (outcome,), truth.baseline + std * habit


def _revenue(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> Drawn:
    habit = 0.8 * SPREAD * rng.standard_normal(n)
    own = 0.6 * SPREAD
    centre = np.log(truth.baseline / np.mean(BUYERS)) - SPREAD**2 / 2
    chance = np.where(rng.random(n) < 0.5, *BUYERS)
    buys, bought = rng.random(n) < chance, rng.random(n) < chance
    outcome = buys * np.exp(centre + habit + own * rng.standard_normal(n)) * (1 + lift)
    return (outcome,), bought * np.exp(centre + habit + own * rng.standard_normal(n))


def _count(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> Drawn:
    rate = truth.baseline * rng.gamma(2.0, 0.5, n)
    return (rng.poisson(rate * (1 + lift)).astype(float),), rng.poisson(rate).astype(float)


def _ratio(truth: Truth, lift: FloatArray | float, n: int, rng: np.random.Generator) -> Drawn:
    habit = rng.uniform(0.2, 1.8, n)
    sessions, before = 1 + rng.poisson(2.0, n), 1 + rng.poisson(2.0, n)
    successes = rng.binomial(sessions, np.minimum(truth.baseline * (1 + lift) * habit, 1.0))
    earlier = rng.binomial(before, truth.baseline * habit)
    return (successes.astype(float), sessions.astype(float)), earlier / before


SHAPES: Mapping[Shape, Callable[[Truth, FloatArray | float, int, np.random.Generator], Drawn]] = {
    "binary": _binary,
    "normal": _normal,
    "revenue": _revenue,
    "count": _count,
    "ratio": _ratio,
}
