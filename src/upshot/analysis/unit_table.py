"""Exposures and events to a table of units: one row for each unit, one column for each metric, in one pass.

The first exposure of a unit decides its variant's day, its segments and when its windows begin; a unit that met two
variants says so, and is left out and counted by who reads the table (`Question.variants`). Events are joined to units
once, and every metric is an aggregate with a condition over that one join. Rows of tables that metrics are of come into
that join beside the events.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, timedelta
from types import MappingProxyType

import ibis
import ibis.expr.types as ir

from upshot.analysis.event_question import EventQuestion
from upshot.analysis.gathering import FIRST, TIME, UNIT, Gathering, as_time, later, marks_of, sources_of
from upshot.analysis.identity import UNLINKED, linked
from upshot.analysis.properties import Properties
from upshot.errors import DataError
from upshot.model.event_metric import ANY, EventMetric, Source
from upshot.model.flag import TARGETING_KEY

VARIANT, VARIANTS = "variant", "variants"
ACCOUNT = "account"

Facts = Mapping[str, ir.Table]
"""Name of a table -> its rows: unit, time, properties (the text of a JSON object with its columns)."""
NO_FACTS: Facts = MappingProxyType({})


def unit_table(
    exposures: ir.Table, events: ir.Table, question: EventQuestion, facts: Facts = NO_FACTS
) -> ir.Table:
    """One row for each unit that was exposed.

    Args:
        exposures: with unit_id, variant, time; experiment_id and phase where the question names them; attributes (the
            text of a JSON object) where it has segments.
        events: with type, event, user_id, anonymous_id, group_id, time, properties (the text of a JSON object).
        facts: the tables that the question's metrics are of.

    Returns:
        The columns unit, variant, variants (how many: 2 stands for several), first_exposure, one for each segment, and
        those of each metric by its name: NULL where its window is not over, with `` per`` for a denominator,
        `` before`` for a covariate, `` step 1`` and so on for a funnel; a quantile's is the list of its values.

    Raises:
        DataError: times are of two kinds, two columns would have one name, a metric is not defined, or the rows of its
            table are not there.
    """
    for what, rows in {"events": events, **facts}.items():
        if exposures["time"].type() != rows["time"].type():
            kinds = f"{exposures['time'].type()} and {rows['time'].type()}"
            raise DataError(f"times of exposures and {what} are of two kinds, {kinds}: make them one, in UTC")
    units = first_exposures(exposures, question)
    sources = sources_of(question.measured)
    done = done_of(events, facts, question, sources, as_of_in(exposures, question))
    return with_metrics(units, gathered(units, done, question), question)


def gathered(units: ir.Table, done: ir.Table, question: EventQuestion) -> ir.Table | None:
    """One row for each of these units that did something, with all that metrics are made of; None: nothing is asked.

    Args:
        units: with unit and first_exposure. done: with unit, _time and the marks of all sources.
    """
    rows = _rows(done, units, question)
    wanted: dict[str, ir.Scalar] = {}
    for one in _gatherings(units, question):
        wanted |= one.aggregates(rows)
    return rows.group_by(UNIT).aggregate(**wanted) if wanted else None


def with_metrics(units: ir.Table, found: ir.Table | None, question: EventQuestion) -> ir.Table:
    """The table of units that `unit_table` gives, of units as `first_exposures` gives them and what was `gathered`."""
    if found is None:
        return units
    joined = units.left_join(found, UNIT)
    columns: dict[str, ir.Value] = {}
    for one in _gatherings(units, question):
        _check_names(one.metric, units, columns)
        columns |= one.columns(joined)
    return joined.select(*units.columns, **columns)


def _gatherings(units: ir.Table, question: EventQuestion) -> list[Gathering]:
    metrics, as_of = question.measured, as_of_in(units, question, FIRST)
    sources = sources_of(metrics)
    return [
        Gathering(metric, f"m{place}", sources, as_of, metric.name in question.at_once)
        for place, metric in enumerate(metrics)
    ]


def as_of_in(table: ir.Table, question: EventQuestion, time: str = "time") -> ir.TimestampScalar:
    """The end of what is seen, as the table has times."""
    return as_time(question.as_of.astimezone(UTC), table[time])


def first_exposures(exposures: ir.Table, question: EventQuestion, *, as_text: bool = True) -> ir.Table:
    """One row for each unit, of its first exposure; how many variants it met.

    Args:
        as_text: units are made texts, as those of events are; else they stay what they are.
    """
    seen = [exposures["time"] < as_of_in(exposures, question)]
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
    unit = rows["unit_id"].cast("string") if as_text else rows["unit_id"]
    units = rows.group_by(unit.name(UNIT)).aggregate(**columns)
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


def done_of(
    events: ir.Table,
    facts: Facts,
    question: EventQuestion,
    sources: Sequence[Source],
    as_of: ir.TimestampScalar,
) -> ir.Table:
    """What units did: events and rows of tables that can count, each with its unit and the marks of these sources."""
    parts = [_facts_done(name, facts, question, sources, as_of) for name in _tables_of(sources)]
    if any(source.table is None for source in sources) or not parts:
        parts.insert(0, _events_done(events, question, sources, as_of))
    done = parts[0] if len(parts) == 1 else ibis.union(*parts, distinct=False)
    return done if question.persons is None else linked(done, UNIT, question.persons).drop(UNLINKED)


def _events_done(
    events: ir.Table, question: EventQuestion, sources: Sequence[Source], as_of: ir.TimestampScalar
) -> ir.Table:
    wanted = [events["time"] < as_of]
    names = {source.event for source in sources if source.event is not None}
    if ANY not in names:
        wanted.append(events["event"].isin(sorted(names)))
    known = events.filter(*wanted)
    marks = marks_of(known, sources, question.engine)
    unit = unit_of(known, question.unit, question.engine)
    return known.select(**{UNIT: unit}, **{TIME: known["time"]}, **marks)


def _facts_done(
    name: str, facts: Facts, question: EventQuestion, sources: Sequence[Source], as_of: ir.TimestampScalar
) -> ir.Table:
    if name not in facts:
        raise DataError(f"the rows of the table {name} are not there: give them with the events")
    known = facts[name].filter(facts[name]["time"] < as_of)
    marks = marks_of(known, sources, question.engine, name)
    return known.select(**{UNIT: known["unit"]}, **{TIME: known["time"]}, **marks)


def _tables_of(sources: Sequence[Source]) -> Iterator[str]:
    return iter(dict.fromkeys(source.table.name for source in sources if source.table is not None))


def _rows(done: ir.Table, units: ir.Table, question: EventQuestion) -> ir.Table:
    """Those near enough to their unit's first exposure, with it."""
    begun = units.select(UNIT, FIRST)
    rows = done.inner_join(begun, UNIT)
    before, after = reach(question.measured)
    near = [rows[TIME] >= (later(rows[FIRST], -before) if before else rows[FIRST])]
    if after is not None:
        near.append(rows[TIME] < later(rows[FIRST], after))
    return rows.filter(*near)


def reach(metrics: Sequence[EventMetric]) -> tuple[timedelta, timedelta | None]:
    """How far before and after the first exposure any metric looks; None: without end."""
    before = max((one.covariate or timedelta(0) for one in metrics), default=timedelta(0))
    ends = [one.ends for one in metrics]
    return before, None if None in ends else max((end for end in ends if end is not None), default=None)


def _check_names(metric: EventMetric, units: ir.Table, columns: dict[str, ir.Value]) -> None:
    if metric.name in units.columns or metric.name in columns:
        raise DataError(
            f"metric {metric.name}: a column or segment of units has this name: call it otherwise"
        )
