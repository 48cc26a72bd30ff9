"""Cohort views of a running experiment: is the effect one of the first days (novelty), and who comes back.

They are to be read, not to decide by: every interval is one of its own at the plan's level, unadjusted for covariates,
for the other days and for looks. Whether an effect fades is tested by `analysis.fade`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from upshot.analysis.cohort_table import Cell, CohortCells
from upshot.analysis.comparison import compare, difference_at, ends, lift_at
from upshot.analysis.estimates import estimates_of
from upshot.analysis.evidence import Evidence, Sample
from upshot.analysis.monitor import Monitor, monitor_of
from upshot.analysis.result import Bounds
from upshot.model.metric import Kind, Metric
from upshot.model.plan import Plan
from upshot.stats.moments import Moments, merge_all

By = Literal["exposure_day", "days_since"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortPoint:
    """A variant against control among the units of one cohort, or on one day since exposure.

    Attributes:
        at: the day of first exposure, or the number of days since. units: variant -> units that are compared.
        control, value: the metric in control and in the variant. effect, lift: their difference, and the same relative.
        interval, lift_interval: at the plan's level, each by itself; an end is None where there is none.
        reasons: why a field is not there, or has not both ends.
    """

    at: date | int
    units: Mapping[str, int]
    control: float | None
    value: float | None
    effect: float | None
    interval: Bounds
    lift: float | None
    lift_interval: Bounds
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTrend:
    """One comparison, cohort by cohort or day by day since exposure.

    Attributes:
        metric, kind, variant: what is compared with control. by: what the points are of. points: in their order.
    """

    metric: str
    kind: Kind
    variant: str
    by: By
    points: tuple[CohortPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnRow:
    """A row of the retention triangle: the units of a variant that were first exposed on one day.

    Attributes:
        shares: of them who came back on day 0, 1, 2 and so on; only days that are over for all of the cohort.
    """

    day: date
    variant: str
    units: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """A retention triangle. ``of``: what counts as coming back, in words."""

    of: str
    rows: tuple[ReturnRow, ...]

    def curve(self, variant: str) -> list[tuple[int, float]]:
        """Days since, and the share of all units of a variant who came back then, of the cohorts that have it."""
        mine = [row for row in self.rows if row.variant == variant]
        longest = max((len(row.shares) for row in mine), default=0)
        found = []
        for number in range(longest):
            told = [(row.units, row.shares[number]) for row in mine if len(row.shares) > number]
            found.append((number, sum(n * share for n, share in told) / sum(n for n, _ in told)))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """All cohort views.

    Attributes:
        as_of: until when events were seen. alpha: each interval has the level 1 - alpha.
        trends, returns: the views. hidden: why there are none, where they are sealed.
    """

    as_of: datetime
    alpha: float
    trends: tuple[CohortTrend, ...] = ()
    returns: tuple[Returns, ...] = ()
    hidden: str = ""


def cohorts_of(plan: Plan, evidence: Evidence, cells: CohortCells, as_of: datetime) -> Cohorts:
    """The views of evidence and of what units did day by day.

    Args:
        plan: whose level and control are taken. evidence: with its days of first exposure. cells: of the same units.
        as_of: until when events were seen.
    """
    monitor = monitor_of(replace(plan, monitoring="fixed"), 1.0, ())
    trends = [
        trend
        for metric in evidence.metrics
        for variant in evidence.variants
        if variant != evidence.control
        for trend in _trends(metric, variant, evidence, cells, monitor)
    ]
    return Cohorts(
        as_of=as_of, alpha=plan.alpha, trends=tuple(trends), returns=tuple(_returns(evidence, cells))
    )


def _trends(
    metric: Metric, variant: str, evidence: Evidence, cells: CohortCells, monitor: Monitor
) -> Iterator[CohortTrend]:
    """By day of first exposure and by days since, where there are two points at least."""
    by_exposure, by_age = _by_exposure(metric, evidence), _by_age(metric, cells, evidence)
    series: Mapping[By, Series] = {"exposure_day": by_exposure, "days_since": by_age}
    for by, found in series.items():
        points = tuple(_points(metric, found, evidence.control, variant, monitor))
        if len(points) > 1:
            yield CohortTrend(
                metric=metric.name, kind=metric.kind or "mean", variant=variant, by=by, points=points
            )


Series = Mapping[date, Mapping[str, Sample]] | Mapping[int, Mapping[str, Sample]]


def _by_exposure(metric: Metric, evidence: Evidence) -> Mapping[date, Mapping[str, Sample]]:
    """Each day's samples without covariates: few units do not say how much those explain."""
    return {
        day: {name: _bare(sample) for name, sample in part.samples[metric.name].items()}
        for day, part in sorted(evidence.days.items())
        if metric.name in part.samples
    }


