"""Families of tests: p-values that count how many questions were asked, and intervals that match them."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Literal

import numpy as np
from scipy.special import gammainccinv, gammaincinv, gammaln, ndtr, ndtri, stdtr, stdtrit

from upshot.errors import InputError
from upshot.stats.crossing import FloatArray, legendre
from upshot.stats.fixed import SMALLEST
from upshot.stats.root import solve

Correction = Literal["none", "bonferroni", "holm", "benjamini_hochberg"]

_NORMAL_DF = 1e5
"""Above this many degrees of freedom Dunnett's t is the normal to 5 digits."""


def adjust(p_values: Sequence[float | None], method: Correction = "holm") -> tuple[float | None, ...]:
    """Each p-value, adjusted for the others: below a level exactly when the method rejects at that level.

    Args:
        p_values: in (0, 1]; None: there was no such test, and it does not count.
        method: ``bonferroni`` and ``holm`` (Holm 1979, Scandinavian J. of Statistics 6) hold the chance of
            any false claim; ``benjamini_hochberg`` (1995, JRSS B 57) the share of false claims.

    Returns:
        In the same order, None where None was given.

    Raises:
        InputError: a p-value outside [0, 1].

    >>> adjust([0.01, None, 0.04, 0.03], "holm")
    (0.03, None, 0.06, 0.06)
    """
    values = _checked(p_values)
    order = sorted(values, key=lambda index: values[index])
    adjusted = _ADJUST[method]([values[index] for index in order])
    result: list[float | None] = [None] * len(p_values)
    for index, p in zip(order, adjusted, strict=True):
        result[index] = min(p, 1.0)
    return tuple(result)


def simultaneous_alpha(alpha: float, method: Correction, tests: int, rejected: int = 0) -> float:
    """The level at which each interval of a family is made.

    ``bonferroni`` and ``holm``: alpha / tests, all intervals hold together with 1 - alpha (Holm's steps have no
    informative two-sided intervals of their own). ``benjamini_hochberg``: rejected * alpha / tests, at most
    alpha of the *selected* intervals miss (Benjamini, Yekutieli 2005, JASA 100); with nothing rejected, as for
    one.

    >>> simultaneous_alpha(0.05, "benjamini_hochberg", tests=10, rejected=4)
    0.02
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}: give a number between 0 and 1")
    if method == "none" or tests <= 1:
        return alpha
    share = max(rejected, 1) if method == "benjamini_hochberg" else 1
    return alpha * share / tests


def dunnett_p_value(statistic: float, loadings: Sequence[float], df: float = math.inf) -> float:
    """The p-value of one of several variants against a common control: Dunnett (1955, JASA 50), single step.

    The chance that the largest of k |t| is at least |statistic|, when nothing happens.

    Args:
        statistic: t (or z) of this variant.
        loadings: one a variant, lambda_i = sqrt(V_control / (V_control + V_i)), V the variances of the means;
            variants i and j correlate by lambda_i lambda_j. Equal arms: sqrt(1/2).
        df: of the pooled variance.

    >>> round(dunnett_p_value(2.2121, [0.5**0.5] * 2), 4)
    0.05
    """
    factors = _checked_loadings(loadings)
    size = abs(statistic)
    if df > _NORMAL_DF:
        p, single = float(_any_beyond(np.array([size]), factors)[0]), 2 * float(ndtr(-size))
    else:
        scales, weights = _chi_scales(df)
        p, single = float(weights @ _any_beyond(size * scales, factors)), 2 * float(stdtr(df, -size))
    # between one test and Bonferroni, whatever quadrature loses in the far tail
    return float(min(max(p, single, SMALLEST), len(factors) * single + SMALLEST, 1.0))


def dunnett(
    p_values: Sequence[float | None], loadings: Sequence[float], df: float = math.inf
) -> tuple[float | None, ...]:
    """Two-sided p-values of several variants against one control, adjusted by `dunnett_p_value`.

    Args:
        p_values: one a variant; None: no such test, it does not count.
        loadings: one a variant, as for `dunnett_p_value`.
        df: with which the p-values were made.

    >>> [round(p, 3) for p in dunnett([0.02, 0.2], [0.5**0.5] * 2)]
    [0.037, 0.334]
    """
    values = _checked(p_values)
    if len(loadings) != len(p_values):
        raise InputError(
            f"{len(p_values)} p-values with {len(loadings)} loadings: give one loading a variant"
        )
    present = [loadings[index] for index in values]
    result: list[float | None] = [None] * len(p_values)
    for index, p in values.items():
        result[index] = dunnett_p_value(_quantile(max(p, SMALLEST) / 2, df), present, df)
    return tuple(result)


def dunnett_critical(alpha: float, loadings: Sequence[float], df: float = math.inf) -> float:
    """The |t| that `dunnett_p_value` gives ``alpha``: the critical value of the simultaneous intervals.

    >>> round(dunnett_critical(0.05, [0.5**0.5] * 3), 2)
    2.35
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}: give a number between 0 and 1")
    tail = alpha / 2 / len(loadings) if loadings else alpha / 2
    low, high = (_quantile(share, df) for share in (alpha / 2, tail * (1 - 1e-9)))
    if len(loadings) == 1:
        return low
    return solve(
        lambda c: math.log(dunnett_p_value(c, loadings, df) / alpha), low * 0.999, high * 1.001, 1e-12
    )


