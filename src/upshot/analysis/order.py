"""Quantile metrics: the values are read once and put in order, for everybody and in every part."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
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
    table = units.select(VARIANT, field, *parts).to_pyarrow()
    read = table.drop_columns([field]).to_pydict()
    values = _values(table[field].combine_chunks())
    variant = np.array(read[VARIANT], dtype=object)
    labels = {
        part: np.array([str(value)[:10] if part == DAY else value for value in read[part]], object)
        for part in parts
    }
    everybody = np.ones(len(variant), dtype=bool)

    def added(part: Slice, where: NDArray[np.bool_]) -> Slice:
        found = {name: values.sample(where & (variant == name), metric) for name in part.units}
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


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of a quantile metric in memory.

    Attributes:
        values: one for each unit, or several of some. unit: whose each is, by the unit's place; None: in their order.
        missing: for each unit whether it has no value, or no list of values.
    """

    values: FloatArray
    unit: NDArray[np.int64] | None
    missing: NDArray[np.bool_]

    def sample(self, where: NDArray[np.bool_], metric: Metric) -> Sample:
        """The sample of the units at some places."""
        if self.unit is None:
            cluster, present = None, self.values[where & ~self.missing]
        else:
            kept = where[self.unit]
            cluster, present = self.unit[kept], self.values[kept]
        level = metric.quantile or 0.5
        return Sample(
            moments=_beyond(present, cluster, metric),
            missing=int(self.missing[where].sum()),
            maximum=float(present.max()) if len(present) else None,
            quantile=QuantileSample.from_array(present, level, cluster) if len(present) else None,
        )


def _values(column: pa.Array) -> _Values:
    """Of a column of numbers, or of lists of numbers: then values are finer than units, which are their clusters."""
    missing = column.is_null().to_numpy(zero_copy_only=False)
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return _Values(values, None, missing | np.isnan(values))
    values = pc.list_flatten(column).cast(pa.float64()).to_numpy(zero_copy_only=False)
    return _Values(values, pc.list_parent_indices(column).to_numpy(zero_copy_only=False), missing)


def _beyond(values: FloatArray, cluster: NDArray[np.int64] | None, metric: Metric) -> Moments:
    """Whether each value is beyond the limit, as counts; the values themselves where there is no limit.

    Where values are finer than units: a ratio of sums over units, to the number of values.
    """
    limit: Any = metric.maximum if metric.maximum is not None else metric.minimum
    beyond = values if limit is None else values > limit if metric.maximum is not None else values < limit
    if cluster is not None and len(values):
        _, place = np.unique(cluster, return_inverse=True)
        return Moments.from_arrays(np.bincount(place, beyond.astype(np.float64)), np.bincount(place))
    if limit is None:
        return Moments.from_arrays(values) if len(values) else Moments.empty()
    return Moments.from_counts(int(beyond.sum()), len(values))
