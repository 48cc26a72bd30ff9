"""Does an effect fade? The trend of the lift over days of first exposure, by cohorts that stay as they are."""

import math
from collections.abc import Mapping
from datetime import date

import numpy as np

from upshot.analysis.evidence import Sample, Slice
from upshot.analysis.result import Fade
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats.effect import Effect, effect_of
from upshot.stats.fixed import p_from_statistic
from upshot.stats.moments import Moments, merge_all

LEAST_DAYS = 6
"""A trend over fewer days is not read."""
LEAST_UNITS = 20
"""Days with fewer units in a variant are left out."""
LEVEL = 0.01
"""One-sided level of "the lift falls"."""


def fade_of(
    plan: Plan, metric: Metric, variant: str, days: Mapping[date, Slice], start: date | None = None
) -> Fade | None:
    """The weighted least-squares slope of the daily lift, and the lift of the last third of the days.

    None where fewer than 6 days have 20 units in both variants, or the metric has no moments by day.
    Weights are 1/variance of each day's lift with control's overall mean as the base (Draper, Smith 1998,
    "Applied Regression Analysis", sect. 9.2), so days are independent and a day's noise is its own.
    """
    pairs = _pairs(metric, plan.control, variant, days)
    if len(pairs) < LEAST_DAYS or metric.kind == "quantile":
        return None
    first = start or min(pairs)
    base = _whole([control for control, _ in pairs.values()])
    effects = {day: effect_of(control, treatment) for day, (control, treatment) in pairs.items()}
    usable = {day: effect for day, effect in effects.items() if not effect.why_not()}
    reference = abs(_value(base))
    if len(usable) < LEAST_DAYS or not reference > 0:
        return None
    x = np.array([(day - first).days for day in usable], float)
    y = metric.sign * np.array([effect.difference for effect in usable.values()]) / reference
    weight = reference**2 / np.array([effect.variance for effect in usable.values()])
    centre = (weight * x).sum() / weight.sum()
    spread = float((weight * (x - centre) ** 2).sum())
    if spread <= 0:
        return None
    slope = float((weight * (x - centre) * y).sum()) / spread
    p = p_from_statistic(slope * math.sqrt(spread), side="less")
    last = _last_third(list(pairs.values()))
    late = metric.sign * (last.lift or 0.0)
    fading = p < LEVEL and late < plan.worth_shipping
    return Fade(
        metric=metric.name,
        variant=variant,
        slope_per_day=slope,
        slope_p_value=p,
        last_third_lift=late,
        fading=fading,
    )


def _pairs(
    metric: Metric, control: str, variant: str, days: Mapping[date, Slice]
) -> dict[date, tuple[Moments, Moments]]:
    found = {}
    for day in sorted(days):
        samples: Mapping[str, Sample] = days[day].samples.get(metric.name, {})
        if control in samples and variant in samples:
            pair = tuple(_outcome(samples[name].moments) for name in (control, variant))
            if min(pair[0].n, pair[1].n) >= LEAST_UNITS:
                found[day] = (pair[0], pair[1])
    return found


def _outcome(moments: Moments) -> Moments:
    return moments.select(moments.names[: 2 if moments.is_ratio else 1])


def _whole(parts: list[Moments]) -> Moments:
    return merge_all(parts)


def _value(moments: Moments) -> float:
    return effect_of(moments, moments).control.value


def _last_third(pairs: list[tuple[Moments, Moments]]) -> Effect:
    late = pairs[-max(len(pairs) // 3, 1) :]
    return effect_of(_whole([control for control, _ in late]), _whole([treatment for _, treatment in late]))
