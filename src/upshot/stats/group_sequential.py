"""Group sequential monitoring: how far alpha is spent at each look, and what may be claimed there.

Two-sided tests with symmetric bounds. At a look with information fraction t (units now over units at the
maximum) the chance of a false claim so far may be 2 f(t; alpha/2), f a spending function (Lan, DeMets 1983,
Biometrika 70). Looks may be uneven, slip or be left out: what was not spent is kept for later. The look at
the maximum spends the rest.

A level is the two-sided alpha of the whole experiment. Every function takes the fractions of *all* looks so
far, in order; a look without new information has the bound infinity.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from upshot.errors import InputError
from upshot.model.plan import Spending
from upshot.stats.crossing import FloatArray, Walk, above, advance, below, density, start
from upshot.stats.fixed import SMALLEST
from upshot.stats.interval import Interval
from upshot.stats.root import solve

_NO_STEP = 1e-9
"""Information gained that counts as none."""

_LEAST_LEVEL = 1e-8
"""Repeated p-values below this level are an upper bound, not exact."""

_FAMILY = 20
"""Repeated p-values are exact at alpha / m for every family size m up to this."""


def spent(fraction: float | FloatArray, level: float | FloatArray, spending: Spending) -> FloatArray:
    """The two-sided error that may be spent up to an information fraction.

    ``obrien_fleming``: 4 (1 - Phi(z_{level/4} / sqrt(t))); ``pocock``: level log(1 + (e - 1) t)
    (Lan, DeMets 1983), each side having half, as in WinLD, gsDesign and rpact.

    >>> round(float(spent(0.5, 0.05, "obrien_fleming")), 6)
    0.00305
    """
    share = np.minimum(np.asarray(fraction, float), 1.0)
    level_ = np.asarray(level, float)
    if spending == "pocock":
        return np.asarray(level_ * np.log1p((math.e - 1) * share))
    with np.errstate(divide="ignore"):
        return np.asarray(4 * ndtr(ndtri(level_ / 4) / np.sqrt(share)))


def bounds(
    fractions: Sequence[float], alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> tuple[float, ...]:
    """The critical value of |z| at each look.

    Args:
        fractions: information at each look over that at the maximum, all above 0; from 1 on all is spent.
        alpha: two-sided level of the whole, in (0, 1).

    Returns:
        One critical value a look; infinity where nothing can be claimed.

    Raises:
        InputError: alpha outside (0, 1), no looks, or a fraction that is not positive.

    >>> [round(c, 3) for c in bounds([0.2, 0.4, 0.6, 0.8, 1.0])]
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    times = _checked(fractions, alpha)
    return tuple(float(look.bounds[0]) for look in _looks(times, (alpha,), spending))


def repeated_p_values(
    fractions: Sequence[float],
    z: Sequence[float] | FloatArray,
    spending: Spending = "obrien_fleming",
    alpha: float = 0.05,
) -> FloatArray:
    """The running p-value at each look: the least level whose bounds were met at this look or before.

    Jennison, Turnbull (2000), sect. 9.3.2. It is below a level exactly when |z| was beyond the bound of that
    level at some look; exactly so at ``alpha`` / m for families of m = 1 to 20 tests, elsewhere up to an
    interpolation error below 0.1% of p; below 1e-8 it is an upper bound (union over looks).

    Args:
        z: shape (..., looks): the normal score of each look's own test.

    Returns:
        Shape of z, in (0, 1], never rising from look to look.
    """
    scores = np.abs(np.asarray(z, float))
    times = _checked(fractions, alpha)
    if scores.shape[-1:] != (len(times),):
        raise InputError(f"z has {scores.shape[-1] if scores.ndim else 0} looks, fractions {len(times)}")
    levels = _levels(alpha)
    looks = _looks(times, levels, spending)
    at_look = [_level_of(scores[..., k], look, levels, spending) for k, look in enumerate(looks)]
    return np.minimum.accumulate(np.stack(at_look, axis=-1), axis=-1)


