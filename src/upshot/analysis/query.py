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
from upshot.analysis.columns import check_names, filtered, with_kinds, without_nan
from upshot.analysis.counted import counted
from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.extremes import with_extremes
from upshot.analysis.histograms import histogram
from upshot.analysis.order import quantile_of, quantile_samples
from upshot.analysis.population import Gathered, Population, population_of, understood
from upshot.analysis.profile import Profile, profile_of
from upshot.analysis.question import Question
from upshot.analysis.sums import Recipe, aggregates, recipe_of, sample_of, shifted
from upshot.analysis.units import DAY, UNIT, VARIANT, VARIANTS, fields_of, labelled, segment_field, units_of
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.moments import Moments

ALL = "all"


@dataclass(frozen=True, slots=True)
class _Work:
    """What is run: the table of units, how each metric is summed, who is there."""

    question: Question
    metrics: tuple[Metric, ...]
    units: ir.Table
    recipes: Mapping[int, Recipe]
    population: Population
    seen: Profile


def read_evidence(table: ir.Table, question: Question) -> Evidence:
    """All that an analysis needs of a table.

    Raises:
        DataError: a column is missing or of the wrong type, control or a second variant is not there, the
            condition is no SQL, or there are no rows.
    """
    rows, named, metrics = _named(table, question)
    units, gathered = _settled(named, question, metrics)
    population = population_of(units, rows, question, gathered)
    kept = _kept(units, population)
    if question.count:
        return counted(kept, question, metrics, population)
    if question.cluster:
        return clustered(kept, question, metrics, population)
    recipes, seen = _recipes(kept, question, metrics)
    return _evidence(_Work(question, metrics, kept, recipes, population, seen))


def expression(table: ir.Table, question: Question) -> ir.Table:
    """The query that gives the sums, from the table as it is; `ibis.to_sql` prints it."""
    _, named, metrics = _named(table, question)
    gathers = question.unit and not question.variants
    units = units_of(named, question, metrics) if gathers else named
    if question.unit:
        units = units.filter(units[VARIANTS] == 1, units[UNIT].notnull())
    return _sums(units, question, _recipes(units, question, metrics)[0])


def _named(table: ir.Table, question: Question) -> tuple[ir.Table, ir.Table, tuple[Metric, ...]]:
    """The rows asked for, the same under fixed names, and the metrics with their kinds."""
    check_names(table, question)
    chosen = filtered(table, question.where)
    if not chosen.limit(1).count().to_pyarrow().as_py():
        condition = f" where {question.where}" if question.where else ""
        raise DataError(f"there are no rows{condition}: give data with rows")
    rows = without_nan(chosen, question)
    metrics = _kinds(rows, question)
    return rows, labelled(rows, question, metrics), metrics


def _kinds(rows: ir.Table, question: Question) -> tuple[Metric, ...]:
    metrics = question.metrics
    if question.count:  # counted rows may hold numerators: `counted` decides what a plain column is
        return tuple(replace(m, kind="ratio") if m.per and not m.kind else m for m in metrics)
    return with_kinds(rows, metrics)


def _settled(named: ir.Table, question: Question, metrics: tuple[Metric, ...]) -> tuple[ir.Table, Gathered]:
    """The table of units: the rows as they are where each has its own unit, else gathered once and kept."""
    asked: dict[str, ir.Scalar] = {"rows": named.count()}
    if question.unit:
        asked |= {"known": named[UNIT].count(), "distinct": named[UNIT].nunique()}
    found = named.aggregate(**asked).to_pyarrow().to_pylist()[0]
    gathered = Gathered(found["rows"], found.get("known"), found.get("distinct"))
    if not question.unit or question.variants:
        return named, gathered
    if gathered.known == gathered.distinct == gathered.rows:
        return named.mutate(**{VARIANTS: named[VARIANT].notnull().cast("int64")}), gathered
    return units_of(named, question, metrics).cache(), gathered


def _kept(units: ir.Table, population: Population) -> ir.Table:
    """The units that are compared: known, in one variant, and that one declared or seen."""
    wanted: list[ir.Column] = []
    if population.missing_unit:
        wanted.append(units[UNIT].notnull())
    if population.conflicts:
        wanted.append(units[VARIANTS] == 1)
    if population.unknown or population.missing_variant:
        wanted.append(units[VARIANT].isin(list(population.variants)))
    return units.filter(*wanted) if wanted else units


def _recipes(
    units: ir.Table, question: Question, metrics: Sequence[Metric]
) -> tuple[dict[int, Recipe], Profile]:
    summed = {i: metric for i, metric in enumerate(metrics) if metric.kind != "quantile"}
    places = {i: fields_of(i, metric) for i, metric in summed.items()}
    seen = profile_of(units, list(places.values()))
    parts = bool(question.segments or question.time)
    recipes = {}
    for i, metric in summed.items():
        field = places[i].outcome
        zeros = parts or field not in seen.common  # zeros matter where few units have anything
        recipes[i] = recipe_of(metric, places[i], f"m{i}", seen, _cap(units, metric, field), zeros)
    return recipes, seen


