"""Quantiles over a table are those of NumPy, whether or not the engine has such a function."""

import ibis
import numpy as np
import pytest

from upshot.analysis.order import quantile_of
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.model.metric import Metric
from upshot.stats.quantiles import QuantileSample

RNG = np.random.default_rng(1)
ROWS = [
    {"variant": "ab"[i % 2], "wait": None if i % 17 == 0 else float(RNG.lognormal(5, 1))} for i in range(400)
]
SCHEMA = ibis.schema({"variant": "string", "wait": "float64"})


def _table(rows, engine="duckdb"):
    backend = ibis.duckdb.connect() if engine == "duckdb" else ibis.sqlite.connect()
    return backend.create_table("data", ibis.memtable(rows, schema=SCHEMA).to_pyarrow())


def _own(name):
    return np.array([row["wait"] for row in ROWS if row["variant"] == name and row["wait"] is not None])


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
@pytest.mark.parametrize("level", [0.01, 0.5, 0.999])
@pytest.mark.parametrize("size", [1, 2, 377])
def test_the_pooled_quantile(engine, level, size):
    rows = [row for row in ROWS if row["wait"] is not None][:size]
    values = [row["wait"] for row in rows]
    found = quantile_of(_table([*rows, {"variant": "a", "wait": None}], engine), "wait", level, len(values))
    assert found == pytest.approx(np.quantile(values, level), rel=1e-12)


def _read(**fields):
    metric = Metric(name="p90", column="wait", kind="quantile", quantile=0.9, better="lower", **fields)
    found = read_evidence(_table(ROWS), Question(variant="variant", control="a", metrics=(metric,)))
    return found.total.samples["p90"]


def test_order_statistics_by_variant():
    for name, sample in _read().items():
        own = _own(name)
        assert sample.quantile == QuantileSample.from_array(own, 0.9)
        assert sample.quantile.estimate == pytest.approx(np.quantile(own, 0.9))
        assert sample.missing == sum(row["variant"] == name for row in ROWS) - len(own)
        assert sample.maximum == own.max()


@pytest.mark.parametrize(("limit", "beyond"), [("maximum", np.greater), ("minimum", np.less)])
def test_a_limit_counts_the_units_beyond_it(limit, beyond):
    for name, sample in _read(**{limit: 300.0}).items():
        own = _own(name)
        assert sample.moments.n == len(own)
        assert sample.moments.mean() == pytest.approx(beyond(own, 300.0).mean())
