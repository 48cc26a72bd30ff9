"""Non-binding futility bounds: when to give up a group sequential test without touching its alpha.

Beta is spent as alpha is (Pampallona, Tsiatis, Kim 2001, Drug Information Journal 35); crossing a futility bound
is advice, so the efficacy bounds stay what they are without it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from upshot.model.plan import Spending
from upshot.stats.group_sequential import bounds, spent

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)


def futility_bounds(
    fractions: Sequence[float],
    alpha: float = 0.05,
    power: float = 0.8,
    spending: Spending = "obrien_fleming",
) -> tuple[float, ...]:
    """The z in the wanted direction below which each look would advise to stop; at the end the efficacy bound.

    The drift is the one at which the two meet at the last look, so the test keeps its power if the advice is
    followed.

    Args:
        fractions: increasing, the last one 1.
        alpha: two-sided level. power: in (0, 1); 1 - power is spent.
    """
    upper = bounds(fractions, alpha, spending)
    low, high = 0.0, 20.0
    for _ in range(50):
        drift = (low + high) / 2
        lower = _spend_beta(fractions, upper, 1 - power, spending, drift)
        if lower[-1] < upper[-1]:
            low = drift
        else:
            high = drift
    lower = _spend_beta(fractions, upper, 1 - power, spending, (low + high) / 2)
    return (*lower[:-1], upper[-1])


def _spend_beta(
    fractions: Sequence[float], upper: Sequence[float], beta: float, spending: Spending, drift: float
) -> tuple[float, ...]:
    nodes, mass, last, gone = np.zeros(1), np.ones(1), 0.0, 0.0
    result: list[float] = []
    for t, limit in zip(fractions, upper, strict=True):
        goal = float(spent(t, np.array([beta]), spending)[0])
        edge = _edge(nodes + drift * (t - last), mass, math.sqrt(t - last), goal - gone)
        ceiling = min(limit, 9.0 + drift) * math.sqrt(t)
        result.append(edge / math.sqrt(t))
        gone, edge = goal, min(max(edge, -9.0 * math.sqrt(t)), ceiling)
        nodes, mass = _carry(nodes + drift * (t - last), mass, math.sqrt(t - last), edge, ceiling)
        last = t
    return tuple(result)


def _edge(means: NDArray[np.float64], mass: NDArray[np.float64], scale: float, budget: float) -> float:
    """The point below which the next look falls with the budget's probability."""
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        if float((mass * ndtr((middle - means) / scale)).sum()) < budget:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _carry(
    means: NDArray[np.float64], mass: NDArray[np.float64], scale: float, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    half = max((high - low) / 2, 0.0)
    nodes = low + half * (_NODES + 1)
    gap = (nodes[:, None] - means[None, :]) / scale
    density = (np.exp(-0.5 * gap**2) * mass[None, :]).sum(axis=1) / (math.sqrt(2 * math.pi) * scale)
    return nodes, density * half * _WEIGHTS
