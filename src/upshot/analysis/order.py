"""Quantile metrics: the values are read once and put in order, for everybody and in every part."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import ibis.expr.types as ir
import numpy as np
from ibis.expr.operations import Quantile
from numpy.typing import NDArray

from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.question import Question
from upshot.analysis.units import DAY, VARIANT, fields_of, segment_field
from upshot.model.metric import Metric
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

FloatArray = NDArray[np.float64]


def quantile_of(units: ir.Table, field: str, level: float, present: int) -> float:
    """The quantile of all values of a field, linear between neighbours (Hyndman and Fan 1996, type 7).

    Args:
        level: in (0, 1). present: how many values there are, 1 or more.
    """
    values = units[field]
    if units.get_backend().has_operation(Quantile):
        return float(units.aggregate(q=values.quantile(level)).to_pyarrow()["q"][0].as_py())
    place = level * (present - 1)  # no such function (SQLite): the two values around it, in order
    near = units.filter(values.notnull()).select(field).order_by(field).limit(2, offset=int(place))
    low, *high = near.to_pyarrow()[field].to_pylist()
    return float(low + (place - int(place)) * ((high or [low])[0] - low))


def quantile_samples(
    evidence: Evidence, units: ir.Table, number: int, metric: Metric, question: Question
) -> Evidence:
    """The evidence with one more metric: its quantile, and the share beyond its limit where it has one."""
    field = fields_of(number, metric).outcome
    parts = [segment_field(i) for i in range(len(question.segments))] + ([DAY] if question.time else [])
    read = units.select(VARIANT, field, *parts).to_pyarrow().to_pydict()
    variant = np.array(read[VARIANT], dtype=object)
    values = np.array([np.nan if value is None else value for value in read[field]], dtype=np.float64)
    labels = {
        part: np.array([str(value)[:10] if part == DAY else value for value in read[part]], object)
        for part in parts
    }
    everybody = np.ones(len(values), dtype=bool)

    def added(part: Slice, where: NDArray[np.bool_]) -> Slice:
        found = {name: _sample(values[where & (variant == name)], metric) for name in part.units}
        return replace(part, samples={**part.samples, metric.name: found})

    segments: dict[str, Mapping[str, Slice]] = {}
    for i, column in enumerate(question.segments):
        own = labels[segment_field(i)]
        segments[column] = {
            value: added(part, own == (None if value == "(none)" else value))
            for value, part in evidence.segments[column].items()
        }
    days: dict[date, Slice] = {
        day: added(part, labels[DAY] == day.isoformat()) for day, part in evidence.days.items()
    }
    return replace(evidence, total=added(evidence.total, everybody), segments=segments, days=days)


def _sample(values: FloatArray, metric: Metric) -> Sample:
    present = values[~np.isnan(values)]
    level = metric.quantile or 0.5
    quantile = QuantileSample.from_array(present, level) if len(present) else None
    return Sample(
        moments=_beyond(present, metric),
        missing=len(values) - len(present),
        maximum=float(present.max()) if len(present) else None,
        quantile=quantile,
    )


def _beyond(values: FloatArray, metric: Metric) -> Moments:
    """Whether each value is beyond the limit, as counts; the values themselves where there is no limit."""
    limit: Any = metric.maximum if metric.maximum is not None else metric.minimum
    if limit is None:
        return Moments.from_arrays(values) if len(values) else Moments.empty()
    beyond = values > limit if metric.maximum is not None else values < limit
    return Moments.from_counts(int(beyond.sum()), len(values))
