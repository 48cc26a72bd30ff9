"""From samples to effects: which estimator a metric calls for, and why there is none where there is none."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from upshot.analysis.evidence import Sample
from upshot.model.metric import Metric
from upshot.stats.adjustment import cuped
from upshot.stats.clusters import FEW, Correction, cluster_arm
from upshot.stats.effect import Arm, Effect, estimate
from upshot.stats.proportions import Counts

SHARES = ("proportion", "retention", "funnel")
_METHODS = {
    "mean": "Welch t, Fieller interval for the lift",
    "ratio": "delta-method Welch t of a ratio of sums, Fieller interval for the lift",
    "quantile": "outer confidence interval of the quantile",
}


@dataclass(frozen=True, slots=True)
class Estimates:
    """The estimates of one metric in all variants, on one scale.

    Attributes:
        arms: variant -> estimate. method: in words. why_not: variant -> why it has no estimate.
        counts: variant -> (successes, trials), where the two-proportion test applies under ``fixed``.
        variance_reduction: share of variance that covariates removed; None without covariates.
    """

    arms: Mapping[str, Arm]
    method: str
    why_not: Mapping[str, str]
    counts: Mapping[str, tuple[int, int]] | None = None
    variance_reduction: float | None = None

    def effect(self, control: str, variant: str) -> Effect:
        """A variant against control."""
        return Effect(self.arms[control], self.arms[variant])

    def pair(self, control: str, variant: str) -> Counts | None:
        """The counts of a pair, where both have trials."""
        if self.counts is None or not all(self.counts[name][1] for name in (control, variant)):
            return None
        return Counts(*self.counts[control], *self.counts[variant])


def estimates_of(metric: Metric, samples: Mapping[str, Sample]) -> Estimates:
    """The estimates of a metric from one sample a variant."""
    if any(sample.clusters is not None for sample in samples.values()):
        return _clustered(samples)
    if metric.kind == "quantile":
        return _quantiles(samples)
    if any(sample.moments.covariates and sample.moments.n for sample in samples.values()):
        return _adjusted(metric, samples)
    return _plain(metric, samples)


def _nothing(n: int = 0) -> Arm:
    return Arm(math.nan, math.nan, n, 0)


def _plain(metric: Metric, samples: Mapping[str, Sample]) -> Estimates:
    arms = {name: estimate(sample.moments) for name, sample in samples.items()}
    counts = None
    if metric.kind in SHARES:
        counts = {
            name: (round(sample.moments.n * sample.moments.mean()), sample.moments.n)
            for name, sample in samples.items()
        }
    key = "ratio" if next(iter(samples.values())).moments.is_ratio else "mean"
    return Estimates(arms, _METHODS[key], _lost(samples), counts)


def _adjusted(metric: Metric, samples: Mapping[str, Sample]) -> Estimates:
    usable = {name: math.isfinite(estimate(sample.moments).value) for name, sample in samples.items()}
    full = {name: sample.moments for name, sample in samples.items() if usable[name]}
    if not full:
        return _plain(metric, samples)
    names = ", ".join(metric.covariates)
    result = cuped(full)
    arms = {name: result.arms.get(name, _nothing()) for name in samples}
    of = " of a ratio" if metric.kind == "ratio" else ""
    method = f"CUPED{of} on {names}, Welch t, Fieller interval for the lift"
    return Estimates(arms, method, _lost(samples), None, result.variance_reduction)


def _lost(samples: Mapping[str, Sample]) -> dict[str, str]:
    reason = (
        "its values are so large beside their differences that the differences are lost: subtract a constant"
    )
    return {name: reason for name, sample in samples.items() if sample.moments.precision_lost}


def _clustered(samples: Mapping[str, Sample]) -> Estimates:
    totals = {name: sample.clusters for name, sample in samples.items() if sample.clusters is not None}
    groups = sum(total.n for total in totals.values())
    correction: Correction = "CR2" if groups < FEW else "CR1"
    arms = {name: cluster_arm(total, correction) for name, total in totals.items()}
    for name in samples:
        arms.setdefault(name, _nothing())
    method = f"cluster-robust ({correction}) Welch t over {groups} clusters, Fieller interval for the lift"
    return Estimates(arms, method, {})


def _quantiles(samples: Mapping[str, Sample]) -> Estimates:
    found = {name: sample.quantile for name, sample in samples.items()}
    arms = {name: one.arm if one is not None and one.n else _nothing() for name, one in found.items()}
    why = {name: "it has no values" if one is None else one.why_not() for name, one in found.items()}
    return Estimates(arms, _METHODS["quantile"], {name: reason for name, reason in why.items() if reason})
