"""Group sequential monitoring: looks at planned or slipped times that together spend alpha once.

The bounds come from the recursive integral (Armitage, McPherson, Rowe 1969, JRSS A 132) with Lan and DeMets'
(1983, Biometrika 70) spending functions, two-sided and symmetric. A *fraction* is information at a look over
information at the maximum, in (0, 1]; the look at 1 spends all that is left. Statistics are normal deviates.

The density of the not yet stopped process is carried on Gauss-Legendre nodes, one look at a time, for many
levels at once; each look is computed once and remembered, so one more look costs one more step.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from upshot.errors import DataError
from upshot.model.plan import Spending
from upshot.stats.fixed import SMALLEST

FloatArray = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)
_FAR = 37.0
"""Beyond this many standard errors a tail is below the least double: nothing can cross."""
_SQRT_2PI = math.sqrt(2 * math.pi)

_LEVELS = tuple(2 * ndtr(-np.concatenate([np.arange(0.02, 4.0, 0.06), np.arange(4.0, 10.1, 0.25)])))
"""Levels at which bounds are known, for p-values in between: dense where decisions fall."""


def spent(fraction: float, alpha: FloatArray, spending: Spending) -> FloatArray:
    """Two-sided alpha spent up to a fraction of the information (Lan, DeMets 1983, eq. 4-5).

    Each side spends its own half, as rpact and gsDesign do.

    >>> spent(1.0, np.array([0.05]), "obrien_fleming").round(12).tolist()
    [0.05]
    """
    t = min(max(fraction, 0.0), 1.0)
    if t == 0:
        return np.zeros_like(alpha)
    if spending == "pocock":
        return alpha * math.log1p((math.e - 1) * t)
    result: FloatArray = 4 * ndtr(ndtri(alpha / 4) / math.sqrt(t))
    return result


@dataclass(frozen=True, slots=True)
class _State:
    """After the last of some looks, for each of A levels: bound, and the density where not stopped.

    The density is that of Brownian motion B(t) = Z sqrt(t) on ``nodes``, times the quadrature ``weights``.
    """

    bounds: FloatArray  # (A,)
    nodes: FloatArray  # (A, 160)
    mass: FloatArray  # (A, 160)


@lru_cache(maxsize=4096)
def _state(fractions: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> _State:
    alpha = np.array(levels)
    t = fractions[-1]
    if len(fractions) == 1:
        bounds = np.minimum(-ndtri(spent(t, alpha, spending) / 2), _FAR)
        start = np.zeros((len(levels), 1))
        return _carry(bounds, start, np.ones_like(start), t, t)
    before = _state(fractions[:-1], levels, spending)
    last = fractions[-2]
    if t <= last:  # a look without new information spends nothing
        return _State(np.full_like(before.bounds, math.inf), before.nodes, before.mass)
    budget = spent(t, alpha, spending) - spent(last, alpha, spending)
    bounds = _bounds(before, budget, t, last)
    return _carry(bounds, before.nodes, before.mass, t, t - last)


def _exit(state: _State, bound: FloatArray, step: float) -> FloatArray:
    """Probability of leaving (-bound, bound) on the scale of B(t) at the next look."""
    scale = math.sqrt(step)
    above = ndtr((state.nodes - bound[:, None]) / scale)
    below = ndtr((-state.nodes - bound[:, None]) / scale)
    result: FloatArray = (state.mass * (above + below)).sum(axis=1)
    return result


def _bounds(state: _State, budget: FloatArray, t: float, last: float) -> FloatArray:
    """For each level the bound that is crossed with just the budget's probability, by bisection."""
    root = math.sqrt(t)
    low, high = np.zeros_like(budget), np.full_like(budget, _FAR * root)
    for _ in range(60):
        middle = (low + high) / 2
        too_much = _exit(state, middle, t - last) > budget
        low, high = np.where(too_much, middle, low), np.where(too_much, high, middle)
    return np.where(budget > 0, (low + high) / 2 / root, math.inf)


