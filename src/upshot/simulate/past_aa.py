"""A/A on a metric's own past: do tests of it find an effect as often as they may, where there is none?

The units of the past are split at random again and again, and each split is analysed as an experiment would be. Any
difference is chance, so the share of significant splits is the rate of false positives, with this metric's own skew,
its outliers and its cap.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv, kolmogorov

from upshot.analysis.analyze import analyze
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.past import PastUnits
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.moments import FloatArray, Moments

SPLITS = 1000
FEWEST = 20
_DOUBT = 0.001  # how often a sound metric may be called unsound
_ENTRIES = 4_000_000  # of units by splits that are in memory at once
_NAMES = ("control", "treatment")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAA:
    """What random splits of the past gave.

    Attributes:
        units, splits: how many. alpha: the level that each was tested at.
        significant: splits with a significant difference.
        interval: 99.9% Clopper-Pearson interval of the rate.
        uniform_p_value: Kolmogorov-Smirnov's of the p-values against the uniform distribution. Few different
            outcomes make p-values coarse, so it says something only for metrics with many.
        untested: splits that gave no p-value, such as none with an outcome other than 0.
    """

    units: int
    splits: int
    alpha: float
    significant: int
    interval: tuple[float, float]
    uniform_p_value: float
    untested: int

    @property
    def rate(self) -> float:
        """The share of splits that found an effect where there is none."""
        return self.significant / self.splits

    @property
    def holds(self) -> bool:
        """Whether the rate may well be alpha, or lower (an exact test of few events is careful)."""
        return self.interval[0] <= self.alpha


def past_aa(
    past: PastUnits, metric: Metric, *, splits: int = SPLITS, seed: int = 0, alpha: float = 0.05
) -> PastAA:
    """Split the units of the past in halves, again and again, and analyse each split.

    Source: Kohavi, Tang, Xu (2020), "Trustworthy Online Controlled Experiments", chapter 19; intervals of Clopper and
    Pearson (1934); Kolmogorov's limit for the largest distance (Stephens 1970 for finite n).

    Args:
        metric: the metric with its kind, as evidence has it. splits: at least 1. seed: of the splits.
        alpha: two-sided, in (0, 1).

    Raises:
        DataError: there are fewer than 20 units.
    """
    if past.values.shape[1] < FEWEST:
        raise DataError(
            f"metric {metric.name}: {past.values.shape[1]} units of the past are too few to be split: wait for more"
        )
    plan = Plan(metrics=(metric,), alpha=alpha, final=True, floor=0, split=dict.fromkeys(_NAMES, 1.0))
    found = [_p_value(plan, halves) for halves in _splits(past, splits, np.random.default_rng(seed))]
    known = np.sort([value for value in found if value is not None])
    hits = int((known < alpha).sum())
    return PastAA(
        units=past.values.shape[1],
        splits=splits,
        alpha=alpha,
        significant=hits,
        interval=_clopper_pearson(hits, splits),
        uniform_p_value=_uniform(known),
        untested=splits - len(known),
    )


def _splits(past: PastUnits, splits: int, rng: np.random.Generator) -> Iterator[tuple[Moments, Moments]]:
    """The moments of both halves of each split, from one product of a matrix of masks with what units gave."""
    values = past.values
    shift = values.mean(axis=1)
    centred = values - shift[:, None]
    k, n = centred.shape
    rows, columns = np.triu_indices(k)
    wide = np.vstack([np.ones(n), centred, centred[rows] * centred[columns]]).T
    whole = wide.sum(axis=0)
    block = max(1, _ENTRIES // n)
    for begin in range(0, splits, block):
        masks = rng.integers(0, 2, (min(block, splits - begin), n), dtype=np.int8).astype(np.float64)
        for sums in masks @ wide:
            yield _moments(past.names, shift, whole - sums), _moments(past.names, shift, sums)


def _moments(names: tuple[str, ...], shift: FloatArray, sums: FloatArray) -> Moments:
    k = len(names)
    products = np.zeros((k, k))
    products[np.triu_indices(k)] = sums[1 + k :]
    products = products + np.triu(products, 1).T
    return Moments.from_shifted_sums(names, round(sums[0]), shift, sums[1 : 1 + k], products)


def _p_value(plan: Plan, halves: tuple[Moments, Moments]) -> float | None:
    metric = plan.metrics[0]
    samples = {name: Sample(moments=half) for name, half in zip(_NAMES, halves, strict=True)}
    total = Slice(
        units={name: one.moments.n for name, one in samples.items()}, samples={metric.name: samples}
    )
    evidence = Evidence(unit="unit", control=_NAMES[0], variants=_NAMES, metrics=plan.metrics, total=total)
    return analyze(plan, evidence).metrics[0].comparisons[0].p_value


def _clopper_pearson(hits: int, trials: int) -> tuple[float, float]:
    low = float(betaincinv(hits, trials - hits + 1, _DOUBT / 2)) if hits else 0.0
    high = float(betaincinv(hits + 1, trials - hits, 1 - _DOUBT / 2)) if hits < trials else 1.0
    return low, high


def _uniform(values: FloatArray) -> float:
    n = len(values)
    if not n:
        return float("nan")
    steps = np.arange(n + 1) / n
    distance = float(np.max([steps[1:] - values, values - steps[:-1]]))
    return float(kolmogorov(distance * (np.sqrt(n) + 0.12 + 0.11 / np.sqrt(n))))
