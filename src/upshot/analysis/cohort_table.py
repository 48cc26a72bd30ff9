"""What units did on each day since their first exposure: one pass over the events, summed by cohort.

A cohort are the units of a variant that were first exposed on one day, in UTC; a day since exposure has 24 hours and
begins with the exposure, so day 0 is a unit's first. A unit's day counts once it is over. The days of one cohort are of
the same units and never merged; cohorts are disjoint, so their moments merge exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.event_words import source_words
from upshot.analysis.gathering import FIRST, MICROSECOND, TIME, UNIT, sources_of
from upshot.analysis.unit_table import (
    NO_FACTS,
    VARIANT,
    VARIANTS,
    Facts,
    as_of_in,
    done_of,
    first_exposures,
)
from upshot.model.event_metric import ANY, DAY, EventMetric, Source
from upshot.stats.moments import DENOMINATOR, OUTCOME, Moments

LONGEST = 28
"""Days since exposure that are looked at."""
COUNTED = ("proportion", "count", "mean", "ratio")
"""Kinds that can be told day by day; of others a day is no part."""

Cell = tuple[date, str, int]
"""Day of first exposure, variant, days since."""
Row = Mapping[str, Any]

_COHORT, _AGE, _LENGTH = "_cohort", "_age", DAY // MICROSECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortCells:
    """What there is of each cohort.

    Attributes:
        units: (day of first exposure, variant) -> units. over: cell -> those of them whose day is over.
        moments: metric -> cell -> moments of what these gave on that day: ``outcome``, and a ratio's ``denominator``;
            only days that are within the metric's window as a whole.
        returns: what counts as coming back, in words -> cell -> how many of these did it on that day.
    """

    units: Mapping[tuple[date, str], int]
    over: Mapping[Cell, int]
    moments: Mapping[str, Mapping[Cell, Moments]]
    returns: Mapping[str, Mapping[Cell, int]]


def cohort_cells(
    exposures: ir.Table, events: ir.Table, question: EventQuestion, facts: Facts = NO_FACTS
) -> CohortCells:
    """Count and sum as of the question's moment; tables are given as of `unit_table`.

    Units that met two variants are left out. What counts as coming back is what the question's retention metrics look
    for, and anything where it has none.
    """
    counted = [one for one in question.measured if one.kind in COUNTED]
    returning = [one.source for one in question.measured if one.kind == "retention"] or [Source(event=ANY)]
    named = {source_words(source): source for source in returning}
    units = _cohorts(exposures, question)
    counts = units.group_by(_COHORT, VARIANT, "_over").aggregate(units=units.count()).to_pyarrow().to_pylist()
    over = _over(counts)
    sources = sources_of(counted)
    sources += [source for source in named.values() if source not in sources]
    done = done_of(events, facts, question, sources, as_of_in(exposures, question))
    daily = _daily(done, units, counted, list(named.values()), sources)
    sums = {
        (row[_COHORT], row[VARIANT], row[_AGE]): row
        for row in _sums(daily, len(counted), len(named)).to_pyarrow().to_pylist()
    }
    return CohortCells(
        units=_totals(counts),
        over=over,
        moments={
            metric.name: {
                cell: _moments(metric, f"m{place}", sums.get(cell), n)
                for cell, n in over.items()
                if metric.ends is None or DAY * (cell[2] + 1) <= metric.ends
            }
            for place, metric in enumerate(counted)
        },
        returns={
            words: {cell: int(sums[cell][f"r{place}"]) if cell in sums else 0 for cell in over}
            for place, words in enumerate(named)
        },
    )


def _cohorts(exposures: ir.Table, question: EventQuestion) -> ir.Table:
    """Units of one variant, the day of their first exposure, and how many of their days are over."""
    units = first_exposures(exposures, replace(question, segments=()))
    units = units.filter(units[VARIANTS] == 1)
    passed = as_of_in(exposures, question).delta(units[FIRST], unit="microsecond").cast("int64")
    whole = (passed - passed % _LENGTH) / _LENGTH
    over = ibis.least(whole.cast("int64"), ibis.literal(LONGEST))
    return units.select(UNIT, VARIANT, FIRST, **{_COHORT: units[FIRST].date(), "_over": over})


def _totals(counts: Sequence[Row]) -> dict[tuple[date, str], int]:
    found: dict[tuple[date, str], int] = {}
    for row in counts:
        key = row[_COHORT], row[VARIANT]
        found[key] = found.get(key, 0) + int(row["units"])
    return found


def _over(counts: Sequence[Row]) -> dict[Cell, int]:
    """For each cell how many units have that day behind them."""
    found: dict[Cell, int] = {}
    for row in counts:
        for age in range(int(row["_over"])):
            cell = row[_COHORT], row[VARIANT], age
            found[cell] = found.get(cell, 0) + int(row["units"])
    return found


def _daily(
    done: ir.Table,
    units: ir.Table,
    counted: Sequence[EventMetric],
    returning: Sequence[Source],
    sources: Sequence[Source],
) -> ir.Table:
    """One row for each unit and day on which it did something: the totals of each metric, and whether it came back."""
    rows = done.inner_join(units, UNIT)
    passed = rows[TIME].delta(rows[FIRST], unit="microsecond").cast("int64")
    rows = rows.mutate(_passed=passed).filter(passed >= 0)
    whole = (rows["_passed"] - rows["_passed"] % _LENGTH) / _LENGTH
    rows = rows.mutate(**{_AGE: whole.cast("int64")})
    rows = rows.filter(rows[_AGE] < rows["_over"])
    wanted: dict[str, ir.Scalar] = {}
    for place, metric in enumerate(counted):
        wanted[f"y{place}"] = _total(rows, metric.source, sources, metric.kind == "proportion")
        if metric.denominator is not None:
            wanted[f"d{place}"] = _total(rows, metric.denominator, sources)
    for place, source in enumerate(returning):
        wanted[f"r{place}"] = _total(rows, source, sources, is_share=True)
    return rows.group_by(_COHORT, VARIANT, _AGE, UNIT).aggregate(**wanted)


def _total(
    rows: ir.Table, source: Source, sources: Sequence[Source], is_share: bool = False
) -> ir.FloatingScalar:
    place = sources.index(source)
    mark = rows[f"s{place}"]
    if is_share:
        return mark.any().cast("float64")
    if source.value is None:
        return rows.count(where=mark).cast("float64")
    return ibis.coalesce(rows[f"v{place}"].sum(where=mark), 0.0)


def _sums(daily: ir.Table, counted: int, returning: int) -> ir.Table:
    """By cell, over the units that did something: means and centred second moments, which engines sum without loss."""
    wanted: dict[str, ir.Scalar] = {"n": daily.count()}
    for place in range(counted):
        y = daily[f"y{place}"]
        wanted |= {f"m{place}_y": y.mean(), f"m{place}_yy": y.var(how="pop")}
        if f"d{place}" in daily.columns:
            d = daily[f"d{place}"]
            wanted |= {f"m{place}_d": d.mean(), f"m{place}_dd": d.var(how="pop")}
            wanted[f"m{place}_yd"] = y.cov(d, how="pop")
    for place in range(returning):
        wanted[f"r{place}"] = daily[f"r{place}"].sum()
    return daily.group_by(_COHORT, VARIANT, _AGE).aggregate(**wanted)


def _moments(metric: EventMetric, label: str, row: Row | None, units: int) -> Moments:
    """Of all units of a cell: those that did something, and the others, who gave 0."""
    names = (OUTCOME,) if metric.denominator is None else (OUTCOME, DENOMINATOR)
    n = 0 if row is None else int(row["n"])
    size = len(names)
    rest = Moments(names=names, n=units - n, means=np.zeros(size), cross=np.zeros((size, size)))
    if row is not None:
        keys = [["yy", "yd"], ["yd", "dd"]]
        means = np.array([row[f"{label}_{key}"] for key in ("y", "d")[:size]], float)
        cross = n * np.array([[row[f"{label}_{key}"] for key in line[:size]] for line in keys[:size]], float)
        rest = Moments(names=names, n=n, means=means, cross=cross) + rest
    if not metric.absent:
        return rest
    return replace(rest, means=1 - rest.means)
