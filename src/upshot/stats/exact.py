"""Exact tests of a 2x2 table: Fisher's, given both margins, and Boschloo's, given only the sizes."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from upshot.stats.fixed import SMALLEST

_TIE = 1 + 1e-7
"""Tables whose probability differs by less than rounding count as equally extreme, as R and scipy do."""
_NOTHING = -300.0  # log of a probability that counts as 0


def fisher(x_c: int, n_c: int, x_t: int, n_t: int) -> float:
    """Fisher's (1935) two-sided p: the probability of all tables with these margins that are no likelier.

    >>> round(fisher(1, 10, 8, 10), 6)
    0.005477
    """
    probabilities, here = _hypergeometric(x_c + x_t, n_c, n_t, x_t)
    return _clip(float(probabilities[probabilities <= here * _TIE].sum()))


@lru_cache(maxsize=4096)
def boschloo(x_c: int, n_c: int, x_t: int, n_t: int) -> float:
    """Boschloo's (1970, Statistica Neerlandica 24) p: Fisher's one-sided p as statistic, made unconditional.

    Twice the smaller of the two one-sided p-values; each is the probability, at the least favourable common
    share, of all tables whose one-sided Fisher p is no larger. Cost grows with n_c * n_t; answers are kept.
    """
    more = _one_sided_table(n_c, n_t)
    fewer = _one_sided_table(n_c, n_t, less=True)
    sides = [
        _largest_size((table <= table[x_c, x_t] * _TIE).astype(np.float64), n_c, n_t)
        for table in (more, fewer)
    ]
    return _clip(2 * min(sides))


def _largest_size(extreme: NDArray[np.float64], n_c: int, n_t: int) -> float:
    """The probability of the extreme tables at the common share where it is largest."""
    grid = np.linspace(0.0, 1.0, 401)[1:-1]
    size = _sizes(extreme, n_c, n_t, grid)
    for _ in range(3):  # the size is a polynomial in the share: narrow the grid around its maximum
        best = int(np.argmax(size))
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], 41)
        size = _sizes(extreme, n_c, n_t, grid)
    return float(size.max())


def _clip(p: float) -> float:
    return min(max(p, SMALLEST), 1.0)


def _hypergeometric(successes: int, n_c: int, n_t: int, x_t: int) -> tuple[NDArray[np.float64], float]:
    """Probabilities of each possible treatment count given the margins, and that of the observed one."""
    low, high = max(0, successes - n_c), min(successes, n_t)
    k = np.arange(low, high + 1)
    log = _log_choose(n_t, k) + _log_choose(n_c, successes - k)
    probabilities = np.exp(log - log.max())
    probabilities /= probabilities.sum()
    return probabilities, float(probabilities[x_t - low])


def _log_choose(n: int, k: NDArray[np.int64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
    return result


def _one_sided_table(n_c: int, n_t: int, less: bool = False) -> NDArray[np.float64]:
    """P(treatment count as large (or small) or more so | margins) for every table, shape (n_c + 1, n_t + 1)."""
    table = np.ones((n_c + 1, n_t + 1))
    for successes in range(n_c + n_t + 1):
        low = max(0, successes - n_c)
        probabilities, _ = _hypergeometric(successes, n_c, n_t, low)
        k = np.arange(low, low + len(probabilities))
        tails = np.cumsum(probabilities) if less else np.cumsum(probabilities[::-1])[::-1]
        table[successes - k, k] = tails
    return table


def _sizes(
    extreme: NDArray[np.float64], n_c: int, n_t: int, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability of the extreme tables at each common share."""
    control = _binomial(n_c, shares)
    treatment = _binomial(n_t, shares)
    result: NDArray[np.float64] = ((control @ extreme) * treatment).sum(axis=1)
    return result


def _binomial(n: int, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    k = np.arange(n + 1)
    log = _log_choose(n, k) + np.outer(np.log(shares), k) + np.outer(np.log1p(-shares), n - k)
    # far from the mode nothing is added, and numbers near the smallest double make products slow
    result: NDArray[np.float64] = np.where(log < _NOTHING, 0.0, np.exp(np.maximum(log, _NOTHING)))
    return result
