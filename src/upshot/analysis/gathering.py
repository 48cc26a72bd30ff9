"""How each kind of metric is gathered from a unit's events, all of them in one pass, and what column it becomes.

Events come with a mark for each source (whether it is such an event) and a number for each source that has a value;
rows of a table that a metric is of are events here. A mark within a window is an aggregate's condition, so no metric
needs a pass of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from upshot.analysis.conditions import met
from upshot.analysis.event_question import before_field, per_field, step_field
from upshot.analysis.properties import Properties
from upshot.model.event_metric import ANY, EXPOSURE, EventMetric, Source

UNIT, FIRST, TIME = "unit", "first_exposure", "_time"
MICROSECOND = timedelta(microseconds=1)


def sources_of(metrics: Sequence[EventMetric]) -> list[Source]:
    """All sources that metrics read, each once; their places name the marks."""
    found: list[Source] = []
    for metric in metrics:
        found += [source for source in metric.sources if source not in found]
    return found


def marks_of(
    rows: ir.Table, sources: Sequence[Source], engine: str, table: str | None = None
) -> dict[str, ir.Value]:
    """For each source whether a row is of it, and its number where it has one.

    Args:
        table: whose rows they are; None: they are events.
    """
    properties = Properties(rows["properties"], engine)
    marks: dict[str, ir.Value] = {}
    for place, source in enumerate(sources):
        is_here = table == (source.table.name if source.table else None)
        marks[f"s{place}"] = _is_of(rows, source, properties) if is_here else ibis.literal(value=False)
        if source.value is not None:
            number = properties.at(source.value).number if is_here else ibis.null().cast("float64")
            marks[f"v{place}"] = ibis.ifelse(marks[f"s{place}"], number, ibis.null())  # read of no other row
    return marks


def _is_of(rows: ir.Table, source: Source, properties: Properties) -> ir.BooleanValue:
    tests = [ibis.literal(value=True)] if source.table else _event_tests(rows, source)
    found = tests[0]
    for test in tests[1:]:
        found = found & test
    if source.where is not None:
        found = ibis.ifelse(found, met(source.where, properties), ibis.literal(value=False))
    return found


def _event_tests(events: ir.Table, source: Source) -> list[ir.BooleanValue]:
    named = events["event"]
    tests = [ibis.coalesce(named != EXPOSURE, ibis.literal(value=True))]
    if source.event != ANY:
        tests = [ibis.coalesce(named == source.event, ibis.literal(value=False))]
    if source.type is not None:
        tests.append(events["type"] == source.type)
    return tests


def later(time: ir.TimestampValue, span: timedelta) -> ir.TimestampValue:
    """A time so much later (or earlier); in microseconds, so that no calendar has a say."""
    return time + ibis.interval(span // MICROSECOND, unit="us")


@dataclass(frozen=True, slots=True)
class Gathering:
    """What is gathered for one metric.

    Attributes:
        metric: its definition. label: what the names of its aggregates begin with. sources: of all metrics.
        as_of: the end of what is seen, as the engine has times.
        at_once: whether units count before their windows are over.
    """

    metric: EventMetric
    label: str
    sources: Sequence[Source]
    as_of: ir.TimestampScalar
    at_once: bool = False

    def aggregates(self, rows: ir.Table) -> dict[str, ir.Scalar]:
        """Over the rows of one unit: the metric, and the same from before its exposure."""
        metric, inside = self.metric, self._inside(rows)
        if metric.kind == "funnel":
            return {
                f"{self.label}_t{number}": rows[TIME].collect(where=inside & self._mark(rows, step))
                for number, step in enumerate(metric.steps)
            }
        if metric.kind == "time_to_event":
            mark = self._mark(rows, metric.source)
            return {f"{self.label}_t0": rows[TIME].min(where=inside & mark)}
        if metric.kind == "quantile":
            value = self._value(rows, metric.source)
            of = inside & self._mark(rows, metric.source) & value.notnull()
            return {f"{self.label}_y": value.collect(where=of)}
        found = self._totals(rows, "", inside)
        if metric.covariate is not None:
            since = later(rows[FIRST], -metric.covariate)
            found |= self._totals(rows, "_before", (rows[TIME] >= since) & (rows[TIME] < rows[FIRST]))
        return found

    def _totals(self, rows: ir.Table, suffix: str, within: ir.BooleanValue) -> dict[str, ir.Scalar]:
        found = {f"{self.label}_y{suffix}": self._total(rows, self.metric.source, within)}
        if self.metric.denominator is not None:
            found[f"{self.label}_d{suffix}"] = self._total(rows, self.metric.denominator, within)
        return found

    def _total(self, rows: ir.Table, source: Source, within: ir.BooleanValue) -> ir.Scalar:
        of = within & self._mark(rows, source)
        if source.value is not None:
            return self._value(rows, source).sum(where=of)
        return rows.count(where=of)

    def _inside(self, rows: ir.Table) -> ir.BooleanValue:
        begins, ends = self.metric.begins, self.metric.ends
        inside = rows[TIME] >= (later(rows[FIRST], begins) if begins else rows[FIRST])
        return inside if ends is None else inside & (rows[TIME] < later(rows[FIRST], ends))

    def _mark(self, rows: ir.Table, source: Source) -> ir.BooleanValue:
        return rows[f"s{self.sources.index(source)}"]

    def _value(self, rows: ir.Table, source: Source) -> ir.FloatingValue:
        return rows[f"v{self.sources.index(source)}"]

    def columns(self, units: ir.Table) -> dict[str, ir.Value]:
        """The metric's columns of a table of units; NULL where a unit's window is not over."""
        name = self.metric.name
        found = {
            self._named(column, name): self._if_mature(units, value) for column, value in self._own(units)
        }
        if self.metric.covariate is not None:
            found[before_field(name)] = self._number(units, "_y_before")
            if self.metric.denominator is not None:
                found[before_field(per_field(name))] = self._number(units, "_d_before")
        return found

    @staticmethod
    def _named(column: str, name: str) -> str:
        return {"": name, "per": per_field(name)}.get(column) or step_field(name, int(column))

    def _if_mature(self, units: ir.Table, value: ir.Value) -> ir.Value:
        if self.metric.ends is None or self.at_once:
            return value
        return ibis.ifelse(later(units[FIRST], self.metric.ends) <= self.as_of, value, ibis.null())

    def _own(self, units: ir.Table) -> list[tuple[str, ir.Value]]:
        """What the metric is made of: itself, its denominator, its steps by their numbers."""
        metric = self.metric
        if metric.kind == "funnel":
            steps = self._steps(units)
            return [("", steps[-1]), *((str(number), step) for number, step in enumerate(steps, start=1))]
        if metric.kind == "time_to_event":
            return [("", self._time(units))]
        if metric.kind == "quantile":
            return [("", ibis.coalesce(units[f"{self.label}_y"], ibis.literal([], "array<float64>")))]
        total = self._number(units, "_y")
        if metric.kind in ("proportion", "retention"):
            total = (total == 0 if metric.absent else total > 0).cast("float64")
        below = [] if metric.denominator is None else [("per", self._number(units, "_d"))]
        return [("", total), *below]

    def _number(self, units: ir.Table, what: str) -> ir.FloatingValue:
        """A total; nothing is 0. What a proportion measures before is a share, too."""
        total = ibis.coalesce(units[f"{self.label}{what}"].cast("float64"), 0.0)
        if what == "_y_before" and self.metric.kind in ("proportion", "retention"):
            return (total > 0).cast("float64")
        return total

    def _time(self, units: ir.Table) -> ir.FloatingValue:
        """From the first exposure to the event; the whole window for who has none (a restricted mean)."""
        unit, window = self.metric.time_unit, self.metric.window
        assert window is not None
        passed = units[f"{self.label}_t0"].delta(units[FIRST], unit="microsecond").cast("float64")
        return ibis.coalesce(passed / (unit / MICROSECOND), window / unit)

    def _steps(self, units: ir.Table) -> list[ir.FloatingValue]:
        """Whether each step was taken: at or after the one before it, and later where both look for one event."""
        steps = self.metric.steps
        reached = units[f"{self.label}_t0"].mins()
        taken = [reached]
        for number in range(1, len(steps)):
            again = any(_may_be_one(step, steps[number]) for step in steps[:number])
            reached = _first_from(units[f"{self.label}_t{number}"], reached, again)
            taken.append(reached)
        return [time.notnull().cast("float64") for time in taken]


def _may_be_one(one: Source, other: Source) -> bool:
    """Whether a row can be of both."""
    if one.table or other.table:
        return one.table == other.table
    return one.event == other.event or ANY in (one.event, other.event)


def _first_from(times: ir.ArrayValue, since: ir.TimestampValue, strictly: bool) -> ir.TimestampValue:
    return times.filter(lambda time: time > since if strictly else time >= since).mins()


def as_time(moment: datetime, column: ir.TimestampColumn) -> ir.TimestampScalar:
    """A moment as a column has times: with a time zone, or in UTC without one."""
    zone = column.type().timezone
    return ibis.literal(moment if zone else moment.replace(tzinfo=None), column.type())
