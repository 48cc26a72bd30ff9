"""Two proportions: the pooled z test and the intervals that invert that very test, exact where counts are few.

The pooled z (its square is Pearson's chi-square without Yates' correction) is the score test of "no difference".
Mee's interval for the difference and Koopman's for the ratio invert the same score test at every other value,
so they exclude no difference exactly when it rejects.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri

from upshot.errors import DataError
from upshot.stats.exact import boschloo, fisher
from upshot.stats.fixed import Side, critical, p_from_statistic
from upshot.stats.interval import Interval, undefined
from upshot.stats.root import solve

FEW = 5.0
"""Where an expected count is below this the normal approximation is not trusted (Cochran 1954)."""
_BOSCHLOO_CELLS = 40_000
"""Above this many possible tables Fisher's test is taken: Boschloo's would take seconds."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Successes and trials of control (c) and treatment (t)."""

    x_c: int
    n_c: int
    x_t: int
    n_t: int

    def __post_init__(self) -> None:
        for name, x, n in (("control", self.x_c, self.n_c), ("treatment", self.x_t, self.n_t)):
            if n < 1 or not 0 <= x <= n:
                raise DataError(f"{name} is {x}/{n}: give successes/trials, with successes from 0 to trials")

    @property
    def difference(self) -> float:
        """Treatment share minus control share."""
        return self.x_t / self.n_t - self.x_c / self.n_c

    @property
    def pooled(self) -> float:
        """The share over both."""
        return (self.x_c + self.x_t) / (self.n_c + self.n_t)

    @property
    def failures(self) -> "Counts":
        """The same trials with failures counted."""
        return Counts(self.n_c - self.x_c, self.n_c, self.n_t - self.x_t, self.n_t)

    @property
    def least_expected(self) -> float:
        """The smallest expected count of the 2x2 table."""
        successes, whole = self.x_c + self.x_t, self.n_c + self.n_t
        return min(successes, whole - successes) * min(self.n_c, self.n_t) / whole


@dataclass(frozen=True, slots=True)
class ProportionTest:
    """The test of "no difference".

    Attributes:
        statistic: the pooled z. std_error: pooled. p_value: in (0, 1]. method: in words.
        critical: what Mee's and Koopman's intervals must be given to agree with this test at ``alpha``.
    """

    statistic: float
    std_error: float
    p_value: float
    method: str
    critical: float


def two_proportions(counts: Counts, alpha: float = 0.05) -> ProportionTest | None:
    """Test two proportions at level ``alpha``; None where every trial ended alike, so that nothing varies.

    The pooled z test, or an exact one where an expected count is below 5: Boschloo's (1970), for large tables
    Fisher's. An exact test's p and a score interval could disagree near the border; `critical` then moves just
    so far that they agree.

    >>> test = two_proportions(Counts(17489, 145274, 17264, 145310))
    >>> round(test.statistic, 6), round(test.p_value, 6)
    (-1.310924, 0.189883)
    """
    pooled = counts.pooled
    if pooled in (0.0, 1.0):
        return None
    error = math.sqrt(pooled * (1 - pooled) * (1 / counts.n_c + 1 / counts.n_t))
    z = counts.difference / error
    limit = critical(alpha)
    if counts.least_expected >= FEW:
        return ProportionTest(
            z, error, p_from_statistic(z), "pooled z, Mee and Koopman score intervals", limit
        )
    small = (counts.n_c + 1) * (counts.n_t + 1) <= _BOSCHLOO_CELLS
    p = boschloo(counts.x_c, counts.n_c, counts.x_t, counts.n_t) if small else _fisher(counts)
    agreed = max(limit, abs(z) * (1 + 1e-9)) if p >= alpha else min(limit, abs(z) * (1 - 1e-9))
    name = "Boschloo exact" if small else "Fisher exact"
    return ProportionTest(z, error, p, f"{name}, score intervals made to agree with it", agreed)


def _fisher(counts: Counts) -> float:
    return fisher(counts.x_c, counts.n_c, counts.x_t, counts.n_t)


def difference_score(counts: Counts, delta: float, correction: float = 1.0) -> float:
    """The score statistic of "treatment - control = delta" (Mee 1984; with ``correction`` N/(N-1), MN 1985)."""
    if counts.pooled > 0.5:  # count failures instead: small shares keep more digits than those near 1
        return -difference_score(counts.failures, -delta, correction)
    p_c, p_t = _constrained_difference(counts, delta)
    variance = (p_t * (1 - p_t) / counts.n_t + p_c * (1 - p_c) / counts.n_c) * correction
    gap = counts.difference - delta
    if variance <= 0:
        return 0.0 if abs(gap) < 1e-15 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def ratio_score(counts: Counts, ratio: float) -> float:
    """The score statistic of "treatment / control = ratio" (Koopman 1984, Biometrics 40, eq. 2.3), signed."""
    p_c = _constrained_ratio(counts, ratio)
    p_t = ratio * p_c
    gap = counts.x_t / counts.n_t - ratio * counts.x_c / counts.n_c
    variance = p_t * (1 - p_t) / counts.n_t + ratio**2 * p_c * (1 - p_c) / counts.n_c
    if variance <= 0:
        return 0.0 if abs(gap) < 1e-15 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def mee(counts: Counts, limit: float) -> Interval:
    """Score interval of the difference with ``limit`` standard errors (Mee 1984, Biometrics 40, 1175)."""
    return _invert_difference(counts, limit, 1.0)


def miettinen_nurminen(counts: Counts, alpha: float = 0.05) -> Interval:
    """Miettinen, Nurminen (1985, Statistics in Medicine 4, eq. 8): Mee's with the variance times N/(N-1)."""
    whole = counts.n_c + counts.n_t
    return _invert_difference(counts, critical(alpha), whole / (whole - 1))


def _invert_difference(counts: Counts, limit: float, correction: float) -> Interval:
    def beyond(sign: float) -> Callable[[float], float]:
        return lambda delta: difference_score(counts, delta, correction) - sign * limit

    if math.isinf(limit):
        return Interval(-1.0, 1.0)
    centre = counts.difference
    low = -1.0 if beyond(1)(-1.0) <= 0 else solve(beyond(1), -1.0, centre)
    high = 1.0 if beyond(-1)(1.0) >= 0 else solve(beyond(-1), centre, 1.0)
    if abs(difference_score(counts, 0.0, correction)) <= limit:  # 0 is not ruled out: an end beside it is 0
        low, high = min(_snapped(low), 0.0), max(_snapped(high), 0.0)
    return Interval(low, high)


def _snapped(end: float) -> float:
    """What a root-finder leaves of 0."""
    return 0.0 if abs(end) < 1e-9 else end


def koopman(counts: Counts, limit: float) -> Interval:
    """Score interval of the lift (ratio - 1) with ``limit`` standard errors (Koopman 1984, Biometrics 40).

    The lower end is -1 where treatment has no success; there is no upper end where control has none.
    """
    if counts.x_c == 0 and counts.x_t == 0:
        return undefined("neither variant has a success, so their ratio has no meaning")
    if math.isinf(limit):
        return Interval(-1.0, None, "this look has no share of alpha to spend, so nothing is ruled out")

    def low_gap(log_ratio: float) -> float:
        return ratio_score(counts, math.exp(log_ratio)) - limit

    def high_gap(log_ratio: float) -> float:
        return ratio_score(counts, math.exp(log_ratio)) + limit

    low = -1.0 if counts.x_t == 0 else math.expm1(_crossing(low_gap, _log_ratio(counts)))
    if counts.x_c == 0:
        return Interval(low, None, "control has no success, so the relative change has no upper bound")
    return Interval(low, math.expm1(_crossing(high_gap, _log_ratio(counts))))


def _log_ratio(counts: Counts) -> float:
    return math.log(((counts.x_t or 0.5) / counts.n_t) / ((counts.x_c or 0.5) / counts.n_c))


def _crossing(falling: Callable[[float], float], start: float) -> float:
    """Where a falling function crosses 0: step towards it in doubling strides, then solve."""
    direction = 1 if falling(start) > 0 else -1
    stride = 0.1
    while falling(start) * falling(start + direction * stride) > 0:
        stride *= 2
        if stride > 700:  # a ratio of e^700 or its inverse: as good as no end
            return start + direction * 700
    return solve(falling, start, start + direction * stride)


def wilson(successes: int, trials: int, alpha: float = 0.05) -> Interval:
    """Wilson's (1927) score interval of one proportion."""
    z = float(-ndtri(alpha / 2))
    share, square = successes / trials, z * z / trials
    centre = share + square / 2
    reach = z * math.sqrt(share * (1 - share) / trials + square / (4 * trials))
    return Interval(max((centre - reach) / (1 + square), 0.0), min((centre + reach) / (1 + square), 1.0))


def newcombe(counts: Counts, alpha: float = 0.05) -> Interval:
    """Newcombe's (1998, Statistics in Medicine 17, method 10) hybrid score interval of the difference."""
    t, c = wilson(counts.x_t, counts.n_t, alpha), wilson(counts.x_c, counts.n_c, alpha)
    p_t, p_c = counts.x_t / counts.n_t, counts.x_c / counts.n_c
    down = math.hypot(p_t - _end(t.low), _end(c.high) - p_c)
    up = math.hypot(_end(t.high) - p_t, p_c - _end(c.low))
    return Interval(p_t - p_c - down, p_t - p_c + up)


def non_inferiority(
    counts: Counts, margin: float, better: Literal["higher", "lower"], relative: bool = True
) -> float:
    """One-sided p of "worse than control by the margin or more" by the score test at the margin.

    Farrington, Manning (1990, Statistics in Medicine 9): differences (sect. 2) and ratios (sect. 3).

    Raises:
        DataError: the margin is not in [0, 1).
    """
    if not 0 <= margin < 1:
        raise DataError(f"margin is {margin:g}: give a number from 0 to below 1, such as 0.02")
    sign = -1 if better == "higher" else 1
    z = ratio_score(counts, 1 + sign * margin) if relative else difference_score(counts, sign * margin)
    side: Side = "greater" if better == "higher" else "less"
    return p_from_statistic(z, side=side)


def _end(value: float | None) -> float:
    assert value is not None
    return value


def _constrained_difference(counts: Counts, delta: float) -> tuple[float, float]:
    """Maximum-likelihood shares (control, treatment) given their difference (Farrington, Manning 1990, app.)."""
    if delta == 0:
        return counts.pooled, counts.pooled
    theta = counts.n_c / counts.n_t
    p_t, p_c = counts.x_t / counts.n_t, counts.x_c / counts.n_c
    a = 1 + theta
    b = -(1 + theta + p_t + theta * p_c + delta * (theta + 2))
    c = delta**2 + delta * (2 * p_t + theta + 1) + p_t + theta * p_c
    d = -p_t * delta * (1 + delta)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a * a) + d / (2 * a)
    u = math.copysign(math.sqrt(max((b / (3 * a)) ** 2 - c / (3 * a), 0.0)), v)
    cosine = 0.0 if u == 0 else min(max(v / u**3, -1.0), 1.0)
    w = (math.pi + math.acos(cosine)) / 3
    low, high = max(0.0, delta), min(1.0, 1.0 + delta)
    share = min(max(2 * u * math.cos(w) - b / (3 * a), low), high)
    for _ in range(2):  # the cosine loses digits where shares are tiny: two steps of Newton give them back
        slope = (3 * a * share + 2 * b) * share + c
        if slope != 0:
            share = min(max(share - (((a * share + b) * share + c) * share + d) / slope, low), high)
    return min(max(share - delta, 0.0), 1.0), share


def _constrained_ratio(counts: Counts, ratio: float) -> float:
    """Maximum-likelihood control share given the ratio (Koopman 1984, eq. 2.2)."""
    whole = counts.n_c + counts.n_t
    fail_c, fail_t = counts.n_c - counts.x_c, counts.n_t - counts.x_t
    b = ratio * (counts.n_t + counts.x_c) + counts.n_c + counts.x_t
    # b^2 - 4 a c of the quadratic, written without the terms that cancel where both shares are near 1
    inside = ((ratio - 1) * whole - ratio * fail_c + fail_t) ** 2 + 4 * ratio * fail_c * fail_t
    return min(2 * (counts.x_c + counts.x_t) / (b + math.sqrt(inside)), 1.0, 1 / ratio)
