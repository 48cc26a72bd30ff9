"""Less noise from what was known before: covariates (CUPED, Lin), strata, and winsorised outcomes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from upshot.errors import DataError
from upshot.stats.effect import Arm, Effect, estimate
from upshot.stats.moments import DENOMINATOR, OUTCOME, Moments, merge_all

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Adjusted estimates of several variants on one scale.

    Attributes:
        arms: variant -> adjusted estimate. theta: slope on each covariate, shape (k,).
        variance_reduction: share of the outcome's variance that the covariates removed, in [0, 1].
    """

    arms: Mapping[str, Arm]
    theta: FloatArray
    variance_reduction: float

    def effect(self, control: str, variant: str) -> Effect:
        """A variant against control."""
        return Effect(self.arms[control], self.arms[variant])


def cuped(variants: Mapping[str, Moments]) -> Adjusted:
    """Adjust means or ratios for covariates measured before exposure, with one slope for all variants.

    Each estimate becomes value - theta'(mean x - pooled mean x). theta minimises the variance of differences:
    the variants' covariances weighted by 1/n (Deng, Xu, Kohavi, Walker 2013, "CUPED", WSDM, eq. 3-4; several
    covariates: sect. 3.1). The residual variance pays one degree of freedom for each slope. A ratio is
    linearised first, (y - R d) / mean d (Deng et al. 2018, sect. 4). A covariate that does not vary changes
    nothing.

    Args:
        variants: name -> moments over the outcome (and denominator) and the same covariates.

    Raises:
        DataError: the variants' moments are over different columns.
    """
    if len({moments.names for moments in variants.values()}) != 1:
        raise DataError("variants have different covariates: use the same columns for all")
    parts = {name: _linearised(moments) for name, moments in variants.items()}
    sizes = {name: moments.n for name, moments in variants.items()}
    usable = [name for name in parts if sizes[name] > 1]
    k = len(next(iter(variants.values())).covariates)
    within = sum((parts[name].xx / sizes[name] for name in usable), np.zeros((k, k)))
    across = sum((parts[name].xy / sizes[name] for name in usable), np.zeros(k))
    theta = _solve(within, across)
    pooled = _pooled_covariate_means(variants)
    arms = {name: _adjust(variants[name], parts[name], theta, pooled) for name in variants}
    before = sum(parts[name].yy / sizes[name] for name in usable)
    after = sum(arms[name].variance for name in usable)
    reduction = max(1 - after / before, 0.0) if before > 0 and math.isfinite(after) else 0.0
    return Adjusted(arms, theta, reduction)


@dataclass(frozen=True, slots=True)
class _Linear:
    """Variances of an outcome made linear: of it, with covariates, of covariates."""

    yy: float
    xy: FloatArray
    xx: FloatArray


def _linearised(moments: Moments) -> _Linear:
    weights = {OUTCOME: 1.0}
    if moments.is_ratio:
        below = moments.mean(DENOMINATOR)
        if below == 0:
            below = math.nan
        weights = {OUTCOME: 1 / below, DENOMINATOR: -moments.mean() / below**2}
    index = {name: i for i, name in enumerate(moments.names)}
    scale = max(moments.n - 1, 1)
    own = [index[name] for name in weights]
    rest = [index[name] for name in moments.covariates]
    w = np.array(list(weights.values()))
    cross = moments.cross / scale
    return _Linear(
        yy=float(w @ cross[np.ix_(own, own)] @ w),
        xy=cross[np.ix_(rest, own)] @ w,
        xx=cross[np.ix_(rest, rest)],
    )


def _solve(xx: FloatArray, xy: FloatArray) -> FloatArray:
    """Slopes; covariates without variance, or repeated, get what least squares of least size gives them."""
    spread = np.sqrt(np.diag(xx))
    used = spread > 0
    theta = np.zeros(len(xy))
    if used.any() and np.isfinite(xy).all():
        d = spread[used]
        standard = xx[np.ix_(used, used)] / np.outer(d, d)
        theta[used] = np.linalg.lstsq(standard, xy[used] / d, rcond=1e-10)[0] / d
    return theta


def _pooled_covariate_means(variants: Mapping[str, Moments]) -> FloatArray:
    whole = sum(moments.n for moments in variants.values())
    first = next(iter(variants.values()))
    rest = [first.names.index(name) for name in first.covariates]
    total = sum((moments.means[rest] * moments.n for moments in variants.values()), np.zeros(len(rest)))
    return total / whole if whole else total


def _adjust(moments: Moments, part: _Linear, theta: FloatArray, pooled: FloatArray) -> Arm:
    plain = estimate(moments)
    rest = [moments.names.index(name) for name in moments.covariates]
    value = plain.value - float(theta @ (moments.means[rest] - pooled))
    spread = part.yy - 2 * float(theta @ part.xy) + float(theta @ part.xx @ theta)
    df = moments.n - 1 - int(np.count_nonzero(theta))
    variance = max(spread, 0.0) * (moments.n - 1) / df / moments.n if df > 0 else math.nan
    return Arm(value, variance, moments.n, max(df, 0))


