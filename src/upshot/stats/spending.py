"""Error spending: the bounds of many levels at once, look by look.

A level is the two-sided alpha of a whole experiment. The bounds of all levels walk together, so a repeated
p-value (the least level whose bound was met) is a search in a table; and a look that is added costs one step,
because the looks before it are kept.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri

from upshot.model.plan import Spending
from upshot.stats.crossing import FloatArray, Walk, above, advance, below, density, start, too_near
from upshot.stats.fixed import SMALLEST

_LEAST_LEVEL = 1e-8
"""Levels below this one are bounded from above, not exact."""

_FAMILY = 20
"""Levels are exact at alpha / m for every family size m up to this."""

_STRIDE = 100
"""So many looks are walked at a time: a long history is not one deep recursion."""


def spent(fraction: float | FloatArray, level: float | FloatArray, spending: Spending) -> FloatArray:
    """The two-sided error that may be spent up to an information fraction.

    ``obrien_fleming``: 4 (1 - Phi(z_{level/4} / sqrt(t))); ``pocock``: level log(1 + (e - 1) t)
    (Lan, DeMets 1983), each side having half, as in WinLD, gsDesign and rpact.

    >>> round(float(spent(0.5, 0.05, "obrien_fleming")), 6)
    0.003051
    """
    share = np.minimum(np.asarray(fraction, float), 1.0)
    level_ = np.asarray(level, float)
    if spending == "pocock":
        return np.asarray(level_ * np.log1p((math.e - 1) * share))
    with np.errstate(divide="ignore"):
        return np.asarray(4 * ndtr(ndtri(level_ / 4) / np.sqrt(share)))


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A look, for every level at once.

    Attributes:
        walk: the paths that go on, at this look or at the one before that it is too near to.
        bounds: of |z|. spent_to: the information time up to which error was spent.
        score, edge: the bound of the score at the walk's look, and the law of the score there.
    """

    walk: Walk
    bounds: FloatArray
    spent_to: float
    score: FloatArray
    edge: FloatArray


