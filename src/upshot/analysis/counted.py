"""Rows that are already counts: each stands for many units, or holds successes of trials."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.analysis.columns import decided, other_than_shares
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.population import Population, understood
from upshot.analysis.profile import profile_of
from upshot.analysis.question import Question
from upshot.analysis.sums import aggregates, recipe_of, sample_of, shifted
from upshot.analysis.units import COUNT, VARIANT, Fields, fields_of
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import Moments


def counted(
    units: ir.Table, question: Question, metrics: Sequence[Metric], population: Population
) -> Evidence:
    """Evidence from counted rows.

    A ratio of two count columns is successes of trials; a plain column is the value of each of the row's units,
    or, where some row has more than 1 and no mean is asked for, the number of them that succeeded.

    Raises:
        DataError: a count is negative or broken, or there are more successes than trials.
    """
    if question.segments or question.time:
        raise DataError(
            "counted rows (--count) know no segments and no times of units: leave --segment and --time out"
        )
    rows = units.filter(units[COUNT].notnull())
    low = rows.aggregate(low=rows[COUNT].min()).to_pyarrow().to_pylist()[0]["low"]
    if low is not None and low < 0:
        raise DataError(f"count: {question.count!r} has the negative value {low:g}: counts are 0 or more")
    sizes = rows.group_by(VARIANT).aggregate(n=rows[COUNT].sum()).to_pyarrow().to_pylist()
    totals = dict.fromkeys(population.variants, 0) | {row[VARIANT]: round(row["n"] or 0) for row in sizes}
    found, samples = [], {}
    for i, metric in enumerate(metrics):
        kept, by_variant = _measured(rows, metric, fields_of(i, metric), population, totals)
        found.append(kept)
        samples[metric.name] = by_variant
    return Evidence(
        unit=question.unit or "row",
        control=question.control,
        variants=population.variants,
        metrics=tuple(found),
        total=Slice(units=totals, samples=samples),
        rows=population.rows,
        counts=True,
        missing_variant=population.missing_variant,
        unseen=population.unseen,
        unknown=population.unknown,
        understood=(
            f"{population.rows:,} rows, each stands for {question.count} units",
            *understood(question, tuple(found), population)[1:],
        ),
        sql=str(ibis.to_sql(rows.group_by(VARIANT).aggregate(n=rows[COUNT].sum()))),
    )


def _measured(
    rows: ir.Table, metric: Metric, place: Fields, population: Population, totals: dict[str, int]
) -> tuple[Metric, dict[str, Sample]]:
    if metric.kind == "ratio" or (metric.kind != "mean" and _exceeds_one(rows, place)):
        below = place.denominator or COUNT
        return replace(metric, kind="proportion"), _shares(rows, metric, place.outcome, below, population)
    known = decided(metric, _other_values(rows, place))
    return known, _weighted(rows, known, place, population, totals)


def _other_values(rows: ir.Table, place: Fields) -> int:
    found = rows.aggregate(n=other_than_shares(rows[place.outcome])).to_pyarrow()["n"][0].as_py()
    return int(found or 0)


def _exceeds_one(rows: ir.Table, place: Fields) -> bool:
    most = rows.aggregate(most=rows[place.outcome].max()).to_pyarrow().to_pylist()[0]["most"]
    return most is not None and most > 1


def _shares(
    rows: ir.Table, metric: Metric, field: str, below: str, population: Population
) -> dict[str, Sample]:
    """Successes of trials by variant; a row that lacks either is left out of both."""
    whole = rows.filter(rows[field].notnull(), rows[below].notnull())

    query = whole.group_by(VARIANT).aggregate(
        x=whole[field].sum(),
        n=whole[below].sum(),
        low=whole[field].min(),
        gap=(whole[below] - whole[field]).min(),
    )
    found: dict[str, Any] = {row[VARIANT]: row for row in query.to_pyarrow().to_pylist()}
    samples = {}
    for name in population.variants:
        row = found.get(name, {"x": 0, "n": 0, "low": 0, "gap": 0})
        if row["low"] < 0:
            raise DataError(f"metric {metric.name}: {metric.column!r} has the negative count {row['low']:g}")
        if row["gap"] < 0:
            raise DataError(
                f"metric {metric.name}: a row of {name} has more successes in {metric.column!r} than trials: give per= "
                "the column of its trials"
            )
        samples[name] = Sample(moments=Moments.from_counts(round(row["x"]), round(row["n"])))
    return samples


def _weighted(
    rows: ir.Table, metric: Metric, place: Fields, population: Population, totals: dict[str, int]
) -> dict[str, Sample]:
    """Every unit of a row has the row's value."""
    recipe = recipe_of(metric, place, "m", profile_of(rows, [place]))
    named = rows.select(VARIANT, COUNT, **shifted(rows, recipe))
    query = named.group_by(VARIANT).aggregate(**aggregates(named, recipe, weighted=True))
    found = {row[VARIANT]: row for row in query.to_pyarrow().to_pylist()}
    return {
        name: sample_of(found[name], recipe, totals[name])
        if name in found
        else Sample(moments=Moments.empty(recipe.names))
        for name in population.variants
    }