def repeated_p_value(
    fractions: Sequence[float],
    z: float,
    before: float = 1.0,
    spending: Spending = "obrien_fleming",
    alpha: float = 0.05,
) -> float:
    """The running p-value at the last of these looks, given that of the look before: costs one look.

    >>> first = repeated_p_value([0.5], 3.2)
    >>> last = repeated_p_value([0.5, 1.0], 1.5, before=first)
    >>> all(repeated_p_values([0.5, 1.0], [3.2, 1.5]) == [first, last])
    True
    """
    times = _checked(fractions, alpha)
    levels = _levels(alpha)
    look = _look(times, levels, spending)
    return min(before, float(_level_of(np.asarray(abs(z)), look, levels, spending)))


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
        if time - walk.time <= _NO_STEP:
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


@dataclass(frozen=True, slots=True)
class Futility:
    """Bounds below which going on is not worth it.

    Attributes:
        bounds: of z, in the wanted direction, one a look; the last equals the efficacy bound.
        drift: the mean of z at information 1 for which the design with these bounds has its power.
    """

    bounds: tuple[float, ...]
    drift: float


def futility_bounds(
    fractions: Sequence[float],
    alpha: float = 0.05,
    power: float = 0.8,
    spending: Spending = "obrien_fleming",
) -> Futility:
    """Non-binding futility: where the chance of success is too small to go on.

    Beta = 1 - power is spent by the same kind of function over the same fractions, under the drift that has
    the power (Pampallona, Tsiatis, Kim 2001, Drug Information Journal 35). Non-binding: the efficacy bounds
    are those without futility, so ignoring a futility bound never costs alpha. The last fraction counts as
    the maximum.
    """
    times = _checked(fractions, alpha)
    efficacy = bounds(times, alpha, spending)
    if not 0 < power < 1:
        raise InputError(f"power is {power}: give a number between 0 and 1")
    steps = np.diff(spent(np.asarray(times) / times[-1], 2 * (1 - power), spending) / 2, prepend=0.0)

    def excess(drift: float) -> float:
        return _futility_for(drift, times, efficacy, steps)[-1] - efficacy[-1]

    fixed = float(-ndtri(alpha / 2) + ndtri(power)) / math.sqrt(times[-1])
    drift = solve(excess, 0.8 * fixed, 2.5 * fixed, 1e-10)
    return Futility((*_futility_for(drift, times, efficacy, steps)[:-1], efficacy[-1]), drift)


def stagewise_p_value(
    fractions: Sequence[float], z: float, alpha: float = 0.05, spending: Spending = "obrien_fleming"
) -> float:
    """The two-sided p-value of a test that stopped at the last of these looks with ``z``.

    Earlier stops count as more extreme, then larger z (Fairbanks, Madsen 1982, Biometrika 69). Uniform when
    nothing happens; for a single look, the fixed p-value.

    >>> round(stagewise_p_value([1.0], 1.959964), 4)
    0.05
    """
    over, under = _stagewise(fractions, z, alpha, spending, 0.0)
    return float(min(max(2 * min(over, under), SMALLEST), 1.0))


