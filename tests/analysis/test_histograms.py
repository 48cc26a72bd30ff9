"""Units by outcome: every unit in one bin, counted as NumPy counts."""

import ibis
import numpy as np
import pytest

from upshot.analysis.histograms import BINS, histogram
from upshot.analysis.units import VARIANT


def test_bins_are_those_of_numpy_and_the_last_holds_the_tail():
    rng = np.random.default_rng(1)
    values = np.append(rng.normal(0, 1, 500), [60.0])
    names = np.array(["a", "b"])[np.arange(501) % 2]
    found = histogram(ibis.memtable({VARIANT: names.tolist(), "y": values.tolist()}), "y", ("a", "b", "c"))
    assert found.edges[0] == values.min()
    assert found.edges[-1] == pytest.approx(values.mean() + 4 * values.std(ddof=1))
    for name in ("a", "b"):
        own = np.minimum(values[names == name], found.edges[-1])
        assert list(found.counts[name]) == np.histogram(own, found.edges)[0].tolist()
    assert sum(map(sum, found.counts.values())) == 501
    assert found.counts["c"] == (0,) * BINS


@pytest.mark.parametrize("values", [[None, None], [3.0, 3.0]])
def test_what_does_not_vary_has_no_picture(values):
    table = ibis.memtable({VARIANT: ["a", "b"], "y": values}, schema={VARIANT: "string", "y": "float64"})
    assert histogram(table, "y", ("a", "b")) is None
