"""Brownian motion that is looked at now and then, and taken out when it is seen beyond a bound.

The score S(t) = z * sqrt(t) of a test at information t has independent normal increments, so the law of the
paths that were not taken out is carried from look to look by one integral (Armitage, McPherson, Rowe 1969,
JRSS A 132). Gauss-Legendre nodes carry it; each look is linear in the looks, nothing is recomputed.

All laws are kept without drift: with drift theta they are multiplied by exp(theta s - theta^2 t / 2), so one
walk answers for every drift.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]

NO_STEP = 1e-9
"""Information gained that counts as none."""


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """The paths still in the game at an information time.

    Attributes:
        time: information so far, 0 at the start.
        nodes, mass: shape (..., k): where the paths are and how much probability each node stands for.
    """

    time: float
    nodes: FloatArray
    mass: FloatArray


def start(*shape: int, mass: float = 1.0) -> Walk:
    """All paths at 0; ``shape`` for several walks at once."""
    return Walk(0.0, np.zeros((*shape, 1)), np.full((*shape, 1), mass))


def density(walk: Walk, time: float, points: FloatArray) -> FloatArray:
    """The law at a later time, at points of shape (..., p), before anything is taken out there."""
    spread = math.sqrt(time - walk.time)
    steps = (points[..., :, None] - walk.nodes[..., None, :]) / spread
    np.multiply(steps, steps, out=steps)
    steps *= -0.5
    np.exp(steps, out=steps)
    result: FloatArray = (steps @ walk.mass[..., None])[..., 0] / (spread * math.sqrt(2 * math.pi))
    return result


def above(walk: Walk, time: float, level: FloatArray | float, drift: FloatArray | float = 0.0) -> FloatArray:
    """The probability to be in the game and beyond ``level`` at a later time; level and drift broadcast."""
    level_, drift_ = np.asarray(level, float)[..., None], np.asarray(drift, float)[..., None]
    step = time - walk.time
    tails = ndtr((walk.nodes + drift_ * step - level_) / math.sqrt(step))
    return _tilted(walk, drift_, tails)


def below(walk: Walk, time: float, level: FloatArray | float, drift: FloatArray | float = 0.0) -> FloatArray:
    """The probability to be in the game and below ``level`` at a later time."""
    mirrored = Walk(walk.time, -walk.nodes, walk.mass)
    return above(mirrored, time, -np.asarray(level, float), -np.asarray(drift, float))


def advance(
    walk: Walk, time: float, low: FloatArray | float, high: FloatArray | float, mirrored: bool = False
) -> Walk:
    """The paths between ``low`` and ``high`` at a later time.

    ``mirrored``: only the upper half is kept of a law that is symmetric about 0 (then ``low`` is 0).
    """
    low_, high_ = np.asarray(low, float)[..., None], np.asarray(high, float)[..., None]
    spread = math.sqrt(time - walk.time)
    x, weights = legendre(_count(float(np.max(high_ - low_)) / spread, mirrored))
    half = (high_ - low_) / 2
    nodes = low_ + half * (x + 1)
    law = density(walk, time, nodes)
    if mirrored:
        law += density(walk, time, -nodes)
    return Walk(time, nodes, law * weights * half)


def crossing_probabilities(
    fractions: Sequence[float],
    upper: Sequence[float],
    lower: Sequence[float],
    drift: float | Sequence[float] | FloatArray = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """The chance to leave first at each look, by the upper and by the lower bound of z.

    Args:
        upper, lower: bounds of z at each look; may be infinite.
        drift: the mean of z at information 1 (effect over its standard error there); any shape.

    Returns:
        Two arrays of the shape of drift plus (looks,).
    """
    drifts = np.asarray(drift, float)
    walk, up, down = start(), [], []
    for time, high, low in zip(fractions, upper, lower, strict=True):
        if time - walk.time <= NO_STEP:
            up.append(np.zeros(drifts.shape))
            down.append(np.zeros(drifts.shape))
            continue
        root = math.sqrt(time)
        up.append(above(walk, time, high * root, drifts))
        down.append(below(walk, time, low * root, drifts))
        reach = 9.0 + float(np.abs(drifts).max(initial=0.0)) * root
        edges = max(low, -reach), min(high, reach)
        if edges[0] >= edges[1]:  # nobody can go on
            walk = Walk(time, np.zeros(1), np.zeros(1))
        else:
            walk = advance(walk, time, edges[0] * root, edges[1] * root)
    return np.stack(up, axis=-1), np.stack(down, axis=-1)


def _tilted(walk: Walk, drift: FloatArray, values: FloatArray) -> FloatArray:
    """The sum of values over the paths, under a drift."""
    tilt = np.exp(drift * walk.nodes - drift**2 * walk.time / 2)
    result: FloatArray = (values * walk.mass * tilt).sum(axis=-1)
    return result


def _count(width: float, mirrored: bool) -> int:
    """How many nodes a region of so many step deviations needs: 1.4 a deviation are good for 1e-8."""
    least = 24 if mirrored else 48
    return int(min(max(least, 8 * math.ceil(1.4 * width / 8)), 1024))


@lru_cache(maxsize=64)
def legendre(count: int) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on [-1, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights
