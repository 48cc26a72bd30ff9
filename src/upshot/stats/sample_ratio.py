"""Sample ratio: did the variants get the shares of units that were planned?

If not, something loses or duplicates units by variant, and no comparison can be believed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy.special import chdtrc, gammaln, xlogy

from upshot.errors import InputError
from upshot.stats.crossing import FloatArray
from upshot.stats.fixed import SMALLEST

_TABLES = 500_000
"""Above this many possible outcomes the exact test is not enumerated."""

_SMALL = 5.0
"""Below this expected count chi-square is not trusted (Cochran 1954, Biometrics 10)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """Whether observed counts fit planned weights.

    Attributes:
        p_value: of "the counts fit"; None with a reason where there is nothing to test.
        method: the test, in words.
        expected: units by variant, as planned; 0 for a variant of weight 0.
        unplanned: units in variants of weight 0, which are left out of the test.
        statistic, df: of chi-square, None for other tests.
    """

    p_value: float | None
    method: Literal["chi_square", "exact", "sequential", "none"]
    expected: Mapping[str, float]
    unplanned: int = 0
    statistic: float | None = None
    df: int | None = None
    reason: str = ""


def chi_square(counts: Mapping[str, int], weights: Mapping[str, float] | None = None) -> SampleRatio:
    """Whether the units of *finished* data fit the weights; exact where an expected count is below 5.

    Pearson's (1900) chi-square with (variants of positive weight) - 1 degrees of freedom; the exact
    multinomial test counts all outcomes that are no likelier. Where that is too many, the smallest variants
    are pooled until chi-square can be trusted. A repeated look needs `sequential`.

    Args:
        counts: units by variant; variants that were never seen may be left out.
        weights: relative, by variant; None: even over the counts.

    Raises:
        InputError: negative counts or weights, or a count of a variant that has no weight at all.

    >>> round(chi_square({"control": 5000, "treatment": 5200}).p_value, 5)
    0.04767
    """
    observed, shares, base = _planned(counts, weights)
    if base.reason:
        return base
    expected = observed.sum() * shares
    if expected.min() < _SMALL:
        if _outcomes(int(observed.sum()), len(shares)) <= _TABLES:
            return _with(base, p_value=_exact(observed, shares), method="exact")
        observed, shares = _pooled(observed, shares)
        expected = observed.sum() * shares
        if len(shares) < 2:
            return _with(base, reason="too few units are expected outside one variant to test the ratio")
    statistic = float(((observed - expected) ** 2 / expected).sum())
    df = len(shares) - 1
    p = min(max(float(chdtrc(df, statistic)), SMALLEST), 1.0)
    return _with(base, p_value=p, method="chi_square", statistic=statistic, df=df)


def sequential(
    counts: Mapping[str, int] | Sequence[Mapping[str, int]],
    weights: Mapping[str, float] | None = None,
    concentration: float = 600.0,
) -> SampleRatio:
    """Whether the units of *running* data fit the weights: may be asked at every look.

    The evidence is a Bayes factor of a Dirichlet prior around the weights against the weights; 1 / evidence is
    an always-valid p-value (Lindon, Malek 2022, "Anytime-Valid Inference for Multinomial Count Data",
    NeurIPS).

    Args:
        counts: cumulative units by variant now, or at all looks in order: then the least p so far.
        concentration: of the prior. 600 is tuned, by `always_valid.tuning` at level 0.001, for 10,000 units;
            52:48 is then found after some 11,000 units, smaller deviations later.

    >>> round(sequential({"control": 5000, "treatment": 5200}).p_value, 4)
    0.6659
    """
    looks = [counts] if isinstance(counts, Mapping) else list(counts)
    if not looks:
        raise InputError("no counts: give the units of one look at least")
    if not concentration > 0:
        raise InputError(f"concentration is {concentration}: give a positive number")
    split = None if weights is None else tuple(weights.items())
    results = [_at_look(tuple(look.items()), split, concentration) for look in looks]
    base = results[-1][0]
    known = [p for _, p in results if p is not None]
    return _with(base, p_value=min(known), method="sequential", reason="") if known else base


