"""What a metric was on each day of first exposure, over all variants together: for what changes all at once.

Variants are not told apart, so it says nothing about an effect.
"""

import math
from collections.abc import Mapping
from datetime import date
from functools import reduce

from upshot.analysis.evidence import Evidence, Sample
from upshot.stats.effect import estimate
from upshot.stats.moments import Moments

Day = tuple[date, float, float]
"""A day, a metric's value on it, and the standard error of that."""


def day_values(evidence: Evidence) -> dict[str, tuple[Day, ...]]:
    """By metric, its days in their order, as far as the windows of all of a day's units are over.

    Metrics that are quantiles, or whose units are clusters, have none: their days cannot be added up from moments.
    """
    found: dict[str, list[Day]] = {metric.name: [] for metric in evidence.metrics}
    for day in sorted(evidence.days):
        for name, samples in evidence.days[day].samples.items():
            value = _value(samples)
            if value is not None and name in found:
                found[name].append((day, *value))
    return {name: tuple(days) for name, days in found.items()}


def _value(samples: Mapping[str, Sample]) -> tuple[float, float] | None:
    whole = [one for one in samples.values() if one.moments.n or one.immature]
    if not whole or any(
        one.immature or one.clusters is not None or one.quantile is not None for one in whole
    ):
        return None
    arm = estimate(reduce(Moments.__add__, (one.moments for one in whole)))
    return (arm.value, math.sqrt(arm.variance)) if arm.variance >= 0 else None
