"""Brownian motion that is looked at now and then, and taken out when it is seen beyond a bound.

The score S(t) = z * sqrt(t) of a test at information t has independent normal increments, so the law of the
paths that were not taken out is carried from look to look by one integral (Armitage, McPherson, Rowe 1969,
JRSS A 132). Gauss-Legendre nodes carry it; each look is linear in the looks, nothing is recomputed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from upshot.errors import InputError
from upshot.stats.root import solve

FloatArray = NDArray[np.float64]

_NEAR = 1e-3
"""Looks whose information differs by less, relatively, are too near for a walk from one to the other."""

_FAR = 10.0
"""So many standard deviations from its mean no path is followed."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The paths still in the game at an information time.

    Attributes:
        time: information so far, 0 at the start.
        nodes, mass: shape (..., k): where the paths are and how much probability each node stands for.
        drift: the mean of the score at information 1.
    """

    time: float
    nodes: FloatArray
    mass: FloatArray
    drift: float = 0.0

    def means(self, time: float) -> FloatArray:
        """Where each node's paths are expected at a later time."""
        return self.nodes + self.drift * (time - self.time)


def too_near(before: float, time: float) -> bool:
    """Whether two looks are too near for `advance`, whose nodes would have to be too many."""
    return time - before <= _NEAR * time


def start(*shape: int, mass: float = 1.0, drift: float = 0.0) -> Walk:
    """All paths at 0; ``shape`` for several walks at once."""
    return Walk(0.0, np.zeros((*shape, 1)), np.full((*shape, 1), mass), drift)


def density(walk: Walk, time: float, points: FloatArray) -> FloatArray:
    """The law at a later time, at points of shape (..., p), before anything is taken out there."""
    spread = math.sqrt(time - walk.time)
    steps = (points[..., :, None] - walk.means(time)[..., None, :]) / spread
    np.multiply(steps, steps, out=steps)
    steps *= -0.5
    np.exp(steps, out=steps)
    result: FloatArray = (steps @ walk.mass[..., None])[..., 0] / (spread * math.sqrt(2 * math.pi))
    return result


def above(walk: Walk, time: float, level: FloatArray | float) -> FloatArray:
    """The probability to be in the game and beyond ``level`` at a later time."""
    return _beyond(walk, time, level, 1.0)


def below(walk: Walk, time: float, level: FloatArray | float) -> FloatArray:
    """The probability to be in the game and below ``level`` at a later time."""
    return _beyond(walk, time, level, -1.0)


def _beyond(walk: Walk, time: float, level: FloatArray | float, side: float) -> FloatArray:
    gap = side * (walk.means(time) - np.asarray(level, float)[..., None])
    result: FloatArray = (ndtr(gap / math.sqrt(time - walk.time)) * walk.mass).sum(axis=-1)
    return result


def advance(
    walk: Walk, time: float, low: FloatArray | float, high: FloatArray | float, mirrored: bool = False
) -> Walk:
    """The paths between ``low`` and ``high`` at a later time.

    ``mirrored``: only the upper half is kept of a law that is symmetric about 0: ``low`` is 0, no drift.
    """
    low_, high_ = np.asarray(low, float)[..., None], np.asarray(high, float)[..., None]
    spread = math.sqrt(time - walk.time)
    x, weights = legendre(_count(float(np.max(high_ - low_)) / spread, mirrored))
    half = (high_ - low_) / 2
    nodes = low_ + half * (x + 1)
    law = density(walk, time, nodes)
    if mirrored:
        law += density(walk, time, -nodes)
    return Walk(time, nodes, law * weights * half, walk.drift)


def crossing_probabilities(
    fractions: Sequence[float], upper: Sequence[float], lower: Sequence[float], drift: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """The chance to leave first at each look, by the upper and by the lower bound of z.

    Args:
        fractions: information at each look. upper, lower: bounds of z there; may be infinite.
        drift: the mean of z at information 1 (effect over its standard error there).

    A look that is `too_near` to the one before counts as none.
    """
    walk = start(drift=drift)
    up, down = np.zeros(len(fractions)), np.zeros(len(fractions))
    for look, (time, high, low) in enumerate(zip(fractions, upper, lower, strict=True)):
        if too_near(walk.time, time):
            continue
        root = math.sqrt(time)
        up[look], down[look] = above(walk, time, high * root), below(walk, time, low * root)
        walk = between(walk, time, low, high)
    return up, down


def between(walk: Walk, time: float, low: float, high: float) -> Walk:
    """The paths with z between two values at a later time: none where the values cross."""
    root = math.sqrt(time)
    centre = walk.drift * root
    low, high = max(low, centre - _FAR), min(high, centre + _FAR)
    if low >= high or not walk.mass.size:
        return Walk(time, np.empty(0), np.empty(0), walk.drift)
    return advance(walk, time, low * root, high * root)


@lru_cache(maxsize=1024)
def drift_for(fractions: tuple[float, ...], bounds: tuple[float, ...], power: float) -> float:
    """The mean of z at information 1 for which some z exceeds its bound, before one is below minus its bound.

    Raises:
        InputError: power is not in (0, 1).
    """
    if not 0 < power < 1:
        raise InputError(f"power is {power}: give a number between 0 and 1")
    lower = [-bound for bound in bounds]

    def missing(drift: float) -> float:
        return float(crossing_probabilities(fractions, bounds, lower, drift)[0].sum()) - power

    low = high = max(bounds[-1] + float(ndtri(power)), 0.0) / math.sqrt(fractions[-1])
    while missing(low) > 0:
        low -= 1.0
    while missing(high) < 0:
        high += 1.0
    return solve(missing, low, high, 1e-10) if low < high else low


def _count(width: float, mirrored: bool) -> int:
    """How many nodes a region of so many step deviations needs: 1.4 a deviation are good for 1e-8."""
    least = 24 if mirrored else 48
    return int(max(least, 8 * math.ceil(1.4 * width / 8)))


@lru_cache(maxsize=64)
def legendre(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