def _cap(units: ir.Table, metric: Metric, field: str) -> float | None:
    """The pooled quantile at which outcomes are winsorised, one for all variants."""
    if metric.cap is None:
        return None
    values = units[field]
    found = units.aggregate(n=values.count(), least=values.min(), most=values.max())
    row = found.to_pyarrow().to_pylist()[0]
    if not row["n"]:
        return None
    cap = quantile_of(units, field, metric.cap, int(row["n"]))
    if cap <= row["least"] < row["most"]:
        raise DataError(
            f"cap={100 * metric.cap:g}% of {metric.name} falls on its smallest value, {cap:g}, and would erase "
            "the rest: use a higher one"
        )
    return cap


def _sums(units: ir.Table, question: Question, recipes: Mapping[int, Recipe]) -> ir.Table:
    """The union of the same sums over everybody, each segment, each day."""
    parts: list[tuple[str, str | None]] = [(ALL, None)]
    parts += [(segment_field(i), segment_field(i)) for i in range(len(question.segments))]
    parts += [(DAY, DAY)] if question.time else []
    tables = [_part_sums(units, label, field, recipes) for label, field in parts]
    return tables[0] if len(tables) == 1 else ibis.union(*tables, distinct=False)


def _part_sums(units: ir.Table, label: str, field: str | None, recipes: Mapping[int, Recipe]) -> ir.Table:
    values: dict[str, ir.Value] = {} if field is None else {"_value": units[field].cast("string")}
    for recipe in recipes.values():
        values |= shifted(units, recipe)
    named = units.select(units[VARIANT], **values)
    wanted: dict[str, ir.Scalar] = {"_units": named.count()}
    for recipe in recipes.values():
        wanted |= aggregates(named, recipe)
    keys = [VARIANT] if field is None else [VARIANT, "_value"]
    sums = named.group_by(*keys).aggregate(**wanted)
    value = ibis.literal("") if field is None else sums["_value"]
    part = ibis.literal(label)
    return sums.select(part.name("_part"), value.name("_value"), VARIANT, *wanted)


def _evidence(work: _Work) -> Evidence:
    question, metrics = work.question, work.metrics
    query = _sums(work.units, question, work.recipes)
    by_part: dict[tuple[str, str | None], dict[str, Mapping[str, Any]]] = {}
    for row in query.to_pyarrow().to_pylist():
        by_part.setdefault((row["_part"], row["_value"]), {})[row[VARIANT]] = row
    total = _slice(work, by_part.get((ALL, ""), {}))
    total = with_extremes(total, work.units, list(work.recipes.values()), work.seen)
    segments: dict[str, dict[str, Slice]] = {name: {} for name in question.segments}
    days: dict[date, Slice] = {}
    for (label, value), rows in sorted(by_part.items(), key=lambda entry: (entry[0][0], entry[0][1] or "")):
        if label == DAY and value:
            days[date.fromisoformat(value[:10])] = _slice(work, rows)
        elif label not in (ALL, DAY):
            segments[question.segments[int(label[1:])]][value or "(none)"] = _slice(work, rows)
    return _with_quantiles(
        Evidence(
            unit=question.unit or "row",
            control=question.control,
            variants=work.population.variants,
            metrics=metrics,
            total=total,
            segments=segments,
            days=days,
            rows=work.population.rows,
            conflicts=work.population.conflicts,
            duplicate_rows=work.population.duplicate_rows,
            missing_unit=work.population.missing_unit,
            missing_variant=work.population.missing_variant,
            unseen=work.population.unseen,
            unknown=work.population.unknown,
            pre_period=_pre_period(metrics, total),
            histograms=_histograms(work) if question.histograms else {},
            understood=understood(question, metrics, work.population),
            sql=str(ibis.to_sql(query)),
        ),
        work,
    )


def _slice(work: _Work, rows: Mapping[str, Mapping[str, Any]]) -> Slice:
    units = {name: int(rows[name]["_units"]) if name in rows else 0 for name in work.population.variants}
    samples: dict[str, dict[str, Sample]] = {}
    for recipe in work.recipes.values():
        empty = Sample(moments=Moments.empty(recipe.names))
        samples[recipe.metric.name] = {
            name: sample_of(rows[name], recipe, units[name]) if name in rows else empty for name in units
        }
    return Slice(units=units, samples=samples)


def _with_quantiles(evidence: Evidence, work: _Work) -> Evidence:
    """Quantile metrics need the values themselves: they are read once, in every part."""
    for i, metric in enumerate(work.metrics):
        if metric.kind == "quantile":
            evidence = quantile_samples(evidence, work.units, i, metric, work.question)
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


def _histograms(work: _Work) -> dict[str, Any]:
    found = {}
    for i, metric in enumerate(work.metrics):
        field = fields_of(i, metric).outcome
        if metric.kind in ("mean", "count", "quantile") and not work.units[field].type().is_array():
            one = histogram(work.units, field, work.population.variants)
            if one is not None:
                found[metric.name] = one
    return found
