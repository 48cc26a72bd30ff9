"""The lift day by day: everybody exposed so far, with a band that holds at all days at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from upshot.analysis.estimates import estimates_of
from upshot.analysis.evidence import Evidence, Sample
from upshot.analysis.monitor import Monitor, Reach, is_ripe, monitor_of
from upshot.model.metric import Metric
from upshot.report import words
from upshot.report.findings import Findings
from upshot.stats.effect import Effect, lift_interval
from upshot.stats.moments import merge_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One day's cumulative lift and its always-valid interval, with the sentence that a hover shows."""

    day: date
    lift: float | None
    low: float | None
    high: float | None
    says: str


def cumulative(findings: Findings, metric: Metric, variant: str) -> tuple[Point, ...]:
    """The lift of all units first exposed up to each day, with what is known of them now.

    The band is the always-valid interval at the plan's alpha, whatever the plan's own monitoring is: it holds
    at all days at once, so the path may be read. Empty where days are not known, and for quantiles and
    clusters, whose days cannot be added up.
    """
    plan = replace(findings.plan, monitoring="always_valid")
    monitor = monitor_of(plan, 1.0, ())
    steps = _samples_by_day(findings.evidence, metric)
    return tuple(
        _point(day, samples, findings.control, variant, metric, monitor)
        for day, samples in steps
        if samples[findings.control].moments.n > 1 and samples[variant].moments.n > 1
    )


def _samples_by_day(evidence: Evidence, metric: Metric) -> Iterator[tuple[date, Mapping[str, Sample]]]:
    """For each day, the sample of every variant from the first day on."""
    so_far: dict[str, Sample] = {}
    for day, part in sorted(evidence.days.items()):
        for name, sample in part.samples.get(metric.name, {}).items():
            if sample.clusters is not None or sample.quantile is not None:
                return
            so_far[name] = _together(so_far[name], sample) if name in so_far else sample
        if all(name in so_far for name in evidence.variants):
            yield day, dict(so_far)


def _together(first: Sample, second: Sample) -> Sample:
    moments = merge_all([first.moments, second.moments])
    return Sample(moments=moments, zeros=first.zeros + second.zeros)


def _point(
    day: date, samples: Mapping[str, Sample], control: str, variant: str, metric: Metric, monitor: Monitor
) -> Point:
    effect = estimates_of(metric, samples).effect(control, variant)
    pair = [samples[control], samples[variant]]
    ripe = is_ripe([sample.moments.n for sample in pair], [sample.zeros for sample in pair])
    low, high = _band(effect, monitor, ripe)
    lift, interval = words.with_interval(effect.lift, (low, high), relative=True)
    return Point(day=day, lift=effect.lift, low=low, high=high, says=f"{words.day(day)}: {lift} {interval}")


def _band(effect: Effect, monitor: Monitor, ripe: bool) -> tuple[float | None, float | None]:
    units = effect.control.n + effect.treatment.n
    reach = Reach(units, effect.df, ripe)
    interval = lift_interval(effect, monitor.critical(monitor.plan.alpha, reach))
    return interval.low, interval.high
