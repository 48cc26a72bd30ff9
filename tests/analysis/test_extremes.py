"""The ten largest outcomes of each variant, found without putting everything in order."""

import ibis
import numpy as np
import pytest

from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.model.metric import Metric


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
@pytest.mark.parametrize("shape", ["smooth", "tied", "few", "late"])
def test_the_largest_are_those_of_python(engine, shape):
    rng = np.random.default_rng(1)
    size = 12 if shape == "few" else 11_000
    values = {"tied": rng.integers(0, 4, size).astype(float)}.get(shape, rng.lognormal(0, 2, size))
    if shape == "late":
        values[10_500:] += 1e6  # after the rows that the first look sees
    names = rng.choice(["a", "b"], size)
    rows = [{"variant": str(name), "y": float(y)} for name, y in zip(names, values, strict=True)]
    rows += [{"variant": name, "y": None} for name in "ab"]
    backend = ibis.duckdb.connect() if engine == "duckdb" else ibis.sqlite.connect()
    schema = ibis.schema({"variant": "string", "y": "float64"})
    table = backend.create_table("data", ibis.memtable(rows, schema=schema).to_pyarrow())
    question = Question(variant="variant", control="a", metrics=(Metric(name="y", column="y", kind="mean"),))
    for name, sample in read_evidence(table, question).total.samples["y"].items():
        own = sorted(values[names == name].tolist(), reverse=True)
        assert list(sample.top) == own[:10]
        assert sample.maximum == own[0]
