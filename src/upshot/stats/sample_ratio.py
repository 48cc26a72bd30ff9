"""Sample ratio: did the variants get the shares of units that they should have?

A mismatch means that something chose who is counted, so no effect can be believed.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import gammaincc, gammaln

from upshot.errors import DataError
from upshot.stats.fixed import SMALLEST

_FEW = 5.0
_MOST_TABLES = 300_000


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """A test of the split.

    Attributes:
        p_value: in (0, 1]. df: degrees of freedom (variants with a weight, minus 1). method: in words.
        expected: variant -> expected units.
    """

    p_value: float
    df: int
    method: str
    expected: Mapping[str, float]


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Pearson's chi-square against the declared weights; exact where an expected count is below 5.

    A variant with weight 0 has no part in the test, whether it is empty or named at all; units in it cannot
    have come by chance and give the least p-value. Variants that nobody reached count with 0.

    Args:
        counts: variant -> units. weights: variant -> relative weight, 0 or more, at least two above 0.

    Raises:
        DataError: a count or weight is negative, or fewer than two variants have a weight.

    >>> round(sample_ratio({"control": 3332, "treatment": 2996}, {"control": 1, "treatment": 1}).p_value, 7)
    2.41e-05
    """
    live, observed, share = _checked(counts, weights)
    total = sum(observed)
    expected = {name: total * part for name, part in zip(live, share, strict=True)}
    df = len(live) - 1
    if any(count for name, count in counts.items() if not weights.get(name, 0)):
        return SampleRatio(SMALLEST, df, "units in a variant of weight 0", expected)
    if total == 0:
        return SampleRatio(1.0, df, "no units", expected)
    if min(expected.values()) < _FEW and math.comb(total + df, df) <= _MOST_TABLES:
        return SampleRatio(_exact(observed, share), df, "exact multinomial", expected)
    merged, parts = _merge_small(observed, share, total)
    statistic = sum((x - total * p) ** 2 / (total * p) for x, p in zip(merged, parts, strict=True))
    p = float(gammaincc((len(merged) - 1) / 2, statistic / 2)) if len(merged) > 1 else 1.0
    return SampleRatio(max(p, SMALLEST), len(merged) - 1, "chi-square", expected)


def sequential_log_e(
    counts: Mapping[str, int], weights: Mapping[str, float], concentration: float = 2500.0
) -> float:
    """Log Bayes factor of "another split" against the declared one: may be read after every unit.

    Dirichlet-multinomial (Lindon, Malek 2022, NeurIPS, "Anytime-valid inference for multinomial count data",
    eq. 7) with a prior centred on the declared split and worth ``concentration`` units: 2,500 expects
    deviations of about one percentage point at 50/50.
    """
    _, observed, share = _checked(counts, weights)
    if any(count for name, count in counts.items() if not weights.get(name, 0)):
        return math.inf
    x, w = np.array(observed, dtype=np.float64), np.array(share)
    a = concentration * w
    n = x.sum()
    marginal = gammaln(concentration) - gammaln(concentration + n) + (gammaln(a + x) - gammaln(a)).sum()
    return float(marginal - (x * np.log(w)).sum())


def sequential_p_value(
    history: Sequence[Mapping[str, int]], weights: Mapping[str, float], concentration: float = 2500.0
) -> float:
    """The running anytime p over the looks so far (cumulative counts): below alpha with chance alpha at most."""
    best = max((sequential_log_e(counts, weights, concentration) for counts in history), default=0.0)
    return max(math.exp(min(-best, 0.0)), SMALLEST)


def _checked(
    counts: Mapping[str, int], weights: Mapping[str, float]
) -> tuple[list[str], list[int], list[float]]:
    for name, count in counts.items():
        if count < 0:
            raise DataError(f"{name} has {count} units: counts cannot be negative")
    for name, weight in weights.items():
        if weight < 0 or not math.isfinite(weight):
            raise DataError(f"the weight of {name} is {weight}: give 0 or more")
    live = [name for name, weight in weights.items() if weight > 0]
    if len(live) < 2:
        raise DataError(f"{len(live)} variants have a weight: a split needs at least two")
    whole = sum(weights[name] for name in live)
    return live, [counts.get(name, 0) for name in live], [weights[name] / whole for name in live]


def _exact(observed: Sequence[int], share: Sequence[float]) -> float:
    """The probability of all tables that are no likelier than the observed one."""
    total, k = sum(observed), len(observed)
    bars = np.array(list(combinations(range(total + k - 1), k - 1)), dtype=np.int64).reshape(-1, k - 1)
    padded = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), total + k - 1)])
    tables = np.diff(padded, axis=1) - 1
    log = gammaln(total + 1) - gammaln(tables + 1).sum(axis=1) + tables @ np.log(share)
    probability = np.exp(log)
    own = math.exp(
        math.lgamma(total + 1)
        - sum(math.lgamma(x + 1) for x in observed)
        + sum(x * math.log(p) for x, p in zip(observed, share, strict=True))
    )
    return min(max(float(probability[probability <= own * (1 + 1e-7)].sum()), SMALLEST), 1.0)


def _merge_small(
    observed: Sequence[int], share: Sequence[float], total: int
) -> tuple[list[int], list[float]]:
    """Cells with an expected count below 5 joined to the next smallest (Cochran 1954)."""
    cells = sorted(zip(share, observed, strict=True))
    while len(cells) > 2 and cells[0][0] * total < _FEW:
        (p, x), (q, y), *rest = cells
        cells = sorted([(p + q, x + y), *rest])
    return [x for _, x in cells], [p for p, _ in cells]
