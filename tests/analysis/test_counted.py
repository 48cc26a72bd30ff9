"""Rows that stand for many units give what the units themselves would give."""

import ibis
import numpy as np
import pytest

from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric


def _read(rows, *metrics, **fields):
    known = {"variant": "variant", "control": "a", "metrics": metrics, "count": "units"}
    return read_evidence(ibis.memtable(rows), Question(**(known | fields)))


def _daily(seed=1):
    """Twelve days of two variants: units, how many bought, trials and their successes."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(12):
        for name in ("a", "b"):
            units = int(rng.integers(50, 90))
            trials = int(rng.integers(60, 200))
            rows.append(
                {
                    "variant": name,
                    "units": units,
                    "bought": int(rng.binomial(units, 0.3)),
                    "trials": trials,
                    "hits": int(rng.binomial(trials, 0.5)),
                }
            )
    return rows


def _total(rows, name, column):
    return sum(row[column] for row in rows if row["variant"] == name)


@pytest.mark.parametrize("kind", [None, "proportion", "count"])
def test_a_column_larger_than_one_counts_those_who_did(kind):
    rows = _daily()
    found = _read(rows, Metric(name="bought", column="bought", kind=kind))
    assert found.metrics[0].kind == "proportion"
    assert found.counts
    for name in ("a", "b"):
        n = _total(rows, name, "units")
        assert found.total.units[name] == n
        moments = found.total.samples["bought"][name].moments
        assert (moments.n, round(moments.mean() * n)) == (n, _total(rows, name, "bought"))


def test_a_ratio_of_counts_is_successes_of_trials():
    rows = _daily(2)
    found = _read(rows, Metric(name="hits", column="hits", kind="ratio", per="trials"))
    for name in ("a", "b"):
        moments = found.total.samples["hits"][name].moments
        assert moments.n == _total(rows, name, "trials")
        assert moments.mean() == pytest.approx(_total(rows, name, "hits") / moments.n, rel=1e-14)


@pytest.mark.parametrize("column", ["value", "flag"])
def test_every_unit_of_a_row_has_its_value(column):
    rng = np.random.default_rng(3)
    rows = [
        {
            "variant": "ab"[i % 2],
            "units": int(rng.integers(1, 9)),
            "value": None if i == 7 else float(rng.normal(1e6, 2)),
            "flag": None if i == 7 else int(rng.integers(2)),
        }
        for i in range(40)
    ]
    found = _read(rows, Metric(name="m", column=column, kind="mean")).total
    for name in ("a", "b"):
        own = [row for row in rows if row["variant"] == name]
        values = np.repeat(
            [row[column] for row in own if row[column] is not None],
            [row["units"] for row in own if row[column] is not None],
        )
        sample = found.samples["m"][name]
        assert sample.missing == sum(row["units"] for row in own if row[column] is None)
        assert sample.moments.n == len(values)
        assert sample.moments.mean() == pytest.approx(values.mean(), rel=1e-12)
        assert sample.moments.var() == pytest.approx(values.var(ddof=1), rel=1e-9)


@pytest.mark.parametrize(
    ("change", "metric", "message"),
    [
        ({"units": -3}, Metric(name="bought", column="bought"), "negative value -3"),
        ({"bought": 999}, Metric(name="bought", column="bought", kind="proportion"), "more successes"),
        ({"hits": -1}, Metric(name="hits", column="hits", kind="ratio", per="trials"), "negative count -1"),
    ],
)
def test_impossible_counts_are_refused(change, metric, message):
    rows = _daily(4)
    rows[3] |= change
    with pytest.raises(DataError, match=message):
        _read(rows, metric)


@pytest.mark.parametrize("kind", [None, "proportion"])
def test_rows_of_noughts_and_ones_are_as_many_units_as_they_say(kind):
    rows = [
        {"variant": name, "units": units, "bought": bought}
        for name, bought, units in [("a", 0, 70), ("a", 1, 30), ("b", 0, 55), ("b", 1, 25), ("b", 1, 20)]
    ]
    found = _read(rows, Metric(name="bought", column="bought", kind=kind))
    assert found.metrics[0].kind == "proportion"
    shares = {name: sample.moments.mean() for name, sample in found.total.samples["bought"].items()}
    assert shares == pytest.approx({"a": 0.3, "b": 0.45})
    assert {name: one.moments.n for name, one in found.total.samples["bought"].items()} == {
        "a": 100,
        "b": 100,
    }


def test_segments_need_units():
    with pytest.raises(DataError, match="--segment"):
        _read(_daily(), Metric(name="bought", column="bought"), segments=("variant",))
