"""Rows that are finer than what was randomised: outcomes per row, inference per cluster."""

from collections.abc import Sequence
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np

from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.phrases import units as units_said
from upshot.analysis.population import Population, understood
from upshot.analysis.question import Question
from upshot.analysis.units import CLUSTER, VARIANT, Fields, fields_of
from upshot.errors import DataError
from upshot.model.metric import Metric
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments


def clustered(
    units: ir.Table, question: Question, metrics: Sequence[Metric], population: Population
) -> Evidence:
    """Evidence by cluster: the units that are counted are clusters.

    Raises:
        DataError: segments, times, caps, covariates or quantiles are asked for, which need units of their own.
    """
    _refuse(question, metrics)
    both = units.filter(units[CLUSTER].notnull())
    lost = int(units[CLUSTER].isnull().sum().to_pyarrow().as_py() or 0)
    per = both.group_by(CLUSTER).aggregate(v=both[VARIANT].nunique())
    conflicts = int(per.filter(per["v"] > 1).count().to_pyarrow().as_py())
    alone = both.semi_join(per.filter(per["v"] == 1), CLUSTER)
    wanted: dict[str, Any] = {}
    for i, metric in enumerate(metrics):
        place = fields_of(i, metric)
        needed, below = _needed(alone, place)
        wanted |= {f"y{i}": alone[place.outcome].sum(where=needed), f"w{i}": below}
    query = alone.group_by(VARIANT, CLUSTER).aggregate(**wanted)
    found = query.order_by(VARIANT, CLUSTER).to_pyarrow().to_pylist()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in population.variants}
    for row in found:
        rows[row[VARIANT]].append(row)
    sizes = {name: len(own) for name, own in rows.items()}
    samples = {
        metric.name: {name: _sample(own, i) for name, own in rows.items()} for i, metric in enumerate(metrics)
    }
    return Evidence(
        unit=question.cluster or "cluster",
        control=question.control,
        variants=population.variants,
        metrics=tuple(metrics),
        total=Slice(units=sizes, samples=samples),
        rows=population.rows,
        conflicts=conflicts,
        missing_unit=population.missing_unit + lost,
        missing_variant=population.missing_variant,
        unseen=population.unseen,
        unknown=population.unknown,
        clusters=sizes,
        understood=(
            f"{population.rows:,} rows in {sum(sizes.values()):,} clusters of {question.cluster}",
            *([f"{units_said(lost, 'row')} without {question.cluster} left out"] if lost else []),
            *understood(question, tuple(metrics), population)[1:],
        ),
        sql=str(ibis.to_sql(query)),
    )


def _refuse(question: Question, metrics: Sequence[Metric]) -> None:
    if question.segments or question.time:
        raise DataError("cluster: segments and times need units of their own: leave --segment and --time out")
    for metric in metrics:
        if metric.covariates or metric.cap is not None or metric.kind == "quantile":
            raise DataError(
                f"cluster: {metric.name} takes no covariate, cap or quantile with clusters: leave it out"
            )


def _needed(table: ir.Table, place: Fields) -> tuple[ir.Column, ir.Scalar]:
    needed = table[place.outcome].notnull()
    if place.denominator is None:
        return needed, needed.cast("int64").sum()
    needed = needed & table[place.denominator].notnull()
    return needed, table[place.denominator].sum(where=needed)


def _sample(rows: Sequence[dict[str, Any]], number: int) -> Sample:
    kept = [row for row in rows if row[f"w{number}"] and row[f"w{number}"] > 0]
    outcomes = np.array([float(row[f"y{number}"]) for row in kept])
    weights = np.array([float(row[f"w{number}"]) for row in kept])
    totals = ClusterTotals(outcomes, weights)
    means = Moments.from_arrays(outcomes / weights) if kept else Moments.empty()
    return Sample(moments=means, clusters=totals, missing=len(rows) - len(kept))
