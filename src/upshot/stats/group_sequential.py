"""Group sequential monitoring: how far alpha is spent at each look, and what may be claimed there.

Two-sided tests with symmetric bounds. At a look with information fraction t (units now over units at the
maximum) the chance of a false claim so far may be 2 f(t; alpha/2), f a spending function (Lan, DeMets 1983,
Biometrika 70). Looks may be uneven, slip or be left out: what was not spent is kept for later. The look at
the maximum spends the rest.

A level is the two-sided alpha of the whole experiment. Every function takes the fractions of *all* looks so
far, in order. Without new information a look has the bound of the look before; once all is spent, infinity.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from upshot.errors import InputError
from upshot.model.plan import Spending
from upshot.stats.crossing import (
    FloatArray,
    Walk,
    below,
    between,
    crossing_probabilities,
    drift_for,
    start,
    too_near,
)
from upshot.stats.fixed import SMALLEST
from upshot.stats.interval import Interval
from upshot.stats.root import solve
from upshot.stats.spending import level_of, levels_for, look_at, looks_at, spent


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
    return tuple(float(look.bounds[0]) for look in looks_at(times, (alpha,), spending))


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
    levels = levels_for(alpha)
    looks = looks_at(times, levels, spending)
    at_look = [
        level_of(scores[..., k], look, levels, times[: k + 1], spending) for k, look in enumerate(looks)
    ]
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
    levels = levels_for(alpha)
    look = look_at(times, levels, spending)
    return min(before, float(level_of(np.asarray(abs(z)), look, levels, times, spending)))


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
    nothing happens; for a single look, the fixed p-value. A test stops at its first significant look: where it
    went on beyond that, give the looks up to it.

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
    low, high = (
        _stagewise_quantile(fractions, effect, std_error, alpha, spending, share)
        for share in (alpha / 2, 1 - alpha / 2)
    )
    return Interval(low, high)


def inflation_factor(
    looks: int, alpha: float = 0.05, power: float = 0.8, spending: Spending = "obrien_fleming"
) -> float:
    """How many times the units of a fixed test the maximum of a design with equal looks must be.

    Jennison, Turnbull (2000), sect. 2.3 and 7.2.

    >>> round(inflation_factor(5, 0.05, 0.8), 3)
    1.025
    """
    if looks < 1:
        raise InputError(f"looks is {looks}: give 1 or more")
    fractions = tuple(look / looks for look in range(1, looks + 1))
    fixed = float(-ndtri(alpha / 2) + ndtri(power))
    return (drift_for(fractions, bounds(fractions, alpha, spending), power) / fixed) ** 2


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


def _stagewise(
    fractions: Sequence[float], z: float, alpha: float, spending: Spending, drift: float
) -> tuple[float, float]:
    """The chance of an outcome at least as high, and at least as low, in the stage-wise order."""
    times = _checked(fractions, alpha)
    limits = bounds(times, alpha, spending)
    times, limits = _apart(times, limits)
    up, down = crossing_probabilities(times, [*limits[:-1], z], [*(-c for c in limits[:-1]), z], drift)
    return float(up.sum()), float(down.sum())


def _apart(
    times: tuple[float, ...], limits: tuple[float, ...]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The last look and those before it that are not too near to it."""
    kept = [k for k, time in enumerate(times[:-1]) if not too_near(time, times[-1])]
    kept.append(len(times) - 1)
    return tuple(times[k] for k in kept), tuple(limits[k] for k in kept)


def _stagewise_quantile(
    fractions: Sequence[float],
    effect: float,
    std_error: float,
    alpha: float,
    spending: Spending,
    share: float,
) -> float:
    """The effect under which an outcome at least as high has probability ``share``."""
    if not std_error > 0:
        raise InputError(f"std_error is {std_error}: give a positive number")
    z = effect / std_error

    def missing(drift: float) -> float:
        over, under = _stagewise(fractions, z, alpha, spending, drift)
        return over - share if share < 0.5 else (1 - share) - under

    root = math.sqrt(fractions[-1])
    low, high = (z - 2) / root, (z + 2) / root
    while missing(low) > 0:
        low -= 2 / root
    while missing(high) < 0:
        high += 2 / root
    return solve(missing, low, high, 1e-10) * root * std_error


def _futility_for(
    drift: float, times: tuple[float, ...], efficacy: tuple[float, ...], steps: FloatArray
) -> list[float]:
    """The bounds that spend beta under a drift; those after the game is over are infinite."""
    walk, result = start(drift=drift), []
    for time, high, step in zip(times, efficacy, steps, strict=True):
        if too_near(walk.time, time) or math.isinf(high) or step < 1e-12:
            result.append(-math.inf)
            continue
        low = _futility_at(walk, time, float(step))
        result.append(low)
        if low >= high:
            return [*result, *([math.inf] * (len(times) - len(result)))]
        walk = between(walk, time, low, high)
    return result


def _futility_at(walk: Walk, time: float, step: float) -> float:
    """The z below which the paths that are left have probability ``step``; infinity if fewer are left."""
    root = math.sqrt(time)

    def missing(z: float) -> float:
        return float(below(walk, time, z * root)) - step

    centre = walk.drift * root
    if missing(centre + 12) <= 0:
        return math.inf
    return solve(missing, centre - 12, centre + 12, 1e-12)