def lin(control: Moments, treatment: Moments) -> Effect:
    """The interacted regression: a slope of its own in each variant, compared at the pooled covariate means.

    The estimate is that of OLS of the outcome on treatment, centred covariates and their products (Lin 2013,
    Annals of Applied Statistics 7, eq. 5). The variance is each variant's own residual variance (n - k - 1)
    at the pooled means, as two separate regressions give it.

    Raises:
        DataError: a variant has no more units than covariates and one.
    """
    pooled = merge_all([control, treatment])
    centre = np.array([pooled.mean(name) for name in control.covariates])
    return Effect(_lin_arm(control, centre), _lin_arm(treatment, centre))


def _lin_arm(moments: Moments, centre: FloatArray) -> Arm:
    rest = [moments.names.index(name) for name in moments.covariates]
    df = moments.n - len(rest) - 1
    if df < 1:
        raise DataError(f"{moments.n} units cannot carry {len(rest)} covariates: use fewer covariates")
    part = _linearised(moments)
    slope = _solve(part.xx, part.xy)
    gap = moments.means[rest] - centre
    residual = max(part.yy - float(slope @ part.xy), 0.0) * (moments.n - 1) / df
    lever = float(gap @ np.linalg.pinv(part.xx, hermitian=True) @ gap) / (moments.n - 1)
    return Arm(
        estimate(moments).value - float(slope @ gap), residual * (1 / moments.n + lever), moments.n, df
    )


def post_stratify(strata: Sequence[tuple[Moments, Moments]]) -> Effect:
    """The effect with each stratum weighted by its size in both variants together.

    Miratrix, Sekhon, Yu (2013, JRSS B 75, eq. 3): sum of w_h d_h with variance sum of w_h^2 V_h. A ratio is the
    weighted mean of outcomes over that of denominators, linearised. A stratum with fewer than 2 units in either
    variant is merged into the largest. Covariates are left aside.

    Args:
        strata: (control, treatment) of each stratum.

    Raises:
        DataError: no stratum has 2 units in both variants.
    """
    enough = [pair for pair in strata if min(pair[0].n, pair[1].n) >= 2]
    if not enough:
        raise DataError("no stratum has 2 units in both variants: use fewer strata")
    enough.sort(key=lambda pair: pair[0].n + pair[1].n, reverse=True)
    for pair in strata:
        if min(pair[0].n, pair[1].n) < 2:
            enough[0] = (enough[0][0] + pair[0], enough[0][1] + pair[1])
    sizes = np.array([control.n + treatment.n for control, treatment in enough], dtype=np.float64)
    weights = sizes / sizes.sum()
    return Effect(
        _stratified([control for control, _ in enough], weights),
        _stratified([treatment for _, treatment in enough], weights),
    )


def _stratified(parts: Sequence[Moments], weights: FloatArray) -> Arm:
    top = float(weights @ [part.mean() for part in parts])
    below = float(weights @ [part.mean(DENOMINATOR) for part in parts]) if parts[0].is_ratio else 1.0
    n = sum(part.n for part in parts)
    if below == 0:
        return Arm(math.nan, math.nan, n, n - len(parts))
    slope = top / below
    units = np.array([_spread(part, slope) / (part.n * below**2) for part in parts])
    variances = weights**2 * units
    whole = float(variances.sum())
    df = (
        whole**2 / float(variances**2 @ [1 / (part.n - 1) for part in parts]) if whole > 0 else n - len(parts)
    )
    return Arm(slope, whole, n, df)


def _spread(moments: Moments, slope: float) -> float:
    """Variance of a unit's outcome, or of outcome - slope x denominator."""
    if not moments.is_ratio:
        return moments.var()
    cov, below = moments.cov(OUTCOME, DENOMINATOR), moments.var(DENOMINATOR)
    return max(moments.var() - 2 * slope * cov + slope**2 * below, 0.0)


@dataclass(frozen=True, slots=True)
class Winsorised:
    """Values with one cap for all variants.

    Attributes:
        values: variant -> capped values. cap: the cap. units: variant -> units above it.
        value_share: share of the total value that the cap took away.
    """

    values: Mapping[str, FloatArray]
    cap: float
    units: Mapping[str, int]
    value_share: float


def winsorise(values: Mapping[str, ArrayLike], level: float) -> Winsorised:
    """Cap values at a quantile of all variants together; zeros count.

    Never per variant: that would remove part of an effect on large values (Tukey's winsorising, pooled).

    Raises:
        DataError: the level is not between 0 and 1, or the cap would be the smallest value.
    """
    if not 0 < level < 1:
        raise DataError(f"cap is {level}: give a quantile between 0 and 1, such as 0.999 or 99.9%")
    arrays = {name: np.asarray(array, dtype=np.float64) for name, array in values.items()}
    pooled = np.concatenate(list(arrays.values()))
    cap = float(np.quantile(pooled, level)) if len(pooled) else math.nan
    if len(pooled) and cap <= float(pooled.min()) < float(pooled.max()):
        raise DataError(
            f"cap={level:g} falls on the smallest value, {cap:g}, and would erase the rest: use a higher quantile"
        )
    capped = {name: np.minimum(array, cap) for name, array in arrays.items()}
    total = float(np.abs(pooled).sum())
    lost = sum(float((arrays[name] - capped[name]).sum()) for name in arrays)
    units = {name: int((array > cap).sum()) for name, array in arrays.items()}
    return Winsorised(capped, cap, units, lost / total if total else 0.0)