def _carry(bounds: FloatArray, nodes: FloatArray, mass: FloatArray, t: float, step: float) -> _State:
    """The density of what goes on between the bounds at this look, on fresh nodes."""
    reach = np.minimum(bounds, 9.0) * math.sqrt(t)  # beyond 9 standard errors there is no mass to carry
    ahead = reach[:, None] * _NODES[None, :]
    gap = (ahead[:, :, None] - nodes[:, None, :]) / math.sqrt(step)
    density = (np.exp(-0.5 * gap**2) * mass[:, None, :]).sum(axis=2) / (_SQRT_2PI * math.sqrt(step))
    return _State(bounds, ahead, density * reach[:, None] * _WEIGHTS[None, :])


def _clean(fractions: Sequence[float]) -> tuple[float, ...]:
    """Fractions rounded so that equal looks share their computation, capped at 1 for an overrun."""
    result = tuple(min(round(fraction, 9), 1.0) for fraction in fractions)
    if not result or min(result) <= 0:
        raise DataError(f"information fractions are {list(fractions)}: give numbers above 0, up to 1")
    return result


def bounds(
    fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> tuple[float, ...]:
    """The critical value of |z| at each look.

    Args:
        fractions: information at each look over the maximum; uneven and slipped as they happened.
        alpha: two-sided level in (0, 1).

    Raises:
        DataError: a fraction is not positive.

    >>> [round(bound, 4) for bound in bounds([0.5, 1.0])]
    [2.9626, 1.9686]
    """
    looks = _clean(fractions)
    levels = (alpha,)
    return tuple(
        float(_state(looks[: number + 1], levels, spending).bounds[0]) for number in range(len(looks))
    )


def bound(fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming") -> float:
    """The critical value at the last of these looks."""
    return float(_state(_clean(fractions), (alpha,), spending).bounds[0])


def look_p_value(
    fractions: Sequence[float],
    z: float,
    spending: Spending = "obrien_fleming",
    levels: tuple[float, ...] = (),
) -> float:
    """The level at which the last look would just reject: its own part of the repeated p-value.

    Jennison, Turnbull (2000), "Group Sequential Methods", sect. 9.1. Between levels with known bounds the
    normal scores are joined by lines (3 digits); at ``levels`` it is exact, so p < alpha where |z| > bound.

    Raises:
        DataError: a fraction is not positive.
    """
    looks = _clean(fractions)
    exact = tuple(sorted(levels))
    known = np.concatenate([_LEVELS, exact])
    limits = np.concatenate(
        [_state(looks, _LEVELS, spending).bounds, *([_state(looks, exact, spending).bounds] if exact else [])]
    )
    order = np.argsort(limits, kind="stable")
    return _interpolate(abs(z), limits[order], -ndtri(known[order] / 2))


def _interpolate(z: float, limits: FloatArray, scores: FloatArray) -> float:
    finite = np.isfinite(limits) & (limits < _FAR)
    if not finite.any():
        return 1.0
    limits, scores = limits[finite], np.maximum.accumulate(scores[finite])
    if z <= limits[0]:
        return 1.0
    if z >= limits[-1] and len(limits) > 1:
        slope = (scores[-1] - scores[-2]) / max(limits[-1] - limits[-2], 1e-12)
        score = scores[-1] + slope * (z - limits[-1])
    else:
        score = float(np.interp(z, limits, scores))
    return float(min(max(2 * ndtr(-score), SMALLEST), 1.0))


def repeated_p_values(
    fractions: Sequence[float],
    z: Sequence[float],
    spending: Spending = "obrien_fleming",
    levels: tuple[float, ...] = (),
) -> tuple[float, ...]:
    """The running repeated p-value after each look: the smallest so far.

    Below alpha exactly when some look so far crossed its bound at alpha (for alpha among ``levels``).
    """
    running, result = 1.0, []
    for number, score in enumerate(z):
        running = min(running, look_p_value(fractions[: number + 1], score, spending, levels))
        result.append(running)
    return tuple(result)


def exit_probabilities(
    fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming", drift: float = 0.0
) -> tuple[tuple[float, float], ...]:
    """Probability of stopping above and below at each look, if the last full z has mean ``drift``."""
    looks = _clean(fractions)
    return tuple(
        _exits(looks, number, bound_, alpha, spending, drift)
        for number, bound_ in enumerate(bounds(looks, alpha, spending))
    )


def _exits(
    looks: tuple[float, ...], number: int, limit: float, alpha: float, spending: Spending, drift: float
) -> tuple[float, float]:
    """Probability of being above ``limit`` and below minus ``limit`` at one look without having stopped.

    Under a drift the carried density gets the likelihood ratio exp(drift x - drift^2 t / 2).
    """
    t = looks[number]
    edge = limit * math.sqrt(t)
    if number == 0:
        nodes, mass, last = np.zeros(1), np.ones(1), 0.0
    else:
        state = _state(looks[:number], (alpha,), spending)
        last = looks[number - 1]
        nodes = state.nodes[0]
        mass = state.mass[0] * np.exp(drift * nodes - 0.5 * drift**2 * last)
    step = t - last
    if step <= 0 or math.isinf(edge):
        return 0.0, 0.0
    scale = math.sqrt(step)
    above = float((mass * ndtr((nodes + drift * step - edge) / scale)).sum())
    below = float((mass * ndtr((-nodes - drift * step - edge) / scale)).sum())
    return above, below


def stagewise(
    fractions: Sequence[float], z: float, alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> Callable[[float], float]:
    """P(a result at least as far up as this one) as a function of the drift, in the stage-wise order.

    A result is further up if it crossed the upper bound earlier, or at the same look with a larger z
    (Fairbanks, Madsen 1982, Biometrika 69; Jennison, Turnbull 2000, sect. 8.4). ``fractions`` end with the
    look at which monitoring ended.
    """
    looks = _clean(fractions)

    def upper(drift: float) -> float:
        earlier = exit_probabilities(looks[:-1], alpha, spending, drift) if len(looks) > 1 else ()
        here = _tail(looks, z, alpha, spending, drift)
        return sum(above for above, _ in earlier) + here

    return upper


def _tail(looks: tuple[float, ...], z: float, alpha: float, spending: Spending, drift: float) -> float:
    above, _ = _exits(looks, len(looks) - 1, z, alpha, spending, drift)
    return above


def stagewise_p_value(
    fractions: Sequence[float], z: float, alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> float:
    """The two-sided p-value of a finished sequential test, in the stage-wise order; uniform without effect."""
    up = stagewise(fractions, z, alpha, spending)(0.0)
    down = stagewise(fractions, -z, alpha, spending)(0.0)
    return min(max(2 * min(up, down), SMALLEST), 1.0)


def drift_quantile(
    fractions: Sequence[float],
    z: float,
    probability: float = 0.5,
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> float:
    """The drift at which a result at least as far up as this one has this probability.

    0.5 gives the median-unbiased estimate, 0.025 and 0.975 an interval (Kim, DeMets 1987, Biometrics 43). The
    drift is the mean of z at full information: times the standard error there it is an effect.
    """
    upper = stagewise(fractions, z, alpha, spending)
    low, high = -40.0, 40.0
    for _ in range(70):
        middle = (low + high) / 2
        if upper(middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def power_at(
    drift: float, fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> float:
    """The chance that some look crosses the upper bound if z at full information has mean ``drift``."""
    return sum(above for above, _ in exit_probabilities(fractions, alpha, spending, drift))


@lru_cache(maxsize=512)
def drift_for(
    power: float, fractions: tuple[float, ...], alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> float:
    """The drift at which `power_at` is ``power``."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power_at(middle, fractions, alpha, spending) < power else (low, middle)
    return (low + high) / 2


def inflation_factor(
    looks: int, alpha: float = 0.05, power: float = 0.8, spending: Spending = "obrien_fleming"
) -> float:
    """How many times the units of a fixed test the maximum of this plan needs, with equally spaced looks.

    >>> round(inflation_factor(1), 6)
    1.0
    """
    even = tuple((number + 1) / looks for number in range(looks))
    drift = drift_for(power, even, alpha, spending)
    fixed = float(ndtri(power) - ndtri(alpha / 2))
    return (drift / drift_for(power, (1.0,), alpha, spending)) ** 2 if fixed > 0 else math.nan
