"""Cohort views in words: trends of an effect, and who comes back, as every table of a report shows them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from upshot.analysis.cohorts import By, CohortPoint, Cohorts, CohortTrend, Returns
from upshot.analysis.result import Bounds
from upshot.report import words
from upshot.report.cells import Table
from upshot.report.findings import Findings

HEADS: dict[By, str] = {"exposure_day": "first exposed", "days_since": "day"}
TITLES: dict[By, str] = {"exposure_day": "by day of first exposure", "days_since": "by days since exposure"}
EXPLORED = (
    "Each interval is one by itself, at {level}: read the course and not single days, of which some lie beyond 0 "
    "by chance."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortLine:
    """One cohort, or one day since exposure: texts, and the lift with its interval for a bar."""

    at: str
    units: str
    control: str
    value: str
    lift: str
    interval: str
    estimate: float | None
    bounds: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendView:
    """One comparison's course. ``head``: what its lines are of."""

    title: str
    head: str
    metric: str
    trend: CohortTrend
    lines: tuple[CohortLine, ...]


def trends(findings: Findings) -> tuple[TrendView, ...]:
    """All courses, those of primaries first."""
    if findings.cohorts is None:
        return ()
    roles = {metric.name: metric.role for metric in findings.evidence.metrics}
    ordered = sorted(findings.cohorts.trends, key=lambda trend: roles[trend.metric] != "primary")
    return tuple(_trend(findings, trend) for trend in ordered)


def _trend(findings: Findings, trend: CohortTrend) -> TrendView:
    several = f", {words.plain(trend.variant)}" if len(findings.challengers) > 1 else ""
    return TrendView(
        title=f"{words.plain(trend.metric)}{several} {TITLES[trend.by]}",
        head=HEADS[trend.by],
        metric=trend.metric,
        trend=trend,
        lines=tuple(_line(trend, point, findings.control) for point in trend.points),
    )


def _line(trend: CohortTrend, point: CohortPoint, control: str) -> CohortLine:
    lift, interval = words.with_interval(point.lift, point.lift_interval, relative=True)
    averages = words.amounts((point.control, point.value), trend.kind)
    return CohortLine(
        at=place(point),
        units=f"{words.count(point.units[control])} + {words.count(point.units[trend.variant])}",
        control=averages[0],
        value=averages[1],
        lift=lift,
        interval=interval,
        estimate=point.lift,
        bounds=point.lift_interval,
    )


def place(point: CohortPoint) -> str:
    """Where a point is: a date, or a number of days."""
    return words.day(point.at) if isinstance(point.at, date) else str(point.at)


def tables(findings: Findings) -> tuple[tuple[str, Table], ...]:
    """Each view's title and its table: courses, then who comes back."""
    courses = tuple((view.title, _table(view, words.plain(findings.control))) for view in trends(findings))
    return courses + returns(findings)


def _table(view: TrendView, control: str) -> Table:
    header = (view.head, "units", control, "variant", "lift", "interval")
    body = [(line.at, line.units, line.control, line.value, line.lift, line.interval) for line in view.lines]
    return Table(header=header, rows=body, numeric=range(1, len(header)))


def returns(findings: Findings) -> tuple[tuple[str, Table], ...]:
    """The retention triangles: a row is day, variant, units, and a share for each day that is over."""
    found = () if findings.cohorts is None else findings.cohorts.returns
    return tuple(
        (f"Who came back: {words.plain(one.of)}, by days since exposure", _triangle(one)) for one in found
    )


def _triangle(one: Returns) -> Table:
    longest = max(len(row.shares) for row in one.rows)
    header = ("first exposed", "variant", "units", *(str(number) for number in range(longest)))
    body = [
        (
            words.day(row.day), words.plain(row.variant), words.count(row.units), *map(_share, row.shares),
            *[""] * (longest - len(row.shares)),
        )
        for row in one.rows
    ]  # fmt: skip
    return Table(header=header, rows=body, numeric=range(2, len(header)))


def _share(share: float) -> str:
    return words.percent(share, 0)


def remarks(findings: Findings) -> Iterator[str]:
    """How to read the views, or why there are none."""
    cohorts: Cohorts | None = findings.cohorts
    if cohorts is None:
        return
    if cohorts.hidden:
        yield f"Cohort views: {cohorts.hidden}."
    elif not cohorts.trends and not cohorts.returns:
        yield "Cohort views: no two days are over yet in both variants."
    else:
        yield EXPLORED.format(level=words.percent(1 - cohorts.alpha))
