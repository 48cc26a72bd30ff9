"""A metric's own past: how many units come back when, and what each would have given had it been exposed.

Whoever does something in a stretch of the past is taken for exposed at the first such event. Everything after that is
what a live experiment does: the same windows, the same maturing, the same covariates.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np

from upshot.analysis.event_question import EventQuestion, before_field, per_field
from upshot.analysis.gathering import as_time
from upshot.analysis.identity import UNLINKED, linked
from upshot.analysis.unit_table import NO_FACTS, VARIANT, Facts, unit_of, unit_table
from upshot.errors import DataError
from upshot.model.event_metric import EXPOSURE, EventMetric
from upshot.stats.moments import DENOMINATOR, OUTCOME, FloatArray, Moments

DAY = timedelta(days=1)
_ONE = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """How many different units a stretch of so many days meets: those who come back count once.

    Attributes:
        days: how many whole days of the past were read.
        curve: shape (days,): different units met in the first 1, 2, ... days, on average over all starts there are.
    """

    days: int
    curve: tuple[float, ...]

    def units(self, days: int) -> float:
        """Different units within so many days; beyond the past new ones go on coming as in its last week.

        >>> round(Arrivals(days=7, curve=(100, 150, 180, 200, 215, 225, 230)).units(14))
        382
        """
        if days <= 0:
            return 0.0
        if days <= len(self.curve):
            return self.curve[days - 1]
        last = self.curve[-1]
        week = min(7, len(self.curve))
        before = self.curve[-1 - week] if len(self.curve) > week else self.curve[0]
        steps = week if len(self.curve) > week else max(week - 1, 1)
        growth = (last - before) / steps if len(self.curve) > 1 else last
        return last + growth * (days - len(self.curve))

    def days_for(self, units: float, longest: int = 3660) -> int | None:
        """The days until so many different units have come; None: not within ``longest`` days."""
        return next((day for day in range(1, longest + 1) if self.units(day) >= units), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastUnits:
    """What the units of the past gave, one entry a unit in each array.

    Attributes:
        names: ``outcome``, then ``denominator`` of a ratio, then covariates.
        values: shape (k, n), winsorised where the metric has a cap.
        since, until: between which the units came.
    """

    names: tuple[str, ...]
    values: FloatArray
    since: datetime
    until: datetime

    @property
    def moments(self) -> Moments:
        """Of all of them together."""
        return Moments.from_columns(dict(zip(self.names, self.values, strict=True)))


def came(events: ir.Table, question: EventQuestion, audience: str | None = None) -> ir.Table:
    """Who did something when: columns unit and time; exposures are not done by units and do not count.

    Args:
        events: as of `unit_table`. question: says which units. audience: only events of this name.
    """
    wanted = events["event"] == audience if audience else events["event"].fill_null("") != EXPOSURE
    known = events.filter(wanted)
    rows = known.select(
        unit=unit_of(known, question.unit, question.engine).cast("string"), time=known["time"]
    )
    if question.persons is not None:
        rows = linked(rows, "unit", question.persons).drop(UNLINKED)
    return rows.filter(rows["unit"].notnull())


def arrivals(visits: ir.Table, first: date, last: date) -> Arrivals:
    """The returning-user curve of whole days.

    A unit is met by a stretch that begins on day s where it comes on a day of it and did not come between s and that
    day; so a table of (day, day of the visit before) answers every stretch at once.

    Args:
        visits: of `came`. first, last: the days that are whole, both included, in UTC.

    Raises:
        DataError: there is no whole day, or nobody came.
    """
    length = (last - first).days + 1
    if length < 1:
        raise DataError("the past holds no whole day yet: plan with --baseline and --weekly")
    pairs = _pairs(visits, first, last)
    met = np.zeros((length, length + 1))  # by day, and by the day of the visit before, + 1; 0: none before
    for day, before, count in pairs:
        met[(day - first).days, 0 if before is None else (before - first).days + 1] += count
    if not met.any():
        raise DataError(
            f"nobody came between {first} and {last}: name another --audience, or plan with --baseline"
        )
    sums = np.zeros(length)
    for start in range(length):
        fresh = met[start:, : start + 1].sum(axis=1)  # whose visit before was earlier than the start
        found = np.cumsum(fresh)
        sums[: len(found)] += found
    starts = np.arange(length, 0, -1)
    return Arrivals(days=length, curve=tuple(float(one) for one in np.maximum.accumulate(sums / starts)))


def _pairs(visits: ir.Table, first: date, last: date) -> Iterator[tuple[date, date | None, int]]:
    begin = as_time(datetime(first.year, first.month, first.day, tzinfo=UTC), visits["time"])
    end_day = last + DAY
    end = as_time(datetime(end_day.year, end_day.month, end_day.day, tzinfo=UTC), visits["time"])
    inside = visits.filter(visits["time"] >= begin, visits["time"] < end)
    days = inside.select("unit", day=inside["time"].date()).distinct()
    before = days["day"].lag().over(group_by=days["unit"], order_by=days["day"])
    rows = days.mutate(before=before).group_by("day", "before").aggregate(units=lambda table: table.count())
    for row in rows.to_pyarrow().to_pylist():
        yield row["day"], row["before"], row["units"]


def past_units(
    events: ir.Table,
    visits: ir.Table,
    question: EventQuestion,
    metric: EventMetric,
    days: int,
    facts: Facts = NO_FACTS,
) -> PastUnits:
    """What units who came within so many days, the last whose windows are over, gave for a metric.

    Args:
        visits: of `came`. question: of the one metric, with ``as_of`` the end of the past. facts: the tables that it is
            of, as of `unit_table`.

    Raises:
        DataError: the metric is a quantile, or no unit's window is over.
    """
    if metric.kind == "quantile":
        raise DataError(
            f"metric {metric.name}: the spread of a quantile is not planned with: give another metric"
        )
    until = question.as_of - (metric.ends or timedelta(0))
    since = until - timedelta(days=days)
    ours = visits.filter(
        visits["time"] >= as_time(since, visits["time"]), visits["time"] < as_time(until, visits["time"])
    )
    exposures = ours.select(unit_id=ours["unit"], time=ours["time"], **{VARIANT: ibis.literal(_ONE)})
    units = unit_table(exposures, events, replace(question, experiment=None, phase=None, segments=()), facts)
    columns = _columns(units, metric)
    if not len(columns[OUTCOME]):
        raise DataError(
            f"metric {metric.name}: no unit of the past has its whole window behind it yet: wait, or plan with "
            "--baseline"
        )
    values = np.vstack(list(columns.values()))
    return PastUnits(names=tuple(columns), values=_capped(values, metric), since=since, until=until)


def _columns(units: ir.Table, metric: EventMetric) -> dict[str, FloatArray]:
    """The metric's columns of the units whose window is over, named as moments name them."""
    per = per_field(metric.name)
    covariates = (before_field(metric.name), before_field(per))
    named = {OUTCOME: metric.name, DENOMINATOR: per, **dict(zip(covariates, covariates, strict=True))}
    known = {name: field for name, field in named.items() if field in units.columns}
    mature = units.filter(units[metric.name].notnull())
    places = {f"c{place}": mature[field] for place, field in enumerate(known.values())}
    found = mature.select(**places).to_pyarrow()
    return {name: found[f"c{place}"].to_numpy().astype(np.float64) for place, name in enumerate(known)}


def _capped(values: FloatArray, metric: EventMetric) -> FloatArray:
    if metric.cap is None:
        return values
    top = float(np.quantile(values[0], metric.cap, method="inverted_cdf"))
    return np.vstack([np.minimum(values[0], top), values[1:]])