def loading(control_variance: float, variant_variance: float) -> float:
    """Dunnett's lambda of a variant, from the variances of the two means; just below 1 for one that is constant."""
    total = control_variance + variant_variance
    if not total > 0:
        raise InputError("neither control nor the variant varies: there is no Dunnett test")
    return min(math.sqrt(control_variance / total), 1 - 1e-9)


def _bonferroni(ordered: list[float]) -> list[float]:
    return [p * len(ordered) for p in ordered]


def _holm(ordered: list[float]) -> list[float]:
    m = len(ordered)
    return list(accumulate((p * (m - rank) for rank, p in enumerate(ordered)), max))


def _benjamini_hochberg(ordered: list[float]) -> list[float]:
    m = len(ordered)
    falling = ((rank, p) for rank, p in reversed(list(enumerate(ordered, start=1))))
    return list(accumulate((p * m / rank for rank, p in falling), min))[::-1]


_ADJUST: dict[Correction, Callable[[list[float]], list[float]]] = {
    "none": list,
    "bonferroni": _bonferroni,
    "holm": _holm,
    "benjamini_hochberg": _benjamini_hochberg,
}


def _checked(p_values: Sequence[float | None]) -> dict[int, float]:
    """The p-values that exist, by place."""
    values = {index: float(p) for index, p in enumerate(p_values) if p is not None}
    for p in values.values():
        if not 0 <= p <= 1:
            raise InputError(
                f"a p-value is {p}: give a number between 0 and 1, or None where there is no test"
            )
    return values


def _checked_loadings(loadings: Sequence[float]) -> FloatArray:
    if not loadings or not all(0 <= value < 1 for value in loadings):
        raise InputError(f"loadings are {list(loadings)}: give one number in [0, 1) for each variant")
    return np.asarray(loadings, float)


def _any_beyond(sizes: FloatArray, loadings: FloatArray) -> FloatArray:
    """P(some |Z_i| >= size) for each size, by quadrature over the common factor.

    The complement of a product near 1 is taken through logarithms, so that small chances keep their digits.
    """
    x, weights = legendre(256)
    reach = 9.0 + float(loadings.max()) * min(float(sizes.max()), 37.0)  # where a far size is reached from
    common = reach * x
    own = np.sqrt(1 - loadings**2)[:, None]
    shift = loadings[:, None] * common  # (k, nodes)
    size = sizes[:, None, None]
    outside = ndtr((shift - size) / own) + ndtr((-shift - size) / own)
    some = -np.expm1(np.log1p(-np.minimum(outside, 1 - 1e-16)).sum(axis=1))
    law = reach * weights * np.exp(-(common**2) / 2) / math.sqrt(2 * math.pi)
    result: FloatArray = some @ law
    return result


@lru_cache(maxsize=64)
def _chi_scales(df: float) -> tuple[FloatArray, FloatArray]:
    """Values of s = chi / sqrt(df) and their probabilities: Gauss-Legendre in log s, far into both tails."""
    x, weights = legendre(96)
    low, high = 2 * gammaincinv(df / 2, 1e-20), 2 * gammainccinv(df / 2, 1e-18)
    half = math.log(high / low) / 2
    squares = low * np.exp(half * (x + 1))
    log_law = df / 2 * np.log(squares / 2) - squares / 2 - gammaln(df / 2)
    return np.sqrt(squares / df), half * weights * np.exp(log_law)


def _quantile(tail: float, df: float) -> float:
    return float(-ndtri(tail) if df > _NORMAL_DF else -stdtrit(df, tail))
