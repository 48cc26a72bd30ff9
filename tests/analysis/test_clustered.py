"""Rows finer than what was randomised: sums by cluster as plain Python makes them."""

from collections import defaultdict

import ibis
import numpy as np
import pytest

from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.errors import DataError
from upshot.model.metric import Metric

SALES = Metric(name="sales", column="sales", kind="mean")
SHARE = Metric(name="share", column="sales", kind="ratio", per="visits")


def _rows(seed=1):
    rng = np.random.default_rng(seed)
    return [
        {
            "user": int(rng.integers(150)),
            "store": f"s{(store := int(rng.integers(24)))}",
            "variant": "ab"[store % 2],
            "sales": None if rng.random() < 0.1 else float(rng.gamma(2, 5)),
            "visits": int(rng.integers(1, 4)),
        }
        for _ in range(500)
    ]


def _read(rows, *metrics, **fields):
    known = {"variant": "variant", "control": "a", "metrics": metrics, "cluster": "store"}
    return read_evidence(ibis.memtable(rows), Question(**(known | fields)))


def test_sums_by_cluster():
    rows = _rows()
    found = _read(rows, SALES, SHARE)
    outcomes, lines, visits = defaultdict(float), defaultdict(int), defaultdict(int)
    for row in rows:
        if row["sales"] is not None:
            key = row["variant"], row["store"]
            outcomes[key] += row["sales"]
            lines[key] += 1
            visits[key] += row["visits"]
    for name in ("a", "b"):
        own = sorted(key for key in outcomes if key[0] == name)
        for metric, weights in (("sales", lines), ("share", visits)):
            totals = found.total.samples[metric][name].clusters
            assert totals.outcomes == pytest.approx([outcomes[key] for key in own], rel=1e-12)
            assert totals.weights.tolist() == [weights[key] for key in own]
        assert found.clusters[name] == found.total.units[name] == len(own)
    assert found.unit == "store"


def test_a_cluster_in_both_variants_and_rows_without_one_are_left_out_and_counted():
    rows = _rows(2)
    kept = [row for row in rows if row["store"] != "s4"]
    crossed = [row | {"variant": "ab"[i % 2]} for i, row in enumerate(rows) if row["store"] == "s4"]
    found = _read([*kept, *crossed, *(row | {"store": None} for row in rows[:7])], SALES)
    assert len(crossed) > 2
    assert found.conflicts == 1
    assert found.missing_unit == 7
    assert "7 rows without store left out" in found.understood
    assert found.total.samples == _read(kept, SALES).total.samples


def test_units_of_many_rows_keep_their_cluster():
    rows = [row | {"user": f"{row['user']} {row['store']}"} for row in _rows(3)]
    found = _read(rows, SALES, unit="user")
    by_user = defaultdict(list)
    for row in rows:
        if row["sales"] is not None:
            by_user[row["user"], row["store"]].append(row["sales"])
    whole = sum(sum(values) for (_, store), values in by_user.items() if int(store[1:]) % 2 == 0)
    totals = found.total.samples["sales"]["a"].clusters
    assert totals.outcomes.sum() == pytest.approx(whole, rel=1e-12)
    assert totals.weights.sum() == sum(int(store[1:]) % 2 == 0 for _, store in by_user)


@pytest.mark.parametrize(
    ("metric", "fields"),
    [
        (Metric(name="m", column="sales", kind="mean", covariates=("visits",)), {}),
        (Metric(name="m", column="sales", kind="mean", cap=0.9), {}),
        (Metric(name="m", column="sales", kind="quantile", quantile=0.9), {}),
        (SALES, {"segments": ("user",)}),
    ],
)
def test_what_clusters_do_not_take_is_refused(metric, fields):
    with pytest.raises(DataError, match="cluster"):
        _read(_rows(), metric, **fields)
