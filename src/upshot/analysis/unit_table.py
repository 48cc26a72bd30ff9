"""Exposures and events to a table of units: one row for each unit, one column for each metric, in one pass.

The first exposure of a unit decides its variant's day, its segments and when its windows begin; a unit that met two
variants says so, and is left out and counted by who reads the table (`Question.variants`). Events are joined to units
once, and every metric is an aggregate with a condition over that one join.
"""

from datetime import UTC, timedelta

import ibis
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import FIRST, TIME, UNIT, Gathering, as_time, later, marks_of, sources_of
from upshot.analysis.identity import UNLINKED, linked
from upshot.analysis.properties import Properties
from upshot.errors import DataError
from upshot.model.event_metric import ANY, EventMetric
from upshot.model.flag import TARGETING_KEY

VARIANT, VARIANTS = "variant", "variants"
ACCOUNT = "account"


def unit_table(exposures: ir.Table, events: ir.Table, question: EventQuestion) -> ir.Table:
    """One row for each unit that was exposed.

    Args:
        exposures: with unit_id, variant, time; experiment_id and phase where the question names them; attributes (the
            text of a JSON object) where it has segments.
        events: with type, event, user_id, anonymous_id, group_id, time, properties (the text of a JSON object).

    Returns:
        The columns unit, variant, variants (how many: 2 stands for several), first_exposure, one for each segment, and
        those of each metric by its name: NULL where its window is not over, with `` per`` for a denominator,
        `` before`` for a covariate, `` step 1`` and so on for a funnel; a quantile's is the list of its values.

    Raises:
        DataError: times are of two kinds, two columns would have one name, or a metric is not defined.
    """
    if exposures["time"].type() != events["time"].type():
        kinds = f"{exposures['time'].type()} and {events['time'].type()}"
        raise DataError(f"times of exposures and events are of two kinds, {kinds}: make them one, in UTC")
    units = first_exposures(exposures, question)
    metrics, as_of = question.measured, as_time(question.as_of.astimezone(UTC), exposures["time"])
    sources = sources_of(metrics)
    gatherings = [Gathering(metric, f"m{place}", sources, as_of) for place, metric in enumerate(metrics)]
    rows = _rows(events, units, question, as_of)
    wanted: dict[str, ir.Scalar] = {}
    for one in gatherings:
        wanted |= one.aggregates(rows)
    if not wanted:
        return units
    gathered = rows.group_by(UNIT).aggregate(**wanted)
    joined = units.left_join(gathered, UNIT)
    columns: dict[str, ir.Value] = {}
    for one in gatherings:
        _check_names(one.metric, units, columns)
        columns |= one.columns(joined)
    return joined.select(*units.columns, **columns)


def first_exposures(exposures: ir.Table, question: EventQuestion) -> ir.Table:
    """One row for each unit, of its first exposure; how many variants it met."""
    seen = [exposures["time"] < as_time(question.as_of.astimezone(UTC), exposures["time"])]
    if question.experiment is not None:
        seen.append(exposures["experiment_id"] == question.experiment)
    if question.phase is not None:
        seen.append(exposures["phase"] == question.phase)
    rows = exposures.filter(*seen)
    if question.persons is not None:
        rows = linked(rows, "unit_id", question.persons).drop(UNLINKED)
    variant, time = rows["variant"], rows["time"]
    columns: dict[str, ir.Scalar] = {
        VARIANT: variant.min(),
        VARIANTS: ibis.coalesce((variant.min() != variant.max()).cast("int64") + 1, 0),
        FIRST: time.min(),
    }
    if question.segments:
        columns["_attributes"] = rows["attributes"].argmin(time)
    units = rows.group_by(rows["unit_id"].cast("string").name(UNIT)).aggregate(**columns)
    return _with_segments(units, question) if question.segments else units


def _with_segments(units: ir.Table, question: EventQuestion) -> ir.Table:
    taken = set(question.segments) & {UNIT, VARIANT, VARIANTS, FIRST}
    if taken:
        raise DataError(
            f"segments: {', '.join(sorted(taken))} is a column of its own here: call the attribute otherwise"
        )
    attributes = Properties(units["_attributes"], question.engine)
    segments = {name: attributes.at(name).text for name in question.segments}
    return units.mutate(**segments).drop("_attributes")


def unit_of(events: ir.Table, unit: str, engine: str) -> ir.StringValue:
    """The unit that did each event: the user, else the anonymous visitor; the account; else a property."""
    if unit == TARGETING_KEY:
        return ibis.coalesce(events["user_id"], events["anonymous_id"])
    return events["group_id"] if unit == ACCOUNT else Properties(events["properties"], engine).at(unit).text


def _rows(events: ir.Table, units: ir.Table, question: EventQuestion, as_of: ir.TimestampScalar) -> ir.Table:
    """The events that can count, each with its unit's first exposure and the marks of all sources."""
    sources = sources_of(question.measured)
    wanted = [events["time"] < as_of]
    names = {source.event for source in sources}
    if ANY not in names:
        wanted.append(events["event"].isin(sorted(names)))
    known = events.filter(*wanted)
    marks = marks_of(known, sources, question.engine)
    done = known.select(
        **{UNIT: unit_of(known, question.unit, question.engine)}, **{TIME: known["time"]}, **marks
    )
    if question.persons is not None:
        done = linked(done, UNIT, question.persons).drop(UNLINKED)
    begun = units.select(UNIT, FIRST)
    rows = done.inner_join(begun, UNIT)
    before, after = _reach(question.measured)
    near = [rows[TIME] >= (later(rows[FIRST], -before) if before else rows[FIRST])]
    if after is not None:
        near.append(rows[TIME] < later(rows[FIRST], after))
    return rows.filter(*near)


def _reach(metrics: tuple[EventMetric, ...]) -> tuple[timedelta, timedelta | None]:
    """How far before and after the first exposure any metric looks; None: without end."""
    before = max((one.covariate or timedelta(0) for one in metrics), default=timedelta(0))
    ends = [one.ends for one in metrics]
    return before, None if None in ends else max((end for end in ends if end is not None), default=None)


def _check_names(metric: EventMetric, units: ir.Table, columns: dict[str, ir.Value]) -> None:
    if metric.name in units.columns or metric.name in columns:
        raise DataError(
            f"metric {metric.name}: a column or segment of units has this name: call it otherwise"
        )