def median_unbiased(
    fractions: Sequence[float],
    effect: float,
    std_error: float,
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> float:
    """The estimate that is too high as often as too low, for a test that stopped at the last look.

    An estimate at an early stop is exaggerated; this one is not (Jennison, Turnbull 2000, sect. 8.3). In the
    unit of effect.

    >>> estimate = median_unbiased([0.25, 0.5], 3.1, 1.0)
    >>> 2.5 < estimate < 3.1
    True
    """
    return _stagewise_quantile(fractions, effect, std_error, alpha, spending, 0.5)


def stagewise_interval(
    fractions: Sequence[float],
    effect: float,
    std_error: float,
    alpha: float = 0.05,
    spending: Spending = "obrien_fleming",
) -> Interval:
    """The interval of the effects that `stagewise_p_value` does not reject at ``alpha``; for a closed test."""
    ends = [
        _stagewise_quantile(fractions, effect, std_error, alpha, spending, share)
        for share in (alpha / 2, 1 - alpha / 2)
    ]
    return Interval(*ends)


@lru_cache(maxsize=256)
def drift_for(fractions: tuple[float, ...], alpha: float, power: float, spending: Spending) -> float:
    """The mean of z at information 1 that is found, in its own direction, with this power."""
    limit = bounds(fractions, alpha, spending)
    none = [-c for c in limit]
    fixed = float(-ndtri(alpha / 2) + ndtri(power)) / math.sqrt(fractions[-1])

    def missing(drift: float) -> float:
        return float(crossing_probabilities(fractions, limit, none, drift)[0].sum()) - power

    return solve(missing, 0.5 * fixed, 3.0 * fixed, 1e-10)


def inflation_factor(
    looks: int, alpha: float = 0.05, power: float = 0.8, spending: Spending = "obrien_fleming"
) -> float:
    """How many times the units of a fixed test the maximum of a design with equal looks must be.

    Jennison, Turnbull (2000), sect. 2.3 and 7.2.

    >>> round(inflation_factor(5, 0.05, 0.8), 3)
    1.028
    """
    fractions = tuple((np.arange(1, looks + 1) / looks).tolist())
    fixed = float(-ndtri(alpha / 2) + ndtri(power))
    return (drift_for(fractions, alpha, power, spending) / fixed) ** 2


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """The bounds of every level at one look, the paths that go on, and the error spent at it."""

    walk: Walk
    bounds: FloatArray
    step: float
    previous: float


def _checked(fractions: Sequence[float], alpha: float) -> tuple[float, ...]:
    times = tuple(float(fraction) for fraction in fractions)
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}: give a number between 0 and 1")
    if not times:
        raise InputError("no looks: give the information fraction of one look at least")
    for time in times:
        if not (0 < time < math.inf):
            raise InputError(
                f"an information fraction is {time}: give units so far over units at the maximum"
            )
    return times


def _looks(times: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> list[_Look]:
    return [_look(times[: k + 1], levels, spending) for k in range(len(times))]


@lru_cache(maxsize=1024)
def _look(times: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> _Look:
    """The last of these looks; the looks before it are shared by every later one."""
    before = _look(times[:-1], levels, spending) if len(times) > 1 else None
    walk = before.walk if before else start(len(levels), mass=0.5)
    alphas = np.asarray(levels)
    time = times[-1]
    if time - walk.time <= _NO_STEP:
        return _Look(walk, np.full(len(levels), math.inf), walk.time, walk.time)
    step = spent(time, alphas, spending) - (spent(walk.time, alphas, spending) if walk.time else 0.0)
    limits = _solve_bounds(walk, time, step)
    reach = np.minimum(limits / math.sqrt(time), 5 - ndtri(alphas / 2)) * math.sqrt(time)
    return _Look(
        advance(walk, time, np.zeros(len(levels)), np.maximum(reach, 1e-9), mirrored=True),
        limits / math.sqrt(time),
        time,
        walk.time,
    )


def _solve_bounds(walk: Walk, time: float, step: FloatArray) -> FloatArray:
    """The scores b with P(still in, |S| > b) = step, by Newton's method on the logarithm of a concave tail.

    It starts at the bound that ignores the looks before, which is beyond the solution, so each iteration
    falls towards it.
    """
    usable = step > SMALLEST * 1e8
    target = np.where(usable, step, 1e-3)
    score = -ndtri(target / 2) * math.sqrt(time)
    for _ in range(40):
        tail = 2 * (above(walk, time, score) + above(walk, time, -score) * 0 + below(walk, time, -score))
        points = np.stack([score, -score], axis=-1)
        slope = 2 * density(walk, time, points).sum(axis=-1)
        move = np.log(tail / target) * tail / slope
        score = np.maximum(score + move, 0.0)
        if np.abs(move).max() < 1e-13 * math.sqrt(time):
            break
    return np.where(usable, score, math.inf)
