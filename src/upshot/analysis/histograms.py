"""How outcomes are distributed, counted in the engine: for pictures only, no inference rests on it."""

import ibis.expr.types as ir
import numpy as np

from upshot.analysis.evidence import Histogram
from upshot.analysis.units import VARIANT

BINS = 30


def histogram(units: ir.Table, field: str, variants: tuple[str, ...]) -> Histogram | None:
    """Units by outcome in 30 even bins up to mean plus four deviations; the last bin holds all beyond."""
    values = units[field]
    found = units.aggregate(low=values.min(), high=values.max(), mean=values.mean(), std=values.std())
    row = found.to_pyarrow().to_pylist()[0]
    if row["low"] is None or not row["std"] or row["low"] == row["high"]:
        return None
    low, high = float(row["low"]), min(float(row["high"]), float(row["mean"] + 4 * row["std"]))
    width = (high - low) / BINS
    place = ((values - low) / width).floor().cast("int64").clip(lower=0, upper=BINS - 1)
    counted = units.filter(values.notnull()).group_by([units[VARIANT].name("variant"), place.name("bin")])
    counts = {name: [0] * BINS for name in variants}
    for one in counted.aggregate(n=lambda table: table.count()).to_pyarrow().to_pylist():
        counts[one["variant"]][int(one["bin"])] = int(one["n"])
    edges = tuple(float(edge) for edge in np.linspace(low, high, BINS + 1))
    return Histogram(edges=edges, counts={name: tuple(bins) for name, bins in counts.items()})
