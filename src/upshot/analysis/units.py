"""From rows to units: one row for each thing that was randomised, its variant, its outcomes, its segments."""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir

from upshot.analysis.columns import ROWS, number, outcome
from upshot.analysis.question import Question
from upshot.model.metric import Metric

UNIT, VARIANT, VARIANTS, DAY, COUNT = "_unit", "_variant", "_variants", "_day", "_count"
CLUSTER = "_cluster"


@dataclass(frozen=True, slots=True)
class Fields:
    """Where the values of one metric stand in a table of units."""

    outcome: str
    denominator: str | None
    covariates: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All of them, outcome first."""
        return (self.outcome, *([self.denominator] if self.denominator else []), *self.covariates)


def fields_of(number_: int, metric: Metric) -> Fields:
    """The columns of the metric with this number."""
    below = f"m{number_}_d" if metric.kind == "ratio" else None
    return Fields(f"m{number_}_y", below, tuple(f"m{number_}_x{i}" for i in range(len(metric.covariates))))


def segment_field(number_: int) -> str:
    """The column of the segment with this number."""
    return f"s{number_}"


def labelled(table: ir.Table, question: Question, metrics: tuple[Metric, ...]) -> ir.Table:
    """Rows with the columns that units are made of, under fixed names."""
    columns: dict[str, ir.Value] = {VARIANT: table[question.variant].cast("string")}
    if question.unit:
        columns[UNIT] = table[question.unit]
    if question.variants:
        columns[VARIANTS] = table[question.variants]
    if question.cluster:
        columns[CLUSTER] = table[question.cluster].cast("string")
    if question.count:
        columns[COUNT] = number(table, "count", question.count)
    if question.time:
        columns[DAY] = _day(table[question.time])
    for i, name in enumerate(question.segments):
        columns[segment_field(i)] = table[name].cast("string").nullif("")  # empty text says nothing
    for i, metric in enumerate(metrics):
        place = fields_of(i, metric)
        columns[place.outcome] = outcome(table, metric)
        if place.denominator and metric.per == ROWS:
            columns[place.denominator] = columns[place.outcome].notnull().cast("float64")
        elif place.denominator and metric.per:
            columns[place.denominator] = number(table, f"denominator of {metric.name}", metric.per)
        for field, covariate in zip(place.covariates, metric.covariates, strict=True):
            columns[field] = number(table, f"covariate of {metric.name}", covariate)
    return table.select(**columns)


def _day(column: ir.Column) -> ir.Column:
    if column.type().is_string():
        return column.cast("timestamp").date()
    return column.date() if column.type().is_timestamp() else column.cast("date")


def units_of(rows: ir.Table, question: Question, metrics: tuple[Metric, ...]) -> ir.Table:
    """One row a unit: shares by any, means and counts by sum, ratios by sums, covariates and segments once.

    A unit's variant is its only one; ``_variants`` says how many it had: 0, 1, or 2 for several.
    """
    sums: dict[str, ir.Scalar] = {
        VARIANT: rows[VARIANT].min(),
        VARIANTS: _how_many(rows[VARIANT]),
        COUNT: rows.count(),
    }
    if question.cluster:
        sums[CLUSTER] = rows[CLUSTER].min()
    if question.time:
        sums[DAY] = rows[DAY].min()
    for i in range(len(question.segments)):
        sums[segment_field(i)] = rows[segment_field(i)].min()
    for i, metric in enumerate(metrics):
        place = fields_of(i, metric)
        values = rows[place.outcome]
        sums[place.outcome] = (
            values.max() if metric.kind in ("proportion", "retention", "funnel") else values.sum()
        )
        if place.denominator:
            sums[place.denominator] = rows[place.denominator].sum()
        for field in place.covariates:
            sums[field] = rows[field].max()
    return rows.group_by(UNIT).aggregate(**sums)


def _how_many(variant: ir.Column) -> ir.Scalar:
    """None, one or several, by the first and last of them: counting distinct ones costs ten times as much."""
    several = (variant.min() != variant.max()).cast("int64") + 1
    return ibis.coalesce(several, 0)
