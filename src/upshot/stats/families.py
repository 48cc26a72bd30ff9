"""Families of tests: p-values and intervals that hold for all members together.

Adjusted p-values and the levels of matching intervals: Bonferroni and Holm control the chance of any false
positive, Benjamini-Hochberg their expected share, Dunnett compares several variants with one control.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import gammaln, ndtr

from upshot.errors import DataError
from upshot.model.plan import Family
from upshot.stats.fixed import SMALLEST
from upshot.stats.root import solve

Ps = Sequence[float | None]


def adjust(p_values: Ps, method: Family) -> tuple[float | None, ...]:
    """Adjusted p-values; None (no test) stays None and does not count.

    Raises:
        DataError: the method is ``dunnett``, which needs the variants' sizes (`dunnett_p_values`).

    >>> adjust([0.01, 0.04, None, 0.03], "holm")
    (0.03, 0.06, None, 0.06)
    """
    methods = {"bonferroni": bonferroni, "holm": holm, "benjamini_hochberg": benjamini_hochberg}
    if method not in methods:
        raise DataError("dunnett needs the sizes of the variants: use dunnett_p_values")
    known = [p for p in p_values if p is not None]
    adjusted = iter(methods[method](known))
    return tuple(None if p is None else next(adjusted) for p in p_values)


def bonferroni(p_values: Sequence[float]) -> tuple[float, ...]:
    """Each p times their number, 1 at most."""
    return tuple(min(p * len(p_values), 1.0) for p in p_values)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm (1979, Scandinavian Journal of Statistics 6): step-down Bonferroni."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result, running = [0.0] * len(order), 0.0
    for rank, i in enumerate(order):
        running = max(running, min((len(order) - rank) * p_values[i], 1.0))
        result[i] = running
    return tuple(result)


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini, Hochberg (1995, JRSS B 57): step-up control of the false discovery rate."""
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i], reverse=True)
    result, running = [0.0] * m, 1.0
    for position, i in enumerate(order):
        running = min(running, p_values[i] * m / (m - position))
        result[i] = running
    return tuple(result)


def benjamini_yekutieli(p_values: Sequence[float]) -> tuple[float, ...]:
    """Benjamini, Yekutieli (2001, Annals of Statistics 29): the same under any dependence."""
    harmonic = sum(1 / (i + 1) for i in range(len(p_values)))
    return tuple(min(p * harmonic, 1.0) for p in _uncapped_bh(p_values))


def _uncapped_bh(p_values: Sequence[float]) -> list[float]:
    m = len(p_values)
    order = sorted(range(m), key=lambda i: p_values[i], reverse=True)
    result, running = [0.0] * m, math.inf
    for position, i in enumerate(order):
        running = min(running, p_values[i] * m / (m - position))
        result[i] = running
    return result


def interval_level(p_values: Ps, method: Family, alpha: float) -> float:
    """The two-sided alpha of each single interval that matches the family's correction.

    Bonferroni and Holm: alpha/m, simultaneous. Benjamini-Hochberg: R alpha/m with R discoveries, which keeps
    the expected share of selected intervals that miss at alpha (Benjamini, Yekutieli 2005, JASA 100, FCR).
    """
    known = [p for p in p_values if p is not None]
    m = max(len(known), 1)
    if method != "benjamini_hochberg":
        return alpha / m
    found = sum(p <= alpha for p in benjamini_hochberg(known))
    return max(found, 1) * alpha / m


_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(96)
_WEIGHTS = _WEIGHTS / math.sqrt(2 * math.pi)


def dunnett_p_values(
    statistics: Sequence[float], control_n: float, variant_n: Sequence[float], df: float = math.inf
) -> tuple[float, ...]:
    """Two-sided p-values of several variants against one control (Dunnett 1955, JASA 50).

    Args:
        statistics: t or z of each variant. control_n, variant_n: units, which give the correlations.
        df: degrees of freedom, infinite for normal statistics.
    """
    load = _loadings(control_n, variant_n)
    return tuple(min(max(1 - _inside(abs(t), load, df), SMALLEST), 1.0) for t in statistics)


def dunnett_critical(
    control_n: float, variant_n: Sequence[float], alpha: float = 0.05, df: float = math.inf
) -> float:
    """The |t| that the largest of the variants' statistics exceeds with chance alpha without any effect.

    >>> round(dunnett_critical(100, [100, 100]), 2)
    2.21
    """
    load = _loadings(control_n, variant_n)
    return solve(lambda c: 1 - alpha - _inside(c, load, df), 0.0, 60.0)


def _loadings(control_n: float, variant_n: Sequence[float]) -> np.ndarray:
    sizes = np.asarray(variant_n, dtype=np.float64)
    return np.sqrt(sizes / (sizes + control_n))


def _inside(limit: float, load: np.ndarray, df: float) -> float:
    """P(all |T_i| <= limit): control's deviation is the one factor that all variants share."""
    if math.isinf(df) or df > 1e5:
        return float(_conditional(np.array([limit]), load)[0])
    scales, weights = _chi_nodes(df)
    return float((_conditional(limit * scales, load) * weights).sum())


def _conditional(limits: np.ndarray, load: np.ndarray) -> np.ndarray:
    shared = load[None, None, :] * _NODES[None, :, None]
    rest = np.sqrt(1 - load**2)[None, None, :]
    edge = limits[:, None, None]
    inside = ndtr((edge - shared) / rest) - ndtr((-edge - shared) / rest)
    result: np.ndarray = (inside.prod(axis=2) * _WEIGHTS[None, :]).sum(axis=1)
    return result


def _chi_nodes(df: float) -> tuple[np.ndarray, np.ndarray]:
    """Quadrature over s = sqrt(chi-square/df), where its density lies."""
    spread = 9 / math.sqrt(2 * df)
    low, high = max(1 - spread, 1e-6), 1 + spread + 3 / df
    nodes, weights = np.polynomial.legendre.leggauss(96)
    s = (high + low) / 2 + (high - low) / 2 * nodes
    log = (df - 1) * np.log(s) - df * s * s / 2 + (df / 2) * math.log(df) - (df / 2 - 1) * math.log(2)
    density = np.exp(log - gammaln(df / 2))
    return s, density * weights * (high - low) / 2