@lru_cache(maxsize=1024)
def _at_look(
    counts: tuple[tuple[str, int], ...], weights: tuple[tuple[str, float], ...] | None, concentration: float
) -> tuple[SampleRatio, float | None]:
    """One look and its p; kept, since every later look asks for it again."""
    observed, shares, base = _planned(dict(counts), None if weights is None else dict(weights))
    return base, None if base.reason else _dirichlet_p(observed, shares, concentration)


def _with(base: SampleRatio, **changes: object) -> SampleRatio:
    fields = {name: getattr(base, name) for name in SampleRatio.__slots__}
    return SampleRatio(**(fields | changes))


def _planned(
    counts: Mapping[str, int], weights: Mapping[str, float] | None
) -> tuple[FloatArray, FloatArray, SampleRatio]:
    """Counts and shares of the variants with weight, and the result so far (with a reason: the end of it)."""
    plan = dict.fromkeys(counts, 1.0) if weights is None else dict(weights)
    _check(counts, plan)
    names = [name for name, weight in plan.items() if weight > 0]
    observed = np.array([counts.get(name, 0) for name in names], float)
    shares = np.array([plan[name] for name in names], float)
    shares /= shares.sum() if names else 1.0
    expected = dict.fromkeys(plan, 0.0) | dict(zip(names, (observed.sum() * shares).tolist(), strict=True))
    reason = ""
    if len(names) < 2:
        reason = "fewer than two variants have a weight, so there is no ratio to test"
    elif observed.sum() == 0:
        reason = "no units yet"
    unplanned = sum(count for name, count in counts.items() if plan[name] == 0)
    base = SampleRatio(p_value=None, method="none", expected=expected, unplanned=unplanned, reason=reason)
    return observed, shares, base


def _check(counts: Mapping[str, int], plan: Mapping[str, float]) -> None:
    for name, count in counts.items():
        if count < 0:
            raise InputError(f"variant {name} has {count} units: counts are 0 or more")
        if name not in plan:
            raise InputError(f"variant {name} has no weight in the split: give it one, or 0")
    for name, weight in plan.items():
        if not 0 <= weight < math.inf:
            raise InputError(f"the weight of {name} is {weight}: give 0 or more")


def _outcomes(n: int, variants: int) -> int:
    return math.comb(n + variants - 1, variants - 1)


def _exact(observed: FloatArray, shares: FloatArray) -> float:
    """The probability of all outcomes that are no likelier than the observed one."""
    n = int(observed.sum())
    rows = _compositions(n, len(shares))
    log = _log_multinomial(rows, shares)
    here = float(_log_multinomial(observed[None, :], shares)[0])
    return float(min(max(np.exp(log[log <= here + 1e-7]).sum(), SMALLEST), 1.0))


def _compositions(n: int, variants: int) -> FloatArray:
    """All ways to put n units into so many variants, one a row."""
    rows = np.arange(n + 1, dtype=float)[:, None]
    for _ in range(variants - 2):
        left = (n - rows.sum(axis=1)).astype(int) + 1
        repeated = np.repeat(rows, left, axis=0)
        start = np.repeat(np.cumsum(left) - left, left)
        rows = np.column_stack([repeated, np.arange(len(repeated)) - start])
    return np.column_stack([rows, n - rows.sum(axis=1)])


def _log_multinomial(rows: FloatArray, shares: FloatArray) -> FloatArray:
    total = rows.sum(axis=1)
    result: FloatArray = gammaln(total + 1) + (xlogy(rows, shares) - gammaln(rows + 1)).sum(axis=1)
    return result


def _pooled(observed: FloatArray, shares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The smallest variants put together until each part expects 5 units."""
    order = np.argsort(shares)
    counts, parts = observed[order].tolist(), shares[order].tolist()
    n = observed.sum()
    while len(parts) > 1 and n * min(parts) < _SMALL:
        first = int(np.argmin(parts))
        count, part = counts.pop(first), parts.pop(first)
        second = int(np.argmin(parts))
        counts[second] += count
        parts[second] += part
    return np.array(counts), np.array(parts)


def _dirichlet_p(observed: FloatArray, shares: FloatArray, concentration: float) -> float:
    n = observed.sum()
    prior = concentration * shares
    log_e = float(
        gammaln(concentration)
        - gammaln(concentration + n)
        + (gammaln(prior + observed) - gammaln(prior) - xlogy(observed, shares)).sum()
    )
    return math.exp(min(0.0, max(-log_e, math.log(SMALLEST))))
