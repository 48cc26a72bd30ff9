"""A first look at the values: which have gaps, and a constant near each mean to shift by before squaring.

The constant is the mean of the first rows. Of k values of the data it is at most sqrt(M2 / k) from the mean of
all (M2: their centred sum of squares), so shifting by it loses at most log10(n / k) digits in the worst order
of rows, and none where every value is the same: a second pass for the mean itself would gain nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from upshot.analysis.units import VARIANT, Fields

FIRST_ROWS = 10_000
TOP = 10
"""How many of the largest outcomes of a variant are kept."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a first look found, by field.

    Attributes:
        gaps: fields with missing values.
        shifts: a constant near the mean.
        floors: a value that ten units of every variant reach, or None; the largest are sought above it.
    """

    gaps: frozenset[str]
    shifts: Mapping[str, float]
    floors: Mapping[str, float | None]


def profile_of(units: ir.Table, places: Sequence[Fields]) -> Profile:
    """Look at the fields of some metrics."""
    fields = list(dict.fromkeys(name for place in places for name in place.columns))
    if not fields:
        return Profile(frozenset(), {}, {})
    asked = {name: units[name].isnull().sum() for name in fields}
    missing = units.aggregate(**asked).to_pyarrow().to_pylist()[0]
    gaps = frozenset(name for name in fields if missing[name])
    first = units.select(VARIANT, *fields).limit(FIRST_ROWS).to_pyarrow()
    variant = np.array(first[VARIANT].to_pylist(), dtype=object)
    values = {name: np.array(first[name].to_pylist(), dtype=np.float64) for name in fields}
    shifts = {name: _mean(column) for name, column in values.items()}
    unseen = [name for name, mean in shifts.items() if mean is None]
    if unseen:  # all the first rows lack it
        means = units.aggregate(**{name: units[name].mean() for name in unseen}).to_pyarrow().to_pylist()[0]
        shifts |= {name: means[name] for name in unseen}
    return Profile(
        gaps,
        {name: float(shift or 0.0) for name, shift in shifts.items()},
        {name: _floor(column, variant) for name, column in values.items()},
    )


def _mean(values: NDArray[np.float64]) -> float | None:
    present = values[np.isfinite(values)]
    return float(present.mean()) if len(present) else None


def _floor(values: NDArray[np.float64], variant: NDArray[np.object_]) -> float | None:
    """The smallest, over the variants, of their tenth largest among the first rows."""
    tenths = []
    for name in set(variant) - {None}:
        own = values[(variant == name) & np.isfinite(values)]
        if len(own) < TOP:
            return None
        tenths.append(float(np.partition(own, -TOP)[-TOP]))
    return min(tenths, default=None)
