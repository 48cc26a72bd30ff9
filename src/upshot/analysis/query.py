"""A table and a question in, evidence out: one expression that every engine of Ibis can run.

Rows become units, units become sums by variant, sums become moments. The expression is the union of the same
sums over everybody, each segment and each day of first exposure, so one query answers all. A short first query
looks at kinds, gaps and a constant near each mean, by which values are shifted before they are squared.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir

from upshot.analysis.clustered import clustered
from upshot.analysis.columns import check_names, filtered, with_kinds
from upshot.analysis.counted import counted
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.histograms import histogram
from upshot.analysis.order import quantile_samples
from upshot.analysis.population import Population, population_of, understood
from upshot.analysis.question import Question
from upshot.analysis.sums import Recipe, aggregates, largest, names_of, profile, sample_of
from upshot.analysis.units import DAY, VARIANT, VARIANTS, fields_of, labelled, segment_field, units_of
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import Moments

ALL = "all"
_SHARES = ("proportion", "retention", "funnel")


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is run: the table of units, the metrics with their recipes, the parts."""

    question: Question
    units: ir.Table
    metrics: tuple[Metric, ...]
    recipes: Mapping[int, Recipe]
    population: Population


def read_evidence(table: ir.Table, question: Question) -> Evidence:
    """All that an analysis needs of a table.

    Raises:
        DataError: a column is missing or of the wrong type, control or a second variant is not there, the
            condition is no SQL, or there are no rows.
    """
    check_names(table, question)
    rows = filtered(table, question.where)
    total_rows = _count(rows, question)
    metrics = _kinds(rows, question)
    named = labelled(rows, question, metrics)
    units, several = _settled(named, question, metrics, total_rows)
    population = population_of(units, named, rows, question, total_rows, several)
    known = units.filter(units[VARIANT].isin(list(population.variants)))
    plan = _Plan(question, known, metrics, _recipes(known, metrics), population)
    if question.count:
        return counted(plan.units, question, metrics, population)
    if question.cluster:
        return clustered(plan.units, question, metrics, population)
    return _evidence(plan)


def expression(table: ir.Table, question: Question) -> ir.Table:
    """The query that gives the sums, as it is run; `ibis.to_sql` prints it."""
    check_names(table, question)
    rows = filtered(table, question.where)
    metrics = _kinds(rows, question)
    named = labelled(rows, question, metrics)
    units = units_of(named, question, metrics) if question.unit else named
    if question.unit:
        units = units.filter(units[VARIANTS] == 1)
    return _sums(units, question, _recipes(units, metrics))


def _kinds(rows: ir.Table, question: Question) -> tuple[Metric, ...]:
    metrics = question.metrics
    if question.count:  # counted rows hold numerators: their kind is what the counts make of them
        return tuple(replace(m, kind=m.kind or ("ratio" if m.per else "mean")) for m in metrics)
    return with_kinds(rows, metrics)


def _count(rows: ir.Table, question: Question) -> int:
    total = int(rows.count().to_pyarrow().as_py())
    if total == 0:
        where = f" where {question.where}" if question.where else ""
        raise DataError(f"there are no rows{where}: give data with rows")
    return total


def _settled(
    named: ir.Table, question: Question, metrics: tuple[Metric, ...], total: int
) -> tuple[ir.Table, bool]:
    """The table of units, kept where rows had to be gathered; and whether units had several rows."""
    if not question.unit:
        return named, False
    kept = units_of(named, question, metrics).cache()
    return kept, int(kept.count().to_pyarrow().as_py()) < total


def _recipes(units: ir.Table, metrics: Sequence[Metric]) -> dict[int, Recipe]:
    summed = {i: metric for i, metric in enumerate(metrics) if metric.kind != "quantile"}
    places = {i: fields_of(i, metric) for i, metric in summed.items()}
    seen = profile(units, list(places.values()))
    return {i: _recipe(units, metric, places[i], seen) for i, metric in summed.items()}


def _recipe(units: ir.Table, metric: Metric, place: Any, seen: Mapping[str, tuple[int, float]]) -> Recipe:
    gaps = frozenset(field for field in place.covariates if seen[field][0])
    shift = [seen[place.outcome][1]] + ([seen[place.denominator][1]] if place.denominator else [])
    for field in place.covariates:
        shift += [seen[field][1], 0.0] if field in gaps else [seen[field][1]]
    cap = _cap(units, metric, place.outcome)
    return Recipe(metric, place, names_of(metric, place, gaps), tuple(shift), cap, gaps)


def _cap(units: ir.Table, metric: Metric, field: str) -> float | None:
    """The pooled quantile at which outcomes are winsorised, one for all variants."""
    if metric.cap is None:
        return None
    found = units.aggregate(
        cap=units[field].quantile(metric.cap), least=units[field].min(), most=units[field].max()
    )
    row = found.to_pyarrow().to_pylist()[0]
    if row["cap"] is not None and row["cap"] <= row["least"] < row["most"]:
        raise DataError(
            f"cap={100 * metric.cap:g}% of {metric.name} falls on its smallest value, {row['cap']:g}, and would erase "
            "the rest: use a higher one"
        )
    return None if row["cap"] is None else float(row["cap"])


