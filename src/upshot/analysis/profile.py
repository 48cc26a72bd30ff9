"""A first look at the values: which have gaps, and a constant near each mean to shift by before squaring.

The constant c is the mean of the first k rows. By Cauchy and Schwarz it is at most sqrt(M2 / k) from the mean of all
n (M2: their centred sum of squares), so that sums shifted by it lose at most log10(n / k) digits in the worst
order of rows, and none where every value is the same. Where c is within three deviations of 0 there is no shift:
that costs one more digit at most, 2 (n / k) (1 + c^2 / variance) in all, and saves a pass over the values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from upshot.analysis.units import VARIANT, Fields

FIRST_ROWS = 40_000
FAR = 10.0
"""A mean is far from 0 where its square is more than this many variances."""
COMMON = 100
TOP = 10
"""How many of the largest outcomes of a variant are kept."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a first look found, by field.

    Attributes:
        gaps: fields with missing values.
        means: of the first rows. shifts: a constant near the mean; 0 where the mean is not far from 0.
        common: fields that are other than 0 in a hundred units of every variant, and more.
        floors: a value that ten units of every variant reach, or None; the largest are sought above it.
    """

    gaps: frozenset[str]
    means: Mapping[str, float]
    shifts: Mapping[str, float]
    common: frozenset[str]
    floors: Mapping[str, float | None]


def profile_of(units: ir.Table, places: Sequence[Fields]) -> Profile:
    """Look at the fields of some metrics."""
    fields = list(dict.fromkeys(name for place in places for name in place.columns))
    if not fields:
        return Profile(frozenset(), {}, {}, frozenset(), {})
    asked = {name: units[name].count() for name in fields}
    present = units.aggregate(asked | {"_all": units.count()}).to_pyarrow().to_pylist()[0]
    gaps = frozenset(name for name in fields if present[name] < present["_all"])
    first = units.select(VARIANT, *fields).limit(FIRST_ROWS).to_pyarrow()
    variant = np.array(first[VARIANT].to_pylist(), dtype=object)
    values = {name: first[name].to_numpy().astype(np.float64) for name in fields}
    means = {name: _mean(column) for name, column in values.items()}
    unseen = [name for name, mean in means.items() if mean is None]
    if unseen:  # all the first rows lack it
        means |= units.aggregate(**{name: units[name].mean() for name in unseen}).to_pyarrow().to_pylist()[0]
    known = {name: float(mean or 0.0) for name, mean in means.items()}
    return Profile(
        gaps,
        known,
        {name: _shift(column, known[name]) for name, column in values.items()},
        frozenset(name for name, column in values.items() if _is_common(column, variant)),
        {name: _floor(column, variant) for name, column in values.items()},
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    present = values[np.isfinite(values)]
    return float(present.mean()) if len(present) else None


def _shift(values: NDArray[np.float64], mean: float) -> float:
    """The mean, where it is far from 0 or there is nothing to compare it with."""
    present = values[np.isfinite(values)]
    return mean if not len(present) or mean * mean > FAR * float(present.var()) else 0.0


def _is_common(values: NDArray[np.float64], variant: NDArray[np.object_]) -> bool:
    some = np.isfinite(values) & (values != 0)
    names = set(variant) - {None}
    return bool(names) and all(int((some & (variant == name)).sum()) >= COMMON for name in names)


def _floor(values: NDArray[np.float64], variant: NDArray[np.object_]) -> float | None:
    """The smallest, over the variants, of their tenth largest among the first rows."""
    tenths = []
    for name in set(variant) - {None}:
        own = values[(variant == name) & np.isfinite(values)]
        if len(own) < TOP:
            return None
        tenths.append(float(np.partition(own, -TOP)[-TOP]))
    return min(tenths, default=None)