def looks_at(times: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> list[Look]:
    """Each of these looks."""
    return [look_at(times[: k + 1], levels, spending) for k in range(len(times))]


def look_at(times: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> Look:
    """The last of these looks; the looks before it are shared by every later one."""
    for k in range(_STRIDE, len(times), _STRIDE):
        _look(times[:k], levels, spending)
    return _look(times, levels, spending)


@lru_cache(maxsize=512)
def _look(times: tuple[float, ...], levels: tuple[float, ...], spending: Spending) -> Look:
    if not times:
        nothing = np.full(len(levels), math.inf)
        return Look(start(len(levels), mass=0.5), nothing, 0.0, nothing, np.zeros(len(levels)))
    before, time = _look(times[:-1], levels, spending), times[-1]
    if time <= before.spent_to:  # nothing new: what could be claimed before can be claimed still
        return before
    alphas = np.asarray(levels)
    share = _gain(before.spent_to, time, alphas, spending)
    if too_near(before.walk.time, time):
        return replace(before, bounds=_layer(before, time, share), spent_to=time)
    limits = _solve_bounds(before.walk, time, share)
    far = (5 - ndtri(alphas / 2)) * math.sqrt(time)  # nobody is beyond it, whatever the bound
    seen = np.clip(limits, 1e-9, far)
    edge = density(before.walk, time, np.stack([seen, -seen], axis=-1)).sum(axis=-1)
    walk = advance(before.walk, time, np.zeros(len(levels)), seen, mirrored=True)
    return Look(walk, limits / math.sqrt(time), time, limits, edge)


def _layer(before: Look, time: float, share: FloatArray) -> FloatArray:
    """Bounds of a look so near to the one before that only paths at its edge can cross in between.

    With edge law g and step deviation s, at most 2 g s L(x) leave beyond x step deviations, L the normal loss
    (the law falls outwards, so g is taken 3 s further in). The walk stays where it was, which is cautious.
    """
    step = math.sqrt(time - before.walk.time)
    inside = before.edge * np.exp(np.minimum(3 * step * before.score / before.walk.time, 50.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(inside > 0, share / (2 * inside * step), math.inf)
    low, high = np.zeros(len(share)), np.full(len(share), 38.0)
    for _ in range(50):
        x = (low + high) / 2
        loss = np.exp(-x * x / 2) / math.sqrt(2 * math.pi) - x * ndtr(-x)
        low, high = np.where(loss > room, x, low), np.where(loss > room, high, x)
    return np.asarray((before.score + high * step) / math.sqrt(time))


def _gain(before: float, time: float, level: FloatArray, spending: Spending) -> FloatArray:
    """The error to be spent between two information times."""
    return spent(time, level, spending) - (spent(before, level, spending) if before else 0.0)


def _solve_bounds(walk: Walk, time: float, step: FloatArray) -> FloatArray:
    """The scores b with P(still in, |S| > b) = step, by Newton's method on the logarithm of a concave tail.

    It starts beyond the solution, so each iteration falls towards it: at the bound that ignores the looks
    before, or at the one for which all paths left were at the edge, whichever is nearer. A share too small for
    a number has no bound; where no more than the share is left (levels near 1), the bound is 0.
    """
    left = 2 * np.maximum(walk.mass.sum(axis=-1), SMALLEST)
    none, all_ = step < SMALLEST * 1e8, step > left * (1 - 1e-9)
    target = np.where(none | all_, left / 2, step)
    alone = -ndtri(target / 2) * math.sqrt(time)
    score = np.minimum(alone, walk.nodes[..., -1] - ndtri(target / left / 2) * math.sqrt(time - walk.time))
    for _ in range(40):
        tail = np.maximum(2 * (above(walk, time, score) + below(walk, time, -score)), SMALLEST)
        points = np.stack([score, -score], axis=-1)
        slope = np.maximum(2 * density(walk, time, points).sum(axis=-1), SMALLEST)
        move = np.log(tail / target) * tail / slope
        score = np.maximum(score + move, 0.0)
        if np.abs(move).max() < 1e-13 * math.sqrt(time):
            break
    return np.where(none, math.inf, np.where(all_, 0.0, score))


@lru_cache(maxsize=64)
def levels_for(alpha: float) -> tuple[float, ...]:
    """The levels whose bounds are tabulated, falling: an even grid of normal scores, and alpha / m."""
    grid = 2 * ndtr(-np.linspace(1e-3, -ndtri(_LEAST_LEVEL / 2), 24))
    shares = alpha / np.arange(1, _FAMILY + 1)
    return tuple(sorted({*grid.tolist(), *shares.tolist()}, reverse=True))


def level_of(
    scores: FloatArray, look: Look, levels: tuple[float, ...], times: tuple[float, ...], spending: Spending
) -> FloatArray:
    """The least level whose bound at this look is met by each |z|; 1 where none is."""
    alphas = np.asarray(levels)
    limits = np.minimum.accumulate(look.bounds[::-1])[::-1]  # a level is met if a smaller one is
    at = np.searchsorted(limits, scores, side="right") - 1
    here, after = np.clip(at, 0, None), np.clip(at + 1, None, len(levels) - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = limits[after] - limits[here]
        share = np.where(np.isfinite(gap) & (gap > 0), (scores - limits[here]) / gap, 0.0)
    normal = -ndtri(alphas / 2)
    level = 2 * ndtr(-(normal[here] + share * (normal[after] - normal[here])))
    level = np.where(scores > limits[here], np.minimum(level, np.nextafter(alphas[here], 0)), alphas[here])
    beyond = at == len(levels) - 1
    if beyond.any():
        level = np.where(beyond, np.minimum(level, _union_level(scores, times, spending)), level)
    return np.where(at < 0, 1.0, level)


def _union_level(scores: FloatArray, times: tuple[float, ...], spending: Spending) -> FloatArray:
    """The level whose share for this look is P(|Z| > score): the bound that ignores the looks before."""
    before = max(times[:-1], default=0.0)
    tail = np.log(2) + log_ndtr(-scores)
    low, high = np.full(scores.shape, math.log(SMALLEST)), np.full(scores.shape, math.log(_LEAST_LEVEL))
    for _ in range(60):
        middle = (low + high) / 2
        with np.errstate(divide="ignore"):
            enough = np.log(_gain(before, times[-1], np.exp(middle), spending)) >= tail
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.asarray(np.exp(high))