def _sums(units: ir.Table, question: Question, recipes: Mapping[int, Recipe]) -> ir.Table:
    """The union of the same sums over everybody, each segment, each day."""
    parts: list[tuple[str, str | None]] = [(ALL, None)]
    parts += [(segment_field(i), segment_field(i)) for i in range(len(question.segments))]
    parts += [(DAY, DAY)] if question.time else []
    tables = [_part_sums(units, label, field, recipes) for label, field in parts]
    return tables[0] if len(tables) == 1 else ibis.union(*tables, distinct=False)


def _part_sums(units: ir.Table, label: str, field: str | None, recipes: Mapping[int, Recipe]) -> ir.Table:
    value = ibis.literal("") if field is None else units[field].cast("string")
    named = units.mutate(_part=ibis.literal(label), _value=value)
    wanted: dict[str, ir.Scalar] = {"_units": named.count()}
    for i, recipe in recipes.items():
        wanted |= aggregates(named, recipe, f"m{i}", weighted=False)
    return named.group_by("_part", "_value", VARIANT).aggregate(**wanted)


def _evidence(plan: _Plan) -> Evidence:
    question, metrics = plan.question, plan.metrics
    query = _sums(plan.units, question, plan.recipes)
    by_part: dict[tuple[str, str | None], dict[str, Mapping[str, Any]]] = {}
    for row in query.to_pyarrow().to_pylist():
        by_part.setdefault((row["_part"], row["_value"]), {})[row[VARIANT]] = row
    total = _slice(plan, by_part.get((ALL, ""), {}))
    total = _with_extremes(plan, total)
    segments: dict[str, dict[str, Slice]] = {name: {} for name in question.segments}
    days: dict[date, Slice] = {}
    for (label, value), rows in sorted(by_part.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")):
        if label == DAY and value:
            days[date.fromisoformat(value[:10])] = _slice(plan, rows)
        elif label not in (ALL, DAY):
            segments[question.segments[int(label[1:])]][value or "(none)"] = _slice(plan, rows)
    return _with_quantiles(
        Evidence(
            unit=question.unit or "row",
            control=question.control,
            variants=plan.population.variants,
            metrics=metrics,
            total=total,
            segments=segments,
            days=days,
            rows=plan.population.rows,
            conflicts=plan.population.conflicts,
            duplicate_rows=plan.population.duplicate_rows,
            missing_unit=plan.population.missing_unit,
            missing_variant=plan.population.missing_variant,
            unseen=plan.population.unseen,
            unknown=plan.population.unknown,
            pre_period=_pre_period(metrics, total),
            histograms=_histograms(plan) if question.histograms else {},
            understood=understood(question, metrics, plan.population),
            sql=str(ibis.to_sql(query)),
        ),
        plan,
    )


def _slice(plan: _Plan, rows: Mapping[str, Mapping[str, Any]]) -> Slice:
    units = {name: int(rows[name]["_units"]) if name in rows else 0 for name in plan.population.variants}
    samples: dict[str, dict[str, Sample]] = {}
    for i, recipe in plan.recipes.items():
        empty = Sample(moments=Moments.empty(recipe.names))
        samples[recipe.metric.name] = {
            name: sample_of(rows[name], recipe, f"m{i}", units[name]) if name in rows else empty
            for name in units
        }
    return Slice(units=units, samples=samples)


def _with_extremes(plan: _Plan, total: Slice) -> Slice:
    """The largest outcomes of means and counts, for the outlier check."""
    samples = {name: dict(by_variant) for name, by_variant in total.samples.items()}
    for recipe in plan.recipes.values():
        if recipe.metric.kind in ("mean", "count") and recipe.cap is None:
            own = samples[recipe.metric.name]
            for name in own:
                own[name] = replace(own[name], top=largest(plan.units, recipe.fields.outcome, name))
    return Slice(units=total.units, samples=samples)


def _with_quantiles(evidence: Evidence, plan: _Plan) -> Evidence:
    """Quantile metrics need the values themselves: they are read once, in every part."""
    for i, metric in enumerate(plan.metrics):
        if metric.kind == "quantile":
            evidence = quantile_samples(evidence, plan.units, i, metric, plan.question)
    return evidence


def _pre_period(metrics: Sequence[Metric], total: Slice) -> dict[str, dict[str, Moments]]:
    found: dict[str, dict[str, Moments]] = {}
    for metric in metrics:
        for covariate in metric.covariates:
            by_variant = total.samples[metric.name]
            found.setdefault(
                covariate,
                {
                    name: _as_outcome(sample.moments.select((covariate,)))
                    for name, sample in by_variant.items()
                    if covariate in sample.moments.names
                },
            )
    return found


def _as_outcome(moments: Moments) -> Moments:
    return replace(moments, names=("outcome",))


def _histograms(plan: _Plan) -> dict[str, Any]:
    found = {}
    for i, metric in enumerate(plan.metrics):
        if metric.kind in ("mean", "count", "quantile"):
            one = histogram(plan.units, fields_of(i, metric).outcome, plan.population.variants)
            if one is not None:
                found[metric.name] = one
    return found