def _bare(sample: Sample) -> Sample:
    names = sample.moments.names[: 2 if sample.moments.is_ratio else 1]
    return replace(sample, moments=sample.moments.select(names))


def _by_age(metric: Metric, cells: CohortCells, evidence: Evidence) -> Mapping[int, Mapping[str, Sample]]:
    """Each day's samples over all cohorts that have it behind them: their units are disjoint."""
    found = cells.moments.get(metric.column, {})
    return {
        age: {
            variant: Sample(moments=_merged(found, variant, age))
            for variant in evidence.variants
            if any(cell[1:] == (variant, age) for cell in found)
        }
        for age in sorted({cell[2] for cell in found})
    }


def _merged(found: Mapping[Cell, Moments], variant: str, age: int) -> Moments:
    return merge_all([moments for cell, moments in found.items() if cell[1:] == (variant, age)])


def _points(
    metric: Metric, series: Series, control: str, variant: str, monitor: Monitor
) -> Iterator[CohortPoint]:
    for at, samples in series.items():
        if control in samples and variant in samples:
            point = _point(at, metric, {name: samples[name] for name in (control, variant)}, control, monitor)
            if min(point.units.values()) > 0:
                yield point


def _point(
    at: date | int, metric: Metric, samples: Mapping[str, Sample], control: str, monitor: Monitor
) -> CohortPoint:
    variant = next(name for name in samples if name != control)
    estimates = estimates_of(metric, samples)
    tested = compare(metric.name, estimates, control, variant, monitor, ripe=True, sign=metric.sign)
    effect, alpha = tested.effect, monitor.plan.alpha
    difference, relative = difference_at(tested, monitor, alpha), lift_at(tested, monitor, alpha)
    lift = _finite(effect.lift)
    reasons = {
        "interval": difference.reason,
        "lift": "" if lift is not None else "control is 0, and nothing is relative to it",
        "lift_interval": relative.reason,
    }
    return CohortPoint(
        at=at,
        units={name: _units(sample) for name, sample in samples.items()},
        control=_finite(effect.control.value),
        value=_finite(effect.treatment.value),
        effect=_finite(effect.difference),
        interval=ends(difference),
        lift=lift,
        lift_interval=ends(relative),
        reasons={name: text for name, text in reasons.items() if text},
    )


def _units(sample: Sample) -> int:
    return sample.moments.n if sample.quantile is None else sample.quantile.n


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _returns(evidence: Evidence, cells: CohortCells) -> Iterator[Returns]:
    for words, counts in cells.returns.items():
        rows = [
            ReturnRow(day=day, variant=variant, units=units, shares=shares)
            for (day, variant), units in sorted(cells.units.items())
            if variant in evidence.variants
            and (shares := _shares(cells, counts, day, variant, units, evidence.variants))
        ]
        if any(counts.values()) and rows:
            yield Returns(of=words, rows=tuple(rows))


def _shares(
    cells: CohortCells,
    counts: Mapping[Cell, int],
    day: date,
    variant: str,
    units: int,
    variants: Sequence[str],
) -> tuple[float, ...]:
    """By days since exposure, until the first that is not over for each unit of the day, whatever its variant."""
    shares: list[float] = []
    whole = {name: cells.units.get((day, name), 0) for name in variants}
    while all(cells.over.get((day, name, len(shares)), 0) == count for name, count in whole.items()):
        if (day, variant, len(shares)) not in counts:
            break
        shares.append(counts[day, variant, len(shares)] / units)
    return tuple(shares)


def cohorts_to_dict(cohorts: Cohorts) -> dict[str, Any]:
    """As JSON has it."""
    plain: dict[str, Any] = {"as_of": cohorts.as_of.isoformat(), "alpha": cohorts.alpha}
    if cohorts.hidden:
        return plain | {
            "trends": [],
            "returns": [],
            "reasons": {"trends": cohorts.hidden, "returns": cohorts.hidden},
        }
    return plain | {
        "trends": [_trend_to_dict(trend) for trend in cohorts.trends],
        "returns": [
            {
                "of": one.of,
                "rows": [
                    {
                        "day": row.day.isoformat(),
                        "variant": row.variant,
                        "units": row.units,
                        "shares": list(row.shares),
                    }
                    for row in one.rows
                ],
            }
            for one in cohorts.returns
        ],
    }


def _trend_to_dict(trend: CohortTrend) -> dict[str, Any]:
    return {
        "metric": trend.metric,
        "kind": trend.kind,
        "variant": trend.variant,
        "by": trend.by,
        "points": [
            {
                "at": point.at.isoformat() if isinstance(point.at, date) else point.at,
                "units": dict(point.units),
                "control": point.control,
                "value": point.value,
                "effect": point.effect,
                "interval": list(point.interval),
                "lift": point.lift,
                "lift_interval": list(point.lift_interval),
                "reasons": dict(point.reasons),
            }
            for point in trend.points
        ],
    }
